"""How the tests put one check to a plain function."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from oracle.case import Case, Options
from oracle.checks import CHECKS
from oracle.examine import examine
from oracle.records import Finding
from oracle.subject.binding import bind
from oracle.subject.subject import open_subject
from oracle.subject.target import Target

Loss = Callable[..., Any]


def case_of(function: Callable[..., Any], placement: str = "loss") -> Case:
    """The case of a penalty at a placement, or of a loss as a whole."""
    subject = open_subject(Target("f", function, None), bind(function))
    at = placement if placement in subject.placements else subject.placements[0]
    return examine(subject, at, Options(max_examples=1))


def ask(check: str, function: Callable[..., Any], placement: str = "loss") -> Finding:
    """What one check answers."""
    return CHECKS[check](case_of(function, placement))


def verdict_of(check: str, function: Callable[..., Any], placement: str = "loss") -> str:
    """The outcome, with the severity where it fails: ``fail/warning``."""
    found = ask(check, function, placement)
    return f"fail/{found.severity}" if found.outcome == "fail" else found.outcome
