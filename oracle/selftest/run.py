"""The catalogue judged: which mutants survive, and which correct losses are accused."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from oracle.case import Options
from oracle.checks import CHECKS
from oracle.claims.claim import Claim
from oracle.errors import OracleError
from oracle.judge import judge_binding
from oracle.processes import in_processes
from oracle.records import ObjectiveRecord, Verdict
from oracle.selftest.catalogue import CORRECT, PAIRS
from oracle.selftest.record import Correct, Expect, Pair, Placement, Subject
from oracle.selftest.report import Report, Row
from oracle.subject.binding import bind
from oracle.subject.target import Target

_EXAMPLES = 2
_TOLERANCE = 1e-4


def subjects() -> tuple[list[Pair], list[Correct]]:
    """All mutants, and all that is correct: the twins, each once, and the losses without a fault."""
    correct: dict[tuple[int, Placement], Correct] = {}
    for c in (*CORRECT, *(p.twin for p in PAIRS)):
        correct.setdefault((id(c.subject), c.placement), c)
    return list(PAIRS), list(correct.values())


def accused(v: Verdict) -> set[str]:
    """The checks that failed as error or warning; a note accuses nobody."""
    return {f.check for f in v.findings if f.outcome == "fail" and f.severity != "note"}


def finds(v: Verdict, check: str) -> bool:
    """Whether a check fails as the error or warning that it is; as a note only where it is never more."""
    return any(f.check == check and f.outcome == "fail" for f in v.findings) and (
        check in accused(v) or CHECKS[check].severity == "note"
    )


def agrees(record: ObjectiveRecord | None, expected: Expect) -> bool:
    """Whether a side of a verdict is the one expected; a scale of None leaves it open (record.py)."""
    if record is None:
        return False
    if expected.scale is None and expected.objective not in ("zero", "unnamed"):
        return expected.objective in (record.objective, getattr(record.nearest, "objective", None))
    if (record.objective, record.level) != (expected.objective, expected.level):
        return False
    if expected.scale is None or record.scale is None:
        return expected.scale == record.scale
    return math.isclose(record.scale, expected.scale, rel_tol=_TOLERANCE)


def misnamed(v: Verdict, on: Expect, off: Expect) -> list[str]:
    """How a verdict differs from the sides that are due."""
    out = [f.message for f in v.findings if f.check == "reading.probing"]
    for side, record, due in (("on-policy", v.on_policy, on), ("off-policy", v.off_policy, off)):
        if not agrees(record, due):
            said = None if record is None else (record.objective, record.level, record.scale)
            out.append(f"{side} it is called {said}, due {(due.objective, due.level, due.scale)}")
    return out


def judged(name: str, subject: Subject, placement: Placement, claims: Sequence[Claim] = ()) -> Verdict:
    """The verdict on a subject at its placement. Raises OracleError."""
    target = Target(name, subject, None)
    return judge_binding(target, bind(subject), placement, Options(max_examples=_EXAMPLES), claims)[0]


def of_mutant(pair: Pair) -> Row:
    """A mutant is killed if the check that must find it fails, or its objective is told from its twin's."""
    try:
        verdict = judged(pair.name, pair.fault, pair.twin.placement)
    except OracleError as error:
        return Row(name=pair.name, kind="mutant", found_by=pair.found_by, wrong=[str(error)])
    wrong = misnamed(verdict, pair.on, pair.off)
    if pair.found_by == "objective":
        if agrees(verdict.on_policy, pair.twin.on) and agrees(verdict.off_policy, pair.twin.off):
            wrong.append("survives: it is called what its correct twin is")
    elif not finds(verdict, pair.found_by):
        wrong.append(f"survives: {pair.found_by} does not fail")
    return Row(name=pair.name, kind="mutant", found_by=pair.found_by, wrong=wrong)


def of_correct(correct: Correct) -> Row:
    """A correct loss must be named, and accused by no check."""
    try:
        verdict = judged(correct.name, correct.subject, correct.placement)
    except OracleError as error:
        return Row(name=correct.name, kind="correct", found_by=None, wrong=[str(error)])
    wrong = misnamed(verdict, correct.on, correct.off)
    wrong += [f"accused by {f.check}: {f.message}" for f in verdict.findings if f.check in accused(verdict)]
    return Row(name=correct.name, kind="correct", found_by=None, wrong=wrong)


def _work(task: tuple[str, int]) -> Row:
    mutants, correct = subjects()
    kind, index = task
    return of_mutant(mutants[index]) if kind == "mutant" else of_correct(correct[index])


def run(jobs: int, step: Callable[[str], Any] = lambda name: None) -> Report:
    """Judge the whole catalogue in ``jobs`` processes; ``step`` hears the name of each subject judged."""
    mutants, correct = subjects()
    tasks = [("mutant", i) for i in range(len(mutants))] + [("correct", i) for i in range(len(correct))]

    def rows() -> Iterator[Row]:
        for row in in_processes(_work, tasks, jobs):
            step(row.name)
            yield row

    found_by: dict[str, int] = {}
    for p in mutants:
        found_by[p.found_by] = found_by.get(p.found_by, 0) + 1
    wrong = sorted((r for r in rows() if r.wrong), key=lambda r: (r.kind, r.name))
    return Report(
        mutants=len(mutants),
        killed=len(mutants) - sum(r.kind == "mutant" for r in wrong),
        correct=len(correct),
        accused=sum(r.kind == "correct" for r in wrong),
        rows=wrong,
        found_by=dict(sorted(found_by.items())),
    )
