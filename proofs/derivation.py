"""Everything that is derived of one estimator: as loss and in reward, on- and off-policy.

As loss it is differentiated as code differentiates it: at a jump, as that of sign(L), the gradient is
the one beside it, and none of it is a delta function.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, TypeVar

import sympy as sp
from sympy import Expr

from proofs.analysis import UNKNOWN, dead_intervals, monotone, range_text, series_at_zero
from proofs.calculus import on_policy, sample_coefficient, under_policy
from proofs.divergences import UNNAMED, Naming, generator_of, is_true_divergence, name_coefficient
from proofs.estimators import Estimator
from proofs.forms import Correction, Form, Placement
from proofs.patience import Budget, TimeIsUp, at_most

SCHEMA = "kl-oracle/derivation/1"
_SECONDS = 2.6
_STEP = 0.7
_COEFFICIENT_SECONDS = 1.2
T = TypeVar("T")


class OutOfReach(ArithmeticError):
    """The coefficients themselves were not found within the time given."""


@dataclass(frozen=True)
class OffPolicy:
    """One correction: the coefficient of the score on a sampler's token, and its objective."""

    coefficient: Expr
    naming: Naming
    theorems: tuple[str, ...] = ()
    """Ids of the theorems that the name rests on."""


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
    dead: tuple[str, ...] | None
    off_policy: Mapping[Correction, OffPolicy]
    theorems: tuple[str, ...] = ()
    """Ids of the theorems that the on-policy name rests on."""


@dataclass(frozen=True)
class Derivation:
    """An estimator and its two placements."""

    estimator: Estimator
    as_loss: PlacementDerivation
    in_reward: PlacementDerivation

    def _repr_latex_(self) -> str:
        """Return the formulas for a notebook."""
        from proofs.report.jupyter import derivation_latex

        return derivation_latex(self)

    def _repr_html_(self) -> str:
        """Return both placements, side by side, for a notebook."""
        from proofs.report.jupyter import derivation_html

        return derivation_html(self)


def derive(estimator: Estimator) -> Derivation:
    """Derive every form of an estimator. What cannot be found in time is left open, never guessed.

    Raises OutOfReach where not even the coefficients are found.
    """
    coefficients = _coefficients(estimator)
    budget = Budget(_SECONDS)
    as_loss, in_reward = (
        _cited(_placement(coefficients[p], budget), estimator, p, budget) for p in (Placement.LOSS, Placement.REWARD)
    )
    return Derivation(estimator, as_loss, in_reward)


@dataclass(frozen=True)
class _Coefficients:
    """On-policy, and for each correction on a sampler's token and under the policy."""

    on_policy: Expr
    sampled: Mapping[Correction, Expr]
    under_policy: Mapping[Correction, Expr]


def _of_placement(estimator: Estimator, placement: Placement) -> _Coefficients:
    sampled = {c: sample_coefficient(Form(estimator, placement, c)) for c in Correction}
    return _Coefficients(on_policy(sampled[Correction.NONE]), sampled, {c: under_policy(g) for c, g in sampled.items()})


def _coefficients(estimator: Estimator) -> dict[Placement, _Coefficients]:
    try:
        with at_most(_COEFFICIENT_SECONDS, untimed=True):
            differentiated = replace(estimator, value=_without_signs(estimator.value))
            chosen = {Placement.LOSS: differentiated, Placement.REWARD: estimator}
            return {p: _of_placement(k, p) for p, k in chosen.items()}
    except TimeIsUp as late:
        raise OutOfReach("its derivative is not found in time") from late


def _without_signs(value: Expr) -> Expr:
    """Write sign(x) as a number on each side, so that its derivative is 0."""

    def sides(x: Expr) -> Expr:
        return sp.Piecewise((-1, x < 0), (1, x > 0), (0, True))

    return value.replace(sp.sign, sides)


def _placement(found: _Coefficients, budget: Budget) -> PlacementDerivation:
    c = found.on_policy
    return PlacementDerivation(
        c,
        _name(c, budget),
        _attempt(budget, lambda: generator_of(c), None),
        _attempt(budget, lambda: is_true_divergence(c), None),
        _attempt(budget, lambda: series_at_zero(c), UNKNOWN),
        _attempt(budget, lambda: range_text(c), UNKNOWN),
        _attempt(budget, lambda: monotone(c), None),
        _attempt(budget, lambda: dead_intervals(c), None),
        {c: OffPolicy(g, _name(found.under_policy[c], budget)) for c, g in found.sampled.items()},
    )


def _cited(
    placement: PlacementDerivation, estimator: Estimator, where: Placement, budget: Budget
) -> PlacementDerivation:
    """The same with the theorems that each name rests on."""

    from proofs.citation import theorems_of_form
    from proofs.gradient_index import entries

    for sampled in (False, True):
        entries(sampled)  # imports are not to be cut short by the clock

    def cite(c: Expr, naming: Naming, correction: Correction, on_policy: bool = False) -> tuple[str, ...]:
        form = Form(estimator, where, correction)
        return _attempt(budget, lambda: theorems_of_form(form, c, naming, on_policy), ())

    off_policy = {
        correction: replace(form, theorems=cite(form.coefficient, form.naming, correction))
        for correction, form in placement.off_policy.items()
    }
    theorems = cite(placement.coefficient, placement.naming, Correction.NONE, True)
    return replace(placement, off_policy=off_policy, theorems=theorems)


def _attempt(budget: Budget, make: Callable[[], T], otherwise: T) -> T:
    """What SymPy cannot do it says in many ways; each leaves the answer open."""

    def tried() -> T:
        try:
            return make()
        except Exception:
            return otherwise

    return budget.attempt(_STEP, tried, otherwise)


def _name(c: Expr, budget: Budget) -> Naming:
    return _attempt(budget, lambda: name_coefficient(c), Naming(UNNAMED))


def dead_text(derivation: Derivation) -> str:
    """Return, in one line, where the gradient is exactly 0 in each placement."""
    sides = (("as loss", derivation.as_loss), ("in reward", derivation.in_reward))
    return "gradient exactly 0: " + "; ".join(f"{name} {_dead(side.dead)}" for name, side in sides)


def _dead(intervals: tuple[str, ...] | None) -> str:
    if intervals is None:
        return "undecided"
    return "for L in " + ", ".join(intervals) if intervals else "on no interval of L"


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
        "theorems": list(placement.theorems),
        "generator": None if placement.generator is None else str(placement.generator),
        "true_divergence": placement.true_divergence,
        "series": placement.series,
        "range": placement.range,
        "monotone": placement.monotone,
        "dead": None if placement.dead is None else list(placement.dead),
        "off_policy": {str(c): placement.off_policy[c].naming.objective for c in corrections},
        "off_policy_forms": {
            str(correction): {
                "coefficient": str(form.coefficient),
                **_naming_json(form.naming),
                "theorems": list(form.theorems),
            }
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
