"""All pairs and all correct losses of the catalogue."""

from __future__ import annotations

from . import batches, estimators, masks, numerics, objectives, pipelines, reductions, styles, weights
from .correct import CORRECT as PLAIN
from .record import Correct, Expect, FoundBy, Objective, Pair

PAIRS: tuple[Pair, ...] = (
    *objectives.PAIRS,
    *weights.PAIRS,
    *masks.PAIRS,
    *batches.PAIRS,
    *numerics.PAIRS,
    *estimators.PAIRS,
    *pipelines.PAIRS,
    *reductions.PAIRS,
)

CORRECT: tuple[Correct, ...] = (*PLAIN, *styles.CORRECT)

__all__ = ["CORRECT", "PAIRS", "Correct", "Expect", "FoundBy", "Objective", "Pair"]
