"""Philox4x32-10: random numbers as a pure function of a counter and a key, the same on every array library.

Salmon, Moraes, Dror and Shaw, "Parallel random numbers: as easy as 1, 2, 3", SC 2011, section 3.3. A kernel that draws
from it needs no statistics to be checked: its draws are replayed.

How our CUDA sampler numbers its draws (`sampler_words`): for the row r of the logits and the draw s of that row,

    counter = (token // 4, s, r, 0)     key = (seed & 0xFFFFFFFF, seed >> 32)     word = token % 4

and the word becomes a float32 by `uniforms`. Words live in int64 lanes, since torch multiplies and shifts no uint32,
and no product exceeds 48 bits, since the array API leaves an overflow undefined.
"""

from __future__ import annotations

from typing import Any

from array_api_compat import array_namespace, device
from jaxtyping import Float32, Float64, Int64

MASK = 0xFFFFFFFF
MULTIPLIERS = (0xD2511F53, 0xCD9E8D57)
WEYL = (0x9E3779B9, 0xBB67AE85)
ROUNDS = 10

_TRITON_SCALE = 4.6566127342e-10
"""The constant of triton/language/random.py; 2^31 times it, in float32, is still below 1."""


def philox4x32(c0: Any, c1: Any, c2: Any, c3: Any, k0: Any, k1: Any) -> tuple[Any, Any, Any, Any]:
    """Return the four 32-bit words of a counter (c0, c1, c2, c3) under a key (k0, k1).

    Each argument is an int64 array or a Python int within [0, 2^32); they are broadcast against each other. The words
    are int64 arrays within [0, 2^32).
    """
    for _ in range(ROUNDS):
        high0, low0 = _product(c0, MULTIPLIERS[0])
        high1, low1 = _product(c2, MULTIPLIERS[1])
        c0, c1, c2, c3 = high1 ^ c1 ^ k0, low1, high0 ^ c3 ^ k1, low0
        k0, k1 = (k0 + WEYL[0]) & MASK, (k1 + WEYL[1]) & MASK
    return c0, c1, c2, c3


def _product(word: Any, multiplier: int) -> tuple[Any, Any]:
    """The upper and the lower 32 bits of word * multiplier, by halves of the multiplier."""
    upper, lower = word * (multiplier >> 16), word * (multiplier & 0xFFFF)
    return (upper + (lower >> 16)) >> 16, (((upper & 0xFFFF) << 16) + lower) & MASK


def key_of(seed: int) -> tuple[int, int]:
    """Return the key (low word, high word) of a 64-bit seed; raises ValueError outside [0, 2^64)."""
    if not 0 <= seed < 2**64:
        raise ValueError(f"seed {seed} is not within [0, 2^64): pass the kernel's seed as an unsigned number")
    return seed & MASK, seed >> 32


def uniforms(words: Int64[Any, "*shape"]) -> Float32[Any, "*shape"]:
    """Return ((word >> 9) + 0.5) 2^-23 in float32: 2^23 equally likely numbers, from 2^-24 to 1 - 2^-24.

    Each step is exact in float32. With 24 bits, ((word >> 8) + 0.5) 2^-24, it is not: 2^24 - 0.5 has 25 bits, so one
    word in 2^24 rounds to 1, where a Gumbel variable is infinite and its token wins whatever its logit. At 131,072
    tokens that is one draw in 128. `uniforms_24_bits` is that form.
    """
    return _float32((words >> 9), 0.5, 2.0**-23)


def uniforms_24_bits(words: Int64[Any, "*shape"]) -> Float32[Any, "*shape"]:
    """Return ((word >> 8) + 0.5) 2^-24 as float32 rounds it: the faulty form (see `uniforms`), to replay it."""
    return _float32((words >> 8), 0.5, 2.0**-24)


def double_uniforms(high: Int64[Any, "*shape"], low: Int64[Any, "*shape"]) -> Float64[Any, "*shape"]:
    """Return 52 bits of two words as float64, from 2^-53 to 1 - 2^-53; each step is exact."""
    xp = array_namespace(high, low)
    bits = ((high >> 6) << 26) | (low >> 6)
    return (xp.astype(bits, xp.float64) + 0.5) * 2.0**-52


def sampler_words(draws: Int64[Any, " draw"], vocabulary: int, seed: int, row: int = 0) -> Int64[Any, "draw token"]:
    """Return the word of every token in the given draws of one row, numbered as the module says.

    Raises ValueError for a vocabulary below 1, and for a draw or a row outside [0, 2^32).
    """
    xp = array_namespace(draws)
    if vocabulary < 1:
        raise ValueError(f"vocabulary {vocabulary} is empty: pass the number of tokens")
    if not 0 <= row <= MASK:
        raise ValueError(f"row {row} is not within [0, 2^32): a counter has 32 bits for it")
    if draws.shape[0] and not (int(xp.min(draws)) >= 0 and int(xp.max(draws)) <= MASK):
        raise ValueError("a draw is not within [0, 2^32): a counter has 32 bits for it")
    blocks = xp.arange((vocabulary + 3) // 4, dtype=xp.int64, device=device(draws))
    words = philox4x32(blocks[None, :], draws[:, None], row, 0, *key_of(seed))
    return xp.reshape(xp.stack(words, axis=-1), (draws.shape[0], -1))[:, :vocabulary]


def triton_rand(seed: int, offsets: Int64[Any, "*shape"]) -> Float32[Any, "*shape"]:
    """Return what Triton's `tl.rand(seed, offsets)` does, bit for bit.

    Triton 3.9.0, triton/language/random.py: counter (offset, offset >> 32, 0, 0), first word, read as an int32 whose
    negative values are complemented, times a constant in float32. Offsets and seed are not negative here; raises
    ValueError for others.
    """
    xp = array_namespace(offsets)
    if not 0 <= seed < 2**63:
        raise ValueError(f"seed {seed} is not within [0, 2^63): Triton would extend its sign")
    if bool(xp.any(offsets < 0)):
        raise ValueError("an offset is negative: Triton's int32 and int64 offsets differ there, so none is replayed")
    word, _, _, _ = philox4x32(offsets & MASK, offsets >> 32, 0, 0, *key_of(seed))
    return _float32(xp.where(word > 0x7FFFFFFF, MASK - word, word), 0.0, _TRITON_SCALE)


def _float32(words: Any, shift: float, scale: float) -> Any:
    """(words + shift) scale, rounded to float32 at each step whatever the default type of the library is."""
    xp = array_namespace(words)
    kept = xp.astype(words, xp.float32)
    return (kept + xp.asarray(shift, dtype=xp.float32, device=device(words))) * xp.asarray(
        scale, dtype=xp.float32, device=device(words)
    )
