"""Reductions of 16-bit numbers: maxima are exact, sums are refused.

Triton's `tl.sum` of a 16-bit tensor adds in that format (triton.language.standard.sum takes the input's type), and
rounds after every addition in an order that the layout decides. No order of the interpreter's stands for it.
"""

from __future__ import annotations

from typing import Any

from gpu_checks.backends.triton_shim._bfloat16 import from_bits, to_bits
from gpu_checks.backends.triton_shim._internals import Internals
from gpu_checks.backends.triton_shim.refused import refuse


def patch(internals: Internals) -> None:
    """Replace reductions and scans of 16-bit floating-point numbers."""
    tl, interpreter = internals.language, internals.interpreter
    extrema = {
        id(function)
        for name, function in vars(internals.standard).items()
        if name.startswith(("_elementwise_m", "_argmax_combine", "_argmin_combine"))
    }
    stock_reduce, stock_scan = interpreter.ReduceOps.apply, interpreter.ScanOps.apply

    def formats(tensors: Any) -> list[Any]:
        return [tensor.handle.dtype.scalar for tensor in (tensors if isinstance(tensors, tuple) else (tensors,))]

    def with_data(tensor: Any, data: Any, scalar: Any) -> Any:
        shape = list(tensor.shape)
        kind = internals.language.block_type(scalar, shape) if shape else scalar
        return tl.tensor(interpreter.TensorHandle(data, scalar), kind)

    def reduce(self: Any, tensors: Any) -> Any:
        if not any(scalar in (tl.bfloat16, tl.float16) for scalar in formats(tensors)):
            return stock_reduce(self, tensors)
        if id(self.combine_fn) not in extrema:
            name = getattr(self.combine_fn, "__name__", "a combination").strip("_")
            raise refuse(f"a 16-bit reduction ({name})", "the order, hence the rounding, is the compiler's")
        if not isinstance(tensors, tuple):
            return reduce(self, (tensors,))[0]
        narrow = [scalar == tl.bfloat16 for scalar in formats(tensors)]
        wide = tuple(
            with_data(tensor, from_bits(tensor.handle.data), tl.float32) if is_narrow else tensor
            for tensor, is_narrow in zip(tensors, narrow, strict=True)
        )
        return tuple(
            with_data(tensor, to_bits(tensor.handle.data), tl.bfloat16) if is_narrow else tensor
            for tensor, is_narrow in zip(stock_reduce(self, wide), narrow, strict=False)
        )

    def scan(self: Any, tensors: Any) -> Any:
        if any(scalar in (tl.bfloat16, tl.float16) for scalar in formats(tensors)):
            raise refuse("a 16-bit scan", "the order, hence the rounding, is the compiler's")
        return stock_scan(self, tensors)

    interpreter.ReduceOps.apply, interpreter.ScanOps.apply = reduce, scan
