"""The second SymPy path: indexed sums for any vocabulary, and every sum of a small one written out.

It shares no code with the prover: detaching is done with a second, frozen set of parameters, gradients
are SymPy's own derivatives by raw logits, and what has to vanish is cancelled as a rational function
(`sympy.polys.fields`), never brought into the prover's normal form.
"""

from __future__ import annotations

from proofs.engines.base import TableEngine
from proofs.engines.explicit.gradients import prove_expected_gradient, prove_sample_gradient, prove_stationary
from proofs.engines.explicit.scalars import prove_derivative, prove_gaussian_mean, prove_identity
from proofs.engines.explicit.values import prove_value
from proofs.engines.sequences.explicit import prove_explicitly
from proofs.ledger import UNSUPPORTED, Finding, Outcome
from proofs.statements import (
    DerivativeAt,
    ExpectedGradient,
    GaussianMean,
    Identity,
    Lemma,
    SampleGradient,
    SequenceGradient,
    SequenceValue,
    Stationary,
    Value,
)

__all__ = ["EXPLICIT"]


def _prove_lemma(lemma: Lemma) -> Finding:
    """Run the lemma's second derivation, which raises where a step does not check."""
    if lemma.prove_explicitly is None:
        return UNSUPPORTED
    lemma.prove_explicitly()
    return Finding(Outcome.PROVED, "V = 3")


EXPLICIT = TableEngine(
    "explicit",
    "indexed sums, raw logits",
    {
        ExpectedGradient: prove_expected_gradient,
        SampleGradient: prove_sample_gradient,
        Stationary: prove_stationary,
        Value: prove_value,
        Identity: prove_identity,
        DerivativeAt: prove_derivative,
        GaussianMean: prove_gaussian_mean,
        SequenceGradient: prove_explicitly,
        SequenceValue: prove_explicitly,
        Lemma: _prove_lemma,
    },
)
