"""Witnesses of failed checks, by id. A check without an entry is replayed by asking it again."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import replace
from fractions import Fraction

import torch
from msgspec import structs

from oracle.case import Case
from oracle.probing.expectation import of_objective
from oracle.records import Finding
from oracle.replay.smallest import OFF_POLICY, ON_POLICY, SHAPES, batch_of, batches, first_broken, tables
from oracle.replay.witness import Seen, Witness, call_of, hexed
from oracle.subject.batch import Batch, from_log_ratios

Candidates = Callable[[Case, Finding], Iterator[Witness]]


def find(case: Case, finding: Finding) -> tuple[Witness, Seen] | None:
    """The smallest witness of a failed check; None where the check has none."""
    candidates = FINDERS.get(finding.check)
    return None if candidates is None else first_broken(case, candidates(case, finding))


def _reference(case: Case, finding: Finding) -> Iterator[Witness]:
    """Another reference must change the gradient of some token."""
    for batch in batches():
        other = replace(batch, reference=(batch.reference.exp() / 2).log())
        yield Witness(rule="varies", calls=[call_of(batch), call_of(other)], slack=1e-9, size=1e-30)


def _sign(case: Case, finding: Finding) -> Iterator[Witness]:
    """The expected gradient must have a positive product with that of the divergence it names."""
    record = case.on_policy
    named = record is not None and record.scale is not None
    name = record.objective if record is not None and named else "reverse_kl"
    level = (record.level if record is not None and named else None) or "token"
    for tabular in tables(on=True):
        expected = of_objective(name, level, "sampler", tabular.instance())
        yield Witness(rule="direction", tabular=tabular, expected=hexed(expected))


def _beta(case: Case, finding: Finding) -> Iterator[Witness]:
    """At another coefficient the KL part must be that many times the one at 1."""
    slack = max(1e-7, 10 * case.tolerance)
    for batch in batches():
        for b in (2.0, 3.0, 0.5):
            calls = [call_of(batch), call_of(batch.with_beta(b))]
            yield Witness(rule="same", calls=calls, factor=b, slack=slack, size=1e-30)


def _masked(case: Case) -> Iterator[tuple[Batch, torch.Tensor]]:
    """Batches whose last token, or whose last tokens, do not count; with what does."""
    for shape in ((1, 2), (2, 2), (3, 4)):
        for tokens in (ON_POLICY, OFF_POLICY):
            cycle = [tokens[i % len(tokens)] for i in range(shape[0] * shape[1])]
            batch = batch_of(cycle, shape)
            mask = batch.mask.clone()
            mask[-1, shape[1] // 2 :] = 0.0
            yield replace(batch, mask=mask), mask


def _mask(case: Case, finding: Finding) -> Iterator[Witness]:
    """The coefficient of a masked token must be 0; what stands there must not reach the others."""
    for batch, mask in _masked(case):
        hidden = (mask == 0).int().tolist()
        zero = hexed(torch.zeros_like(mask))
        yield Witness(rule="equal", calls=[call_of(batch)], expected=zero, where=hidden, slack=1e-9, size=1e-3)
        moved = replace(
            batch,
            policy=batch.policy + math.log(0.5) * (1 - mask),
            reference=batch.reference + math.log(0.8) * (1 - mask),
        )
        yield Witness(
            rule="same",
            calls=[call_of(batch), call_of(moved)],
            where=mask.int().tolist(),
            slack=max(1e-9, case.tolerance),
            size=1e-30,
        )


def _padding(case: Case, finding: Finding) -> Iterator[Witness]:
    """The same tokens in a batch padded further."""
    for shape in SHAPES:
        cycle = [ON_POLICY[i % len(ON_POLICY)] for i in range(shape[0] * shape[1])]
        short = batch_of(cycle, shape)
        size = (shape[0], shape[1] + 1)
        wide = batch_of([ON_POLICY[0]] * (size[0] * size[1]), size)
        for name in ("policy", "reference", "sampler"):
            getattr(wide, name)[:, : shape[1]] = getattr(short, name)
        wide.mask[:, shape[1] :] = 0.0
        yield Witness(
            rule="same",
            calls=[call_of(short), call_of(wide)],
            where=short.mask.int().tolist(),
            slack=max(1e-9, 10 * case.tolerance),
            size=1e-30,
        )


def _coupling(case: Case, finding: Finding) -> Iterator[Witness]:
    """Other numbers in the second sequence must not move the first."""
    for t in (1, 2):
        for tokens in (ON_POLICY, OFF_POLICY):
            one = batch_of([tokens[i % 4] for i in range(2 * t)], (2, t))
            two = batch_of([tokens[i % 4] for i in range(t)] + [tokens[3 - i] for i in range(t)], (2, t))
            where = [[1] * t, [0] * t]
            slack = max(1e-9, case.tolerance)
            yield Witness(rule="same", calls=[call_of(one), call_of(two)], where=where, slack=slack, size=1e-30)


def _order(case: Case, finding: Finding) -> Iterator[Witness]:
    """The same sequences in another order must learn the same."""
    for n, order in ((2, [1, 0]), (3, [1, 2, 0])):
        for t in (1, 2):
            for tokens in (ON_POLICY, OFF_POLICY):
                rows = [[tokens[(b + i) % 4] for i in range(t)] for b in range(n)]
                one = batch_of([x for row in rows for x in row], (n, t))
                two = batch_of([x for b in order for x in rows[b]], (n, t))
                slack = max(1e-9, 10 * case.tolerance)
                yield Witness(rule="same", calls=[call_of(one), call_of(two)], order=order, slack=slack, size=1e-30)


def _nonfinite(case: Case, finding: Finding) -> Iterator[Witness]:
    """What is not finite at a masked position must not reach the others."""
    for batch, mask in _masked(case):
        for fill in (math.nan, -math.inf):
            hidden = mask == 0
            names = ("policy", "reference", "sampler")
            filled = replace(batch, **{n: getattr(batch, n).masked_fill(hidden, fill) for n in names})
            slack, where = max(1e-9, case.tolerance), mask.int().tolist()
            yield Witness(rule="same", calls=[call_of(batch), call_of(filled)], where=where, slack=slack, size=1e-30)


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


def _policy(case: Case, finding: Finding) -> Iterator[Witness]:
    """Some gradient must reach the policy."""
    yield from (Witness(rule="nonzero", calls=[call_of(batch)]) for batch in batches())


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
    "reference.dependence": _reference,
    "sign": _sign,
    "beta.linearity": _beta,
    "mask.leak": _mask,
    "padding.invariance": _padding,
    "batch.coupling": _coupling,
    "batch.permutation": _order,
    "mask.nonfinite": _nonfinite,
    "reference.zero_at_reference": _at_reference,
    "expected_gradient.on_policy": _falling,
    "detach.reference": _policy,
    "clamp.dead_gradient": _dead,
    "tail.finite": _tail,
}
