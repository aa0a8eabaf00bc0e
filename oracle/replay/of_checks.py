"""Witnesses of failed checks, by id. A check without an entry is replayed by asking it again."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from fractions import Fraction

import torch
from msgspec import structs

from oracle.case import Case
from oracle.probing.expectation import of_objective
from oracle.records import Finding
from oracle.replay import of_arrays, of_flows, of_precision
from oracle.replay.smallest import batch_of, batches, first_broken, tables
from oracle.replay.witness import Seen, Witness, call_of, hexed
from oracle.subject.batch import Batch, from_log_ratios

Candidates = Callable[[Case, Finding], Iterator[Witness]]


def find(case: Case, finding: Finding) -> tuple[Witness, Seen] | None:
    """The smallest witness of a failed check; None where the check has none."""
    candidates = FINDERS.get(finding.check)
    return None if candidates is None else first_broken(case, candidates(case, finding))


def _beta(case: Case, finding: Finding) -> Iterator[Witness]:
    """At another coefficient the KL part must be that many times the one at 1."""
    slack = max(1e-7, 10 * case.tolerance)
    for batch in batches():
        for b in (2.0, 3.0, 0.5):
            calls = [call_of(batch), call_of(batch.with_beta(b))]
            yield Witness(rule="same", calls=calls, factor=b, slack=slack, size=1e-30)
    for batch in batches():  # a coefficient that changes nothing
        yield Witness(rule="nonzero", calls=[call_of(batch)])


def _at_reference(case: Case, finding: Finding) -> Iterator[Witness]:
    """The expected gradient must vanish where the policy is the reference."""
    for tabular in tables(on=True):
        usual = of_objective("reverse_kl", "token", "sampler", tabular.instance())
        yield Witness(
            rule="equal",
            tabular=structs.replace(tabular, reference=tabular.policy),
            expected=hexed(0 * usual),
            slack=max(1e-6, 10 * case.tolerance),
            size=float(abs(usual).max()),
        )


def _falling(case: Case, finding: Finding) -> Iterator[Witness]:
    """A coefficient that pushes harder where the policy is further below the reference belongs to no divergence."""
    ends = (finding.counterexample or {}).get("L")
    if isinstance(ends, list) and len(ends) == 2:
        low, high = (float(x) for x in ends)
        for pair in ((math.ceil(low * 4) / 4, math.floor(high * 4) / 4), (low, high)):
            if pair[0] < pair[1]:
                yield Witness(rule="rises", calls=[call_of(_at(x)) for x in pair], slack=1e-9)


def _dead(case: Case, finding: Finding) -> Iterator[Witness]:
    """A token far enough from the reference must have a gradient."""
    for power in range(1, 7):
        for p, q in ((1, 4**power), (4**power, 1)):
            pair = (Fraction(p, 2 * max(p, q)), Fraction(q, 2 * max(p, q)))
            yield Witness(rule="nonzero", calls=[call_of(batch_of([(*pair, pair[0])], (1, 1)))])
    example = finding.counterexample or {}
    if isinstance(ratio := example.get("L"), float):
        yield Witness(rule="nonzero", calls=[call_of(_at(ratio))])


def _tail(case: Case, finding: Finding) -> Iterator[Witness]:
    """A token far out in float32, where the exact coefficient is finite; alone, then beside a mild one."""
    ratio = (finding.counterexample or {}).get("L")
    if not isinstance(ratio, float):
        return
    exact = (finding.counterexample or {}).get("expected")
    # without a formula the check knows only that a finite value exists
    known = [[float(exact).hex()]] if case.kl is not None and isinstance(exact, float) else None
    yield Witness(rule="finite", calls=[call_of(_at(ratio), "float32")], expected=known)
    pair = from_log_ratios(torch.full((1, 2), -1.2).double(), torch.tensor([[ratio, 0.2]]).double())
    yield Witness(rule="finite", calls=[call_of(pair, "float32")])


def _at(ratio: float) -> Batch:
    """One token with log(policy/reference) = ``ratio``, neither probability above exp(-1)."""
    at = torch.tensor([[min(-1.0, ratio - 1.0)]], dtype=torch.float64)
    return from_log_ratios(at, torch.tensor([[ratio]], dtype=torch.float64))


FINDERS: dict[str, Candidates] = {
    "reference.dependence": of_flows.reference,
    "reference.zero_at_reference": _at_reference,
    "expected_gradient.on_policy": _falling,
    "argument.order": of_flows.exchanged,
    "sign": of_flows.sign,
    "detach.reward": of_flows.reward,
    "detach.reference": of_flows.policy,
    "detach.sampler": of_flows.sampler,
    "logits.alignment": of_arrays.alignment,
    "logits.shift": of_arrays.shift,
    "mask.leak": of_arrays.mask,
    "mask.nonfinite": of_arrays.nonfinite,
    "padding.invariance": of_arrays.padding,
    "batch.coupling": of_arrays.coupling,
    "batch.permutation": of_arrays.order,
    "aggregation": of_arrays.normalisation,
    "microbatch.invariance": of_arrays.micro,
    "beta.linearity": _beta,
    "clamp.dead_gradient": _dead,
    "tail.finite": _tail,
    "cancellation": of_precision.near_reference,
    "dtype.bound": of_precision.bound,
    "determinism": of_flows.state,
}
