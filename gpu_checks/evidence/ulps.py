"""The error of a device's expf, logf and exp2f: measured over all inputs by ulps.cu, checked again with mpmath.

The bounds take NVIDIA's tables for granted (CUDA C++ Programming Guide, "Mathematical Functions"), which are said to be
"not guaranteed bounds": this measures them.
"""

from __future__ import annotations

from collections.abc import Iterable

import mpmath
import numpy as np

from gpu_checks.backends.own_runners import Launcher
from gpu_checks.evidence.records import UlpError
from gpu_checks.kernels.sources import THREADS, Source, edited, text_of

FUNCTIONS = ("expf", "logf", "exp2f")
"""As ulps.cu numbers them."""
PROMISED = {"expf": 2.0, "logf": 1.0, "exp2f": 2.0}
"""What the cost model of our kernels takes, and the tables say."""
ALL = 2**32
_FILES = ("ulps.cu", "storage.cuh")
_TOLERANCE = 1e-6
"""Of an error in ulps that a device computed in double precision: 2^-29 for its functions, and little else."""


def source(edits: Iterable[tuple[str, str]] = ()) -> Source:
    """Return ulps.cu ready to be built; ValueError for an edit whose old text occurs nowhere."""
    texts = edited({name: text_of(name) for name in _FILES}, edits)
    return Source("ulps.cu", texts, {"KL_STORAGE": "float", "KL_THREADS": str(THREADS)})


def worst(
    launcher: Launcher, function: str, start: int = 0, step: int = 1, count: int = ALL, blocks: int = 4096
) -> UlpError:
    """Return the largest error over the inputs whose bits are start, start + step, ..., modulo 2^32.

    `blocks` are the most that are launched. Raises ValueError for a function that is not measured, and for no inputs;
    RuntimeError where nothing came back.
    """
    if function not in FUNCTIONS or not 0 < count <= ALL:
        raise ValueError(f"{function} over {count} inputs: pass one of {', '.join(FUNCTIONS)}, and from 1 to 2^32")
    blocks = min(blocks, -(-count // THREADS))
    error, inputs, value = np.full(blocks, np.nan), np.zeros(blocks, np.uint32), np.zeros(blocks, np.float32)
    out = [launcher.take(array) for array in (error, inputs, value)]
    which = np.int32(FUNCTIONS.index(function))
    arguments = (which, np.uint32(start), np.uint32(step), np.uint64(count), *out)
    launcher.launch("ulps", (blocks, 1, 1), THREADS, arguments)
    error, inputs, value = (launcher.give(handle) for handle in out)
    if np.isnan(error).any():
        raise RuntimeError(f"ulps.cu left {int(np.isnan(error).sum())} of {blocks} blocks unwritten")
    at = int(error.argmax())
    return UlpError(
        function=function,
        inputs=count,
        error=float(error[at]),
        input=int(inputs[at]),
        value=int(value.view(np.uint32)[at]),
        promised=PROMISED[function],
    )


def exact_error(function: str, input_bits: int, value_bits: int) -> float:
    """Return the error of a value, in ulps of the truth, from mpmath with 200 bits; as ulps.cu counts it."""
    x, value = (float(np.uint32(bits).view(np.float32)) for bits in (input_bits, value_bits))
    with mpmath.workprec(200):
        if function == "logf":
            due = mpmath.nan if np.isnan(x) or x < 0 else mpmath.log(x) if x else -mpmath.inf
        else:
            due = mpmath.exp(x) if function == "expf" else mpmath.power(2, x)
        if mpmath.isnan(due) or np.isnan(value):
            return 0.0 if mpmath.isnan(due) and np.isnan(value) else 1e300
        limit = mpmath.ldexp(1, 128)
        truth, found = (max(-limit, min(limit, number)) for number in (due, mpmath.mpf(value)))
        exponent = int(mpmath.frexp(truth)[1]) - 1 if truth else -126
        return float(abs(found - truth) * mpmath.ldexp(1, 23 - min(max(exponent, -126), 127)))


def problems(measured: UlpError) -> list[str]:
    """Return what is wrong with a measured error, in words."""
    if measured.function not in FUNCTIONS:
        return [f"{measured.function}: no function that is measured"]
    found = []
    again = exact_error(measured.function, measured.input, measured.value)
    if not abs(again - measured.error) <= _TOLERANCE * max(1.0, again):
        place = f"{measured.function}({measured.input:#010x})"
        found.append(f"{place}: off by {measured.error:.6g} ulp, in truth {again:.6g}")
    if not max(again, measured.error) <= PROMISED[measured.function]:
        found.append(f"{measured.function}: {again:.6g} ulp, where the bounds take {PROMISED[measured.function]:g}")
    return found
