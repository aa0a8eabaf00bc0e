"""Expected failures: declared by the caller with a reason; a declaration that nothing fails is itself a failure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec
from msgspec import structs

from oracle.judge import outcome_of
from oracle.records import Finding, Verdict


def with_expected(verdicts: Sequence[Verdict], expected: Mapping[str, str]) -> list[Verdict]:
    """The verdicts on one subject, what was expected to fail marked so; ``expected`` maps a check's id to the reason.

    A check that fails on none of them is a stale declaration, said on the first. Where one could not be judged nothing
    is stale: its check might have failed.
    """
    if not expected:
        return list(verdicts)
    out = [structs.replace(v, findings=[_expected(f, expected) for f in v.findings]) for v in verdicts]
    if out and not any(v.error is not msgspec.UNSET for v in out):
        stale = [f for check, reason in expected.items() if (f := _stale(verdicts, check, reason)) is not None]
        out[0] = structs.replace(out[0], findings=[*out[0].findings, *stale])
    return [v if v.error else structs.replace(v, outcome=outcome_of(v.findings, True)) for v in out]


def _expected(finding: Finding, expected: Mapping[str, str]) -> Finding:
    if finding.outcome != "fail" or finding.check not in expected:
        return finding
    message = f"{finding.message} (expected: {expected[finding.check]})"
    return structs.replace(finding, outcome="expected-fail", severity="note", message=message)


def _stale(verdicts: Sequence[Verdict], check: str, reason: str) -> Finding | None:
    outcomes = {f.outcome for v in verdicts for f in v.findings if f.check == check}
    if outcomes & {"fail", "expected-fail", "inconclusive"}:
        return None
    how = "it passes" if "pass" in outcomes else "it was skipped" if outcomes else "there is no such finding"
    return Finding(
        check="expected_failures",
        outcome="fail",
        severity="error",
        message=f"stale declaration: {check} is expected to fail ({reason}), but {how}",
        evidence="tested",
        remedy=f"take {check} out of expected_failures",
    )
