"""Samplers over the array API: Gumbel-max as our kernel draws, inverse CDF, alias method; and the kernel's replay.

float64 where nothing else is said; Gumbel-max is float32, as in the kernel. Uniform numbers are arguments (or come from
counters, see `gpu_checks.philox`), so every library draws the same tokens.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from array_api_compat import array_namespace, device
from jaxtyping import Bool, Float32, Float64, Int64

from gpu_checks.philox import sampler_words, uniforms

ROUNDOFF = 2.0**-24
"""Unit roundoff of float32."""
LOG_ULPS = 4.0
"""Bound on the error of a float32 logarithm, in ulps: CUDA's logf 1, glibc's logf below 1, NumPy's SIMD log below 4."""
_ELEMENTS = 2**20

Uniform = Callable[[Any], Any]
"""Words -> float32 within (0, 1): the kernel's own conversion."""


def gumbel_max(
    logits: Float32[Any, " token"],
    seed: int,
    draws: Int64[Any, " draw"],
    row: int = 0,
    inverse_temperature: float = 1.0,
    uniform: Uniform = uniforms,
) -> Int64[Any, " draw"]:
    """Return the token of each draw: the first one that maximises x - log(-log(u)), in float32 throughout.

    x are the logits times the inverse temperature. -inf is never drawn.

    Gumbel-max (Maddison, Tarlow and Minka, "A* sampling", NeurIPS 2014, section 2) draws from softmax(x), up to the
    grid of u: a token of probability below about 2^-24 is drawn too rarely, since no u lies that near to 1.

    Raises ValueError for logits that are not one-dimensional float32, are NaN or +inf, or are all -inf, and for an
    inverse temperature that is not positive.
    """
    xp = _checked(logits)
    x = (logits * _single(logits, inverse_temperature))[None, :]
    rows = _uniform_rows(logits, seed, draws, row, uniform)
    # x first: -inf stays -inf, even where a faulty conversion makes the noise infinite
    out = [xp.argmax(xp.where(x > -np.inf, x + _gumbel(u), x), axis=-1) for u in rows]
    return xp.astype(xp.concat(out), xp.int64) if out else xp.zeros((0,), dtype=xp.int64, device=device(logits))


@dataclass(frozen=True)
class Replay:
    """What a kernel must have drawn: `tokens` [draw], and `margin` [draw], in units of a logit.

    The margin is the least that the winner leads by, whatever the kernel's rounding did; where it is not positive,
    rounding may name another token, and the draw is a near-tie: no verdict about it, in either direction.
    """

    tokens: Int64[Any, " draw"]
    margin: Float64[Any, " draw"]

    @property
    def clear(self) -> Bool[Any, " draw"]:
        """Where a kernel that draws another token is wrong."""
        return self.margin > 0


def replay(
    logits: Float32[Any, " token"],
    seed: int,
    draws: Int64[Any, " draw"],
    row: int = 0,
    inverse_temperature: float = 1.0,
    uniform: Uniform = uniforms,
    log_ulps: float = LOG_ULPS,
) -> Replay:
    """Replay `gumbel_max` of any kernel whose float32 logarithms err by at most `log_ulps` ulps, in float64.

    With c = 2^-23 log_ulps, e = -log(u) and g = -log(e), the kernel has e(1 + s), |s| <= c; hence
    g + t, |t| <= c / (1 - c); hence (g + t)(1 + s'), and the sum with x, rounded. So a token's score errs by at most

        B = s + 2^-24 (|x + g| + s),  s = t + c (|g| + t) + 2^-24 |x|,

    where the last term of s is the product with the inverse temperature (fused or not), and is 0 without one. The
    winner w is clear where score_w - B_w exceeds score_i + B_i for all other i. Fast-math logarithms (__logf) have
    no such bound near 1. Raises ValueError as `gumbel_max`, and for log_ulps that are not positive.
    """
    xp = _checked(logits)
    if not 0 < log_ulps < 2**20:
        raise ValueError(f"log_ulps {log_ulps} is no error in ulps: pass the bound of the kernel's logarithm, e.g. 1")
    scale = _single(logits, inverse_temperature)
    live = logits[None, :] > -np.inf
    x = xp.astype(logits, xp.float64)[None, :]
    x = xp.where(live, x, xp.zeros_like(x)) * xp.astype(scale, xp.float64)  # exact: 48 bits
    c = log_ulps * 2.0**-23
    scaling = ROUNDOFF * xp.abs(x) + 2.0**-150 if inverse_temperature != 1 else 0.0
    places = xp.arange(x.shape[-1], dtype=xp.int64, device=device(logits))[None, :]
    lowest = xp.full_like(x, -np.inf)
    tokens, margins = [], []
    for u in _uniform_rows(logits, seed, draws, row, uniform):
        g = _gumbel(xp.astype(u, xp.float64))
        finite = g < np.inf
        g0 = xp.where(finite, g, xp.zeros_like(g))
        inner = c / (1 - c) + c * (xp.abs(g0) + c / (1 - c)) + scaling
        # the last factor pays for float64's own rounding, nine orders below the bound
        bound = xp.where(finite, (inner + ROUNDOFF * (xp.abs(x + g0) + inner)) * 1.001, xp.zeros_like(g))
        score = xp.where(live, x + g, lowest)
        winner = xp.argmax(score, axis=-1, keepdims=True)
        own = places == winner
        rest = xp.max(xp.where(own, lowest, score + bound), axis=-1)
        best = xp.max(xp.where(own, score - bound, lowest), axis=-1)
        tie = rest == np.inf  # two infinite scores, by a faulty conversion
        zero = xp.zeros_like(best)
        tokens.append(xp.astype(winner[:, 0], xp.int64))
        margins.append(xp.where(tie, zero, best - xp.where(tie, zero, rest)))
    if not tokens:
        empty = xp.zeros((0,), dtype=xp.float64, device=device(logits))
        return Replay(xp.astype(empty, xp.int64), empty)
    return Replay(xp.concat(tokens), xp.concat(margins))


def inverse_cdf(probabilities: Float64[Any, " token"], u: Float64[Any, " draw"]) -> Int64[Any, " draw"]:
    """Return the first token whose cumulative probability exceeds u; a token of probability 0 is never returned.

    The probabilities need not sum to 1. Raises ValueError where they are negative, not finite, or all 0, and where a u
    is outside [0, 1).
    """
    xp = array_namespace(probabilities, u)
    _check_probabilities(probabilities)
    _check_uniform(u)
    cumulative = xp.cumulative_sum(probabilities)
    return xp.astype(xp.searchsorted(cumulative / cumulative[-1], u, side="right"), xp.int64)


@dataclass(frozen=True)
class AliasTable:
    """Walker's table: column k keeps its token with probability `keep`, and gives `alias` otherwise."""

    keep: Float64[np.ndarray, " token"]
    alias: Int64[np.ndarray, " token"]

    def law(self) -> Float64[np.ndarray, " token"]:
        """Return the probabilities that the table draws with: those that it was built from, up to rounding."""
        size = len(self.keep)
        return (self.keep + np.bincount(self.alias, weights=1 - self.keep, minlength=size)) / size

    def draw(self, columns: Float64[Any, " draw"], coins: Float64[Any, " draw"]) -> Int64[Any, " draw"]:
        """Return tokens from two uniform numbers each; raises ValueError where one is outside [0, 1)."""
        xp = array_namespace(columns, coins)
        _check_uniform(columns)
        _check_uniform(coins)
        size = len(self.keep)
        # columns * size may round up to size
        column = xp.astype(xp.clip(xp.floor(columns * size), 0, size - 1), xp.int64)
        keep = xp.asarray(self.keep, device=device(columns))
        alias = xp.asarray(self.alias, device=device(columns))
        return xp.where(coins < xp.take(keep, column), column, xp.take(alias, column))


def alias_table(probabilities: Float64[np.ndarray, " token"]) -> AliasTable:
    """Build a table in one pass (Vose, "A linear algorithm for generating random numbers with a given distribution",
    IEEE Trans. Softw. Eng. 17, 1991).

    The probabilities need not sum to 1. Raises ValueError where they are negative, not finite, or all 0.
    """
    _check_probabilities(probabilities)
    size = len(probabilities)
    mass = (probabilities * (size / probabilities.sum())).tolist()
    alias = list(range(size))
    small = [i for i, m in enumerate(mass) if m < 1]
    large = [i for i, m in enumerate(mass) if m >= 1]
    while small and large:
        less, more = small.pop(), large[-1]
        alias[less] = more
        mass[more] -= 1 - mass[less]
        if mass[more] < 1:
            small.append(large.pop())
    # Masses sum to the size, so whatever column is left over has mass 1 up to rounding, and itself for an alias.
    return AliasTable(np.clip(np.array(mass), 0, 1), np.array(alias, dtype=np.int64))


def _uniform_rows(logits: Any, seed: int, draws: Any, row: int, uniform: Uniform) -> Iterator[Any]:
    """The uniform numbers [draw, token] in pieces that fit into a cache or so."""
    vocabulary = int(logits.shape[0])
    step = max(1, _ELEMENTS // vocabulary)
    count = int(draws.shape[0])
    for start in range(0, count, step):
        yield uniform(sampler_words(draws[start : min(start + step, count)], vocabulary, seed, row))


def _gumbel(u: Any) -> Any:
    """-log(-log(u)), and +inf where a faulty conversion made u = 1."""
    xp = array_namespace(u)
    inside = u < 1
    g = -xp.log(-xp.log(xp.where(inside, u, xp.full_like(u, 0.5))))
    return xp.where(inside, g, xp.full_like(u, np.inf))


def _single(logits: Any, inverse_temperature: float) -> Any:
    """The inverse temperature as a kernel gets it, in float32."""
    if not 0 < inverse_temperature < np.inf:
        raise ValueError(f"inverse temperature {inverse_temperature} is not positive: pass 1 / T")
    xp = array_namespace(logits)
    return xp.asarray(inverse_temperature, dtype=xp.float32, device=device(logits))


def _checked(logits: Any) -> Any:
    """The namespace of logits that can be drawn from."""
    xp = array_namespace(logits)
    if logits.ndim != 1 or logits.dtype != xp.float32 or not logits.shape[0]:
        raise ValueError(f"logits of shape {tuple(logits.shape)} and {logits.dtype}: pass one row of float32")
    if bool(xp.any(xp.isnan(logits))) or not bool(xp.max(logits) < np.inf) or not bool(xp.max(logits) > -np.inf):
        raise ValueError("logits are NaN, +inf or all -inf: a softmax of them is no distribution, mend them first")
    return xp


def _check_probabilities(probabilities: Any) -> None:
    xp = array_namespace(probabilities)
    good = probabilities.ndim == 1 and probabilities.shape[0] and bool(xp.all(probabilities >= 0))
    if not good or not 0 < float(xp.sum(probabilities)) < np.inf:
        raise ValueError("probabilities are negative, not finite, all 0 or no row: pass one row that sums to 1")


def _check_uniform(u: Any) -> None:
    xp = array_namespace(u)
    if not bool(xp.all((u >= 0) & (u < 1))):
        raise ValueError("a uniform number is outside [0, 1): draw them with gpu_checks.philox.double_uniforms")
