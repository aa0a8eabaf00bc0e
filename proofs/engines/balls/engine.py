"""What balls decide: inequalities and numbers; of equalities, that they fail."""

from __future__ import annotations

from typing import Any

from proofs.engines.balls.arithmetic import missing
from proofs.engines.balls.gaussian import decide_gaussian_mean
from proofs.engines.balls.inequalities import decide_inequality, decide_instance
from proofs.engines.balls.instances import DRAWS, difference, pairs_of
from proofs.engines.base import TableEngine
from proofs.ledger import Finding, Outcome
from proofs.statements import (
    DerivativeAt,
    ExpectedGradient,
    GaussianMean,
    Identity,
    Inequality,
    Instance,
    SampleGradient,
    SequenceGradient,
    SequenceValue,
    Stationary,
    Value,
)


def refute(statement: Any) -> Finding:
    """Look for an instance at which both sides certainly differ."""
    for pair in pairs_of(statement):
        found = difference(pair)
        if found is not None:
            return Finding(Outcome.REFUTED, "this instance", f"{found['left']} is not {found['right']}", found)
    return Finding(Outcome.UNSUPPORTED, detail=f"agrees at {DRAWS} drawn instances; balls cannot prove an equality")


BALLS = TableEngine(
    "balls",
    "ball arithmetic (Arb)",
    {
        Inequality: decide_inequality,
        Instance: decide_instance,
        GaussianMean: decide_gaussian_mean,
        ExpectedGradient: refute,
        SampleGradient: refute,
        Value: refute,
        Identity: refute,
        Stationary: refute,
        SequenceGradient: refute,
        SequenceValue: refute,
        DerivativeAt: refute,
    },
    missing,
)
