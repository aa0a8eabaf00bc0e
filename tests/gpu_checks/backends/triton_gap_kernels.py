"""Small Triton kernels, one for each gap of the interpreter: `python triton_gap_kernels.py stock|shim` prints a JSON
object of what each returned, or of the error it raised. Run in a process of its own with TRITON_INTERPRET=1."""

import json
import sys

if __name__ == "__main__" and sys.argv[1] == "shim":
    from gpu_checks.backends.triton_shim import install

    install()

import torch
import triton
import triton.language as tl
from triton.language.extra import libdevice

from tests.gpu_checks.backends.triton_inputs import N, inputs


@triton.jit
def cast(x, out, N: tl.constexpr):
    i = tl.arange(0, N)
    tl.store(out + i, tl.load(x + i))


@triton.jit
def truncating_cast(x, out, N: tl.constexpr):
    i = tl.arange(0, N)
    tl.store(out + i, tl.load(x + i).to(tl.bfloat16, fp_downcast_rounding="rtz"))


@triton.jit
def add(x, y, out, N: tl.constexpr):
    i = tl.arange(0, N)
    tl.store(out + i, tl.load(x + i) + tl.load(y + i))


@triton.jit
def multiply(x, y, out, N: tl.constexpr):
    i = tl.arange(0, N)
    tl.store(out + i, tl.load(x + i) * tl.load(y + i))


@triton.jit
def negate(x, out, N: tl.constexpr):
    i = tl.arange(0, N)
    tl.store(out + i, -tl.load(x + i))


@triton.jit
def less(x, y, out, N: tl.constexpr):
    i = tl.arange(0, N)
    tl.store(out + i, tl.where(tl.load(x + i) < tl.load(y + i), 1.0, 0.0))


@triton.jit
def maximum(x, out, N: tl.constexpr):
    tl.store(out, tl.max(tl.load(x + tl.arange(0, N))))


@triton.jit
def largest_index(x, out, N: tl.constexpr):
    tl.store(out, tl.argmax(tl.load(x + tl.arange(0, N)), axis=0).to(tl.float32))


@triton.jit
def total(x, out, N: tl.constexpr):
    tl.store(out, tl.sum(tl.load(x + tl.arange(0, N))))


@triton.jit
def running_total(x, out, N: tl.constexpr):
    i = tl.arange(0, N)
    tl.store(out + i, tl.cumsum(tl.load(x + i), axis=0))


@triton.jit
def product(x, y, out, N: tl.constexpr):
    i = tl.arange(0, 16)
    square = 16 * i[:, None] + i[None, :]
    left, right = tl.load(x + square % N), tl.load(y + square % N)
    tl.store(out + square, tl.dot(left, right))


@triton.jit
def scalar(out, value):
    tl.store(out, value.to(tl.float32) * 3)


@triton.jit
def scalar_mask(out, size, N: tl.constexpr):
    i = tl.arange(0, N)
    tl.store(out + i, 1.0, mask=(i < N) & (size > 3))


@triton.autotune(configs=[triton.Config({"BLOCK": 16}), triton.Config({"BLOCK": 32})], key=["size"])
@triton.jit
def tuned(out, size, BLOCK: tl.constexpr):
    tl.store(out, BLOCK + 0.0)


@triton.jit
def hyperbolic(x, out, N: tl.constexpr):
    i = tl.arange(0, N)
    tl.store(out + i, libdevice.tanh(tl.load(x + i)))


@triton.jit
def bessel(x, out, N: tl.constexpr):
    i = tl.arange(0, N)
    tl.store(out + i, libdevice.j0(tl.load(x + i)))


@triton.jit
def program_numbers(out):
    tl.store(out + tl.program_id(0), tl.program_id(0) + 1.0)


def run_all() -> dict[str, object]:
    """Run every kernel; the result, in float64, or "Type: text" of the error."""
    x, y = inputs()
    low, other = x.bfloat16(), y.bfloat16()
    low[3], other[3] = 1.0, 2.0
    single, narrow, one, square = torch.zeros(N), torch.zeros(N, dtype=torch.bfloat16), torch.zeros(1), torch.zeros(256)
    calls = {
        "cast": (cast, narrow, (x, narrow, N)),
        "truncating cast": (truncating_cast, narrow, (x, narrow, N)),
        "add": (add, narrow, (low, other, narrow, N)),
        "multiply": (multiply, narrow, (low, other, narrow, N)),
        "negate": (negate, narrow, (low, narrow, N)),
        "less": (less, single, (low, other, single, N)),
        "maximum": (maximum, one, (low, one, N)),
        "largest index": (largest_index, one, (-low.abs(), one, N)),
        "sum": (total, one, (low, one, N)),
        "float16 sum": (total, one, (x[4:20].half(), one, 16)),
        "running sum": (running_total, narrow, (low, narrow, N)),
        "dot": (product, square, (low, other, square, N)),
        "scalar": (scalar, one, (one, 0.1)),
        "scalar mask": (scalar_mask, single, (single, 7, N)),
        "autotune": (tuned, one, (one, 7)),
        "tanh": (hyperbolic, single, (x, single, N)),
        "bessel": (bessel, single, (x, single, N)),
        "double cast": (cast, narrow, (x.double(), narrow, N)),
    }
    results: dict[str, object] = {}
    for name, (kernel, out, arguments) in calls.items():
        out.zero_()
        try:
            kernel[(1,)](*arguments)
        except Exception as error:
            while error.__cause__ is not None:
                error = error.__cause__
            results[name] = f"{type(error).__name__}: {error}"
        else:
            results[name] = out.double().tolist()
    return results


def chosen_programs() -> list[float]:
    """What a grid of four programs writes where only two of them run."""
    from gpu_checks.backends.triton_shim import only

    out = torch.zeros(4)
    with only(frozenset({(1, 0, 0), (3, 0, 0)})):
        program_numbers[(4,)](out)
    return out.tolist()


def main(mode: str) -> None:
    """Print the JSON object."""
    results = run_all()
    if mode == "shim":
        from gpu_checks.backends.triton_shim import first_configurations

        results["programs"] = chosen_programs()
        results["configurations"] = first_configurations()
    print(json.dumps(results))


if __name__ == "__main__":
    main(sys.argv[1])
