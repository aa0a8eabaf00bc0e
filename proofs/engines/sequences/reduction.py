"""The prover for whole answers: tokens integrated out by rules, for any vocabulary.

Everything is brought to draws from the sampler (an answer drawn from the policy has the weight
prod rho). Then the tokens of each monomial are integrated out, from the last on, where nothing else
depends on them (h: the tokens before m):

    E[rho_m | h] = E[rho_m exp(-L_m) | h] = 1     policy and reference sum to 1
    E[rho_m L_m | h] = KL(policy||reference)_m    definition
    -E[rho_m L_m exp(-L_m) | h] = KL(reference||policy)_m
    E[rho_m s_m | h] = 0                          score identity
    E[rho_m L_m s_m | h] = grad KL(policy||reference)_m
    -E[rho_m exp(-L_m) s_m | h] = grad KL(reference||policy)_m

A position after the end of an answer obeys all of them too: its only token has rho = 1 and L = 0.
What the rules make equal is equal; what they leave apart may still agree, so a difference is refuted
only by a world that was computed (`proofs.engines.sequences.worlds`).
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache, lru_cache

from sympy import Add, Expr, Mul, S, Symbol, exp

from proofs.engines.sequences.fields import (
    DIVERGENCE,
    REFERENCE_DIVERGENCE,
    SCORE,
    Direction,
    field_of,
    value_of,
)
from proofs.engines.sequences.worlds import counterexample
from proofs.ledger import Finding, Outcome
from proofs.normal_form import normal_form
from proofs.statements import SequenceGradient, SequenceValue, Surrogate
from proofs.symbols import LENGTH, P, divergence_symbol, reference_divergence_symbol, token_symbols

HORIZONS = (2, 3)
SCOPE = "any vocabulary, T = 2, 3"
Terms = dict[tuple[Expr, Direction | None], Expr]
"""The number of each monomial and direction; no direction in a value."""


def prove_by_reduction(statement: SequenceGradient | SequenceValue) -> Finding:
    """Prove if both sides reduce to the same terms; refute with a computed counterexample only."""
    left = {horizon: difference(statement, horizon) for horizon in HORIZONS}
    if not any(left.values()):
        return Finding(Outcome.PROVED, SCOPE)
    found = counterexample(statement)
    if found is not None:
        return found
    rests = "; ".join(f"T = {horizon}: {len(terms)} terms" for horizon, terms in left.items() if terms)
    return Finding(Outcome.INCONCLUSIVE, SCOPE, f"the rules leave terms ({rests}), and no world tells the sides apart")


def difference(statement: SequenceGradient | SequenceValue, horizon: int) -> Terms:
    """Return what is left of left - right once every rule has been applied."""
    terms: Terms = {}
    for sign, surrogate, drawn in (
        (S.One, statement.left, statement.left_drawn_from),
        (S.NegativeOne, statement.right, statement.right_drawn_from),
    ):
        weight = sign * (Mul(*(token_symbols(t)[1] for t in range(horizon))) if drawn == P else S.One)
        for direction, coefficient in _parts(statement, surrogate, horizon).items():
            for monomial, number in normal_form(weight * coefficient).terms.items():
                factor, reduced, into = integrated(monomial, direction, horizon)
                key = (reduced, into)
                terms[key] = terms.get(key, S.Zero) + factor * number
    return {key: number for key, number in terms.items() if number != 0}


def _parts(
    statement: SequenceGradient | SequenceValue, surrogate: Surrogate, horizon: int
) -> Mapping[Direction | None, Expr]:
    if isinstance(statement, SequenceValue):
        return {None: value_of(surrogate, horizon, statement.variable_length)}
    return dict(field_of(surrogate, horizon, statement.variable_length).items())


@lru_cache(maxsize=8192)
def integrated(monomial: Expr, direction: Direction | None, horizon: int) -> tuple[Expr, Expr, Direction | None]:
    """Return a number, a monomial and a direction whose product has the same expectation under the sampler."""
    own, shared, reach = _taken_apart(monomial, horizon)
    number = S.One
    for m in range(horizon - 1, -1, -1):
        token = own.get(m, S.One)
        scored = direction == Direction(SCORE, m)
        if reach >= m or (direction is not None and not scored and direction.reach >= m):
            break
        if scored:
            rule = _score_rules(m).get(token)
            if rule is None:
                break
            factor, direction = rule
            symbol = S.One
        else:
            moment = _moments(m).get(token)
            if moment is None:
                break
            factor, symbol = moment
        if factor == 0:
            return S.Zero, S.One, None
        number *= factor
        own.pop(m, None)
        if symbol is not S.One:
            shared *= symbol
            reach = max(reach, m - 1)
    return number, Mul(shared, *own.values()), direction


@cache
def _moments(m: int) -> Mapping[Expr, tuple[Expr, Expr]]:
    """E[f | h] of the functions f of token m that are known, as number and symbol."""
    x, rho = token_symbols(m)
    return {
        S.One: (S.One, S.One),
        rho: (S.One, S.One),
        rho * exp(-x): (S.One, S.One),
        rho * x: (S.One, divergence_symbol(m)),
        rho * x * exp(-x): (S.NegativeOne, reference_divergence_symbol(m)),
    }


@cache
def _score_rules(m: int) -> Mapping[Expr, tuple[Expr, Direction]]:
    """E[f s_m | h] of the functions f of token m that are known, as number and direction."""
    x, rho = token_symbols(m)
    return {
        rho: (S.Zero, Direction(SCORE, m)),
        rho * x: (S.One, Direction(DIVERGENCE, m)),
        rho * exp(-x): (S.NegativeOne, Direction(REFERENCE_DIVERGENCE, m)),
    }


def _taken_apart(monomial: Expr, horizon: int) -> tuple[dict[int, Expr], Expr, int]:
    """The factors of each token alone, all others, and the last token that the others depend on."""
    owners, reaches = _places(horizon)
    own: dict[int, Expr] = {}
    shared, reach = S.One, -1
    for factor in _factors(monomial):
        symbols = factor.free_symbols & {*owners, *reaches}
        places = {owners.get(symbol) for symbol in symbols}
        if len(places) == 1 and None not in places:
            (place,) = places
            assert place is not None
            own[place] = own.get(place, S.One) * factor
        else:
            shared *= factor
            reach = max(reach, *(owners.get(s, reaches.get(s, -1)) for s in symbols), -1)
    return own, shared, reach


@cache
def _places(horizon: int) -> tuple[dict[Symbol, int], dict[Symbol, int]]:
    """The token whose own each symbol is, and the last token that each of the others depends on."""
    owners: dict[Symbol, int] = {}
    reaches: dict[Symbol, int] = {LENGTH: horizon - 1}
    for t in range(horizon):
        owners |= dict.fromkeys(token_symbols(t), t)
        reaches |= {divergence_symbol(t): t - 1, reference_divergence_symbol(t): t - 1}
    return owners, reaches


def _factors(monomial: Expr) -> list[Expr]:
    """The factors of a monomial, an exponential of a sum taken apart."""
    factors: list[Expr] = []
    for factor in Mul.make_args(monomial):
        if isinstance(factor, exp):
            factors += [exp(term) for term in Add.make_args(factor.args[0])]
        else:
            factors.append(factor)
    return factors
