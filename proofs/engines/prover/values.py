"""Equalities of sums over the vocabulary: every sum in normal form, its monomials taken as unknowns."""

from __future__ import annotations

import sympy as sp
from sympy import Dummy, Expr, Symbol

from proofs.decide import Undecided, is_zero
from proofs.engines.prover.gradients import ANY
from proofs.ledger import Finding, Outcome
from proofs.normal_form import TooLarge, normal_form
from proofs.statements import Total, Value
from proofs.symbols import REWARD, M, P, Q

_TOKEN = (P, Q, M, REWARD)
_PLACES = 60


def prove_value(statement: Value) -> Finding:
    """Decide whether both sides are the same polynomial in the sums that remain.

    Sums of p, q and m are known; others are unknowns, one for each monomial of the summand.
    """
    unknown: dict[Expr, Symbol] = {}

    def reduced(body: Expr) -> Expr:
        result = sp.Integer(0)
        for monomial, number in normal_form(body).terms.items():
            outside, inside = monomial.as_independent(*_TOKEN, as_Add=False)
            if inside in statement.masses:
                total = statement.masses[inside]
            else:
                total = unknown.setdefault(inside, Dummy(f"T{len(unknown)}", real=True))
            result += number * outside * total
        return result

    try:
        difference = (statement.left - statement.right).replace(Total, reduced)
        if is_zero(difference):
            return Finding(Outcome.PROVED, ANY)
    except (TooLarge, Undecided) as error:
        return Finding(Outcome.INCONCLUSIVE, detail=str(error))
    return _at_an_instance(statement)


def _at_an_instance(statement: Value) -> Finding:
    """Compare both sides on three tokens, to many digits: unknown sums need not be independent."""
    policy, reference, sampler, rewards = (
        [sp.Rational(n, 10) for n in row] for row in ((5, 3, 2), (2, 2, 6), (3, 4, 3), (7, -4, 1))
    )
    masses = {symbol: sp.Rational(sp.sympify(mass).subs(_numbers(mass))) for symbol, mass in statement.masses.items()}

    def total(body: Expr) -> Expr:
        rows = zip(policy, reference, sampler, rewards, strict=True)
        return sp.Add(
            *(body.subs({P: p * masses[P], Q: q * masses[Q], M: m * masses[M], REWARD: r}) for p, q, m, r in rows)
        )

    sides = [side.replace(Total, total) for side in (statement.left, statement.right)]
    left, right = (side.subs(_numbers(side)).evalf(_PLACES) for side in sides)
    instance = {"policy": str(policy), "reference": str(reference), "sampler": str(sampler)}
    if abs(left - right) > sp.Float("1e-40"):
        return Finding(Outcome.REFUTED, "V = 3", f"{left.evalf(8)} is not {right.evalf(8)}", instance)
    return Finding(Outcome.INCONCLUSIVE, detail="the sides differ in form, and agree at an instance")


def _numbers(expr: Expr) -> dict[Symbol, Expr]:
    """A fixed number below 1 for each constant of an expression, by name."""
    names = sorted(expr.free_symbols, key=lambda s: str(s.name))
    return {symbol: sp.Rational(3, 7 + 2 * i) for i, symbol in enumerate(names)}
