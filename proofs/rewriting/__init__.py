"""The presenter: derives a theorem by named rewrite steps, each checked as it is made.

The rules are those of `proofs.calculus`, one line of a paper each:

    chain rule           grad L = s, grad rho = rho s, grad log p = s, grad sg(x) = 0
    log-derivative       grad sum F = E_policy[dF/dp s], because grad p = p s
    change of measure    E_sampler[X] = E_policy[X / rho]
    score identity       E_policy[c s] = 0 for c the same on all tokens
    normalisation        the probabilities of a distribution sum to its mass
    linearity            a sum of sums is the sum of the sums
    algebra              nothing but rearrangement

Whole answers have rules of their own (`proofs.rewriting.sequences`), minimum, maximum and absolute
value are taken apart case by case (`proofs.rewriting.switches`).

Every line is evaluated to many digits at rational points before it is shown; a line that does not
hold raises `BrokenStep`. As an engine it proves a theorem where its lines meet; where they do not, it
refutes with a point at which the sides certainly differ (`proofs.rewriting.refutation`), if it finds one.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from proofs.engines.base import CannotExpress, TableEngine
from proofs.ledger import Finding, Outcome
from proofs.patience import TimeIsUp, at_most
from proofs.rewriting.gradients import rewrite_expected_gradient, rewrite_sample_gradient, rewrite_stationary
from proofs.rewriting.refutation import counterexample
from proofs.rewriting.scalars import (
    rewrite_derivative,
    rewrite_gaussian_mean,
    rewrite_identity,
    rewrite_inequality,
    rewrite_instance,
)
from proofs.rewriting.sequences import present_answers, rewrite_answers
from proofs.rewriting.switches import has_switches, rewrite_expected_switches, rewrite_sample_switches
from proofs.rewriting.trail import BrokenStep, Trail
from proofs.rewriting.values import rewrite_value
from proofs.statements import (
    DerivativeAt,
    ExpectedGradient,
    GaussianMean,
    Identity,
    Inequality,
    Instance,
    Lemma,
    SampleGradient,
    SequenceGradient,
    SequenceValue,
    Statement,
    Stationary,
    Value,
)
from proofs.steps import Step
from proofs.theorem import Theorem

__all__ = ["REWRITING", "BrokenStep", "present"]


def _expected_gradient(statement: ExpectedGradient) -> Trail:
    switches = has_switches(statement.left.of, statement.right.of, statement.left.weight, statement.right.weight)
    return rewrite_expected_switches(statement) if switches else rewrite_expected_gradient(statement)


def _sample_gradient(statement: SampleGradient) -> Trail:
    switches = has_switches(statement.left, statement.right)
    return rewrite_sample_switches(statement) if switches else rewrite_sample_gradient(statement)


_REWRITERS: dict[type, Callable[[Any], Trail]] = {
    ExpectedGradient: _expected_gradient,
    SampleGradient: _sample_gradient,
    Stationary: rewrite_stationary,
    Value: rewrite_value,
    Identity: rewrite_identity,
    Inequality: rewrite_inequality,
    DerivativeAt: rewrite_derivative,
    Instance: rewrite_instance,
    GaussianMean: rewrite_gaussian_mean,
    SequenceGradient: rewrite_answers,
    SequenceValue: rewrite_answers,
}


_PRESENTERS: dict[type, Callable[[Any], Trail]] = {SequenceGradient: present_answers, SequenceValue: present_answers}
"""Where less than the proof is shown."""


def present(theorem: Theorem, seconds: float = 5.0) -> tuple[Step, ...]:
    """Return the steps from the left side to the right side of a theorem; empty where no rule applies.

    Raises BrokenStep where a step does not hold, which a true theorem cannot have.
    """
    if isinstance(theorem.statement, Lemma):
        return theorem.statement.steps() if theorem.statement.steps is not None else ()
    kind = type(theorem.statement)
    rewriter = _PRESENTERS.get(kind) or _REWRITERS.get(kind)
    if rewriter is None:
        return ()
    try:
        with at_most(seconds, untimed=True):
            return rewriter(theorem.statement).steps
    except (CannotExpress, TimeIsUp):
        return ()


_SHOWN_ALONE = "the steps only present what another engine decides"


def _checked(statement: Statement) -> Finding:
    try:
        trail = _REWRITERS[type(statement)](statement)
    except BrokenStep as error:
        return counterexample(statement) or Finding(Outcome.INCONCLUSIVE, detail=str(error))
    if trail.closed and trail.proves:
        return Finding(Outcome.PROVED, trail.scope, f"{len(trail.steps)} steps")
    found = counterexample(statement)
    if found is not None:
        return found
    if trail.closed:
        return Finding(Outcome.UNSUPPORTED, detail=_SHOWN_ALONE)
    return Finding(
        Outcome.INCONCLUSIVE, detail="the two sides were not brought to one form, and no point tells them apart"
    )


def _searched(statement: Inequality) -> Finding:
    """Look for a point only: the pieces that are shown are the prover's, and prove nothing here."""
    return counterexample(statement) or Finding(Outcome.UNSUPPORTED, detail=_SHOWN_ALONE)


REWRITING = TableEngine(
    "rewriting", "named rewrite steps", {**dict.fromkeys(_REWRITERS, _checked), Inequality: _searched}
)
