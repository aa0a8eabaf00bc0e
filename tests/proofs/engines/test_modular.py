"""Arithmetic modulo a prime: the field itself, and true and false equalities at 131072 tokens."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sympy import Abs, Integer, Min, Rational, Symbol, diff, exp, log, sqrt, symbols

from proofs.engines.modular import MODULAR
from proofs.engines.modular import field as f
from proofs.engines.modular.rows import Rows
from proofs.ledger import Outcome
from proofs.statements import (
    DK,
    K1,
    K2,
    K3,
    RATIO,
    ExpectedGradient,
    Gradient,
    Identity,
    K,
    SampleGradient,
    SequenceGradient,
    SequenceValue,
    Stationary,
    Total,
    Value,
    gradient_of_mean,
    log_ratios,
    ratios,
    sg,
)
from proofs.symbols import BETA, LENGTH, REWARD, M, P, Q, divergence_symbol, reference_divergence_symbol
from proofs.theorem import Theorem
from tests.proofs.engines.support import kind

ELEMENTS = st.lists(st.integers(0, f.PRIME - 1), min_size=1, max_size=9)
EXTREME = [0, 1, 2, f.PRIME - 1, f.PRIME - 2, 2**32 - 1, 2**32, 2**60, 2**60 - 1]
REVERSE_KL, FORWARD_KL = P * log(P / Q), Q * log(Q / P)


def vector(numbers):
    return np.array(numbers, dtype=np.uint64)


@given(ELEMENTS, st.integers(0, f.PRIME - 1))
def test_the_field_against_pythons_integers(numbers, other):
    for row in (numbers, EXTREME):
        for x in (other, *EXTREME):
            assert [int(y) for y in f.multiply(vector(row), vector([x] * len(row)))] == [y * x % f.PRIME for y in row]
            assert [int(y) for y in f.add(vector(row), vector([x] * len(row)))] == [(y + x) % f.PRIME for y in row]
        assert [int(y) for y in f.negative(vector(row))] == [-y % f.PRIME for y in row]
        assert f.total(vector(row), len(row)) == sum(row) % f.PRIME


@given(st.lists(st.integers(1, f.PRIME - 1), min_size=1, max_size=20))
def test_inverses_and_powers(numbers):
    inverse = f.inverse(vector(numbers))
    assert [x * int(y) % f.PRIME for x, y in zip(numbers, inverse, strict=True)] == [1] * len(numbers)
    assert [int(y) for y in f.power(vector(numbers), 5)] == [pow(x, 5, f.PRIME) for x in numbers]
    with pytest.raises(f.Zero):
        f.inverse(vector([*numbers, 0]))


@given(st.integers(1, f.PRIME - 1))
def test_square_roots(x):
    square = x * x % f.PRIME
    assert f.root(square) in (x, f.PRIME - x)
    assert f.root(f.PRIME - square) is None  # -1 is no square, as the prime is 3 modulo 4


def found(statement):
    return MODULAR.check(Theorem("t", "", statement, (), "", ""))


def on_policy(surrogate, objective):
    return ExpectedGradient(Gradient(P, surrogate), Gradient(Integer(1), objective))


def off_policy(surrogate, objective):
    return ExpectedGradient(Gradient(M, surrogate), Gradient(Integer(1), objective))


X = Symbol("x", real=True)
TRUE = [
    on_policy(K3, FORWARD_KL),
    on_policy(K2, REVERSE_KL),
    off_policy(RATIO * K3, REVERSE_KL),
    off_policy(sg(RATIO) * K1, Integer(0)),
    off_policy(RATIO * K(K1), P * K(K1)),
    on_policy(sg(Rational(1, 2) - sqrt(Q) / (2 * sqrt(P))) * log(P), Q * (sqrt(P) / sqrt(Q) - 1) ** 2 / 2),
    SampleGradient(K(K1), sg(DK(K1)) * log(P)),
    Value(Total(P * K3), Total(REVERSE_KL)),
    Value(Total((P - Q) ** 2 / P), Total(Q**2 / P) - 1),
    Value(Total(P - Q), Symbol("a", positive=True) - 1, {P: Symbol("a", positive=True), Q: Integer(1), M: Integer(1)}),
    Stationary(Q * exp(REWARD / BETA), REWARD - BETA * K1),
    Identity((exp(X) + 1) * (exp(X) - 1), exp(2 * X) - 1),
    SequenceGradient(
        lambda n: sum(x**2 / 2 for x in log_ratios(n)), P, lambda n: sum(divergence_symbol(t) for t in range(n)), P
    ),
    SequenceGradient(
        lambda n: sum(exp(-x) - 1 + x for x in log_ratios(n)),
        P,
        lambda n: sum(reference_divergence_symbol(t) for t in range(n)),
        P,
    ),
    SequenceGradient(
        lambda n: sum(log_ratios(n)) / LENGTH, P, gradient_of_mean(lambda _: 1 / LENGTH), P, variable_length=True
    ),
    SequenceValue(lambda n: sum(log_ratios(n)), P, lambda n: sum(divergence_symbol(t) for t in range(n)), P),
]
FALSE = [
    on_policy(K3, REVERSE_KL),
    on_policy(K2, -REVERSE_KL),
    off_policy(K1, Integer(0)),
    off_policy(K3, FORWARD_KL),
    off_policy(sg(M / P) * K2, REVERSE_KL),
    on_policy(K(K1), P * K(K1)),
    SampleGradient(sg(K1) * log(P), K3),
    Value(Total(P * K3), Total(FORWARD_KL)),
    Value(Total((P - Q) ** 2 / P), Total((P - Q) ** 2 / Q)),
    Stationary(Q * exp(REWARD / BETA), REWARD - BETA * (1 - Q / P)),
    Identity(X - (1 - exp(-X)), X**2 / 2),
    SequenceGradient(
        lambda n: sum(x**2 / 2 for x in log_ratios(n)), P, gradient_of_mean(lambda n: sum(log_ratios(n))), P
    ),
    SequenceGradient(lambda n: sum(log_ratios(n)) / LENGTH, P, lambda _: Integer(0), P, variable_length=True),
    SequenceGradient(lambda n: ratios(n)[0] * log_ratios(n)[0], P, lambda n: log_ratios(n)[0], P),
    SequenceValue(lambda n: sum(log_ratios(n)), M, lambda n: sum(divergence_symbol(t) for t in range(n)), P),
]


@pytest.mark.parametrize("statement", TRUE, ids=kind)
def test_true_equalities_agree_and_are_never_called_proved(statement):
    assert found(statement).outcome is Outcome.TESTED


@pytest.mark.parametrize("statement", FALSE, ids=kind)
def test_false_equalities_are_refuted(statement):
    pytest.importorskip("flint")
    finding = found(statement)
    assert finding.outcome is Outcome.REFUTED
    assert finding.counterexample


def test_without_balls_a_difference_of_logarithms_is_not_enough(monkeypatch):
    monkeypatch.setattr("proofs.engines.modular.engine.counterexample", lambda _: None)
    assert found(FALSE[0]).outcome is Outcome.INCONCLUSIVE
    assert found(FALSE[8]).outcome is Outcome.REFUTED  # rational: the difference is one of rational functions


def test_an_order_is_not_expressed():
    assert found(SampleGradient(Abs(P - Q), Abs(P - Q))).outcome is Outcome.UNSUPPORTED
    assert found(on_policy(sg(Min(P, M)) * K1, Integer(0))).outcome is Outcome.UNSUPPORTED


@given(a=st.integers(-5, 5), b=st.integers(1, 5), c=st.integers(1, 4))
@settings(max_examples=15)
def test_random_baselines_agree_and_random_changes_do_not(a, b, c):
    surrogate = b * K2 + c * K3
    objective = b * REVERSE_KL + c * FORWARD_KL
    assert found(on_policy(surrogate + a * K1, objective)).outcome is Outcome.TESTED
    assert found(on_policy(surrogate, objective + b * FORWARD_KL)).outcome is not Outcome.TESTED


def test_products_in_blocks_are_the_products_of_integers():
    size = 20_001
    a = np.random.default_rng(1).integers(0, f.PRIME, size, dtype=np.uint64)
    b = np.random.default_rng(2).integers(0, f.PRIME, size, dtype=np.uint64)
    a[:3], b[:3] = [0, f.PRIME - 1, 1], [f.PRIME - 1, f.PRIME - 1, 0]
    assert [int(x) for x in f.multiply(a, b)] == [int(x) * int(y) % f.PRIME for x, y in zip(a, b, strict=True)]
    assert [int(x) for x in f.multiply(7, b)] == [7 * int(y) % f.PRIME for y in b]


def test_slopes_of_a_row_are_those_of_the_derivative():
    x, y = symbols("x y", positive=True)
    e = 3 * x**2 / (x + y) - x * y**-2 + (x * y + 1) ** 3
    rows = Rows({x: [5, 11], y: [7, 13]}, 2)
    for symbol, slope in rows.slopes(e, [], {}).items():
        assert slope == rows.value(diff(e, symbol))
