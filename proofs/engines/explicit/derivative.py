"""Derivatives by the rules of the textbook, each subexpression once.

`Expr.diff` of SymPy looks at every node again for each of its parents; here the rules for sums,
products, powers, exponentials, logarithms and the functions of the statements are written out, and
only a node that has none is left to SymPy.
"""

from __future__ import annotations

from functools import lru_cache

from sympy import Add, Expr, Mul, Pow, S, Symbol, exp, log

from proofs.statements import DK, K, sg

__all__ = ["derivative"]


@lru_cache(maxsize=8192)
def derivative(expr: Expr, by: Symbol) -> Expr:
    """Return d expr / d by."""
    if expr == by:
        return S.One
    if expr.is_Atom or isinstance(expr, sg):
        return S.Zero
    if isinstance(expr, Add):
        return Add(*(derivative(term, by) for term in expr.args))
    if isinstance(expr, Mul):
        return _of_product(expr, by)
    if isinstance(expr, exp):
        return _times(expr, derivative(expr.args[0], by))
    if isinstance(expr, log):
        return _times(1 / expr.args[0], derivative(expr.args[0], by))
    if isinstance(expr, K):
        return _times(DK(expr.args[0]), derivative(expr.args[0], by))
    if isinstance(expr, Pow):
        return _of_power(expr, by)
    return expr.diff(by) if by in expr.free_symbols else S.Zero


def _times(factor: Expr, inner: Expr) -> Expr:
    return S.Zero if inner is S.Zero else factor * inner


def _of_product(expr: Mul, by: Symbol) -> Expr:
    factors = expr.args
    slopes = [derivative(factor, by) for factor in factors]
    return Add(*(Mul(*factors[:i], slope, *factors[i + 1 :]) for i, slope in enumerate(slopes) if slope is not S.Zero))


def _of_power(expr: Pow, by: Symbol) -> Expr:
    base, exponent = expr.args
    of_base, of_exponent = derivative(base, by), derivative(exponent, by)
    below = S.Zero if of_base is S.Zero else exponent * base ** (exponent - 1) * of_base
    return below if of_exponent is S.Zero else below + expr * log(base) * of_exponent
