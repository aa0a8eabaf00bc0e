"""All pairs and all correct losses of the catalogue."""

from __future__ import annotations

from . import (
    accumulation,
    batches,
    detaching,
    estimates,
    estimators,
    exchanges,
    formats,
    logits,
    masks,
    numerics,
    objectives,
    padding_values,
    pipelines,
    reductions,
    styles,
    weights,
)
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
    *exchanges.PAIRS,
    *detaching.PAIRS,
    *padding_values.PAIRS,
    *accumulation.PAIRS,
    *formats.PAIRS,
    *estimates.PAIRS,
    *logits.PAIRS,
)

CORRECT: tuple[Correct, ...] = (*PLAIN, *styles.CORRECT)

__all__ = ["CORRECT", "PAIRS", "Correct", "Expect", "FoundBy", "Objective", "Pair"]
