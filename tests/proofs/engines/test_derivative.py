"""The derivative by written-out rules, against SymPy's own."""

import sympy as sp
from hypothesis import given
from hypothesis import strategies as st

from proofs.engines.explicit.derivative import derivative
from proofs.statements import DK, K, sg
from proofs.symbols import BETA, REWARD, M, P, Q

LEAVES = st.sampled_from([P, Q, M, REWARD, BETA]) | st.fractions(-3, 3, max_denominator=3).map(sp.Rational)


def _larger(inner):
    positive = st.sampled_from([P, Q, P / Q, P + Q, 1 + P**2])
    return st.one_of(
        st.lists(inner, min_size=2, max_size=3).map(lambda parts: sp.Add(*parts)),
        st.lists(inner, min_size=2, max_size=3).map(lambda parts: sp.Mul(*parts)),
        st.tuples(inner, st.integers(2, 3)).map(lambda pair: pair[0] ** pair[1]),
        st.tuples(positive, st.sampled_from([-2, -1, sp.Rational(1, 2), REWARD, P])).map(
            lambda pair: pair[0] ** pair[1]
        ),
        positive.map(sp.log),
        positive.map(lambda x: K(sp.log(x))),
        inner.map(sg),
        inner.map(sp.exp),
        inner.map(sp.tanh),
        inner.map(lambda x: sp.Max(x, P, evaluate=False)),
        inner.map(lambda x: sp.Abs(x, evaluate=False)),
    )


@given(st.recursive(LEAVES, _larger, max_leaves=6))
def test_it_is_sympys_derivative(expr):
    difference = derivative(expr, P) - expr.diff(P)
    assert difference == 0 or sp.expand(difference) == 0 or sp.simplify(difference) == 0


def test_what_is_detached_is_a_number():
    assert derivative(P * sg(P**2), P) == sg(P**2)


def test_an_arbitrary_estimator_has_an_arbitrary_slope():
    assert derivative(K(sp.log(P)), P) == DK(sp.log(P)) / P


def test_a_wrong_rule_would_be_seen():
    assert derivative(P**P, P) - P * P ** (P - 1) != 0
