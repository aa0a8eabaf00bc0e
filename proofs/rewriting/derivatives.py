"""Derivatives and values, each part of an expression worked out once: SymPy looks at it again each time."""

from __future__ import annotations

from functools import lru_cache

import sympy as sp
from sympy import Add, Expr, Integer, Mul, Symbol

from proofs.statements import Gradient, K, sg
from proofs.symbols import P

_BY_CHAIN_RULE = (sp.exp, sp.log, K)


@lru_cache(maxsize=16384)
def partial(expr: Expr, symbol: Symbol) -> Expr:
    """Return the derivative of an expression by a symbol; what is detached is a number."""
    if expr == symbol:
        return Integer(1)
    if isinstance(expr, sg) or not _contains(expr, symbol):
        return Integer(0)
    if expr.is_Add:
        return Add(*(partial(part, symbol) for part in expr.args))
    if expr.is_Mul:
        parts = expr.args
        slopes = (partial(part, symbol) for part in parts)
        return Add(*(Mul(*parts[:i], slope, *parts[i + 1 :]) for i, slope in enumerate(slopes) if slope != 0))
    if expr.is_Pow and not _contains(expr.exp, symbol):
        return expr * (partial(expr.base, symbol) * expr.exp / expr.base)
    if isinstance(expr, _BY_CHAIN_RULE):
        return expr.fdiff(1) * partial(expr.args[0], symbol)
    return expr.diff(symbol)


@lru_cache(maxsize=16384)
def _contains(expr: Expr, symbol: Symbol) -> bool:
    return symbol in expr.free_symbols


@lru_cache(maxsize=1024)
def slope(gradient: Gradient) -> Expr:
    """Return a(p, q, m) with the gradient = sum over tokens of a grad p."""
    return value_of(gradient.weight * partial(gradient.of, P))


@lru_cache(maxsize=4096)
def value_of(expr: Expr) -> Expr:
    """Return the expression's value: sg(x) is x."""
    detached = expr.atoms(sg)
    return expr.xreplace({part: value_of(part.args[0]) for part in detached}) if detached else expr
