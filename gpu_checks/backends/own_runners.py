"""Runners of our own kernels, whatever launches them: what they take, which entry runs, and what they return.

All that a backend adds is a `Launcher`: the CPU's (`gpu_checks.backends.host`), or a device's
(`gpu_checks.backends.cuda`). So a CPU executes the rest of a device's runs too.

The setting `rows` gives the only rows to run, where a launcher can choose blocks. Results hold NaN until a kernel
writes them.
"""

from __future__ import annotations

import mmap
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import prod
from typing import Any, Protocol, TypeAlias

import ml_dtypes
import numpy as np

from gpu_checks.formats import FORMATS, Array, Format
from gpu_checks.kernels.sources import (
    GUMBEL,
    TOKEN_KL,
    WHOLE_KL,
    Kernel,
    Source,
    settings_of,
    source_of,
    threads_of,
)
from gpu_checks.subject import Request, Result, SampledBatch, WholeBatch

Grid: TypeAlias = "tuple[int, int, int]"

_LARGEST_VOCABULARY = 2**30


class Launcher(Protocol):
    """A built source: it holds arrays where its kernels can reach them, and launches its entries."""

    def take(self, array: Array) -> Any:
        """Return the array where kernels reach it; contiguous, of numbers that NumPy itself has."""
        ...

    def give(self, handle: Any) -> Array:
        """Return what a kernel left in it, as a NumPy array."""
        ...

    def launch(
        self, entry: str, grid: Grid, threads: int, arguments: Sequence[Any], blocks: Sequence[int] | None = None
    ) -> None:
        """Run an entry's blocks, all or those with the given indices, x fastest.

        Arguments are what `take` returned, None (a null pointer) and NumPy scalars of the parameter's type.
        """
        ...


Load: TypeAlias = Callable[[Source], Launcher]
"""Builds a source and makes it ready; raises Unavailable, or RuntimeError with the compiler's first error."""


def taken(launcher: Launcher, array: Array) -> Any:
    """Hand an array over; bfloat16, which not every array library has, as its bits in uint16."""
    return launcher.take(array.view(np.uint16) if array.dtype == ml_dtypes.bfloat16 else array)


@dataclass(frozen=True)
class Prepared:
    """Arrays handed over: `launches` run the kernel, in their order and as often as one likes; `result` takes back."""

    launches: tuple[Callable[[], None], ...]
    result: Callable[[], Any]

    def run(self) -> Any:
        """Launch once, and return what came out."""
        for launch in self.launches:
            launch()
        return self.result()


class OwnRunner:
    """What the three runners share: the built source, the settings, and which rows run."""

    kernel: Kernel

    def __init__(self, request: Request, load: Load, rows: Sequence[int] | None = None) -> None:
        chosen = settings_of(self.kernel, request.settings)
        self._threads = threads_of(chosen)
        self._inverse_temperature = np.float32(1.0 / float(chosen["temperature"]))
        self._weighted = chosen.get("weight", "none") != "none"
        self._rows = None if rows is None else [int(row) for row in rows]
        self._launcher = load(source_of(self.kernel, request.dtype, request.settings, request.edits))
        self._format: Format = FORMATS[request.dtype]

    def close(self) -> None:
        """Nothing to end: a launch is over when its results are taken."""

    def _take(self, array: Array | None) -> Any:
        return None if array is None else taken(self._launcher, array)

    def _give(self, handle: Any, like: Array) -> Array:
        array = self._launcher.give(handle).view(like.dtype)
        return array if self._rows is None else array[self._rows]

    def _launch(
        self, entry: str, grid: Grid, arguments: Sequence[Any], blocks: Sequence[int] | None
    ) -> Callable[[], None]:
        def launch() -> None:
            if 0 not in grid:
                self._launcher.launch(entry, grid, self._threads, arguments, blocks)

        return launch

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


class TokenKl(OwnRunner):
    """Runner of token_kl.cu. With `rows` a result has those rows alone, in the order asked for."""

    kernel = TOKEN_KL

    def __call__(self, batch: SampledBatch) -> Result:
        """Run forward and backward; raises ValueError for arrays of other shapes or formats, RuntimeError."""
        result: Result = self.prepared(batch).run()
        return result

    def prepared(self, batch: SampledBatch) -> Prepared:
        """Hand a batch over; two launches, forward and backward."""
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
        number, gradient = np.full(rows, np.nan, dtype=np.float32), self._poisoned_gradient(logits.shape)
        value, log_probability, lse = (self._take(number.copy()) for _ in range(3))
        out = self._take(gradient)
        given = tuple(self._take(array) for array in (logits, tokens, reference, sampler))
        last = (np.int32(vocabulary), self._inverse_temperature)
        forward = (*given, value, log_probability, lse, *last)
        backward = (*given, lse, self._take(upstream), out, *last)
        return Prepared(
            (
                self._launch("token_kl_forward", (rows, 1, 1), forward, self._rows),
                self._launch("token_kl_backward", (rows, 1, 1), backward, self._rows),
            ),
            lambda: Result(self._give(value, number), self._give(out, gradient), self._give(log_probability, number)),
        )


class WholeKl(OwnRunner):
    """Runner of whole_kl.cu; `rows` as for TokenKl."""

    kernel = WHOLE_KL

    def __call__(self, batch: WholeBatch) -> Result:
        """Run value and gradient; raises ValueError for arrays of other shapes or formats, RuntimeError."""
        result: Result = self.prepared(batch).run()
        return result

    def prepared(self, batch: WholeBatch) -> Prepared:
        """Hand a batch over; one launch."""
        policy = self._logits("policy", batch.policy)
        reference = self._logits("reference", batch.reference)
        if policy.shape != reference.shape:
            raise ValueError(f"policy is {list(policy.shape)}, reference {list(reference.shape)}")
        rows, vocabulary = policy.shape
        upstream = self._numbers("upstream", batch.upstream, rows)
        number, gradient = np.full(rows, np.nan, dtype=np.float32), self._poisoned_gradient(policy.shape)
        value, out = self._take(number.copy()), self._take(gradient)
        given = tuple(self._take(array) for array in (policy, reference, upstream))
        arguments = (*given, value, out, np.int32(vocabulary), self._inverse_temperature)
        return Prepared(
            (self._launch("whole_kl", (rows, 1, 1), arguments, self._rows),),
            lambda: Result(self._give(value, number), self._give(out, gradient)),
        )


class Gumbel(OwnRunner):
    """Runner of gumbel.cu: (logits [row, token], seed, count) -> tokens [row, draw], int64; -1 where there is none."""

    kernel = GUMBEL

    def __call__(self, batch: tuple[Array, int, int]) -> Array:
        """Draw `count` tokens a row. The seed counts modulo 2^64. Raises ValueError, RuntimeError."""
        tokens: Array = self.prepared(batch).run()
        return tokens

    def prepared(self, batch: tuple[Array, int, int]) -> Prepared:
        """Hand a batch over; one launch."""
        given, seed, count = batch
        logits = self._logits("logits", given)
        low, high = np.uint32(seed % 2**32), np.uint32(seed // 2**32 % 2**32)
        rows, vocabulary = logits.shape
        tokens = np.full((rows, count), np.iinfo(np.int64).min, dtype=np.int64)
        out = self._take(tokens)
        arguments = (self._take(logits), out, low, high, np.int32(vocabulary), self._inverse_temperature)
        blocks = None
        if self._rows is not None:
            blocks = [row * count + draw for row in self._rows for draw in range(count)]
        return Prepared((self._launch("gumbel", (count, rows, 1), arguments, blocks),), lambda: self._give(out, tokens))


def sparse_zeros(shape: tuple[int, ...], dtype: np.dtype[Any]) -> Array:
    """Return zeros in memory that the system supplies when it is touched, however large the array is.

    Raises OSError where the system refuses the address space.
    """
    flags = mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | getattr(mmap, "MAP_NORESERVE", 0x4000)
    memory = mmap.mmap(-1, max(1, prod(shape) * dtype.itemsize), flags=flags)
    return np.frombuffer(memory, dtype=dtype, count=prod(shape)).reshape(shape)
