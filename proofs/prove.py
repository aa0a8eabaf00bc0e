"""Runs theorems through engines, in several processes, and returns the ledger's entries in order."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor, Future, as_completed
from contextlib import nullcontext
from dataclasses import dataclass
from difflib import get_close_matches
from fnmatch import fnmatchcase

from proofs.engines.registry import IN_ONE_PROCESS, NAMES, PREPARE_ALL, engine
from proofs.ledger import Entry, Finding, run
from proofs.processes import cores, processes
from proofs.theorem import Theorem
from proofs.theorems import catalogue, false_statements

_PIECES = 3
"""Into how many tasks the theorems of a path are cut, unless its engines work in one process."""


class UnknownTheorem(ValueError):
    """No theorem has this id."""


@dataclass(frozen=True)
class _Answer:
    """An entry that can be sent between processes: statements hold functions."""

    theorem: str
    engine: str
    finding: Finding
    seconds: float
    path: str


def title(name: str) -> str:
    """Return what an engine is, in a few words."""
    return engine(name).title


def everything() -> tuple[Theorem, ...]:
    """Return the catalogue and the false statements."""
    return (*catalogue(), *false_statements())


def chosen(patterns: Sequence[str]) -> tuple[Theorem, ...]:
    """Return the theorems with these ids, or whose ids match (`k3-*`); all for no pattern.

    Raises UnknownTheorem for a pattern that nothing matches.
    """
    theorems = everything()
    if not patterns:
        return theorems
    wanted: set[str] = set()
    for pattern in patterns:
        matched = {t.id for t in theorems if fnmatchcase(t.id, pattern)}
        if not matched:
            close = get_close_matches(pattern, [t.id for t in theorems], n=3, cutoff=0.4)
            hint = f"did you mean {', '.join(close)}?" if close else "`kl-oracle prove` lists them"
            raise UnknownTheorem(f"no theorem is called {pattern!r}: {hint}")
        wanted |= matched
    return tuple(t for t in theorems if t.id in wanted)


def prove(
    theorems: Sequence[Theorem],
    engines: Sequence[str] = NAMES,
    jobs: int | None = None,
    executor: Executor | None = None,
    watch: Callable[[int, int], None] = lambda _done, _all: None,
) -> list[Entry]:
    """Return one entry for each engine and theorem, engine by engine.

    `jobs` is the number of processes, by default one for each core; `executor` are such `processes`, started
    before. `watch` hears how many of how many
    entries are there.
    """
    workers = jobs or cores()
    total = len(theorems) * len(engines)
    found: dict[tuple[str, str], _Answer] = {}
    for answers in _answers(theorems, engines, workers, executor):
        found |= {(a.engine, a.theorem): a for a in answers}
        watch(len(found), total)
    entries = []
    for name in engines:
        for theorem in theorems:
            answer = found[name, theorem.id]
            entries.append(Entry(theorem, name, answer.finding, answer.seconds, answer.path))
    return entries


def _answers(
    theorems: Sequence[Theorem], engines: Sequence[str], workers: int, executor: Executor | None
) -> Iterator[list[_Answer]]:
    tasks = _tasks([t.id for t in theorems], engines)
    if workers == 1 or len(tasks) == 1 or len(theorems) * len(engines) <= _PIECES * len(NAMES):
        for task in tasks:
            yield _run(*task)
        return
    with nullcontext(executor) if executor else processes(workers) as pool:
        futures: list[Future[list[_Answer]]] = [pool.submit(_run, *task) for task in tasks]
        for future in as_completed(futures):
            yield future.result()


def _tasks(ids: Sequence[str], engines: Sequence[str]) -> list[tuple[tuple[str, ...], tuple[str, ...]]]:
    """Engines and theorems of each task: those of one path together, as they share what they prepare."""
    paths: dict[str, list[str]] = {}
    for name in engines:
        paths.setdefault(engine(name).path, []).append(name)
    tasks = []
    for names in paths.values():
        pieces = 1 if IN_ONE_PROCESS & set(names) else _PIECES
        parts = [tuple(ids[piece::pieces]) for piece in range(pieces)]
        tasks += [(tuple(names), part) for part in parts if part]
    return sorted(tasks, key=lambda task: (not PREPARE_ALL & set(task[0]), not IN_ONE_PROCESS & set(task[0])))


def _run(engines: tuple[str, ...], ids: tuple[str, ...]) -> list[_Answer]:
    if not IN_ONE_PROCESS.isdisjoint(engines):
        from proofs.engines.smt.engine import start

        start(engines)  # a solver gets ready while the first question is made
    by_id = {theorem.id: theorem for theorem in everything()}
    theorems = [by_id[name] for name in ids]
    return [
        _Answer(entry.theorem.id, entry.engine, entry.finding, entry.seconds, entry.path)
        for entry in run(theorems, [engine(name) for name in engines])
    ]
