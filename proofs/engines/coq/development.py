"""One development for a whole catalogue: the hand-written theory, the generated goals, and what Coq made of them."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path

from proofs.engines.base import CannotExpress
from proofs.engines.coq.compiler import (
    AXIOMS,
    HEADER,
    JOBS,
    Rejected,
    axioms,
    compile_all,
    compile_one,
    in_parallel,
    sort_out,
    write,
)
from proofs.engines.coq.core import FOLDER, Refused, gate, needs, sources
from proofs.engines.coq.goals import Goal, goal_of
from proofs.theorem import Theorem


@dataclass(frozen=True)
class Report:
    """What Coq made of a development."""

    proved: Mapping[str, str] = field(default_factory=dict)
    """The claim of each generated theorem that Coq accepted, by the id in the catalogue."""
    core: frozenset[str] = frozenset()
    """The hand-written files that Coq accepted."""
    failed: Mapping[str, str] = field(default_factory=dict)
    """Coq's complaint about each goal that it did not accept."""
    defect: str = ""
    """Why nothing of the development counts, if so."""

    def to_json(self) -> str:
        """Return the report as text, for another process."""
        return json.dumps({**asdict(self), "core": sorted(self.core)})

    @classmethod
    def from_json(cls, text: str) -> Report:
        """Return the report that `to_json` wrote."""
        parts = json.loads(text)
        return cls(parts["proved"], frozenset(parts["core"]), parts["failed"], parts["defect"])


def develop(theorems: Iterable[Theorem], folder: Path, theory: Path = FOLDER) -> Report:
    """Compile and check everything in an empty folder."""
    goals: dict[str, Goal] = {}
    doubtful: dict[str, Goal] = {}
    for theorem in theorems:
        try:
            (goals if theorem.holds else doubtful)[theorem.id] = goal_of(theorem.id, theorem.statement)
        except CannotExpress:
            continue
    try:
        return _compiled(goals, doubtful, folder, theory)
    except (Rejected, Refused) as reason:
        return Report(defect=str(reason))


def _compiled(goals: dict[str, Goal], doubtful: dict[str, Goal], folder: Path, theory: Path) -> Report:
    core = sources(theory)
    for name, text in core.items():
        gate(name, text)
    write(folder, core)
    compile_all(folder, core)
    failed: dict[str, str] = {}
    # a false statement that Coq proves after all goes where the others are
    goals = {**goals, **_not_refused(doubtful, folder, failed)}
    batches = _compiled_batches(goals, folder, failed)
    _check(folder, core, batches)
    proved = {key: goal.claim for key, goal in goals.items() if key not in failed}
    return Report(proved, frozenset(core), failed)


def _compiled_batches(goals: dict[str, Goal], folder: Path, failed: dict[str, str]) -> list[str]:
    """Compile the goals in as many files as there are processes; sort out one that does not compile."""
    keys = list(goals)
    batches = {f"Generated{k}": keys[k::JOBS] for k in range(JOBS) if keys[k::JOBS]}

    def work(name: str) -> None:
        batch = {key: goals[key] for key in batches[name]}
        _write_batch(folder, name, batch)
        try:
            compile_one(folder, name)
        except Rejected:
            failed.update(sort_out(folder, batch))
            _write_batch(folder, name, {key: goal for key, goal in batch.items() if key not in failed})
            compile_one(folder, name)

    in_parallel(work, batches)
    return list(batches)


def _write_batch(folder: Path, name: str, goals: Mapping[str, Goal]) -> None:
    text = HEADER + "".join(f"\n(* kl-oracle: {key} *)\n{goal.text}" for key, goal in goals.items())
    gate(name, text)
    write(folder, {name: text})


def _not_refused(doubtful: dict[str, Goal], folder: Path, failed: dict[str, str]) -> dict[str, Goal]:
    """Return the false statements that Coq does not refuse: that file compiles only if every script fails."""
    if not doubtful:
        return {}
    write(folder, {"Refused": HEADER + "\n".join(goal.refusal for goal in doubtful.values())})
    try:
        compile_one(folder, "Refused")
    except Rejected:
        failed.update(sort_out(folder, doubtful))
        return {key: goal for key, goal in doubtful.items() if key not in failed}
    failed.update(dict.fromkeys(doubtful, "its script does not prove it"))
    return {}


def _check(folder: Path, core: Mapping[str, str], batches: list[str]) -> None:
    """Have coqchk check all of it; refuse any axiom beyond those of the classical reals."""
    used = {needed for text in (*core.values(), HEADER) for needed in needs(text)}
    leaves = [name for name in core if name not in used]
    groups = {batch: [batch, *leaves[k::JOBS]] for k, batch in enumerate(batches)} or {"": leaves}
    found = frozenset().union(*in_parallel(lambda key: axioms(folder, groups[key]), groups))
    if found - AXIOMS:
        raise Refused(f"rests on {', '.join(sorted(found - AXIOMS))}")


def alone(goal: Goal, folder: Path) -> str:
    """Return Coq's complaint about one more goal over a compiled theory; the empty text if it is proved."""
    return sort_out(folder, {"alone": goal}).get("alone", "")
