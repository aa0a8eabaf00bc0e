"""The ledger: what each engine says about each theorem."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import Protocol

from proofs.theorem import Theorem

SCHEMA = "kl-oracle/ledger/1"


class Outcome(str, Enum):
    """What an engine found."""

    PROVED = "proved"
    """Derived within the stated scope, no case left out."""
    TESTED = "tested"
    """Exact arithmetic at drawn points found no difference: no proof, and the scope says what was drawn."""
    REFUTED = "refuted"
    """A counterexample, or a normal form that cannot vanish."""
    INCONCLUSIVE = "inconclusive"
    """Neither within the time given."""
    UNSUPPORTED = "unsupported"
    """The engine cannot express the statement."""
    NOT_INSTALLED = "not installed"

    def __str__(self) -> str:
        return str(self.value)


@dataclass(frozen=True)
class Finding:
    """One engine's answer: for what it holds (`scope`), and why or where it fails (`detail`)."""

    outcome: Outcome
    scope: str = ""
    detail: str = ""
    counterexample: Mapping[str, str] = field(default_factory=dict)

    def _repr_html_(self) -> str:
        """Return the outcome and its scope for a notebook."""
        from proofs.report.jupyter import finding_html

        return finding_html(self)


UNSUPPORTED = Finding(Outcome.UNSUPPORTED)


class Engine(Protocol):
    """One way to decide statements, which trusts none of the others."""

    name: str
    """As in the ledger's column."""
    title: str
    """What it is, in a few words."""

    @property
    def path(self) -> str:
        """How it reads statements: engines of one path share that code, and count as one."""
        ...

    def missing(self) -> str | None:
        """Return what has to be installed before the engine runs, in one line; None if nothing."""
        ...

    def check(self, theorem: Theorem) -> Finding:
        """Decide one theorem. Raises nothing for a statement that it cannot express."""
        ...


@dataclass(frozen=True)
class Entry:
    """A finding in the ledger, with the seconds that it took."""

    theorem: Theorem
    engine: str
    finding: Finding
    seconds: float
    path: str = ""
    """The engine's path; its name if nothing is said."""

    def _repr_html_(self) -> str:
        """Return theorem, engine and finding for a notebook."""
        from proofs.report.jupyter import entry_html

        return entry_html(self)


def run(
    theorems: Sequence[Theorem], engines: Sequence[Engine], watch: Callable[[str], None] = lambda _: None
) -> Iterator[Entry]:
    """Yield one entry for each engine and theorem, engine by engine. `watch` hears what begins."""
    for engine in engines:
        missing = engine.missing()
        for theorem in theorems:
            watch(f"{engine.name}: {theorem.id}")
            start = time.perf_counter()
            finding = Finding(Outcome.NOT_INSTALLED, detail=missing) if missing else engine.check(theorem)
            yield Entry(theorem, engine.name, finding, time.perf_counter() - start, engine.path)


def paths_by(entries: Iterable[Entry], outcome: Outcome) -> dict[str, set[str]]:
    """Return, by theorem, the independent paths with this outcome."""
    found: dict[str, set[str]] = {}
    for entry in entries:
        if entry.finding.outcome is outcome:
            found.setdefault(entry.theorem.id, set()).add(entry.path or entry.engine)
    return found


def wrong(entries: Sequence[Entry], needed: int = 2) -> list[str]:
    """Return, a line each, what is not as the catalogue expects; empty if all is well.

    A theorem has to be proved on `needed` independent paths and refuted on none; a false statement has
    to be proved on none and, with `needed` above 0, refuted on one. What is missing is not wrong where an
    engine that is not installed might have supplied it, nor with `needed` 0, for a part of the engines: then
    a theorem is wrong only if it is left open by one of them and proved by none.
    """
    theorems = {entry.theorem.id: entry.theorem for entry in entries}
    waiting = {entry.theorem.id for entry in entries if entry.finding.outcome is Outcome.NOT_INSTALLED}
    proved, refuted = paths_by(entries, Outcome.PROVED), paths_by(entries, Outcome.REFUTED)
    undecided = paths_by(entries, Outcome.INCONCLUSIVE)
    lines = []
    for name, theorem in theorems.items():
        proofs, refutations = proved.get(name, set()), refuted.get(name, set())
        if theorem.holds and refutations:
            lines.append(f"{name}: refuted by {', '.join(sorted(refutations))}")
        elif theorem.holds and len(proofs) < needed and name not in waiting:
            lines.append(f"{name}: proved on {len(proofs)} independent paths, and needs {needed}")
        elif theorem.holds and not proofs and name in undecided:
            lines.append(f"{name}: left open by {', '.join(sorted(undecided[name]))}")
        elif not theorem.holds and proofs:
            lines.append(f"{name}: a false statement, proved by {', '.join(sorted(proofs))}")
        elif not theorem.holds and needed and not refutations and name not in waiting:
            lines.append(f"{name}: a false statement, refuted by no engine")
    return lines
