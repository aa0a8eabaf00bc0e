"""The report on one estimator: what `kl-oracle derive` finds, with formulas and plots."""

from __future__ import annotations

import sympy as sp
from sympy import Expr, Integer, Rational

from proofs.derivation import Derivation, PlacementDerivation
from proofs.report.content import Block, Code, Display, Document, Facts, Figure, Formula, Grid, Inline, Prose, Section
from proofs.report.conventions import CONVENTIONS
from proofs.report.notation import expression_latex, expression_text
from proofs.report.plots import Plot, curve
from proofs.report.terminal import WEIGHTS, divergence_text, objective_text, yes_no
from proofs.symbols import L, U


def derivation_document(derivation: Derivation, written: str) -> Document:
    """Return the report on an estimator; `written` is what was asked for."""
    sides = (("As loss, E[grad k]", derivation.as_loss), ("In reward, E[k s]", derivation.in_reward))
    estimator = derivation.estimator
    k = _formula(estimator.value)
    blocks: tuple[Block, ...] = (
        Prose(("The estimator ", Code(written), ", with L = log(policy/reference):")),
        Display(Formula(f"k = {k.latex}", f"k = {k.text}")),
        Facts((("source", (estimator.source,)),)),
    )
    figures = tuple(Figure(plot) for plot in _plots(derivation))
    return Document(
        f"The gradient of {written}",
        "On-policy: as loss "
        f"{objective_text(derivation.as_loss.naming)}; in reward {objective_text(derivation.in_reward.naming)}.",
        (
            Section("Estimator", "estimator", blocks),
            CONVENTIONS,
            *(_side(title, side) for title, side in sides),
            *((Section("Plots", "plots", figures),) if figures else ()),
        ),
    )


def _formula(expr: Expr) -> Formula:
    return Formula(expression_latex(expr), expression_text(expr))


def _side(title: str, side: PlacementDerivation) -> Section:
    facts: list[tuple[str, tuple[Inline, ...]]] = [
        ("on-policy objective", (objective_text(side.naming),)),
        ("coefficient of the score", (_formula(side.coefficient),)),
        ("generator f(u)", (_formula(side.generator) if side.generator is not None else "no closed form found",)),
        ("true f-divergence", (divergence_text(side),)),
        ("series at L = 0", (Code(side.series),)),
        ("range of the coefficient", (Code(side.range),)),
        ("never decreases", (yes_no(side.monotone),)),
    ]
    rows: tuple[tuple[tuple[Inline, ...], ...], ...] = tuple(
        ((weight,), (_formula(side.off_policy[correction].coefficient),), (_objective(side, correction),))
        for correction, weight in WEIGHTS.items()
    )
    grid = Grid("Off-policy, by importance weight", ("weight", "coefficient of the score", "objective"), rows)
    return Section(title, "as-loss" if title.startswith("As") else "in-reward", (Facts(tuple(facts)), grid))


def _objective(side: PlacementDerivation, correction: object) -> str:
    return objective_text(side.off_policy[correction].naming)  # type: ignore[index]


def _plots(derivation: Derivation) -> list[Plot]:
    sides = (("as loss", derivation.as_loss), ("in reward", derivation.in_reward))
    coefficients = [
        curve(f"{name}: {side.coefficient}", side.coefficient, L, Integer(-3), Integer(3))
        for name, side in sides
        if side.coefficient.free_symbols <= {L}
    ]
    generators = [
        curve(name, sp.sympify(side.generator), U, Rational(1, 10), Integer(3))
        for name, side in sides
        if side.generator is not None and side.generator.free_symbols <= {U}
    ]
    plots = []
    if coefficients:
        alt = "The coefficient of the score over the log ratio, as loss and in reward."
        axis = "L = log(policy/reference)"
        title = "Coefficients of the score"
        plots.append(Plot("coefficients", title, alt, axis, "coefficient", tuple(coefficients), level=0.0))
    if generators:
        alt = "The generators f(u) that belong to the coefficients."
        plots.append(
            Plot("generators", "Generators f(u)", alt, "u = policy/reference", "f(u)", tuple(generators), level=0.0)
        )
    return plots
