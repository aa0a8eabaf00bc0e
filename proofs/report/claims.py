"""A statement as one relation of expressions: what both notations, LaTeX and plain text, print.

The kinds of statements differ in what they leave unsaid; here it is written out with the inert nodes
of `proofs.steps`, once, so that no notation can say it differently.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import singledispatch
from typing import Any, TypeAlias

import sympy as sp
from sympy import Basic, Integer, Symbol

from proofs.statements import (
    DerivativeAt,
    ExpectedGradient,
    GaussianMean,
    Gradient,
    Identity,
    Inequality,
    Instance,
    MeanGradient,
    SampleGradient,
    SequenceGradient,
    SequenceValue,
    Stationary,
    Surrogate,
    Total,
    Value,
    sg,
)
from proofs.steps import Expectation, Nabla
from proofs.symbols import LENGTH, M, P, Q, log_policy_symbol

NORMAL = Symbol("standard normal")
"""Stands for N(0, 1) where an expectation names its distribution."""
_ANSWER = Symbol("y")
SHOWN_HORIZON = 2
"""The horizon at which a statement on whole answers of any length is written out."""

Piece: TypeAlias = "str | Basic"
"""A word, or an expression between words."""


@dataclass(frozen=True)
class Claim:
    """left relation right; `where` are clauses of words, relation signs and expressions."""

    left: Basic
    relation: str
    right: Piece
    where: tuple[tuple[Piece, ...], ...] = ()


@singledispatch
def claim_of(statement: Any) -> Claim:
    """Return the relation that a statement claims. Raises TypeError for a kind with no formula of its own."""
    raise TypeError(f"no formula is known for {type(statement).__name__}")


@claim_of.register
def _expected(statement: ExpectedGradient) -> Claim:
    return Claim(_side(statement.left), "=", _side(statement.right))


def _side(gradient: Gradient) -> Basic:
    if gradient.of == 0 or gradient.weight == 0:
        return Integer(0)
    if gradient.weight in (P, Q, M):
        return Expectation(gradient.weight, Nabla(gradient.of))
    if gradient.weight == 1:
        return Nabla(Total(gradient.of))
    return Total(sp.Mul(*sp.Mul.make_args(gradient.weight), Nabla(gradient.of), evaluate=False))


@claim_of.register
def _sample(statement: SampleGradient) -> Claim:
    return Claim(Nabla(statement.left), "=", Nabla(statement.right))


@claim_of.register
def _value(statement: Value) -> Claim:
    where = tuple((Total(symbol), "=", mass) for symbol, mass in statement.masses.items() if mass != 1)
    return Claim(statement.left, "=", statement.right, where)


@claim_of.register
def _identity(statement: Identity) -> Claim:
    return Claim(statement.left, "=", statement.right)


@claim_of.register
def _inequality(statement: Inequality) -> Claim:
    variable, low, high = statement.variable, statement.low, statement.high
    if low == -sp.oo and high == sp.oo:
        interval: tuple[Piece, ...] = ("for every", variable)
    elif high == sp.oo:
        interval = ("for", variable, ">", low)
    elif low == -sp.oo:
        interval = ("for", variable, "<", high)
    else:
        interval = ("for", low, "<", variable, "<", high)
    zeros = tuple(("and = 0 at", variable, "=", zero) for zero in statement.zeros)
    return Claim(statement.expr, ">", Integer(0), (interval, *zeros))


@claim_of.register
def _derivative(statement: DerivativeAt) -> Claim:
    slope = sp.Derivative(statement.expr, statement.variable)
    return Claim(slope, "=", statement.value, (("at", statement.variable, "=", statement.point),))


@claim_of.register
def _instance(statement: Instance) -> Claim:
    return Claim(statement.expr, ">", Integer(0))


@claim_of.register
def _stationary(statement: Stationary) -> Claim:
    return Claim(statement.force, "=", "the same for every token", (("at", P, "=", statement.policy),))


@claim_of.register
def _gaussian(statement: GaussianMean) -> Claim:
    mean = Expectation(sp.Tuple(statement.variable, NORMAL), statement.integrand)
    return Claim(mean, "=", statement.value)


@claim_of.register
def _sequence(statement: SequenceGradient) -> Claim:
    left = _answers(statement.left, statement.left_drawn_from, statement.variable_length)
    right = _answers(statement.right, statement.right_drawn_from, statement.variable_length)
    return Claim(left, "=", right, _shown(statement.variable_length))


@claim_of.register
def _sequence_value(statement: SequenceValue) -> Claim:
    def side(surrogate: Surrogate, drawn_from: Symbol) -> Basic:
        return Expectation(sp.Tuple(_ANSWER, drawn_from), _written_out(surrogate, statement.variable_length))

    left, right = side(statement.left, statement.left_drawn_from), side(statement.right, statement.right_drawn_from)
    return Claim(left, "=", right, _shown(statement.variable_length))


def _shown(variable_length: bool) -> tuple[tuple[Piece, ...], ...]:
    length = "answers of at most" if variable_length else "answers of"
    return ((f"shown for {length}", Integer(SHOWN_HORIZON), "tokens"),)


def _written_out(surrogate: Surrogate, variable_length: bool) -> Basic:
    expr = sp.sympify(surrogate(SHOWN_HORIZON))
    return expr if variable_length else expr.subs(LENGTH, SHOWN_HORIZON)


def _answers(surrogate: Surrogate, drawn_from: Symbol, variable_length: bool) -> Basic:
    """An expected gradient over whole answers; where a mean is differentiated, with its drawing, it is shown so."""
    drawn = sp.Tuple(_ANSWER, drawn_from)
    if isinstance(surrogate, MeanGradient) and drawn_from == P:
        return Nabla(Expectation(drawn, _written_out(surrogate.value, variable_length)))
    expr = _written_out(surrogate, variable_length)
    if expr == 0:
        return Integer(0)
    means, rest = _means_apart(expr) if drawn_from == P else ([], expr)
    # a product with 1 is left standing: a sum of gradients is shown in this order
    parts = [Nabla(Expectation(drawn, mean)) for mean in means]
    if rest != 0:
        negative = rest.could_extract_minus_sign() and bool(parts)
        inner = Expectation(drawn, Nabla(-rest if negative else rest))
        parts.append(-inner if negative else inner)
    return sp.Add(*parts)


def _means_apart(expr: Basic) -> tuple[list[Basic], Basic]:
    """Take X + sg(X) sum_t log p_t out of a surrogate: together they have the gradient of E_policy[X]."""
    scores = sp.Add(*(log_policy_symbol(t) for t in range(SHOWN_HORIZON)))
    found: list[Basic] = []
    terms = list(sp.Add.make_args(expr))
    for term in tuple(terms):
        detached = [factor for factor in sp.Mul.make_args(term) if isinstance(factor, sg)]
        if len(detached) != 1 or term != detached[0] * scores:
            continue
        mean = detached[0].args[0]
        needed = sp.Add.make_args(mean)
        if all(part in terms for part in needed):
            terms = [other for other in terms if other != term and other not in needed]
            found.append(mean)
    return found, sp.Add(*terms)


def joined(claim: Claim, show: Callable[[Piece], str], clause: str) -> str:
    """Return a claim as one line, each piece as `show` prints it, `clause` between the clauses."""
    return " ".join(in_two(claim, show, clause))


def in_two(claim: Claim, show: Callable[[Piece], str], clause: str) -> tuple[str, str]:
    """Return the left side, and the rest from the relation on."""
    right = f"{show(claim.relation)} {show(claim.right)}"
    clauses = (" ".join(show(piece) for piece in pieces) for pieces in claim.where)
    return show(claim.left), clause.join((right, *clauses))
