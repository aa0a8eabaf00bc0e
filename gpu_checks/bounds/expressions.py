"""A formula of L and rho on tracked numbers: each node of the tree is one operation of the kernel.

The tree is the formula as an estimator writes it (k3: exp(-L) - 1 + L), which is also how most kernels write it, and
the form with the larger error: a kernel that does better stays inside.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import reduce

import numpy as np
import sympy as sp
from sympy import Expr, Symbol

from gpu_checks.bounds.tracked import Arithmetic, Tracked, exactly
from gpu_checks.formats import SINGLE_UNIT


class Unbounded(ValueError):
    """No error bound is known for an operation of the formula."""


def evaluate(expr: Expr, values: Mapping[Symbol, Tracked], arithmetic: Arithmetic) -> Tracked:
    """Return a formula's value with its bound; raises Unbounded for a function without a rule."""
    if expr in values:
        return values[expr]
    if expr.is_number:
        number = float(expr)
        return Tracked(
            np.asarray(number), np.asarray(0.0 if number == np.float32(number) else SINGLE_UNIT * abs(number))
        )
    if isinstance(expr, sp.exp):
        return arithmetic.exp(evaluate(expr.args[0], values, arithmetic))
    if isinstance(expr, sp.log):
        return arithmetic.log(evaluate(expr.args[0], values, arithmetic))
    if isinstance(expr, sp.Abs):
        inner = evaluate(expr.args[0], values, arithmetic)
        return Tracked(abs(inner.value), inner.error)
    if isinstance(expr, sp.sign):
        inner = evaluate(expr.args[0], values, arithmetic)
        sure = (abs(inner.value) > inner.error) | ((inner.value == 0) & (inner.error == 0))
        return Tracked(np.sign(inner.value), np.where(sure, 0.0, 2.0))
    if isinstance(expr, sp.Min | sp.Max):
        parts = [evaluate(a, values, arithmetic) for a in expr.args]
        choose = np.minimum if isinstance(expr, sp.Min) else np.maximum
        return Tracked(
            reduce(choose, (p.value for p in parts)), reduce(np.maximum, np.broadcast_arrays(*(p.error for p in parts)))
        )
    if expr.is_Add or expr.is_Mul:
        return _joined(expr, [evaluate(a, values, arithmetic) for a in expr.args])
    if expr.is_Pow and expr.exp.is_Integer:
        base = evaluate(expr.base, values, arithmetic)
        power = reduce(lambda a, b: a * b, [base] * abs(int(expr.exp)))
        return power if expr.exp > 0 else exactly(1.0) / power
    raise Unbounded(f"no error bound for {expr.func.__name__} in {expr}")


def _joined(expr: Expr, parts: list[Tracked]) -> Tracked:
    """A sum or product in whatever order: n - 1 roundings of the sum of sizes, or of the product."""
    if expr.is_Mul:
        return reduce(lambda a, b: a * b, parts)
    total = reduce(lambda a, b: a + b, parts)
    size = reduce(lambda a, b: a + b, [abs(p.value) + p.error for p in parts])
    return Tracked(total.value, sum((p.error for p in parts), np.zeros(())) + len(parts) * SINGLE_UNIT * size)
