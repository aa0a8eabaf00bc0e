"""Witnesses of failed claims: a token whose coefficient is not the form's, or a policy whose expected gradient is not
that of the objective."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction

import numpy as np

from oracle.case import Case
from oracle.claims import Claim
from oracle.claims.claim import Side
from oracle.claims.forms import coefficients, crossing, scale_of, tolerance_of
from oracle.errors import SubjectError
from oracle.probing.expectation import of_objective
from oracle.replay.smallest import Token, batch_of, batches, first_broken, tables
from oracle.replay.witness import Array, Seen, Witness, call_of, hexed, run
from oracle.subject.batch import Batch


def find(case: Case, claim: Claim) -> tuple[Witness, Seen] | None:
    """The smallest witness against a claim; None where only other numbers than these tell."""
    if claim.form is not None and case.subject.whole:
        return None  # no coefficient of a token is the whole gradient
    if claim.form is not None:
        return first_broken(case, _of_form(case, claim))
    for side in claim.sides:
        found = _against_objective(case, claim, side)
        if found is not None:
            return found
    return None


def _of_form(case: Case, claim: Claim) -> Iterator[Witness]:
    assert claim.form is not None
    plain = claim.form.weight.kind == "none"
    near = [*batches(), *(_across(claim) if not plain else [])]
    for batch in [
        *near,
        case.mild_batch,
        *([crossing(claim.form.weight, 3, 4, case.options.seed)] if not plain else []),
    ]:
        ratio, weight = (batch.policy - batch.reference).numpy(), (batch.policy - batch.sampler).numpy()
        expected = scale_of(case, batch.shape) * coefficients(claim.form, ratio, weight)
        size = scale_of(case, batch.shape)
        yield Witness(
            rule="equal", calls=[call_of(batch)], expected=hexed(expected), slack=tolerance_of(case), size=1e-12 * size
        )


def _across(claim: Claim) -> Iterator[Batch]:
    """One token on either side of each threshold of the weight, with L of either sign."""
    assert claim.form is not None
    for threshold in claim.form.weight.thresholds:
        limit = Fraction(threshold).limit_denominator(1000)
        for factor in (Fraction(11, 10), Fraction(9, 10), Fraction(2), Fraction(1, 2)):
            for p, q in ((Fraction(1, 2), Fraction(2, 5)), (Fraction(2, 5), Fraction(1, 2))):
                # a weight far below 1 needs a sampler that is surer than the policy
                scale = min(Fraction(1), limit * factor * Fraction(9, 10) / p)
                token: Token = (p * scale, q * scale, p * scale / (limit * factor))
                yield batch_of([token], (1, 1))


def _against_objective(case: Case, claim: Claim, side: Side) -> tuple[Witness, Seen] | None:
    on, returns = side != "off-policy", side == "with returns-to-go"
    # without a level the claim is one of both, so both must break; the token level is the one that is shown
    levels = [claim.level] if claim.level or claim.objective == "zero" else ["token", "sequence"]
    for tabular in tables(on, returns):
        instance = tabular.instance()
        found: list[tuple[Witness, Seen]] = []
        for level in levels:
            usual = of_objective("reverse_kl", "token", "sampler", instance)
            expected: Array = np.zeros_like(usual)
            if claim.objective != "zero":
                assert claim.objective is not None
                expected = (claim.scale or 1.0) * of_objective(claim.objective, level or "token", "sampler", instance)
            witness = Witness(
                rule="equal" if claim.scale is not None or claim.objective == "zero" else "proportional",
                tabular=tabular,
                expected=hexed(expected),
                slack=max(1e-6, 10 * case.tolerance),
                size=float(np.abs(usual).max()),
            )
            try:
                seen = run(case, witness)
            except SubjectError:
                break  # code that cannot take a single token, or so small a batch
            if not seen.holds:
                found.append((witness, seen))
        if len(found) == len(levels):
            return found[0]
    return None
