"""Ball arithmetic: inequalities proved or refused, equalities refused with instances."""

from __future__ import annotations

import pytest
import sympy as sp
from hypothesis import given, settings
from hypothesis import strategies as st
from sympy import Abs, Integer, Rational, Symbol, exp, log, oo, sinh

pytest.importorskip("flint")

from proofs.engines.balls import BALLS, counterexample
from proofs.ledger import Outcome
from proofs.statements import (
    K1,
    K3,
    DerivativeAt,
    ExpectedGradient,
    GaussianMean,
    Gradient,
    Identity,
    Inequality,
    Instance,
    K,
    SampleGradient,
    SequenceGradient,
    SequenceValue,
    Stationary,
    Total,
    Value,
    log_ratios,
    sg,
)
from proofs.symbols import BETA, REWARD, M, P, Q, divergence_symbol
from proofs.theorem import Theorem
from tests.proofs.engines.support import kind

X = Symbol("x", real=True)
U = Symbol("u", positive=True)
REVERSE_KL, FORWARD_KL = P * log(P / Q), Q * log(Q / P)


def found(statement):
    return BALLS.check(Theorem("t", "", statement, (), "", ""))


TRUE_INEQUALITIES = [
    Inequality(exp(-X) - 1 + X, X, zeros=(Integer(0),)),
    Inequality(1 / X - exp(-X), X, Integer(0)),
    Inequality(sinh(X) - X, X, Integer(0)),
    Inequality(U * log(U) - U + 1, U, Integer(0), oo, (Integer(1),)),
    Inequality(-log(U) / U, U, Integer(0), Integer(1)),
    Inequality(1 / (4 * U ** Rational(3, 2)), U, Integer(0)),
    Inequality(-X, X, -Rational(1, 4), Integer(0)),
    Inequality((X - Rational(1, 3)) ** 2, X, Integer(0), Integer(1), (Rational(1, 3),)),
    Inequality((X**2 - 2) ** 2, X, Integer(0), oo, (sp.sqrt(2),)),
    Inequality(X * (Rational(1, 4) - X), X, Integer(0), Rational(1, 4)),
    Inequality(1 / (X - 3) ** 2, X, Integer(0), Integer(2)),
]

FALSE_INEQUALITIES = [
    Inequality(exp(-X) - 1 + X, X),  # zero at one point
    Inequality(1001 - exp(-X), X),  # fails in the tail alone
    Inequality(log(U) + 100, U, Integer(0)),
    Inequality(10**6 - X**2, X, Integer(100)),
    Inequality(X * (Rational(1, 8) - X), X, Integer(0), Rational(1, 4)),
    Inequality(-X, X, Integer(0), Rational(1, 4)),
    Inequality(X**2 - X / 10**6 + Rational(1, 10**13), X),  # negative on a short interval
    Inequality(X**3, X, zeros=(Integer(0),)),
    Inequality(exp(X), X, zeros=(Integer(0),)),  # not zero where it is said to be
    Inequality(X - X, X),
]


@pytest.mark.parametrize("statement", TRUE_INEQUALITIES, ids=str)
def test_true_inequalities_are_proved(statement):
    assert found(statement).outcome is Outcome.PROVED


@pytest.mark.parametrize("statement", FALSE_INEQUALITIES, ids=str)
def test_false_inequalities_are_refuted_at_a_point_of_the_interval(statement):
    finding = found(statement)
    assert finding.outcome is Outcome.REFUTED
    point = sp.sympify(finding.counterexample[str(statement.variable)])
    assert statement.low < point
    assert point < statement.high
    value = statement.expr.subs(statement.variable, point)
    assert (value != 0) if point in statement.zeros else (value <= 0)


def test_a_pole_inside_is_not_skipped():
    assert found(Inequality(1 / (X - 1) ** 2, X, Integer(0), Integer(2))).outcome is Outcome.INCONCLUSIVE


def test_what_has_no_word_is_unsupported():
    assert found(Inequality(Abs(X) + 1, X)).outcome is Outcome.UNSUPPORTED
    assert found(Inequality(2 + sp.sin(X), X, Integer(0), Integer(1))).outcome is Outcome.UNSUPPORTED


@given(
    root=st.fractions(-3, 3, max_denominator=8),
    gap=st.fractions("1/50", 2, max_denominator=50),
    rate=st.integers(-2, 2),
)
@settings(max_examples=15)
def test_squares_are_positive_and_squares_less_a_gap_are_not(root, gap, rate):
    root, gap = Rational(root), Rational(gap)
    square = (X - root) ** 2 * exp(rate * X)
    assert found(Inequality(square + gap, X)).outcome is not Outcome.REFUTED
    assert found(Inequality((X - root) ** 2 + gap, X)).outcome is Outcome.PROVED
    assert found(Inequality((X - root) ** 2 - gap, X)).outcome is Outcome.REFUTED


def test_instances():
    close = exp(Rational(1, 3)) - sp.Rational(str(sp.exp(Rational(1, 3)).evalf(60)))
    assert found(Instance(exp(1) - 2, {})).outcome is Outcome.PROVED
    assert found(Instance(2 - exp(1), {})).outcome is Outcome.REFUTED
    assert found(Instance(close, {})).outcome is (Outcome.PROVED if close.evalf(100) > 0 else Outcome.REFUTED)
    assert found(Instance(log(4) - 2 * log(2), {})).outcome is not Outcome.PROVED
    assert found(Instance(log(Integer(-1)) * 0 + sp.sqrt(2) ** 2 - 2, {})).outcome is not Outcome.PROVED


K1_IN_REWARD = sg(K1) * log(P)
EQUALITIES = [
    (ExpectedGradient(Gradient(P, K3), Gradient(1 + 0 * P, FORWARD_KL)), True),
    (ExpectedGradient(Gradient(P, K3), Gradient(1 + 0 * P, REVERSE_KL)), False),
    (ExpectedGradient(Gradient(M, K1), Gradient(Integer(1), Integer(0))), False),
    (ExpectedGradient(Gradient(P, K1), Gradient(Integer(1), Integer(0))), True),
    (ExpectedGradient(Gradient(P, K1_IN_REWARD), Gradient(Integer(1), -REVERSE_KL)), False),
    (ExpectedGradient(Gradient(P, K(K1)), Gradient(Integer(1), P * K(K1))), False),
    (SampleGradient(K1_IN_REWARD, K1**2 / 2), True),
    (SampleGradient(K1_IN_REWARD, K3), False),
    (Value(Total(P * K3), Total(REVERSE_KL)), True),
    (Value(Total(P * K3), Total(FORWARD_KL)), False),
    (Identity(exp(X) ** 2, exp(2 * X)), True),
    (Identity(X - (1 - exp(-X)), X**2 / 2), False),
    (Stationary(Q * exp(REWARD / BETA), REWARD - BETA * K1), True),
    (Stationary(Q * exp(REWARD / BETA), REWARD - BETA * (1 - Q / P)), False),
    (DerivativeAt(1 - exp(-X), X, Integer(0), Integer(1)), True),
    (DerivativeAt(1 - exp(-X), X, Integer(0), Integer(0)), False),
    (SequenceGradient(lambda n: sum(x**2 / 2 for x in log_ratios(n)), P, lambda _: divergence_symbol(0), P), False),
    (SequenceValue(lambda n: sum(log_ratios(n)), P, lambda n: sum(divergence_symbol(t) for t in range(n)), P), True),
    (SequenceValue(lambda n: sum(log_ratios(n)), M, lambda n: sum(divergence_symbol(t) for t in range(n)), P), False),
]


@pytest.mark.parametrize(("statement", "holds"), EQUALITIES, ids=kind)
def test_equalities_are_refuted_exactly_if_they_fail(statement, holds):
    finding = found(statement)
    assert finding.outcome is (Outcome.UNSUPPORTED if holds else Outcome.REFUTED)
    assert (counterexample(statement) is None) is holds
    if not holds:
        assert finding.counterexample["left"] != finding.counterexample["right"]


def test_a_counterexample_can_be_checked_by_hand():
    """k3 as loss is said to be KL(policy||reference): both gradients by the logit, from their closed forms."""
    case = counterexample(EQUALITIES[1][0])
    p, q = ([Rational(n) for n in case[who].strip("()").split(", ")] for who in ("policy", "reference"))
    k = int(case["component"]) - 1
    divergence = sum(a * log(a / b) for a, b in zip(p, q, strict=True))
    assert abs(float(case["left"]) - float(p[k] - q[k])) < 1e-5
    assert abs(float(case["right"]) - float(p[k] * (log(p[k] / q[k]) - divergence))) < 1e-5


def test_gaussian_means():
    gap = Symbol("m", real=True)
    ratio = exp(gap * X - gap**2 / 2)
    assert found(GaussianMean(ratio, X, Integer(1))).outcome is Outcome.TESTED
    assert found(GaussianMean(X**4, X, Integer(3))).outcome is Outcome.TESTED
    assert found(GaussianMean(X**4, X, Integer(3) + Rational(1, 10**9))).outcome is Outcome.REFUTED
    assert found(GaussianMean(ratio**2, X, exp(gap**2) - Rational(1, 100))).outcome is Outcome.REFUTED
    assert found(GaussianMean(exp(X**2 / 4), X, Integer(1))).outcome is Outcome.UNSUPPORTED
