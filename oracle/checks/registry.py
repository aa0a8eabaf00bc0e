"""What a check is, and the registry that validates each one as it is entered."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from oracle.case import Case
from oracle.records import Evidence, Finding, Outcome, Severity


@dataclass(frozen=True)
class Answer:
    """What a check found; ``severity`` overrides the check's own."""

    outcome: Outcome
    message: str
    evidence: Evidence = "tested"
    counterexample: dict[str, Any] | None = None
    severity: Severity | None = None


@dataclass(frozen=True)
class Check:
    """A question with a stable id; ``failure`` is what a person reads first when it fails."""

    id: str
    question: str
    severity: Severity
    failure: str
    remedy: str
    run: Callable[[Case], Answer]

    def __call__(self, case: Case) -> Finding:
        """Ask the question of a case."""
        answer = self.run(case)
        failed = answer.outcome == "fail"
        message = f"{self.failure}: {answer.message}" if failed else answer.message
        extra: dict[str, Any] = {"remedy": self.remedy} if failed else {}
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
) -> Callable[[Callable[[Case], Answer]], Callable[[Case], Answer]]:
    """Enter a check. Raises ValueError where the id is taken or malformed, or a text is missing."""

    def enter(run: Callable[[Case], Answer]) -> Callable[[Case], Answer]:
        if id in ENTERED or not re.fullmatch(r"[a-z]+(\.[a-z_]+)?", id):
            raise ValueError(f"the check id {id!r} is taken or malformed")
        if not (question.endswith("?") and failure and remedy):
            raise ValueError(f"the check {id!r} lacks a question, a failure text or a remedy")
        ENTERED[id] = Check(id, question, severity, failure, remedy, run)
        return run

    return enter


def passed(message: str, evidence: Evidence = "tested") -> Answer:
    """The check holds."""
    return Answer("pass", message, evidence)


def skipped(reason: str) -> Answer:
    """The question does not arise; a skip is not a pass."""
    return Answer("skip", reason)
