"""bfloat16 in the interpreter, which keeps it as uint16 bit patterns.

Sums, differences and products are computed in float32 and rounded once more to bfloat16. That is the correctly rounded
result, since float32 has at least twice the digits of bfloat16 and two (S. A. Figueroa, When is double rounding
innocuous?, 1995), and it is what `add.rn.bf16` and the conversions of older devices give.
"""

from __future__ import annotations

from typing import Any

import ml_dtypes
import numpy as np

from gpu_checks.backends.triton_shim._internals import Internals
from gpu_checks.backends.triton_shim.refused import refuse
from gpu_checks.formats import Array

_ROUNDED = (np.add, np.subtract, np.multiply, np.minimum, np.maximum, np.fmin, np.fmax)
_COMPARISONS = (np.less, np.less_equal, np.greater, np.greater_equal, np.equal, np.not_equal)
_EXACT_UNARY = (np.negative, np.floor, np.ceil)
_REFUSED = ("create_fma", "create_erf", "create_rsqrt", "create_dot_scaled", "create_atomic_rmw")


def from_bits(bits: Array) -> Array:
    """Return bfloat16 bit patterns (uint16) as float32, which holds them all."""
    return np.asarray(bits.view(ml_dtypes.bfloat16).astype(np.float32))


def to_bits(values: Array) -> Array:
    """Return float32 values as bit patterns (uint16) of bfloat16, rounded to nearest, ties to even."""
    with np.errstate(over="ignore"):
        return np.asarray(values, dtype=np.float32).astype(ml_dtypes.bfloat16).view(np.uint16)


def patch(internals: Internals) -> None:
    """Replace what the interpreter does to bfloat16."""
    _patch_casts(internals)
    _patch_arithmetic(internals)
    _patch_dot(internals)
    for name in _REFUSED:
        _refuse_bfloat16(internals, name)


def _patch_casts(internals: Internals) -> None:
    tl, Handle = internals.language, internals.interpreter.TensorHandle
    builder = internals.interpreter.InterpreterBuilder
    stock_cast, stock_fp_to_fp = builder.cast_impl, builder.create_fp_to_fp

    def cast(self: Any, source: Any, target: Any) -> Any:
        old, new = source.dtype.scalar, target.scalar
        if tl.bfloat16 not in (old, new) or (source.data.dtype == np.bool_ and new != tl.bfloat16):
            return stock_cast(self, source, target)
        if old == new:
            return Handle(source.data, new)
        if new == tl.bfloat16:
            if old == tl.float64:
                raise refuse("a cast of float64 to bfloat16", "the interpreter would round twice")
            return Handle(to_bits(source.data.astype(np.float32)), new)
        single = Handle(from_bits(source.data), tl.float32)
        return single if new == tl.float32 else stock_cast(self, single, target)

    def cast_with_rounding(self: Any, source: Any, target: Any, mode: Any) -> Any:
        old, new = source.dtype.scalar, target.scalar
        if tl.bfloat16 not in (old, new):
            return stock_fp_to_fp(self, source, target, mode)
        if tl.float16 in (old, new) or tl.float32 in (old, new):
            if mode is None or "RTNE" in str(mode):
                return cast(self, source, target)
            if old == tl.float32 and "RTZ" in str(mode):
                return Handle((source.data.view(np.uint32) >> 16).astype(np.uint16), new)
        raise refuse(f"a cast of {old} to {new} (rounding {mode})", "no body for it")

    builder.cast_impl = cast
    builder.create_fp_to_fp = cast_with_rounding


def _patch_arithmetic(internals: Internals) -> None:
    tl, Handle = internals.language, internals.interpreter.TensorHandle
    builder = internals.interpreter.InterpreterBuilder
    stock_binary, stock_unary, stock_ternary = builder.binary_op, builder.unary_op, builder.ternary_op

    def is_bfloat16(handle: Any) -> bool:
        return bool(handle.dtype.scalar == tl.bfloat16)

    def binary(self: Any, left: Any, right: Any, function: Any) -> Any:
        if not (is_bfloat16(left) or is_bfloat16(right)):
            result = stock_binary(self, left, right, function)
            # the stock result of a comparison has its operands' type, and a splat of it turns True into that type's 1
            return Handle(result.data, tl.int1) if function in _COMPARISONS else result
        if not (is_bfloat16(left) and is_bfloat16(right)):
            raise refuse(f"{function.__name__} of {left.dtype.scalar} and {right.dtype.scalar}", "mixed formats")
        if function in _COMPARISONS:
            return Handle(function(from_bits(left.data), from_bits(right.data)), tl.int1)
        if function in _ROUNDED:
            return Handle(to_bits(function(from_bits(left.data), from_bits(right.data))), tl.bfloat16)
        raise refuse(f"{function.__name__} in bfloat16", "no body for it")

    def unary(self: Any, argument: Any, function: Any) -> Any:
        if not is_bfloat16(argument):
            return stock_unary(self, argument, function)
        if function in _EXACT_UNARY:
            return Handle(to_bits(function(from_bits(argument.data))), tl.bfloat16)
        raise refuse(f"{function.__name__} in bfloat16", "no body for it")

    def ternary(self: Any, first: Any, second: Any, third: Any, function: Any) -> Any:
        if function is np.where or not is_bfloat16(third):
            return stock_ternary(self, first, second, third, function)
        if function is np.clip:
            values = (from_bits(handle.data) for handle in (first, second, third))
            return Handle(to_bits(np.clip(*values)), tl.bfloat16)
        raise refuse(f"{function.__name__} in bfloat16", "no body for it")

    builder.binary_op, builder.unary_op, builder.ternary_op = binary, unary, ternary


def _patch_dot(internals: Internals) -> None:
    tl, Handle = internals.language, internals.interpreter.TensorHandle
    builder = internals.interpreter.InterpreterBuilder
    stock_dot = builder.create_dot

    def single(handle: Any) -> Any:
        return Handle(from_bits(handle.data), tl.float32) if handle.dtype.scalar == tl.bfloat16 else handle

    def dot(self: Any, left: Any, right: Any, sum_: Any, *options: Any) -> Any:
        if sum_.dtype.scalar == tl.bfloat16:
            raise refuse("tl.dot with a bfloat16 accumulator", "the order, hence the rounding, is the compiler's")
        return stock_dot(self, single(left), single(right), sum_, *options)

    builder.create_dot = dot


def _refuse_bfloat16(internals: Internals, name: str) -> None:
    """Have a builder's method refuse bfloat16 arguments."""
    Handle, bfloat16 = internals.interpreter.TensorHandle, internals.language.bfloat16
    builder = internals.interpreter.InterpreterBuilder
    stock = getattr(builder, name)

    def guarded(self: Any, *arguments: Any, **named: Any) -> Any:
        values = (*arguments, *named.values())
        pointers = name == "create_atomic_rmw"
        handles = [value for value in values if isinstance(value, Handle)]
        if any((handle.get_element_ty() if pointers else handle.dtype.scalar) == bfloat16 for handle in handles):
            raise refuse(f"{name.removeprefix('create_')} in bfloat16", "no body for it")
        return stock(self, *arguments, **named)

    setattr(builder, name, guarded)
