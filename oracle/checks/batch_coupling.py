"""batch.coupling: what one sequence learns must not depend on the numbers of the others."""

from __future__ import annotations

import dataclasses

from oracle.case import Case
from oracle.checks.registry import Answer, check, passed
from oracle.probing.signal import kl_part
from oracle.records import Evidence
from oracle.subject.batch import Batch, mild

_SIZES = (1.0, 6.0, 0.1)
"""The others' log-ratios: as large as the first sequence's, far larger and far smaller, so that ranks change too."""


@check(
    "batch.coupling",
    question="Is the gradient of a sequence independent of the other sequences' log-probabilities?",
    severity="warning",
    failure="the gradient of a sequence depends on the other sequences of its batch",
    remedy="take statistics over the batch out of the KL term, or detach and declare them",
    theorems=("group-centring.self-inclusive",),
)
def batch_coupling(case: Case) -> Answer:
    """theory 6: centring by a mean that includes the sequence shrinks its KL gradient by 1 - 1/n."""
    one = case.mild_signal.coefficient[0]
    size = max(float(one.abs().max()), case.noise)
    evidence: Evidence = "proved" if case.field is not None else "tested"
    for size_of_others in _SIZES:
        batch = others(case, size_of_others)
        change = float((one - kl_part(case.subject, case.placement, batch).coefficient[0]).abs().max())
        if change <= max(1e-9, case.tolerance) * size:
            continue
        if _only_a_baseline(case):
            return passed(
                "other sequences enter as a baseline alone; the expected gradient is without them",
                "proved",
                ["score-identity"],
            )
        return Answer(
            "fail",
            f"other numbers in sequences 1 and 2 move the gradient of sequence 0 by {change / size:.2%}",
            evidence,
            {"sequence": 0, "change": change / size},
        )
    return passed("other sequences' numbers change nothing", evidence)


def others(case: Case, size: float) -> Batch:
    """The mild batch with other numbers in all sequences but the first, their log-ratios ``size`` times the usual."""
    batch = case.mild_batch
    moved = mild(*batch.shape, seed=case.options.seed + 31)
    policy = moved.policy.clone()
    reference = policy - size * (policy - moved.reference)
    sampler = policy - size * (policy - moved.sampler)
    for kept, new in ((batch.policy, policy), (batch.reference, reference), (batch.sampler, sampler)):
        new[0] = kept[0]
    return dataclasses.replace(batch, policy=policy, reference=reference, sampler=sampler)


def _only_a_baseline(case: Case) -> bool:
    """Whether the objective is proved to be the same in batches of 2 and of 3 (leave-one-out), on- and off-policy."""
    return all(r is not None and r.evidence == "proved" for r in (case.on_policy, case.off_policy))
