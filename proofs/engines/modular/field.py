"""The integers modulo the Mersenne prime 2^61 - 1, vectorised: exact, and no rounding."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

PRIME = 2**61 - 1
Element = Any
"""A number of the field: a vector of uint64, one for each token, or an int."""
Vector = NDArray[np.uint64]
_P = np.uint64(PRIME)
_LOW, _HALF = np.uint64(2**32 - 1), np.uint64(32)
_BITS = np.uint64(61)
_MIDDLE_LOW, _MIDDLE = np.uint64(2**29 - 1), np.uint64(29)
_EIGHT = np.uint64(8)
_BLOCK = 8192
"""So many numbers at a time: what is computed on the way then stays in the processor's cache."""


class Zero(Exception):
    """A division by zero: the drawn numbers happen to be a pole, or the expression has one everywhere."""


def _reduced(x: Vector) -> Vector:
    return _once((x & _P) + (x >> _BITS))


def _once(x: Vector) -> Vector:
    """Reduce what is below twice the prime: below the prime the difference wraps around, and is the larger."""
    least: Vector = np.minimum(x, x - _P)
    return least


def add(a: Element, b: Element) -> Element:
    """Return a + b."""
    if isinstance(a, int) and isinstance(b, int):
        return (a + b) % PRIME
    return _once(_vector(a) + _vector(b))


def negative(a: Element) -> Element:
    """Return -a."""
    if isinstance(a, int):
        return -a % PRIME
    return _once(_P - a)


def multiply(a: Element, b: Element) -> Element:
    """Return a b."""
    if isinstance(a, int) and isinstance(b, int):
        return a * b % PRIME
    if isinstance(a, int) and a in (0, 1):
        return b if a else 0
    if isinstance(b, int) and b in (0, 1):
        return a if b else 0
    x, y = _vector(a), _vector(b)
    size = max(np.size(x), np.size(y))
    if size <= _BLOCK:
        return _multiplied(x, y)
    result = np.empty(size, dtype=np.uint64)
    for start in range(0, size, _BLOCK):
        part = slice(start, start + _BLOCK)
        result[part] = _multiplied(*(v if isinstance(v, np.uint64) else v[part] for v in (x, y)))
    return result


def _multiplied(x: Any, y: Any) -> Vector:
    """By halves of 32 bits: 2^64 is 8, and 2^61 is 1."""
    x1, x0, y1, y0 = x >> _HALF, x & _LOW, y >> _HALF, y & _LOW
    middle = x1 * y0
    middle += x0 * y1
    low = x0 * y0
    # each summand is below 2^61 + 2^33, so the sum is below 2^63 + 2^35
    total = x1 * y1
    total *= _EIGHT
    total += middle >> _MIDDLE
    middle &= _MIDDLE_LOW
    middle <<= _HALF
    total += middle
    total += low >> _BITS
    low &= _P
    total += low
    return _reduced(total)


def _vector(a: Element) -> Any:
    return np.uint64(a) if isinstance(a, int) else a


def power(a: Element, n: int) -> Element:
    """Return a^n; raises Zero for the inverse of 0."""
    if n < 0:
        a, n = inverse(a), -n
    if isinstance(a, int):
        return pow(a, n, PRIME)
    result: Element = 1
    while n:
        if n & 1:
            result = multiply(result, a)
        n >>= 1
        if n:
            a = multiply(a, a)
    return result


def inverse(a: Element) -> Element:
    """Return 1/a; of a vector by inverting one product of all its numbers. Raises Zero."""
    if isinstance(a, int):
        if a == 0:
            raise Zero
        return pow(a, -1, PRIME)
    if not a.all():
        raise Zero
    return _inverses(a)


def _inverses(a: Vector) -> Vector:
    """Invert pairwise products, which are half as many: 1/x = y * 1/(x y)."""
    if len(a) == 1:
        return np.array([pow(int(a[0]), -1, PRIME)], dtype=np.uint64)
    padded = a if len(a) % 2 == 0 else np.append(a, np.uint64(1))
    left, right = padded[0::2], padded[1::2]
    products = _inverses(multiply(left, right))
    result = np.empty_like(padded)
    result[0::2], result[1::2] = multiply(right, products), multiply(left, products)
    return result[: len(a)]


def total(a: Element, size: int) -> int:
    """Return the sum over all tokens."""
    if isinstance(a, int):
        return a * size % PRIME
    return (int((a >> _HALF).sum()) * 2**32 + int((a & _LOW).sum())) % PRIME


def number(p: int, q: int) -> int:
    """Return p/q; raises Zero if the prime divides q."""
    if q % PRIME == 0:
        raise Zero
    return p * pow(q, -1, PRIME) % PRIME


def root(square: int) -> int | None:
    """Return a square root, or None: the prime is 3 modulo 4, so it is a power."""
    candidate = pow(square, (PRIME + 1) // 4, PRIME)
    return candidate if candidate * candidate % PRIME == square % PRIME else None
