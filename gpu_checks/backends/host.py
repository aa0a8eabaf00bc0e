"""Kernels of our own on the CPU: the .cu files, compiled by g++ and run a block at a time as fibers.

    runner = open_token_kl(Request("bfloat16", 128_256, settings={"form": "k3 as loss", "schedule": "reverse"}))
    result = runner(SampledBatch(logits, tokens, reference, upstream))

A runner takes any number of columns: the kernels are told it when they run.

Settings beside those of the kernel (gpu_checks/kernels/sources.py): `schedule`, the order of warps and lanes
("forward", "reverse", "random:7"), and `rows`, the only rows to run. Results hold NaN until a kernel writes them.
"""

from __future__ import annotations

import ctypes
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from threading import Lock
from typing import Any, TypeAlias, TypeVar

import numpy as np

from gpu_checks.backends.host_build import build
from gpu_checks.backends.own_runners import Gumbel, OwnRunner, TokenKl, WholeKl, sparse_zeros
from gpu_checks.formats import Array
from gpu_checks.kernels.sources import GUMBEL, Source, settings_of, source_of, threads_of
from gpu_checks.subject import Request

Argument: TypeAlias = "Array | np.generic | None"

_SCHEDULES = {"forward": 0, "reverse": 1, "random": 2}


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


@dataclass(frozen=True)
class HostLauncher:
    """Launches a library's entries under a schedule. Arrays stay where they are: kernels reach all of memory."""

    library: Library
    schedule: Schedule = field(default_factory=Schedule)

    @classmethod
    def load(cls, source: Source) -> HostLauncher:
        """Build a source; raises Unavailable without g++, RuntimeError with the compiler's first error."""
        return cls(Library(build(source)))

    def take(self, array: Array) -> Array:
        """Return the array itself."""
        return array

    def give(self, handle: Array) -> Array:
        """Return the array itself."""
        return handle

    def launch(
        self,
        entry: str,
        grid: tuple[int, int, int],
        threads: int,
        arguments: Sequence[Argument],
        blocks: Sequence[int] | None = None,
    ) -> None:
        """Run as `Library.launch` does."""
        self.library.launch(entry, grid, threads, arguments, self.schedule, blocks)


_Opened = TypeVar("_Opened", bound=OwnRunner)


def _opened(runner: type[_Opened], request: Request) -> _Opened:
    """Take out the settings that are this backend's own, and open the runner with the others."""
    schedule = schedule_of(str(request.settings.get("schedule", "forward")))
    settings = {name: value for name, value in request.settings.items() if name not in ("schedule", "rows")}

    def load(source: Source) -> HostLauncher:
        return replace(HostLauncher.load(source), schedule=schedule)

    return runner(replace(request, settings=settings), load, request.settings.get("rows"))


def open_token_kl(request: Request) -> TokenKl:
    """Open own-kl; raises Unavailable without g++, ValueError for a request that it cannot serve."""
    return _opened(TokenKl, request)


def open_whole_kl(request: Request) -> WholeKl:
    """Open own-whole-kl; raises as open_token_kl."""
    return _opened(WholeKl, request)


def open_gumbel(request: Request) -> Gumbel:
    """Open own-gumbel; raises as open_token_kl."""
    return _opened(Gumbel, request)


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


__all__ = [
    "HostLauncher",
    "KernelError",
    "Library",
    "Schedule",
    "open_gumbel",
    "open_token_kl",
    "open_whole_kl",
    "philox_words",
    "schedule_of",
    "sparse_zeros",
]
