"""What a kernel does to its numbers, as far as rounding goes: the input of every bound.

The standard model of floating point (Higham, Accuracy and Stability of Numerical Algorithms, 2.2) with
float32 inside the kernel. A model states the longest chain of additions that an addend goes through, and how
good exp and log are; the bounds follow from it, a kernel's tolerance is never tuned.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import ceil, log2
from typing import Literal

K3Form = Literal["naive", "expm1", "switched"]
"""How k3's value is written: exp(t) - t - 1, expm1(t) - t, or a series near 0 (t = log(reference/policy))."""


@dataclass(frozen=True)
class CostModel:
    """How a kernel adds and which functions it calls; units in the last place of float32.

    `chain(V)` is the greatest number of additions that one of V addends goes through. `exp_by_exp2` says that
    exp(x) is computed as exp2(x log2(e)), which rounds the exponent once more. `log_floor` is an absolute error of
    log beside `log_ulp` (lg2.approx near 1: 2^-22, PTX ISA, "Floating Point Instructions: lg2"). `rescalings(V)`
    counts the multiplications by exp(old maximum - new maximum) of an online softmax.
    """

    chain: Callable[[int], int]
    rescalings: Callable[[int], int] = lambda _vocabulary: 0
    exp_ulp: float = 2.0
    log_ulp: float = 1.0
    exp_by_exp2: bool = False
    log_floor: float = 0.0
    k3: K3Form = "switched"
    input_roundings: int = 0
    stored_first: float | None = None
    inputs: Literal["logits", "log-probabilities"] = "logits"


def strided_block(threads: int) -> Callable[[int], int]:
    """A block of threads, each adding every `threads`-th element, and a tree over the threads."""
    return lambda vocabulary: ceil(vocabulary / threads) + ceil(log2(threads))


def online_blocks(block: int) -> Callable[[int], int]:
    """An online softmax over blocks: a tree inside a block, then one addition and one rescaling for each block."""
    return lambda vocabulary: 2 * ceil(vocabulary / block) + ceil(log2(block))


def one_chain() -> Callable[[int], int]:
    """One accumulator for all."""
    return lambda vocabulary: vocabulary
