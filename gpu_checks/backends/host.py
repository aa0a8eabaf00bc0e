"""Kernels of our own on the CPU: the .cu files, compiled by g++ and run a block at a time as fibers.

    runner = open_token_kl(Request("bfloat16", 128_256, settings={"form": "k3 as loss", "schedule": "reverse"}))
    result = runner(SampledBatch(logits, tokens, reference, upstream))

A runner takes any number of columns: the kernels are told it when they run.

Settings beside those of the kernel (gpu_checks/kernels/sources.py): `schedule`, the order of warps and lanes
("forward", "reverse", "random:7"), and `rows`, the only rows to run. Results hold NaN until a kernel writes them.
"""

from __future__ import annotations

import ctypes
import mmap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import prod
from pathlib import Path
from threading import Lock
from typing import Any, TypeAlias

import numpy as np

from gpu_checks.backends.host_build import build
from gpu_checks.formats import FORMATS, Array, Format
from gpu_checks.kernels.sources import GUMBEL, TOKEN_KL, WHOLE_KL, Kernel, settings_of, source_of, threads_of
from gpu_checks.subject import Request, Result, SampledBatch, WholeBatch

Argument: TypeAlias = "Array | np.generic | None"

_SCHEDULES = {"forward": 0, "reverse": 1, "random": 2}
_LARGEST_VOCABULARY = 2**30


class KernelError(RuntimeError):
    """A launch ended early: threads diverged at a barrier or in a warp, or were outside of memory; it says where."""


@dataclass(frozen=True)
class Schedule:
    """In which order warps, and the lanes of a warp, go: 0 forward, 1 reverse, 2 random by `seed`."""

    order: int = 0
    seed: int = 0


def schedule_of(text: str) -> Schedule:
    """Read "forward", "reverse" or "random:SEED"; raises ValueError for anything else."""
    name, _, seed = text.partition(":")
    if name not in _SCHEDULES or (name == "random") != seed.isdecimal() or (seed and name != "random"):
        raise ValueError(f"no schedule {text!r}: forward, reverse, or random:SEED")
    return Schedule(_SCHEDULES[name], int(seed or 0) % 2**32)


class _Launch(ctypes.Structure):
    """`Launch` of cuda_on_cpu.hpp."""

    _fields_ = (
        ("grid", ctypes.c_uint32 * 3),
        ("threads", ctypes.c_uint32),
        ("schedule", ctypes.c_uint32),
        ("seed", ctypes.c_uint32),
        ("blocks", ctypes.c_void_p),
        ("block_count", ctypes.c_uint64),
    )


class Library:
    """A built kernel: `launch` runs an entry of it. One launch at a time, whatever the calling thread."""

    def __init__(self, path: Path) -> None:
        self._library = ctypes.CDLL(str(path))
        self._library.cuda_on_cpu_error.restype = ctypes.c_char_p
        self._lock = Lock()

    def launch(
        self,
        entry: str,
        grid: tuple[int, int, int],
        threads: int,
        arguments: Sequence[Argument],
        schedule: Schedule | None = None,
        blocks: Sequence[int] | None = None,
    ) -> None:
        """Run the blocks of a grid, all or those with the given linear indices, x fastest.

        Arguments are contiguous arrays (their address is passed), None (a null pointer) and NumPy scalars of
        the parameter's type. Raises KernelError where threads diverge or leave memory.
        """
        order = schedule or Schedule()
        chosen = None if blocks is None else np.asarray(blocks, dtype=np.uint64)
        launch = _Launch(
            (ctypes.c_uint32 * 3)(*grid),
            threads,
            order.order,
            order.seed,
            None if chosen is None else chosen.ctypes.data,
            0 if chosen is None else chosen.size,
        )
        values = [_boxed(argument) for argument in arguments]
        pointers = (ctypes.c_void_p * len(values))(*(value.ctypes.data for value in values))
        function = getattr(self._library, f"host_{entry}")
        with self._lock:
            if function(ctypes.byref(launch), pointers) != 0:
                raise KernelError(f"{entry}: {self._library.cuda_on_cpu_error().decode(errors='replace')}")


def _boxed(argument: Argument) -> Array:
    """Return an array that holds the argument as a kernel takes it: a scalar, or an address."""
    if argument is None:
        return np.zeros(1, dtype=np.uintp)
    if isinstance(argument, np.generic):
        return np.asarray([argument])
    if not argument.flags.c_contiguous:
        raise ValueError("a kernel takes contiguous arrays")
    return np.asarray([argument.ctypes.data], dtype=np.uintp)


class _Runner:
    """What the three runners share: the library, the settings, and which rows run."""

    def __init__(self, kernel: Kernel, request: Request) -> None:
        own = {"schedule", "rows"}
        settings = {name: value for name, value in request.settings.items() if name not in own}
        self._schedule = schedule_of(str(request.settings.get("schedule", "forward")))
        chosen = settings_of(kernel, settings)
        self._threads = threads_of(chosen)
        self._inverse_temperature = np.float32(1.0 / float(chosen["temperature"]))
        self._weighted = chosen.get("weight", "none") != "none"
        rows = request.settings.get("rows")
        self._rows = None if rows is None else [int(row) for row in rows]
        self._library = Library(build(source_of(kernel, request.dtype, settings, request.edits)))
        self._format: Format = FORMATS[request.dtype]

    def close(self) -> None:
        """Nothing to end: a launch is over when it returns."""

    def _launch(self, entry: str, rows: int, arguments: Sequence[Argument]) -> None:
        self._library.launch(entry, (rows, 1, 1), self._threads, arguments, self._schedule, self._rows)

    def _logits(self, name: str, array: Array) -> Array:
        if array.dtype != self._format.dtype or array.ndim != 2:
            raise ValueError(f"{name} is {array.dtype} {list(array.shape)}, not {self._format.name} [row, token]")
        if not 0 < array.shape[1] <= _LARGEST_VOCABULARY:
            raise ValueError(f"{name} has {array.shape[1]} tokens, not from 1 to 2^30")
        missing = [row for row in self._rows or () if not 0 <= row < len(array)]
        if missing:
            raise ValueError(f"{name} has {len(array)} rows, and no row {missing[0]}")
        return np.ascontiguousarray(array)

    def _numbers(self, name: str, array: Array, rows: int, dtype: type = np.float32) -> Array:
        if array.shape != (rows,):
            raise ValueError(f"{name} is {list(array.shape)}, not a number for each of {rows} rows")
        return np.ascontiguousarray(array, dtype=dtype)

    def _poisoned_gradient(self, shape: tuple[int, ...]) -> Array:
        """Return [row, token] of NaN; where only some rows run, the others are memory that nothing touches."""
        if self._rows is None:
            return np.full(shape, np.nan, dtype=self._format.dtype)
        gradient = sparse_zeros(shape, self._format.dtype)
        gradient[self._rows] = np.nan
        return gradient

    def _kept(self, array: Array) -> Array:
        return array if self._rows is None else array[self._rows]


class TokenKl(_Runner):
    """Runner of token_kl.cu. With the setting `rows` a result has those rows alone, in the order asked for."""

    def __init__(self, request: Request) -> None:
        super().__init__(TOKEN_KL, request)

    def __call__(self, batch: SampledBatch) -> Result:
        """Run forward and backward; raises ValueError for arrays of other shapes or formats, KernelError."""
        logits = self._logits("logits", batch.logits)
        rows, vocabulary = logits.shape
        tokens = self._numbers("tokens", batch.tokens, rows, np.int64)
        if rows and not (tokens.min() >= 0 and tokens.max() < vocabulary):
            raise ValueError(f"tokens lie from 0 to {vocabulary - 1}")
        reference = self._numbers("reference", batch.reference, rows)
        upstream = self._numbers("upstream", batch.upstream, rows)
        sampler: Array | None = None
        if self._weighted:
            if batch.sampler is None:
                raise ValueError("a weighted form takes the sampler's log-probabilities")
            sampler = self._numbers("sampler", batch.sampler, rows)
        value, log_probability, lse = (np.full(rows, np.nan, dtype=np.float32) for _ in range(3))
        gradient = self._poisoned_gradient(logits.shape)
        given: tuple[Argument, ...] = (logits, tokens, reference, sampler)
        last: tuple[Argument, ...] = (np.int32(vocabulary), self._inverse_temperature)
        self._launch("token_kl_forward", rows, (*given, value, log_probability, lse, *last))
        self._launch("token_kl_backward", rows, (*given, lse, upstream, gradient, *last))
        return Result(self._kept(value), self._kept(gradient), self._kept(log_probability))


class WholeKl(_Runner):
    """Runner of whole_kl.cu; `rows` as for TokenKl."""

    def __init__(self, request: Request) -> None:
        super().__init__(WHOLE_KL, request)

    def __call__(self, batch: WholeBatch) -> Result:
        """Run value and gradient; raises ValueError for arrays of other shapes or formats, KernelError."""
        policy = self._logits("policy", batch.policy)
        reference = self._logits("reference", batch.reference)
        if policy.shape != reference.shape:
            raise ValueError(f"policy is {list(policy.shape)}, reference {list(reference.shape)}")
        rows, vocabulary = policy.shape
        upstream = self._numbers("upstream", batch.upstream, rows)
        value = np.full(rows, np.nan, dtype=np.float32)
        gradient = self._poisoned_gradient(policy.shape)
        last: tuple[Argument, ...] = (np.int32(vocabulary), self._inverse_temperature)
        self._launch("whole_kl", rows, (policy, reference, upstream, value, gradient, *last))
        return Result(self._kept(value), self._kept(gradient))


class Gumbel(_Runner):
    """Runner of gumbel.cu: (logits [row, token], seed, count) -> tokens [row, draw], int64; -1 where there is none."""

    def __init__(self, request: Request) -> None:
        super().__init__(GUMBEL, request)

    def __call__(self, batch: tuple[Array, int, int]) -> Array:
        """Draw `count` tokens a row. The seed counts modulo 2^64. Raises ValueError, KernelError."""
        given, seed, count = batch
        logits = self._logits("logits", given)
        low, high = np.uint32(seed % 2**32), np.uint32(seed // 2**32 % 2**32)
        rows, vocabulary = logits.shape
        tokens = np.full((rows, count), np.iinfo(np.int64).min, dtype=np.int64)
        arguments = (logits, tokens, low, high, np.int32(vocabulary), self._inverse_temperature)
        blocks = None
        if self._rows is not None:
            blocks = [row * count + draw for row in self._rows for draw in range(count)]
        self._library.launch("gumbel", (count, rows, 1), self._threads, arguments, self._schedule, blocks)
        return self._kept(tokens)


def open_token_kl(request: Request) -> TokenKl:
    """Open own-kl; raises Unavailable without g++, ValueError for a request that it cannot serve."""
    return TokenKl(request)


def open_whole_kl(request: Request) -> WholeKl:
    """Open own-whole-kl; raises as open_token_kl."""
    return WholeKl(request)


def open_gumbel(request: Request) -> Gumbel:
    """Open own-gumbel; raises as open_token_kl."""
    return Gumbel(request)


def philox_words(counters: Array, keys: Array, settings: Mapping[str, Any] | None = None) -> Array:
    """Return Philox's words [block, 4] of counters [block, 4] and keys [block, 2], all uint32, from gumbel.cu."""
    chosen = settings_of(GUMBEL, settings or {})
    library = Library(build(source_of(GUMBEL, "float32", chosen)))
    blocks = np.ascontiguousarray(np.concatenate([counters, keys], axis=1), dtype=np.uint32)
    words = np.zeros((len(blocks), 4), dtype=np.uint32)
    threads = threads_of(chosen)
    grid = (-(-len(blocks) // threads), 1, 1)
    library.launch("philox_words", grid, threads, (blocks, words, np.int32(len(blocks))))
    return words


def sparse_zeros(shape: tuple[int, ...], dtype: np.dtype[Any]) -> Array:
    """Return zeros in memory that the system supplies when it is touched, however large the array is.

    Raises OSError where the system refuses the address space.
    """
    flags = mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | getattr(mmap, "MAP_NORESERVE", 0x4000)
    memory = mmap.mmap(-1, max(1, prod(shape) * dtype.itemsize), flags=flags)
    return np.frombuffer(memory, dtype=dtype, count=prod(shape)).reshape(shape)
