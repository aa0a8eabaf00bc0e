"""Derivatives by the elementary rules, against SymPy's."""

import pytest
import sympy as sp

from proofs.engines.slopes import derivative
from proofs.statements import ExpectedGradient, K, SampleGradient, sg
from proofs.symbols import M, P, Q
from proofs.theorems import catalogue

A = sp.Symbol("a", positive=True)


@pytest.mark.parametrize(
    "e",
    [
        sp.Integer(3),
        Q * M,
        P,
        P * Q * sp.exp(P / Q),
        sp.log(P * Q) ** 3 / 2,
        P**P,
        P**A,
        A**P,
        sp.sqrt(P) / (1 + P),
        sp.Min(P / M, A) * P,
        K(sp.log(P) - sp.log(Q)),
        sg(P) * P + sg(sp.log(P)),
    ],
)
def test_it_is_the_derivative(e):
    assert sp.simplify(derivative(e, P) - sp.diff(e, P)) == 0


def test_what_is_detached_is_a_number():
    assert derivative(P * sg(P), P) == sg(P)


def test_surrogates_of_the_catalogue():
    for theorem in catalogue():
        statement = theorem.statement
        if isinstance(statement, ExpectedGradient):
            sides = (statement.left.of, statement.right.of)
        elif isinstance(statement, SampleGradient):
            sides = (statement.left, statement.right)
        else:
            continue
        for side in sides:
            assert sp.expand(derivative(side, P) - sp.diff(side, P)) == 0, theorem.id
