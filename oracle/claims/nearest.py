"""What holds where a claim does not: the same sentence in the language of claims."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product
from typing import TYPE_CHECKING

import numpy as np

from oracle.claims.claim import Claim, Form, Kind, Level, Weight
from oracle.records import ObjectiveRecord, WithReturns

if TYPE_CHECKING:
    from oracle.case import Case

_WORDS = {"loss": "as loss", "reward": "in reward"}


def as_claim(record: ObjectiveRecord | WithReturns, side: str) -> str | None:
    """A side of a verdict as the claim that holds there: ``2 x forward_kl/token off-policy``; None where it is
    unnamed."""
    if record.objective == "unnamed":
        return None
    suffix = {"on-policy": "", "off-policy": " off-policy"}.get(side, " with returns-to-go")
    if record.objective == "zero":
        return f"zero{suffix}"
    scale = "" if record.scale in (None, 1.0) else f"{record.scale:.6g} x "
    return f"{scale}{record.objective}/{record.level}{suffix}"


def what_holds(claim: Claim, case: Case) -> str:
    """``; what holds: k3 as loss``, or an objective where no known form fits; empty where nothing is known to."""
    form = None if case.subject.whole else _form_that_fits(case)
    text = form or (as_claim(case.on_policy, "on-policy") if case.on_policy else None)
    return f"; what holds: {text}" if text and text != claim.text else ""


def _form_that_fits(case: Case) -> str | None:
    """The first of the known forms that the mild signal is a multiple of, sample by sample."""
    from oracle.claims.forms import coefficients, scale_of, tolerance_of

    batch, signal = case.mild_batch, case.mild_signal.coefficient.numpy()
    ratio, weight = (batch.policy - batch.reference).numpy(), (batch.policy - batch.sampler).numpy()
    size = float(np.abs(signal).max())
    if not (np.isfinite(size) and size > 0.0):
        return None
    for form in _known(case.placement):
        expected = scale_of(case, batch.shape) * coefficients(form, ratio, weight)
        scale = float((signal * expected).sum() / (expected * expected).sum())
        if float(np.abs(signal - scale * expected).max()) <= tolerance_of(case) * size:
            return _written(form, scale)
    return None


def _known(placement: str) -> Iterator[Form]:
    from proofs.estimators import ABS_K1, K1, K2, K3

    places = ("loss", "reward") if placement == "whole" else (placement,)
    levels: tuple[Level, ...] = ("token", "prefix", "sequence")
    live: tuple[Kind, ...] = ("detached", "differentiated")
    kinds = [Weight(), *(Weight(kind, level) for level in levels for kind in live)]
    for weight, place, estimator in product(kinds, places, (K2, K3, K1, ABS_K1)):
        yield Form(estimator, place, weight)  # type: ignore[arg-type]


def _written(form: Form, scale: float) -> str:
    near = round(scale, 4)
    times = "" if abs(scale - 1) < 1e-4 else f"{near:g}*"
    weight = form.weight
    level = "" if weight.level == "token" else f"{weight.level} "
    rest = "" if weight.kind == "none" else f", weight {level}{weight.kind}"
    return f"{times}{form.estimator.name} {_WORDS[form.placement]}{rest}"
