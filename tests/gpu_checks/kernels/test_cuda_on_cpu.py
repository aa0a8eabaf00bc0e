"""cuda_on_cpu.hpp itself, on small kernels: what it must report, and what it must round as the device does."""

from __future__ import annotations

from typing import Any

import ml_dtypes
import numpy as np
import pytest

from gpu_checks.backends.host import KernelError, Library, Schedule, schedule_of
from gpu_checks.backends.host_build import build
from gpu_checks.kernels.sources import Source

from .support import needs_compiler

pytestmark = needs_compiler

Array = np.ndarray[Any, Any]

# One file: a build takes a second.
SMALL = """
#include "cuda_on_cpu.hpp"

extern "C" __global__ void exits_early(float* out, int last) {
    if (threadIdx.x == last) return;
    __syncthreads();
    out[threadIdx.x] = 1.0f;
}
extern "C" __global__ void two_barriers(float* out) {
    if (threadIdx.x < 32) {
        __syncthreads();
    } else {
        __syncthreads();
    }
    out[threadIdx.x] = 1.0f;
}
extern "C" __global__ void half_a_warp(float* out) {
    float sum = out[threadIdx.x];
    if (threadIdx.x % 32 < 16) sum += __shfl_xor_sync(0xffffffffu, sum, 8);
    out[threadIdx.x] = sum;
}
extern "C" __global__ void some_lanes(float* out) {
    out[threadIdx.x] = __shfl_xor_sync(0x0000ffffu, out[threadIdx.x], 1);
}
extern "C" __global__ void absent_lane(float* out) {
    out[threadIdx.x] = __shfl_xor_sync(0xffffffffu, out[threadIdx.x], 16);
}
extern "C" __global__ void reads_unwritten(float* out, int* whole) {
    __shared__ float numbers[64];
    __shared__ int integers[4];
    if (threadIdx.x == 0 && blockIdx.x == 0) numbers[5] = 3.0f;
    __syncthreads();
    if (threadIdx.x == 0) out[blockIdx.x] = numbers[5];
    if (threadIdx.x == 0) whole[blockIdx.x] = integers[2];
}
extern "C" __global__ void outside(float* out, long long place) { out[place] = 1.0f; }
extern "C" __global__ void order(int* out, int* turn) {
    out[threadIdx.x] = (*turn)++;
}
extern "C" __global__ void shuffles(float* out, int* sums) {
    out[threadIdx.x] = __shfl_down_sync(0xffffffffu, static_cast<float>(threadIdx.x), 3);
    int sum = threadIdx.x;
    for (int lanes = 16; lanes > 0; lanes /= 2) sum += __shfl_xor_sync(0xffffffffu, sum, lanes);
    __syncwarp();
    sums[threadIdx.x] = sum;
}
extern "C" __global__ void places(int* out) {
    if (threadIdx.x == 0)
        out[blockIdx.x + gridDim.x * (blockIdx.y + gridDim.y * blockIdx.z)] =
            static_cast<int>(blockIdx.x + 10 * blockIdx.y + 100 * blockIdx.z + 1000 * blockDim.x);
}
extern "C" __global__ void rounds(const float* in, unsigned short* out, int kind, int count) {
    for (int i = threadIdx.x; i < count; i += blockDim.x) {
        if (kind == 0) out[i] = __float2bfloat16_rn(in[i]).bits;
        if (kind == 1) out[i] = __float2bfloat16_rz(in[i]).bits;
        if (kind == 2) out[i] = __float2half_rn(in[i]).bits;
        if (kind == 3) out[i] = __float2half_rz(in[i]).bits;
    }
}
extern "C" __global__ void widens(const unsigned short* in, float* out, int kind, int count) {
    for (int i = threadIdx.x; i < count; i += blockDim.x)
        out[i] = kind == 0 ? __bfloat162float(__nv_bfloat16{in[i]}) : __half2float(__half{in[i]});
}
CUDA_ON_CPU_ENTRY(exits_early)
CUDA_ON_CPU_ENTRY(two_barriers)
CUDA_ON_CPU_ENTRY(half_a_warp)
CUDA_ON_CPU_ENTRY(some_lanes)
CUDA_ON_CPU_ENTRY(absent_lane)
CUDA_ON_CPU_ENTRY(reads_unwritten)
CUDA_ON_CPU_ENTRY(outside)
CUDA_ON_CPU_ENTRY(order)
CUDA_ON_CPU_ENTRY(shuffles)
CUDA_ON_CPU_ENTRY(places)
CUDA_ON_CPU_ENTRY(rounds)
CUDA_ON_CPU_ENTRY(widens)
"""


@pytest.fixture(scope="module")
def small() -> Library:
    return Library(build(Source("small.cu", {"small.cu": SMALL}, {})))


def line_of(text: str, nth: int = 0) -> int:
    return [n for n, line in enumerate(SMALL.splitlines(), 1) if text in line][nth]


def test_a_thread_that_ends_before_a_barrier(small: Library) -> None:
    out = np.zeros(64, np.float32)
    with pytest.raises(KernelError) as caught:
        small.launch("exits_early", (1, 1, 1), 64, (out, np.int32(40)))
    assert str(caught.value) == (
        f"exits_early: barrier divergence: thread 0 waits for __syncthreads at small.cu:{line_of('__syncthreads')}, "
        "thread 40 has ended"
    )


def test_threads_at_different_barriers(small: Library) -> None:
    out = np.zeros(64, np.float32)
    with pytest.raises(KernelError, match="barrier divergence") as caught:
        small.launch("two_barriers", (1, 1, 1), 64, (out,))
    for nth in (1, 2):
        assert f"small.cu:{line_of('__syncthreads', nth)}" in str(caught.value)


@pytest.mark.parametrize(
    ("entry", "threads", "message"),
    [
        ("half_a_warp", 64, "warp divergence: thread 0 waits for a warp's exchange at small.cu:.*thread 16 has ended"),
        ("some_lanes", 32, "a mask of some lanes alone is not supported"),
        ("absent_lane", 16, "from a lane that does not exist"),
    ],
)
def test_what_a_warp_must_not_do(small: Library, entry: str, threads: int, message: str) -> None:
    with pytest.raises(KernelError, match=message):
        small.launch(entry, (1, 1, 1), threads, (np.zeros(64, np.float32),))


def test_a_launch_after_an_error_is_sound(small: Library) -> None:
    out = np.zeros(64, np.float32)
    with pytest.raises(KernelError):
        small.launch("exits_early", (1, 1, 1), 64, (out, np.int32(3)))
    small.launch("exits_early", (1, 1, 1), 64, (out, np.int32(64)))
    assert (out == 1).all()


def test_shared_memory_is_poisoned_before_each_block(small: Library) -> None:
    out, whole = np.zeros(3, np.float32), np.zeros(3, np.int32)
    small.launch("reads_unwritten", (3, 1, 1), 64, (out, whole))
    assert out[0] == 3
    assert np.isnan(out[1:]).all()
    assert (whole == -1).all()


def test_an_access_outside_of_memory_is_an_error(small: Library) -> None:
    out = np.zeros(4, np.float32)
    with pytest.raises(KernelError, match=r"thread 0 of block \(0, 0, 0\) is outside of memory, at 0x"):
        small.launch("outside", (1, 1, 1), 32, (None, np.int64(2)))
    small.launch("outside", (1, 1, 1), 32, (out, np.int64(2)))
    assert out.tolist() == [0, 0, 1, 0]


def turns(small: Library, schedule: str) -> list[int]:
    out, turn = np.zeros(96, np.int32), np.zeros(1, np.int32)
    small.launch("order", (1, 1, 1), 96, (out, turn), schedule_of(schedule))
    return [int(n) for n in out]


def test_schedules(small: Library) -> None:
    assert turns(small, "forward") == list(range(96))
    assert turns(small, "reverse") == list(range(95, -1, -1))
    one, other = turns(small, "random:1"), turns(small, "random:2")
    assert one == turns(small, "random:1")
    assert sorted(one) == sorted(other) == list(range(96))
    assert one != other
    assert [n // 32 for n in one[::32]] == [one[0] // 32, one[32] // 32, one[64] // 32]  # a warp goes as one


@pytest.mark.parametrize("schedule", ["forward", "reverse", "random:5"])
def test_shuffles(small: Library, schedule: str) -> None:
    out, sums = np.zeros(64, np.float32), np.zeros(64, np.int32)
    small.launch("shuffles", (1, 1, 1), 64, (out, sums), schedule_of(schedule))
    lane = np.arange(64) % 32
    assert (out == np.where(lane + 3 < 32, np.arange(64) + 3, np.arange(64))).all()
    assert (sums == np.where(np.arange(64) < 32, sum(range(32)), sum(range(32, 64)))).all()


def test_the_blocks_of_a_grid(small: Library) -> None:
    out = np.full(2 * 3 * 4, -1, np.int32)
    small.launch("places", (2, 3, 4), 32, (out,))
    due = [x + 10 * y + 100 * z + 32_000 for z in range(4) for y in range(3) for x in range(2)]
    assert out.tolist() == due
    some = np.full(2 * 3 * 4, -1, np.int32)
    small.launch("places", (2, 3, 4), 32, (some,), blocks=[23, 4])
    assert [n for n in range(24) if some[n] >= 0] == [4, 23]
    assert (some[4], some[23]) == (due[4], due[23])
    with pytest.raises(KernelError, match="the grid has no block 24"):
        small.launch("places", (2, 3, 4), 32, (some,), blocks=[24])


def test_blocks_have_at_most_1024_threads(small: Library) -> None:
    with pytest.raises(KernelError, match="from 1 to 1024 threads"):
        small.launch("places", (1, 1, 1), 1025, (np.zeros(1, np.int32),))


def hard_floats() -> Array:
    """Every float32 whose lower 13 bits are near a tie, and neighbours of what overflows or underflows."""
    random = np.random.default_rng(8)
    bits = random.integers(0, 2**32, 60_000, dtype=np.uint32)
    upper = random.integers(0, 2**16, 20_000, dtype=np.uint32) << 16
    low = random.choice(np.array([0x7FFF, 0x8000, 0x8001, 0x0FFF, 0x1000, 0x1001, 0x3000], np.uint32), 20_000)
    small = (np.float32(2.0) ** -np.arange(10, 60, 0.01)).astype(np.float32).view(np.uint32)
    edges = np.array([65519.996, 65520, 65504, 3.3895314e38, 3.3961775e38, np.inf, 0, 1e-45], np.float32)
    ties = (np.arange(1, 4097) * np.float32(2.0**-25)).astype(np.float32)  # halfway between subnormal halves
    parts = [bits.view(np.float32), (upper | low).view(np.float32), small.view(np.float32), edges, ties]
    all_of_them = np.concatenate(parts)
    return np.concatenate([all_of_them, -all_of_them, np.array([np.nan], np.float32)])


def toward_zero(numbers: Array, dtype: Any) -> Array:
    with np.errstate(over="ignore"):
        nearest = numbers.astype(dtype)
    bits = nearest.view(np.uint16).copy()
    bits[np.abs(nearest.astype(np.float64)) > np.abs(numbers.astype(np.float64))] -= 1
    return bits


@pytest.mark.parametrize(("kind", "dtype"), [(0, ml_dtypes.bfloat16), (2, np.float16)])
def test_rounding_is_to_nearest_even_or_toward_zero(small: Library, kind: int, dtype: Any) -> None:
    numbers = hard_floats()
    out = np.zeros(len(numbers), np.uint16)
    argument = (numbers, out, np.int32(kind), np.int32(len(numbers)))
    small.launch("rounds", (1, 1, 1), 32, argument)
    with np.errstate(over="ignore", invalid="ignore"):  # a signalling NaN
        due = numbers.astype(dtype)
    missing = np.isnan(numbers)
    assert (np.isnan(out.view(dtype)) == missing).all()
    assert (out[~missing] == due.view(np.uint16)[~missing]).all()
    small.launch("rounds", (1, 1, 1), 32, (numbers, out, np.int32(kind + 1), np.int32(len(numbers))))
    finite = np.isfinite(numbers)
    assert (out[finite] == toward_zero(numbers[finite], dtype)).all()


@pytest.mark.parametrize(("kind", "dtype"), [(0, ml_dtypes.bfloat16), (1, np.float16)])
def test_every_number_of_sixteen_bits_is_widened(small: Library, kind: int, dtype: Any) -> None:
    bits = np.arange(2**16).astype(np.uint16)
    out = np.zeros(2**16, np.float32)
    small.launch("widens", (1, 1, 1), 32, (bits, out, np.int32(kind), np.int32(2**16)))
    due = bits.view(dtype).astype(np.float32)
    assert np.array_equal(out, due, equal_nan=True)
    assert (np.signbit(out) == np.signbit(due))[~np.isnan(due)].all()


@pytest.mark.parametrize(
    ("text", "schedule"),
    [("forward", Schedule(0)), ("reverse", Schedule(1)), ("random:7", Schedule(2, 7))],
)
def test_a_schedule_is_read(text: str, schedule: Schedule) -> None:
    assert schedule_of(text) == schedule


@pytest.mark.parametrize("text", ["", "backward", "random", "random:x", "forward:3", "random:-1"])
def test_what_is_no_schedule(text: str) -> None:
    with pytest.raises(ValueError, match="no schedule"):
        schedule_of(text)
