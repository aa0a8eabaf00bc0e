"""Witnesses of what the arrays of a batch must not do: masks, padding, order, micro-batches, shifted logits."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import torch

from oracle.case import Case
from oracle.checks.batch_coupling import others
from oracle.checks.mask_leak import mirrored
from oracle.checks.microbatch_invariance import told_of
from oracle.records import Finding
from oracle.replay.smallest import OFF_POLICY, ON_POLICY, SHAPES, Token, batch_of
from oracle.replay.witness import Witness, call_of, hexed
from oracle.subject.batch import Batch
from oracle.subject.roles import Role
from oracle.subject.vocabulary import rest_of

_FIELDS = ("policy", "reference", "sampler", "mask", "advantages")


def ragged_of(lengths: tuple[int, ...], width: int, tokens: tuple[Token, ...] = ON_POLICY) -> Batch:
    """Sequences of these lengths; each has the same tokens however wide the batch is."""
    rows = [[tokens[(b + t) % len(tokens)] for t in range(width)] for b in range(len(lengths))]
    batch = batch_of([x for row in rows for x in row], (len(lengths), width))
    for b, n in enumerate(lengths):
        batch.mask[b, n:] = 0.0
    return batch


def rows_of(batch: Batch, rows: list[int]) -> Batch:
    """Some sequences of a batch, in this order."""
    return replace(batch, **{n: getattr(batch, n)[rows] for n in _FIELDS})


def counted(batch: Batch) -> list[list[int]]:
    """What counts, as a witness marks it."""
    out: list[list[int]] = batch.mask.int().tolist()
    return out


def mask(case: Case, finding: Finding) -> Iterator[Witness]:
    """The coefficient of a masked token must be 0; what stands there must not reach the others."""
    for batch in masked():
        counts = batch.mask
        hidden = (counts == 0).int().tolist()
        zero = hexed(torch.zeros_like(counts))
        yield Witness(rule="equal", calls=[call_of(batch)], expected=zero, where=hidden, slack=1e-9, size=1e-3)
        moved = replace(
            batch,
            policy=batch.policy + math.log(0.5) * (1 - counts),
            reference=batch.reference + math.log(0.8) * (1 - counts),
        )
        yield _same(batch, moved, counted(batch), max(1e-9, case.tolerance))


def masked() -> Iterator[Batch]:
    """Batches whose last token, or whose last tokens, do not count; then one with other tokens first."""
    for shape in ((1, 2), (2, 2), (3, 4)):
        for tokens in (ON_POLICY, OFF_POLICY):
            cycle = [tokens[i % len(tokens)] for i in range(shape[0] * shape[1])]
            batch = batch_of(cycle, shape)
            batch.mask[-1, shape[1] // 2 :] = 0.0
            yield batch
    for lengths in ((1, 2), (2, 1, 3)):
        batch = ragged_of(lengths, max(lengths))
        yield batch
        yield mirrored(batch)


def nonfinite(case: Case, finding: Finding) -> Iterator[Witness]:
    """What is not finite at a masked position must not reach the others."""
    for batch in masked():
        for fill in (math.nan, -math.inf):
            hidden = batch.mask == 0
            names = ("policy", "reference", "sampler")
            filled = replace(batch, **{n: getattr(batch, n).masked_fill(hidden, fill) for n in names})
            yield _same(batch, filled, counted(batch), max(1e-9, case.tolerance))


def padding(case: Case, finding: Finding) -> Iterator[Witness]:
    """The same tokens in a batch padded further, on the right or, where a prompt precedes them, on the left."""
    slack = max(1e-9, 10 * case.tolerance)
    full = [(t,) * b for b, t in SHAPES]
    for tokens in (ON_POLICY, OFF_POLICY):
        for lengths in (*full, (2, 1), (3, 1), (4, 2, 1)):
            short, wide = (ragged_of(lengths, max(lengths) + n, tokens) for n in (0, 1))
            yield _same(short, wide, counted(short), slack)
            yield _same(short, ragged_of(lengths, max(lengths) + 3, tokens), counted(short), slack)
            frame = case.subject.convention.frame
            if frame is not None and frame.layout == "shifted":
                led = mirrored(wide)
                yield _same(wide, led, None, slack, counted(wide), counted(led))


def coupling(case: Case, finding: Finding) -> Iterator[Witness]:
    """Other numbers in the other sequences must not move the first."""
    slack = max(1e-9, case.tolerance)
    for n, t in ((2, 1), (2, 2), (3, 1), (3, 2)):
        for tokens in (ON_POLICY, OFF_POLICY):
            one = batch_of([tokens[i % 4] for i in range(n * t)], (n, t))
            two = batch_of([tokens[i % 4] for i in range(t)] + [tokens[3 - i % 4] for i in range((n - 1) * t)], (n, t))
            yield _same(one, two, [[1] * t] + [[0] * t] * (n - 1), slack)
            # much further from the reference than the first is
            far = replace(one, reference=one.reference.clone())
            far.reference[1:] = one.policy[1:] - 3 * (one.policy - one.reference)[1:]
            yield _same(one, far, [[1] * t] + [[0] * t] * (n - 1), slack)
    for size in (1.0, 3.0):
        one = case.mild_batch
        yield _same(one, others(case, size), [[1] * one.shape[1]] + [[0] * one.shape[1]] * (one.shape[0] - 1), slack)


def order(case: Case, finding: Finding) -> Iterator[Witness]:
    """The same sequences in another order must learn the same."""
    slack = max(1e-9, 10 * case.tolerance)
    orders = ((2, [1, 0]), (3, [1, 2, 0]), (3, [1, 0, 2]), (4, [1, 2, 3, 0]), (4, [0, 2, 1, 3]))
    for ragged_too in (False, True) if case.subject.has(Role.MASK) else (False,):
        for n, to in orders:
            for t in (1, 2):
                for tokens in (ON_POLICY, OFF_POLICY):
                    lengths = tuple(1 + (b + 1) % 2 for b in range(n)) if ragged_too else (t,) * n
                    one = ragged_of(lengths, max(t, *lengths), tokens)
                    calls = [call_of(one), call_of(rows_of(one, to))]
                    yield Witness(rule="same", calls=calls, order=to, slack=slack, size=1e-30)


def alike(lengths: tuple[int, ...], width: int) -> Batch:
    """Sequences of tokens with the same numbers."""
    return ragged_of(lengths, width, ON_POLICY[:1])


def normalisation(case: Case, finding: Finding) -> Iterator[Witness]:
    """Tokens that are alike weigh as token-mean, seq-mean-token-mean, seq-mean-token-sum, a constant or a sum says."""
    one = [((2,), 2), ((3,), 3), ((2, 1), 2), ((1, 2), 2), ((3, 1), 3), ((4, 2), 4), ((2, 1, 1), 2), ((4, 2), 6)]
    two = [
        (((1,), 1), ((1, 1), 1)),
        (((1,), 1), ((2,), 2)),
        (((1, 1), 1), ((1, 1, 1), 1)),
        (((2, 1), 2), ((2, 2), 2)),
        (((2, 1), 2), ((2, 1), 3)),
        (((2, 1), 2), ((2, 1, 1), 2)),
        (((2, 1), 2), ((1, 2, 1, 2), 2)),
        (((4, 2), 4), ((4, 4), 4), ((4, 2, 2), 4), ((4, 2), 6), ((3, 1, 2, 3), 4)),
    ]
    for shapes in (*((s,) for s in one), *two):
        yield Witness(rule="weighed", calls=[call_of(alike(*s)) for s in shapes], slack=1e-5, size=1e-30)


def micro(case: Case, finding: Finding) -> Iterator[Witness]:
    """Micro-batches, told how many tokens the whole batch has, add up to the whole; no piece of a batch is its own."""
    names, steps = told_of(case.subject)
    slack = max(1e-7, 10 * case.tolerance)
    for lengths, cut in (((2, 1), 1), ((3, 1), 1), ((4, 3, 1, 2), 2)) if names else ():
        batch = ragged_of(lengths, max(lengths))
        tokens = {n: int(batch.mask.sum()) for n in names}
        parts = [rows_of(batch, list(range(cut))), rows_of(batch, list(range(cut, len(lengths))))]
        calls = [call_of(batch, fixed=tokens | dict.fromkeys(steps, 1))]
        calls += [call_of(p, fixed=tokens | dict.fromkeys(steps, 2)) for p in parts]
        yield Witness(rule="same", calls=calls, joined=True, slack=slack, size=1e-30)
    yield from order(case, finding)


def shift(case: Case, finding: Finding) -> Iterator[Witness]:
    """A constant added to all logits of a position changes neither gradient nor value."""
    slack = max(1e-9, 10 * case.tolerance)
    for t in (1, 2, 3):
        for tokens in (ON_POLICY, OFF_POLICY):
            batch = batch_of([tokens[i % 4] for i in range(t)], (1, t))
            n = case.subject.logits(batch).shape[1]
            by: list[dict[str, Any]] = [{"shift": [(x * i).hex() for i in range(n, 0, -1)]} for x in (0.0, 1.0)]
            calls = [call_of(batch, **x) for x in by]
            if case.placement != "reward":
                yield Witness(rule="same", calls=calls, look="logits", slack=slack, size=1e-6)
            yield Witness(rule="same", calls=calls, look="value", slack=slack, size=1e-6)


def alignment(case: Case, finding: Finding) -> Iterator[Witness]:
    """The gradient at the logits of a position runs along the score of its own token; where none is scored it is 0."""
    frame = case.subject.convention.frame
    if frame is None:
        return
    near = max(1e-7, 10 * case.tolerance)
    for b, t in ((1, 1), (1, 2), (1, 3), (2, 2), (3, 4)):
        for tokens in (ON_POLICY, OFF_POLICY):
            batch = batch_of([tokens[i % 4] for i in range(b * t)], (b, t))
            logits = case.subject.logits(batch).detach().double()
            n, size = logits.shape[1:]
            rest = rest_of(batch.policy, batch.reference, batch.sampler, None, case.subject.convention.variant)
            own = torch.zeros(b, n, size, dtype=torch.float64)
            own[:, :t] = torch.nn.functional.one_hot(rest.tokens, size) - logits[:, :t].exp()
            if n > t:
                beyond = torch.zeros(b, n, size, dtype=torch.int64)
                beyond[:, t:] = 1
                yield Witness(
                    rule="equal",
                    calls=[call_of(batch)],
                    look="logits",
                    expected=hexed(torch.zeros_like(own).flatten(0, 1)),
                    where=beyond.flatten(0, 1).tolist(),
                    slack=near,
                    size=0.1,
                )
            within = torch.zeros(b, n, size, dtype=torch.int64)
            within[:, :t] = 1
            score = own.clone()
            score[:, t:] = 1.0  # no row may be 0, and these are not looked at
            yield Witness(
                rule="along",
                calls=[call_of(batch)],
                look="logits",
                expected=hexed(score.flatten(0, 1)),
                where=within.flatten(0, 1).tolist(),
                slack=near,
                size=1e-12,
            )


def _same(
    one: Batch,
    two: Batch,
    where: list[list[int]] | None,
    slack: float,
    first: list[list[int]] | None = None,
    second: list[list[int]] | None = None,
) -> Witness:
    calls = [call_of(one, where=first), call_of(two, where=second)]
    return Witness(rule="same", calls=calls, where=where, slack=slack, size=1e-30)
