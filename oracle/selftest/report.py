"""The report of a run of the catalogue: numbers, and each subject that the tool was wrong about."""

from __future__ import annotations

from typing import Literal

import msgspec


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """What became of one subject; ``wrong`` is empty where the tool is right about it."""

    name: str
    kind: Literal["mutant", "correct"]
    found_by: str | None
    wrong: list[str]


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """The numbers of a run, as ``kl-oracle selftest --format json`` prints them."""

    schema: Literal["kl-oracle/selftest/1"] = "kl-oracle/selftest/1"
    mutants: int
    killed: int
    correct: int
    accused: int
    rows: list[Row]
    """Those that the tool was wrong about."""
    found_by: dict[str, int]
    """How many mutants each check (or ``objective``) had to find."""


def as_text(report: Report) -> str:
    """The numbers for a person."""
    rate = report.killed / report.mutants
    lines = [
        f"mutants        {report.mutants}, killed {report.killed} ({rate:.1%})",
        f"correct losses {report.correct}, accused or misnamed {report.accused}",
        "must be found by " + ", ".join(f"{check} {n}" for check, n in report.found_by.items()),
    ]
    for row in report.rows:
        lines.append(f"{row.kind} {row.name}")
        lines += [f"    {text}" for text in row.wrong]
    return "\n".join(lines) + "\n"
