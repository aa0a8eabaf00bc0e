"""Everything that is derived of one estimator: as loss and in reward, on- and off-policy."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sympy import Expr

from proofs.analysis import UNKNOWN, monotone, range_text, series_at_zero
from proofs.calculus import on_policy, sample_coefficient, under_policy
from proofs.divergences import UNNAMED, Naming, generator_of, is_true_divergence, name_coefficient
from proofs.estimators import Estimator
from proofs.forms import Correction, Form, Placement
from proofs.patience import Budget

SCHEMA = "kl-oracle/derivation/1"
_SECONDS = 3.0
_STEP = 0.8


@dataclass(frozen=True)
class OffPolicy:
    """One correction: the coefficient of the score on a sampler's token, and its objective."""

    coefficient: Expr
    naming: Naming


@dataclass(frozen=True)
class PlacementDerivation:
    """One placement: on-policy coefficient and what it belongs to, then each correction."""

    coefficient: Expr
    naming: Naming
    generator: Expr | None
    true_divergence: bool | None
    series: str
    range: str
    monotone: bool | None
    off_policy: Mapping[Correction, OffPolicy]


@dataclass(frozen=True)
class Derivation:
    """An estimator and its two placements."""

    estimator: Estimator
    as_loss: PlacementDerivation
    in_reward: PlacementDerivation


def derive(estimator: Estimator) -> Derivation:
    """Derive every form of an estimator. What cannot be found in time is left open, never guessed."""
    budget = Budget(_SECONDS)
    return Derivation(
        estimator,
        _placement(estimator, Placement.LOSS, budget),
        _placement(estimator, Placement.REWARD, budget),
    )


def _placement(estimator: Estimator, placement: Placement, budget: Budget) -> PlacementDerivation:
    c = on_policy(sample_coefficient(Form(estimator, placement)))
    off_policy = {}
    for correction in Correction:
        g = sample_coefficient(Form(estimator, placement, correction))
        off_policy[correction] = OffPolicy(g, _name(under_policy(g), budget))
    return PlacementDerivation(
        c,
        _name(c, budget),
        budget.attempt(_STEP, lambda: generator_of(c), None),
        budget.attempt(_STEP, lambda: is_true_divergence(c), None),
        budget.attempt(_STEP, lambda: series_at_zero(c), UNKNOWN),
        budget.attempt(_STEP, lambda: range_text(c), UNKNOWN),
        budget.attempt(_STEP, lambda: monotone(c), None),
        off_policy,
    )


def _name(c: Expr, budget: Budget) -> Naming:
    return budget.attempt(_STEP, lambda: name_coefficient(c), Naming(UNNAMED))


def to_json(derivation: Derivation, written: str) -> dict[str, Any]:
    """Return the record that `schemas/derivation-1.json` describes; `written` is what was asked."""
    return {
        "schema": SCHEMA,
        "estimator": written,
        "as_loss": _placement_json(derivation.as_loss),
        "in_reward": _placement_json(derivation.in_reward),
    }


def _placement_json(placement: PlacementDerivation) -> dict[str, Any]:
    corrections = (Correction.NONE, Correction.DETACHED, Correction.DIFFERENTIATED)
    return {
        "coefficient": str(placement.coefficient),
        **_naming_json(placement.naming),
        "generator": None if placement.generator is None else str(placement.generator),
        "true_divergence": placement.true_divergence,
        "series": placement.series,
        "range": placement.range,
        "monotone": placement.monotone,
        "off_policy": {str(c): placement.off_policy[c].naming.objective for c in corrections},
        "off_policy_forms": {
            str(correction): {"coefficient": str(form.coefficient), **_naming_json(form.naming)}
            for correction, form in placement.off_policy.items()
        },
    }


def _naming_json(naming: Naming) -> dict[str, Any]:
    combination = naming.combination
    return {
        "objective": naming.objective,
        "scale": None if naming.scale is None else float(naming.scale),
        "combination": None if combination is None else {n: float(a) for n, a in combination},
    }
