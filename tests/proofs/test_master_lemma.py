"""The lemma for any vocabulary and by brute force, and every objective against its definition."""

import pytest
import sympy as sp

from proofs.divergences import OBJECTIVES
from proofs.master_lemma import (
    ProofError,
    prove_for_any_vocabulary,
    prove_for_explicit_vocabulary,
    prove_objective,
    softmax,
)
from proofs.symbols import U


def test_any_vocabulary():
    score, lemma = prove_for_any_vocabulary()
    assert score.before.has(sp.KroneckerDelta)
    assert lemma.before.has(sp.Sum)
    assert sp.Symbol("V", integer=True, positive=True) in lemma.before.free_symbols
    assert "delta_ik" in lemma.note


@pytest.mark.parametrize("size", [2, 3, 4])
def test_explicit_vocabulary(size):
    assert len(prove_for_explicit_vocabulary(size)) == size


def test_scores_of_a_softmax():
    policy = softmax(3)
    assert sp.simplify(policy.scores[0][1] + policy.probabilities[1]) == 0
    assert sp.simplify(policy.scores[0][0] - 1 + policy.probabilities[0]) == 0


@pytest.mark.parametrize("name", OBJECTIVES)
@pytest.mark.parametrize("size", [2, 3])
def test_coefficients_follow_from_the_definitions(name, size):
    assert len(prove_objective(OBJECTIVES[name], size)) == size


def test_a_wrong_slope_is_refused(monkeypatch):
    derivative = sp.diff
    monkeypatch.setattr("proofs.master_lemma.sp.diff", lambda e, x: derivative(e, x) + (U if x == U else 0))
    with pytest.raises(ProofError, match="reverse_kl: component 0 of 2"):
        prove_objective(OBJECTIVES["reverse_kl"], 2)
