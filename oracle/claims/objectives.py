"""Objectives, held in expectation: what the verdict says of a side must be what was claimed of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from oracle.claims.claim import Claim
from oracle.claims.forms import finding
from oracle.claims.nearest import as_claim
from oracle.records import Evidence, Finding, ObjectiveRecord, WithReturns

if TYPE_CHECKING:
    from oracle.case import Case

_STRENGTH: tuple[Evidence, ...] = ("measured", "tested", "proved")


def said_of(case: Case, side: str) -> ObjectiveRecord | WithReturns | None:
    """The side of a verdict; None where it was not judged."""
    return {"on-policy": case.on_policy, "off-policy": case.off_policy}.get(side, case.with_returns)


def hold_objective(claim: Claim, case: Case) -> Finding:
    """Hold a claimed objective against each side that it names."""
    evidence: list[Evidence] = []
    theorems: dict[str, None] = {}
    for side in claim.sides:
        record = said_of(case, side)
        if record is None:
            message = f"claimed {claim.text!r}, but a {case.subject.kind} at this place has no returns-to-go"
            return finding(claim, False, message, "tested")
        wrong = _mismatch(claim, record, case)
        if wrong:
            formula = record.formula if isinstance(record, ObjectiveRecord) else None
            holds = as_claim(record, side)
            return finding(
                claim,
                False,
                f"claimed {claim.text!r}, but {side} {wrong}" + (f"; what holds: {holds}" if holds else ""),
                record.evidence,
                {"formula": formula} if formula else None,
                record.theorems,
            )
        evidence.append(record.evidence)
        theorems |= dict.fromkeys(record.theorems)
    return finding(claim, True, f"{claim.text!r} holds", min(evidence, key=_STRENGTH.index), theorems=list(theorems))


def _mismatch(claim: Claim, record: ObjectiveRecord | WithReturns, case: Case) -> str | None:
    if record.objective != claim.objective:
        level = f"/{record.level}" if record.level else ""
        return f"the gradient is that of {record.objective}{level}" + _how_far(record)
    if claim.objective == "zero":
        return None
    if claim.level is not None and record.level != claim.level:
        return f"the level is {record.level}"
    if record.scale is None:
        return "the scale is unknown" if claim.scale is not None else None
    if claim.scale is not None:
        # relative to the aggregation, at coefficient 1
        slack = max(1e-4, 10 * case.tolerance) * abs(claim.scale)
        return None if abs(record.scale - claim.scale) <= slack else f"the scale is {record.scale:.6g}"
    if record.scale < 0:
        return f"the scale is {record.scale:.4g}: descending the loss ascends the divergence"
    return None


def _how_far(record: ObjectiveRecord | WithReturns) -> str:
    """The nearest objective of what has no name."""
    near = getattr(record, "nearest", None)
    if not near:
        return ""
    level = f"/{near.level}" if near.level else ""
    return f" (nearest {near.objective}{level}, {near.relative_error:.0%} off)"
