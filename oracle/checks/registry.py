"""What a check is, and the registry that validates each one as it is entered."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import isfinite
from typing import Any

from oracle.case import Case
from oracle.records import Evidence, Finding, Outcome, Severity


@dataclass(frozen=True)
class Answer:
    """What a check found; ``severity`` overrides the check's own.

    ``theorems`` is what this answer relies on; left out, a failure relies on those that the check declares.
    """

    outcome: Outcome
    message: str
    evidence: Evidence = "tested"
    counterexample: dict[str, Any] | None = None
    severity: Severity | None = None
    theorems: tuple[str, ...] | None = None
    intervals: tuple[tuple[float, float], ...] = ()
    """Where the answer holds, as open intervals of L = log(policy/reference)."""


@dataclass(frozen=True)
class Check:
    """A question with a stable id; ``failure`` is what a person reads first when it fails.

    ``theorems`` say why a failure is a fault (ids of proofs.theorems); where none do, ``no_theorem`` says why not.
    """

    id: str
    question: str
    severity: Severity
    failure: str
    remedy: str
    run: Callable[[Case], Answer]
    theorems: tuple[str, ...] = ()
    no_theorem: str = ""

    def __call__(self, case: Case) -> Finding:
        """Ask the question of a case."""
        answer = self.run(case)
        failed = answer.outcome == "fail"
        message = f"{self.failure}: {answer.message}" if failed else answer.message
        extra: dict[str, Any] = {"remedy": self.remedy} if failed else {}
        theorems = answer.theorems if answer.theorems is not None else self.theorems if failed else ()
        if theorems:
            extra["theorems"] = list(theorems)
        if answer.intervals:
            extra["intervals"] = [tuple(x if isfinite(x) else None for x in ends) for ends in answer.intervals]
        return Finding(
            check=self.id,
            outcome=answer.outcome,
            severity=(answer.severity or self.severity) if failed else "note",
            message=message,
            evidence=answer.evidence,
            counterexample=answer.counterexample,
            **extra,
        )


ENTERED: dict[str, Check] = {}


def check(
    id: str,
    *,
    question: str,
    severity: Severity,
    failure: str,
    remedy: str,
    theorems: tuple[str, ...] = (),
    no_theorem: str = "",
) -> Callable[[Callable[[Case], Answer]], Callable[[Case], Answer]]:
    """Enter a check. Raises ValueError where the id is taken or malformed, or a text is missing.

    It states either the theorems that it relies on or why it relies on none; that the ids are in the catalogue is for
    the tests, since the catalogue takes a while to import.
    """

    def enter(run: Callable[[Case], Answer]) -> Callable[[Case], Answer]:
        if id in ENTERED or not re.fullmatch(r"[a-z_]+(\.[a-z_]+)?", id):
            raise ValueError(f"the check id {id!r} is taken or malformed")
        if not (question.endswith("?") and failure and remedy):
            raise ValueError(f"the check {id!r} lacks a question, a failure text or a remedy")
        if bool(theorems) == bool(no_theorem):
            raise ValueError(f"the check {id!r} states theorems or why it has none, one of the two")
        ENTERED[id] = Check(id, question, severity, failure, remedy, run, theorems, no_theorem)
        return run

    return enter


def passed(message: str, evidence: Evidence = "tested", theorems: Sequence[str] = ()) -> Answer:
    """The check holds, by these theorems where it relies on any."""
    return Answer("pass", message, evidence, theorems=tuple(theorems))


def skipped(reason: str) -> Answer:
    """The question does not arise; a skip is not a pass."""
    return Answer("skip", reason)
