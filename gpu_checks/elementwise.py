"""Coefficients and divergences of one number L, for whatever array library the number comes from.

NumPy, PyTorch and CuPy have code generated from the formulas, good to the last digits; any other library of the array
API standard gets the same formulas through SymPy, in its own functions.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from importlib import import_module
from typing import Any

import sympy as sp
from array_api_compat import array_namespace, is_cupy_namespace, is_numpy_namespace, is_torch_namespace
from sympy import Expr, Symbol

from proofs.divergences import OBJECTIVES
from proofs.symbols import L, U

Elementwise = Callable[[Any], Any]


def coefficient(objective: str, xp: Any) -> Elementwise:
    """Return c(L) of a named objective; c(0) = 0."""
    module = _generated(xp)
    if module is not None:
        found: Elementwise = getattr(module, f"{objective}_coefficient")
        return found
    return _lowered(OBJECTIVES[objective].coefficient, xp)


def summands(objective: str, xp: Any) -> tuple[Elementwise, Elementwise]:
    """Return f(e^L) - f'(1) (e^L - 1), to be weighted with the reference, and the same over e^L, with the policy.

    The first is for L <= 0, the second for L > 0: neither overflows there (`proofs.lowering.divergence_function`).
    """
    module = _generated(xp)
    if module is not None:
        return getattr(module, f"{objective}_term"), getattr(module, f"{objective}_term_over_ratio")
    generator = OBJECTIVES[objective].generator
    slope = sp.S.Zero if generator.has(sp.Abs) else sp.diff(generator, U).subs(U, 1)
    term = (generator - slope * (U - 1)).subs(U, sp.exp(L))
    return _lowered(term, xp), _lowered(sp.expand(term * sp.exp(-L)), xp)


def _generated(xp: Any) -> Any:
    if is_numpy_namespace(xp):
        return import_module("proofs.generated.numpy_forms")
    if is_torch_namespace(xp):
        return import_module("oracle.generated.torch_forms")
    if is_cupy_namespace(xp):
        return import_module("gpu_checks.generated.cupy_forms")
    return None


def namespace(array: Any) -> Any:
    """Return the library of an array, as array-api-compat completes it."""
    return array_namespace(array)


def function(expr: Expr, symbols: tuple[Symbol, ...], xp: Any) -> Callable[..., Any]:
    """Return any formula as a function of arrays of the library, in their type; exp(x) - 1 becomes expm1."""
    return _lowered(expr, xp, symbols)


@lru_cache(maxsize=128)
def _lowered(expr: Expr, xp: Any, symbols: tuple[Symbol, ...] = (L,)) -> Callable[..., Any]:
    from sympy.codegen.rewriting import expm1_opt, log1p_opt, optimize

    names = {"Abs": "abs"}
    functions = {n: _of_arrays(getattr(xp, names.get(n, n)), getattr(sp, n, None)) for n in _CALLED}
    # SymPy would write sign as a comparison, which no array has one answer to
    written = optimize(expr, (expm1_opt, log1p_opt)).replace(sp.sign, sp.Function("sign"))
    evaluate = sp.lambdify(list(symbols), written, modules=[functions])

    def broadcast(*values: Any) -> Any:
        return values[0] * 0.0 + evaluate(*values)

    return broadcast


_CALLED = ("exp", "expm1", "log", "log1p", "Abs", "sign", "sqrt")


def _of_arrays(function: Elementwise, symbolic: Any) -> Elementwise:
    """The standard's functions take arrays alone: of a number, SymPy's is taken."""

    def call(value: Any) -> Any:
        return float(symbolic(value)) if isinstance(value, int | float) else function(value)

    return call
