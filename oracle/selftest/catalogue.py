"""All pairs and all correct losses of the catalogue."""

from __future__ import annotations

from .correct import losses, penalties, styles, weighted
from .faults import (
    accumulation,
    advantages,
    batches,
    caps,
    chance,
    coefficients,
    corrections,
    detaching,
    directions,
    estimates,
    estimators,
    exchanges,
    formats,
    logits,
    lost_references,
    masks,
    numerics,
    padding_values,
    pipelines,
    powers,
    ratios,
    reductions,
    rewards,
    straight_through,
    weights,
)
from .record import Correct, Expect, FoundBy, Objective, Pair

PAIRS: tuple[Pair, ...] = (
    *directions.PAIRS,
    *powers.PAIRS,
    *lost_references.PAIRS,
    *straight_through.PAIRS,
    *rewards.PAIRS,
    *weights.PAIRS,
    *ratios.PAIRS,
    *advantages.PAIRS,
    *masks.PAIRS,
    *batches.PAIRS,
    *numerics.PAIRS,
    *estimators.PAIRS,
    *pipelines.PAIRS,
    *reductions.PAIRS,
    *coefficients.PAIRS,
    *corrections.PAIRS,
    *chance.PAIRS,
    *caps.PAIRS,
    *exchanges.PAIRS,
    *detaching.PAIRS,
    *padding_values.PAIRS,
    *accumulation.PAIRS,
    *formats.PAIRS,
    *estimates.PAIRS,
    *logits.PAIRS,
)

CORRECT: tuple[Correct, ...] = (*penalties.CORRECT, *losses.CORRECT, *weighted.CORRECT, *styles.CORRECT)

__all__ = ["CORRECT", "PAIRS", "Correct", "Expect", "FoundBy", "Objective", "Pair"]
