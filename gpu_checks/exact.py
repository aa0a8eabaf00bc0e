"""KL(policy||reference) and its gradient over the whole vocabulary in float64, as fast as memory lets it.

The oracle of large batches. Rows are shared among the cores; where g++ is installed each is done in two passes of
compiled code (kernels/exact.cpp), elsewhere by PyTorch's vectorised functions (NumPy's own float64 exp is scalar code
on processors without AVX-512). `gpu_checks.arrays` has every objective, and any array library.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import cache

import numpy as np
import torch
from jaxtyping import Float64

from gpu_checks.arrays import cores
from gpu_checks.backends.host_build import build
from gpu_checks.formats import Array
from gpu_checks.kernels.sources import Source, text_of
from gpu_checks.subject import Unavailable

_FLAGS = (
    "-std=c++17",
    "-O3",
    "-fno-math-errno",
    "-ffinite-math-only",
    "-fno-signed-zeros",
    "-fno-trapping-math",
    "-fassociative-math",
    "-fPIC",
    "-shared",
    "-Wl,--no-as-needed,-lmvec,-lm",
)
_ELEMENTS = 2**18
"""What PyTorch is given at a time: 2 MiB of float64, in the cache that the cores share."""

Rows = Callable[[Array, Array, Array, Array], None]
"""(policy, reference [row, token], gradient [row, token], value [row]); the last two are written."""


def reverse_kl(
    policy: Float64[np.ndarray, "row token"],
    reference: Float64[np.ndarray, "row token"],
    out: Float64[np.ndarray, "row token"] | None = None,
) -> tuple[Float64[np.ndarray, " row"], Float64[np.ndarray, "row token"]]:
    """Return KL(softmax(policy)||softmax(reference)) of each row in nats, and its gradient by the policy's logits.

    The gradient is p (d - KL) with d = log p - log q (the master lemma), written to `out` where one is given. Logits
    are finite. Raises ValueError for arrays of different shapes, or that are not [row, token], and for an `out` that is
    not contiguous.
    """
    gradient = np.empty(policy.shape) if out is None else out
    if policy.shape != reference.shape or policy.ndim != 2 or gradient.shape != policy.shape:
        shapes = f"policy {policy.shape}, reference {reference.shape}, out {gradient.shape}"
        raise ValueError(f"{shapes}: all have to be [row, token], and alike")
    if not gradient.flags.c_contiguous or gradient.dtype != np.float64:
        raise ValueError(f"out has to be contiguous float64, not {gradient.dtype} with strides {gradient.strides}")
    value = np.empty(policy.shape[0])
    x, y = (np.ascontiguousarray(a, np.float64) for a in (policy, reference))
    compiled = _compiled()
    if compiled is None:
        _by_torch(x, y, gradient, value)
    else:
        _shared(compiled, x, y, gradient, value)
    return value, gradient


def _shared(run: Rows, x: Array, y: Array, gradient: Array, value: Array) -> None:
    """Rows in as many parts as there are cores; compiled code lets go of the interpreter's lock."""
    parts = np.array_split(np.arange(x.shape[0]), min(cores(), max(1, x.shape[0])))
    slices = [slice(part[0], part[-1] + 1) for part in parts if part.size]
    with ThreadPoolExecutor(max(1, len(slices))) as pool:
        list(pool.map(lambda s: run(x[s], y[s], gradient[s], value[s]), slices))


@cache
def _compiled() -> Rows | None:
    """The compiled rows; None where there is no g++, or where it cannot build them."""
    try:
        path = build(Source("exact.cpp", {"exact.cpp": text_of("exact.cpp")}, {}), (*_FLAGS, *_processor()))
        function = ctypes.CDLL(str(path)).reverse_kl_rows
    except (Unavailable, RuntimeError, OSError):
        return None
    function.restype = None
    function.argtypes = (*(ctypes.c_void_p,) * 4, ctypes.c_ssize_t, ctypes.c_ssize_t)

    def rows(x: Array, y: Array, gradient: Array, value: Array) -> None:
        addresses = [a.ctypes.data for a in (x, y, gradient, value)]
        function(*addresses, x.shape[0], x.shape[1])

    return rows


def _processor() -> tuple[str, ...]:
    """What the compiler may use: a cache of built code may be shared with a machine that has less."""
    from torch.backends import cpu

    found = cpu.get_cpu_capability()
    return {"AVX512": ("-march=x86-64-v4",), "AVX2": ("-march=x86-64-v3",)}.get(found, ())


def _by_torch(x: Array, y: Array, gradient: Array, value: Array) -> None:
    """Blocks of rows, each operation shared among PyTorch's own threads."""
    together = max(1, _ELEMENTS // max(1, x.shape[1]))
    policy, reference, out = (torch.from_numpy(np.require(a, None, ["W"])) for a in (x, y, gradient))
    with torch.inference_mode():
        for first in range(0, x.shape[0], together):
            some = slice(first, first + together)
            a, b, weight = policy[some], reference[some], out[some]
            top, other_top = a.amax(1, keepdim=True), b.amax(1, keepdim=True)
            torch.sub(a, top, out=weight).exp_()
            total = weight.sum(1, keepdim=True)
            difference = torch.sub(a, b)
            mean = torch.linalg.vecdot(weight, difference)[:, None] / total
            weight.mul_(difference.sub_(mean)).div_(total)
            other_total = torch.sub(b, other_top, out=difference).exp_().sum(1, keepdim=True)
            value[some] = (mean - (top - other_top) - (total / other_total).log())[:, 0].numpy()
