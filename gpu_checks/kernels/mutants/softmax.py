"""Faults of what the kernels share: the softmax, the reductions of a block, storage and row offsets."""

from __future__ import annotations

from typing import Any

from gpu_checks.kernels.mutants.record import ROUNDED, SHORT, Fault, Mutant, without_barrier


def _softmax(name: str, old: str, new: str, fault: Fault, shows: str, **more: Any) -> Mutant:
    return Mutant(name, "token_kl", "log_sum_exp.cuh", ((old, new),), fault, shows, **more)


_SUM = "sum += expf(widen(row[token]) * inverse_temperature - maximum);"
_STEP = "(KL_CHUNK * KL_THREADS)"
_UNEVEN = "a vocabulary that is no multiple of 4096"

_SOFTMAX = (
    _softmax(
        "tail-counts-as-zero",
        f"if (token < vocabulary) {_SUM}",
        "sum += expf((token < vocabulary ? widen(row[token]) * inverse_temperature : 0.0f) - maximum);",
        "tail",
        _UNEVEN,
    ),
    _softmax(
        "last-block-dropped",
        "first < vocabulary;",
        f"first < vocabulary / {_STEP} * {_STEP};",
        "tail",
        _UNEVEN,
    ),
    _softmax(
        "no-maximum",
        "if (token < vocabulary) larger = fmaxf(larger, widen(row[token]) * inverse_temperature);",
        "larger = 0.0f;",
        "overflow",
        "logits above 88, or all below -88",
    ),
    _softmax("no-rescaling", "sum *= expf(maximum - larger);", "", "rescale", "more than 4096 tokens"),
    _softmax(
        "rescaling-inverted",
        "sum *= expf(maximum - larger);",
        "sum *= expf(larger - maximum);",
        "rescale",
        "more than 4096 tokens: before, it is inf times 0, NaN",
    ),
    _softmax(
        "threads-not-rescaled",
        "block_sum(sum * expf(maximum - row_maximum), shared)",
        "block_sum(sum, shared)",
        "rescale",
        "more than one token",
    ),
    _softmax(
        "sum-in-sixteen-bits",
        _SUM,
        f"sum = {ROUNDED}(sum + expf(widen(row[token]) * inverse_temperature - maximum)));",
        "rounding",
        "some thousand tokens",
        dtypes=SHORT,
    ),
    _softmax(
        "log-of-the-mean",
        "row_maximum + logf(row_sum)",
        "row_maximum + logf(row_sum / vocabulary)",
        "normaliser",
        "more than one token",
    ),
)

_ORDER_OF_ARRIVAL = Mutant(
    "sum-in-order-of-arrival",
    "token_kl",
    "reduction.cuh",
    (
        (
            "if (threadIdx.x % 32 == 0) shared[threadIdx.x / 32] = number;",
            "if (threadIdx.x == 0) shared[0] = 0.0f;\n    __syncthreads();\n"
            "    if (threadIdx.x % 32 == 0) shared[0] += number;  // as an atomicAdd does",
        ),
        ("float result = shared[threadIdx.x % warps];", "float result = shared[0];"),
        ("for (int lanes = warps / 2; lanes > 0; lanes /= 2) result +=", "for (int lanes = 0; lanes > 0;) result +="),
    ),
    "order",
    "the same bits asked of two schedules",
    dtypes=("float32",),
)

_BARRIERS = (
    without_barrier(
        "max-unwritten",
        "token_kl",
        "reduction.cuh",
        "max: written, before it is read by others",
        "the last bit of one row in twenty, under another schedule",
        dtypes=("float32",),
        neutral="any maximum that all threads share gives the same log-sum-exp, up to its last bit",
    ),
    without_barrier(
        "max-one-level",
        "token_kl",
        "reduction.cuh",
        "max: one level, before the next",
        "other bits under another schedule, or a maximum so low that exp overflows",
        dtypes=("float32",),
    ),
    without_barrier(
        "max-read",
        "token_kl",
        "reduction.cuh",
        "max: read by all, before the caller writes again",
        "the schedule in which a warp writes its sum where another has not read the maximum yet",
    ),
    without_barrier(
        "sum-unwritten",
        "token_kl",
        "reduction.cuh",
        "sum: written, before it is read by others",
        "any schedule: shared memory is poisoned, and then holds a maximum",
    ),
    without_barrier(
        "sum-read",
        "whole_kl",
        "reduction.cuh",
        "sum: read by all, before the caller writes again",
        "the schedule in which a warp begins the second softmax while another reads the first sum",
    ),
)


def _storage(name: str, old: str, new: str, fault: Fault, shows: str, **more: Any) -> Mutant:
    return Mutant(name, "token_kl", "storage.cuh", ((old, new),), fault, shows, **more)


_OFFSET = "static_cast<long long>(row) * vocabulary"
_STORAGE = (
    _storage(
        "bfloat16-truncated",
        "__float2bfloat16_rn(number)",
        "__float2bfloat16_rz(number)",
        "rounding",
        "any gradient",
        dtypes=("bfloat16",),
    ),
    _storage(
        "float16-truncated",
        "__float2half_rn(number)",
        "__float2half_rz(number)",
        "rounding",
        "any gradient",
        dtypes=("float16",),
    ),
    _storage("row-one-short", _OFFSET, "static_cast<long long>(row) * (vocabulary - 1)", "row", "more than one row"),
    _storage(
        "index-of-32-bits",
        _OFFSET,
        "static_cast<int>(row) * vocabulary",
        "index",
        "a row beyond 2^31 elements; beyond 2^32 it reads other rows and not outside of the array",
    ),
    _storage("index-of-32-bits-unsigned", _OFFSET, "row * vocabulary", "index", "a row beyond 2^32 elements"),
)


SHARED: tuple[Mutant, ...] = (*_SOFTMAX, _ORDER_OF_ARRIVAL, *_BARRIERS, *_STORAGE)
"""Every mutant of a shared file."""
