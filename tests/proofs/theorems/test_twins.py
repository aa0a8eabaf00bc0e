"""Every theorem with a little more on its left side: no engine may accept it."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import pytest
import sympy as sp
from sympy import Rational

from proofs.engines.registry import NAMES, engine
from proofs.ledger import Outcome
from proofs.statements import (
    LOG_RATIO,
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
    Total,
    Value,
    log_ratios,
    sg,
)
from proofs.symbols import REWARD, M, P, log_policy_symbol
from proofs.theorems import catalogue

LITTLE = Rational(1, 10**6)
ENGINES = tuple(name for name in NAMES if name != "coq")


def _more_reward(surrogate):
    """A millionth of the last token's k2 in the first token's reward."""
    return lambda horizon: surrogate(horizon) + sg(log_ratios(horizon)[-1] ** 2) * log_policy_symbol(0) * LITTLE


def twin(statement):
    """The statement with a millionth more, which makes it false; for an order or a sign, its negation."""
    if isinstance(statement, ExpectedGradient):
        left = statement.left
        extra = sg(LOG_RATIO**2) * sp.log(P) * LITTLE
        if left.weight not in (P, M):
            extra *= sg(P)
        return replace(statement, left=replace(left, of=left.of + extra))
    if isinstance(statement, SampleGradient):
        return replace(statement, left=statement.left + sg(LOG_RATIO) * sp.log(P) * LITTLE)
    if isinstance(statement, SequenceGradient):
        return replace(statement, left=_more_reward(statement.left))
    if isinstance(statement, SequenceValue):
        return replace(statement, left=lambda horizon: statement.left(horizon) + LITTLE)
    if isinstance(statement, Value):
        return replace(statement, left=statement.left + LITTLE * Total(P * LOG_RATIO**2))
    if isinstance(statement, Identity):
        return replace(statement, left=statement.left + LITTLE * next(iter(statement.left.free_symbols)))
    if isinstance(statement, DerivativeAt):
        return replace(statement, value=statement.value + LITTLE)
    if isinstance(statement, GaussianMean):
        return replace(statement, value=statement.value + LITTLE)
    if isinstance(statement, Stationary):
        return replace(statement, force=statement.force + LITTLE * REWARD)
    if isinstance(statement, Inequality | Instance):
        return replace(statement, expr=-statement.expr)
    return None


TWINS = [
    replace(t, id=f"twin of {t.id}", statement=twin(t.statement), holds=False)
    for t in catalogue()
    if not isinstance(t.statement, Lemma)
]


def test_every_kind_but_lemmas_has_a_twin():
    assert all(t.statement is not None for t in TWINS)
    assert len(TWINS) + sum(isinstance(t.statement, Lemma) for t in catalogue()) == len(catalogue())


@pytest.mark.parametrize("name", ENGINES)
def test_no_engine_accepts_a_twin(name):
    found = {t.id: engine(name).check(t) for t in TWINS}
    accepted = {i for i, finding in found.items() if finding.outcome in (Outcome.PROVED, Outcome.TESTED)}
    assert accepted == set()
    outcomes = Counter(finding.outcome for finding in found.values())
    assert outcomes[Outcome.REFUTED] > 25, outcomes
    if name == "sympy":
        assert outcomes == {Outcome.REFUTED: len(TWINS)}
