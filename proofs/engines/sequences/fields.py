"""The gradient of a surrogate over one answer, direction by direction.

grad = sum over t of coefficient * s_t (the score), * grad KL(policy||reference)_t and
* grad KL(reference||policy)_t. Only L, rho and log p have a score in their derivative.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import sympy as sp
from sympy import Expr, Symbol

from proofs.engines.base import CannotExpress
from proofs.statements import Surrogate, sg, undetached
from proofs.symbols import (
    LENGTH,
    divergence_symbol,
    log_policy_symbol,
    reference_divergence_symbol,
    token_symbols,
)


@dataclass(frozen=True)
class Direction:
    """A vector of parameter space at position t: "score", "divergence" or "reference divergence"."""

    kind: str
    t: int

    @property
    def reach(self) -> int:
        """The last token that the vector depends on, or -1."""
        return self.t if self.kind == SCORE else self.t - 1


SCORE, DIVERGENCE, REFERENCE_DIVERGENCE = "score", "divergence", "reference divergence"


def field_of(surrogate: Surrogate, horizon: int, variable_length: bool) -> dict[Direction, Expr]:
    """Return the coefficient of each direction. CannotExpress if log p occurs undetached in one."""
    expr = _written(surrogate, horizon, variable_length)
    field: dict[Direction, Expr] = {}
    for t in range(horizon):
        log_ratio, rho = token_symbols(t)
        slope = _slope(expr, log_ratio) + _slope(expr, log_policy_symbol(t)) + rho * _slope(expr, rho)
        field[Direction(SCORE, t)] = slope
        field[Direction(DIVERGENCE, t)] = _slope(expr, divergence_symbol(t))
        field[Direction(REFERENCE_DIVERGENCE, t)] = _slope(expr, reference_divergence_symbol(t))
    values = {direction: _without_log_policy(coefficient, horizon) for direction, coefficient in field.items()}
    return {direction: value for direction, value in values.items() if value != 0}


def _slope(expr: Expr, symbol: Symbol) -> Expr:
    """The derivative, term by term: most terms are without the symbol, or have been differentiated before."""
    return sp.Add(*(_slope_of_term(term, symbol) for term in sp.Add.make_args(expr) if symbol in term.free_symbols))


@lru_cache(maxsize=4096)
def _slope_of_term(term: Expr, symbol: Symbol) -> Expr:
    """Factors without the symbol, and those that are detached, are numbers to the derivative."""
    outside: list[Expr] = []
    inside: list[Expr] = []
    for factor in sp.Mul.make_args(term):
        constant = isinstance(factor, sg) or symbol not in factor.free_symbols
        (outside if constant else inside).append(factor)
    return sp.Mul(*outside, sp.Mul(*inside).diff(symbol)) if inside else sp.S.Zero


def value_of(surrogate: Surrogate, horizon: int, variable_length: bool) -> Expr:
    """Return the surrogate's value at a horizon. CannotExpress if log p occurs in it."""
    return _without_log_policy(_written(surrogate, horizon, variable_length), horizon)


def _without_log_policy(expr: Expr, horizon: int) -> Expr:
    value = sp.Add(*map(_value_of_term, sp.Add.make_args(expr)))
    if value.free_symbols & {log_policy_symbol(t) for t in range(horizon)}:
        raise CannotExpress("the value of log policy itself, not of a ratio, has no rule")
    return value


@lru_cache(maxsize=4096)
def _value_of_term(term: Expr) -> Expr:
    return undetached(term)


def _written(surrogate: Surrogate, horizon: int, variable_length: bool) -> Expr:
    expr = sp.sympify(surrogate(horizon))
    # answers of fixed length have N = T
    return expr if variable_length else expr.subs(LENGTH, horizon)
