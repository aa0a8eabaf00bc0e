"""Enumeration of a case: its expected gradients on seeded instances, the name that fits them, or the nearest."""

from __future__ import annotations

from functools import cache

import numpy as np
import sympy as sp
import torch

from oracle.case import Case, Value
from oracle.errors import SubjectError
from oracle.probing import naming
from oracle.probing.expectation import as_batch, of_subject
from oracle.probing.instances import Instance, Table, draw
from oracle.probing.signal import once
from oracle.records import Level, Nearest
from oracle.subject.batch import Batch
from oracle.subject.roles import Role

_INSTANCES = 3
_MILD, _WIDE = (0.3, 0.05), (1.0, 0.3)
"""How far the reference and the sampler lie from the policy (log-units)."""


def factor(case: Case, sequences: int, tokens: int) -> sp.Rational:
    """The weight of one token in a full batch: of the aggregation, 1 for a penalty, else a mean over sequences."""
    if case.aggregation is not None:
        f = case.aggregation.factor(sequences, tokens)
        return sp.Rational(f.numerator, f.denominator)
    return sp.Integer(1) if case.subject.kind == "penalty" else sp.Rational(1, sequences)


@cache
def instances(seed: int, horizon: int, on: bool, wide: bool = False) -> tuple[Instance, ...]:
    """Seeded instances: mild ones for naming, wide ones for distances and values."""
    rng = np.random.default_rng([seed, horizon, wide])
    drawn = [draw(rng, horizon, *(_WIDE if wide else _MILD)) for _ in range(_INSTANCES)]
    return tuple(i.on_policy() if on else i for i in drawn)


@cache
def bench(seed: int, horizon: int, on: bool, wide: bool = False) -> naming.Bench:
    """The same with the gradients of all objectives on them."""
    return naming.Bench(instances(seed, horizon, on, wide))


def expected_gradients(case: Case, drawn: list[Instance], returns: bool = False) -> list[Table]:
    """Expected gradients, divided by the weight of a token (so that scale 1 is the plain form)."""
    out = []
    for instance in drawn:
        gradient, signal = of_subject(case.subject, case.placement, instance, returns)
        if case.subject.kind == "loss":
            n = signal.coefficient.shape[0]
            gradient = gradient / (float(factor(case, n, instance.horizon)) * n)
        out.append(gradient)
    return out


def expected_value(case: Case, instance: Instance) -> Value:
    """The exact expectation of the value at an instance, tokens drawn from the sampler."""
    batch = as_batch(instance)[0]
    value = _value(case, batch)
    if case.subject.has(Role.BETA):
        value = value - _value(case, batch.with_beta(0.0))
    n = batch.shape[0]
    if case.subject.kind == "penalty":
        answers = value.reshape(n, -1).sum(1)
        return Value(float(answers.mean()), float(answers.var(unbiased=False)))
    weight = float(factor(case, *batch.shape)) * n
    variance = float((value / weight).var(unbiased=False)) if value.numel() == n else None
    return Value(float(value.mean()) / weight, variance)


def values(case: Case) -> list[Value]:
    """The values at the wide instances on-policy, computed once a case."""
    if not case.values:
        case.values = [expected_value(case, i) for i in instances(case.options.seed, 2, True, wide=True)]
    return case.values


def _value(case: Case, batch: Batch) -> torch.Tensor:
    signal = once(case.subject, case.placement, batch)
    return signal.coefficient if case.placement == "reward" else signal.value.double()


def at_bench(case: Case, on: bool) -> list[Table]:
    """The expected gradients at the naming instances of horizon 2, computed once a case."""
    found = case.gradients.get(on)
    if found is None:
        found = case.gradients[on] = expected_gradients(case, bench(case.options.seed, 2, on).instances)
    return found


def probe(case: Case, on: bool, returns: bool = False) -> tuple[str, naming.Fit | None]:
    """Name by enumeration at horizon 2; a token-level name must hold at horizon 1 too."""
    at_two = bench(case.options.seed, 2, on)
    gradients = expected_gradients(case, at_two.instances, returns) if returns else at_bench(case, on)
    if not _finite(gradients):
        return "unnamed", None
    found, best = at_two.name(gradients, case.tolerance)
    if best is not None and found != "unnamed" and best.level == "token":
        at_one = bench(case.options.seed, 1, on)
        try:
            single = expected_gradients(case, at_one.instances, returns)
        except SubjectError:
            return found, best  # code that cannot take single tokens is named by longer answers alone
        if _finite(single) and any(g.any() for g in single):
            found = found if at_one.name(single, case.tolerance)[0] == found else "unnamed"
    return found, best


def _finite(gradients: list[Table]) -> bool:
    return all(bool(np.isfinite(g).all()) for g in gradients)


def nearest(case: Case, on: bool, returns: bool = False) -> Nearest | None:
    wide = bench(case.options.seed, 2, on, wide=True)
    gradients = expected_gradients(case, wide.instances, returns)
    if not _finite(gradients) or wide.is_zero(gradients, 1e-12):
        return None
    # off-policy only the sampler's prefixes make a token-level name
    best = next(f for f in wide.fits(gradients) if on or f.prefixes != "policy")
    return Nearest(
        objective=best.objective, level=level_of(best.level), relative_error=float(f"{best.relative_error:.3g}")
    )


def level_of(text: str | None) -> Level:
    return text if text in ("token", "sequence") else None  # type: ignore[return-value]
