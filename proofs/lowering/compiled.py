"""A NumPy function of any formula, made when it is asked for.

Three things are done to an expression on the way to NumPy: exp(x) - 1, log(1 + x) and
log(1 + exp(x)) become expm1, log1p and logaddexp (sympy.codegen.rewriting); where the result still
loses digits near 0, as exp(-L) - 1 + L does, its Taylor series takes over there, with coefficients
computed from the same expression; constants are broadcast. Whether digits are lost is measured
against mpmath when the function is made.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache, reduce
from typing import TypeAlias

import mpmath
import numpy as np
import numpy.typing as npt
import sympy as sp
from sympy import Expr, Symbol, exp, log
from sympy.codegen.numpy_nodes import logaddexp
from sympy.codegen.rewriting import expm1_opt, log1p_opt, optimize

from proofs.taylor import NotAnalytic, numeric_taylor

Array: TypeAlias = npt.NDArray[np.float64]
Input: TypeAlias = npt.ArrayLike | float | int
Function: TypeAlias = Callable[..., Array]

SERIES_HALF_WIDTH = 0.5
SERIES_ORDER = 40
_PROBES = (1e-10, 1e-7, 1e-5, 1e-3, 0.03, 0.3)
_TOLERANCE = 4e-15
_LARGEST_DEGREE = 100
_KINKS = (sp.Abs, sp.sign, sp.Min, sp.Max, sp.Piecewise, sp.Heaviside)


def compile_numpy(expr: Expr, symbols: Sequence[Symbol]) -> Function:
    """Return a float64 NumPy function of the symbols, in this order, that broadcasts.

    >>> from proofs.symbols import L
    >>> print(f"{compile_numpy(exp(-L) - 1 + L, [L])(1e-8):.12e}")
    4.999999983333e-17
    """
    return _compiled(sp.sympify(expr), tuple(symbols))


@lru_cache(maxsize=512)
def _compiled(expr: Expr, symbols: tuple[Symbol, ...]) -> Function:
    missing = expr.free_symbols - set(symbols)
    if missing:
        raise ValueError(f"no value for {', '.join(sorted(map(str, missing)))} in {expr}")
    direct = _direct(expr, symbols)
    if len(symbols) == 1 and not expr.has(*_KINKS) and _loses_digits(direct, expr, symbols[0]):
        try:
            return _with_series(direct, series_coefficients(expr, symbols[0]))
        except NotAnalytic:
            return direct
    return direct


def _direct(expr: Expr, symbols: tuple[Symbol, ...]) -> Function:
    function = sp.lambdify(symbols, _rewritten(expr), modules="numpy", cse=True)

    def evaluate(*values: Input) -> Array:
        arrays = np.broadcast_arrays(*(np.asarray(value, np.float64) for value in values))
        with np.errstate(all="ignore"):
            result = np.asarray(function(*arrays), np.float64)
        return np.array(np.broadcast_to(result, arrays[0].shape)) if arrays else result

    return evaluate


def _rewritten(expr: Expr) -> Expr:
    def softplus(node: Expr) -> Expr:
        (argument,) = node.args
        return logaddexp(0, next(term for term in argument.args if term != 1).args[0])

    stable = expr.replace(_is_softplus, softplus)
    # the optimiser makes dense polynomials in exp(L/q): exp(1.4426950408889634 L) would take all memory
    numbers = {n for e in stable.atoms(exp) for n in e.args[0].atoms(sp.Rational)}
    if any(max(abs(n.p), n.q) > _LARGEST_DEGREE for n in numbers):
        return stable
    return optimize(stable, [expm1_opt, log1p_opt])


def _is_softplus(node: Expr) -> bool:
    if not (isinstance(node, log) and node.args[0].is_Add and len(node.args[0].args) == 2):
        return False
    one, other = sorted(node.args[0].args, key=lambda term: term != 1)
    return bool(one == 1 and isinstance(other, exp))


def _loses_digits(function: Function, expr: Expr, symbol: Symbol) -> bool:
    precise = sp.lambdify(symbol, expr, modules="mpmath")
    points = [side * probe for probe in _PROBES for side in (-1.0, 1.0)]
    if symbol.is_positive:
        return False
    with mpmath.workdps(50):
        for point in points:
            exact = precise(mpmath.mpf(point))
            if abs(mpmath.mpf(float(function(point))) - exact) > _TOLERANCE * abs(exact):
                return True
    return False


def series_coefficients(expr: Expr, symbol: Symbol, order: int = SERIES_ORDER) -> list[float]:
    """Return the Taylor coefficients at 0, up to this order, rounded once from many digits."""
    coefficients = numeric_taylor(expr, symbol, order)
    return [0.0 if abs(c) < mpmath.mpf(10) ** -55 else float(c) for c in coefficients]


def _with_series(direct: Function, coefficients: list[float]) -> Function:
    lead = next((n for n, c in enumerate(coefficients) if c), len(coefficients))
    tail = coefficients[lead:]
    width = _width(tail)

    def evaluate(*values: Input) -> Array:
        result = np.atleast_1d(direct(*values))
        (x,) = np.broadcast_arrays(*(np.asarray(value, np.float64) for value in values))
        near = np.abs(np.atleast_1d(x)) < width
        small = np.atleast_1d(x)[near]
        horner: Array = reduce(lambda total, c: total * small + c, reversed(tail), 0.0 * small)
        result[near] = horner * small**lead
        return result.reshape(x.shape)

    return evaluate


def _width(tail: list[float]) -> float:
    """Where the terms left out are below the last digit of the leading one."""
    width = SERIES_HALF_WIDTH
    while tail and max(abs(c) * width**n for n, c in enumerate(tail) if n >= len(tail) - 3) > 1e-18 * abs(tail[0]):
        width /= 2
    return width
