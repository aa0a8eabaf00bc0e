"""batch.permutation: the order of the sequences in a batch must not matter."""

from __future__ import annotations

from dataclasses import replace

import torch

from oracle.case import Case
from oracle.checks.registry import Answer, check, passed, skipped
from oracle.probing.signal import kl_part
from oracle.subject.batch import Batch
from oracle.subject.roles import Role

_ORDERS = ((1, 0, 2), (1, 2, 0))
"""All orders of three sequences are made of these."""


@check(
    "batch.permutation",
    question="Does each sequence learn the same in whatever order the batch stands?",
    severity="warning",
    failure="what a sequence learns depends on its place in the batch",
    remedy="reduce over the whole batch at once, and along the token axis where a sequence's own tokens are meant",
    no_theorem="the order of a batch is a matter of the code's arrays; no objective knows of it",
)
def batch_permutation(case: Case) -> Answer:
    """Two sequences exchanged, and all three moved on; of unequal lengths where there is a mask."""
    if case.subject.has(Role.MASK):
        batch, signal = case.ragged_batch, case.ragged_signal.coefficient
    else:
        batch, signal = case.mild_batch, case.mild_signal.coefficient
    size = float(signal.abs().max())
    if not size > case.noise:
        return skipped("there is no gradient that an order could change")
    for order in _ORDERS:
        there = kl_part(case.subject, case.placement, _ordered(batch, order)).coefficient
        change = float((there - signal[list(order)]).abs().max()) / size
        if not change <= max(1e-9, 10 * case.tolerance):
            return Answer(
                "fail",
                f"in the order {', '.join(map(str, order))} the gradient changes by {change:.2%}",
                "tested",
                {"order": list(order), "change": change},
            )
    return passed("sequences exchanged, and all moved on by one, learn the same")


def _ordered(batch: Batch, order: tuple[int, ...]) -> Batch:
    index = torch.tensor(order)
    return replace(
        batch,
        policy=batch.policy[index],
        reference=batch.reference[index],
        sampler=batch.sampler[index],
        mask=batch.mask[index],
        advantages=batch.advantages[index],
    )
