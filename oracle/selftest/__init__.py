"""The permanent catalogue: losses with one planted fault each, their correct twins, and losses without a fault."""

from __future__ import annotations

from . import batches, masks, numerics, objectives, weights
from .correct import CORRECT
from .record import Correct, Expect, FoundBy, Objective, Pair

PAIRS: tuple[Pair, ...] = (
    *objectives.PAIRS,
    *weights.PAIRS,
    *masks.PAIRS,
    *batches.PAIRS,
    *numerics.PAIRS,
)

__all__ = ["CORRECT", "PAIRS", "Correct", "Expect", "FoundBy", "Objective", "Pair"]
