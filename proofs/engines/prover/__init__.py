"""The prover: SymPy's normal form of exponential polynomials (`proofs.normal_form`), for any vocabulary.

Whole answers are reduced token by token (`proofs.engines.sequences.reduction`).
"""

from __future__ import annotations

from proofs.engines.base import TableEngine
from proofs.engines.prover.gaussian import prove_gaussian_mean
from proofs.engines.prover.gradients import prove_expected_gradient, prove_sample_gradient, prove_stationary
from proofs.engines.prover.scalars import prove_derivative, prove_identity, prove_inequality, prove_instance
from proofs.engines.prover.values import prove_value
from proofs.engines.sequences.reduction import prove_by_reduction
from proofs.ledger import Finding, Outcome
from proofs.statements import (
    DerivativeAt,
    ExpectedGradient,
    GaussianMean,
    Identity,
    Inequality,
    Instance,
    Lemma,
    SampleGradient,
    SequenceGradient,
    SequenceValue,
    Stationary,
    Value,
)

__all__ = ["SYMPY"]


def _prove_lemma(lemma: Lemma) -> Finding:
    """Run the lemma's own derivation, which raises where a step does not check."""
    lemma.prove()
    return Finding(Outcome.PROVED, lemma.scope)


SYMPY = TableEngine(
    "sympy",
    "SymPy normal form",
    {
        ExpectedGradient: prove_expected_gradient,
        SampleGradient: prove_sample_gradient,
        Stationary: prove_stationary,
        Value: prove_value,
        Identity: prove_identity,
        Inequality: prove_inequality,
        DerivativeAt: prove_derivative,
        Instance: prove_instance,
        GaussianMean: prove_gaussian_mean,
        SequenceGradient: prove_by_reduction,
        SequenceValue: prove_by_reduction,
        Lemma: _prove_lemma,
    },
)
