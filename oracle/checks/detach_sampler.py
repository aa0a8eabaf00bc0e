"""detach.sampler: the sampler's log-probabilities are numbers, also where the code makes them from the policy's."""

from __future__ import annotations

from dataclasses import replace

import torch

from oracle.case import Case
from oracle.checks.registry import Answer, check, passed, skipped
from oracle.errors import SubjectError
from oracle.probing.exchange import flows
from oracle.probing.signal import kl_part, once
from oracle.subject.batch import Batch
from oracle.subject.binding import parameters_of
from oracle.subject.roles import Role
from oracle.subject.subject import Subject


@check(
    "detach.sampler",
    question="Is the sampler a constant of the loss, also where the policy stands in for it?",
    severity="error",
    failure="the importance weight carries no gradient into the policy",
    remedy="where no sampler is given, use logp.detach() for it: the weight is then 1 and still has a gradient",
    theorems=("k3-loss.differentiated",),
)
def detach_sampler(case: Case) -> Answer:
    """The whole gradient with drawn advantages, the sampler given and left out (where its parameter may be None).

    Beside it the gradient without the KL term: a KL term of its own may hide that the policy gradient is lost.
    """
    if case.placement == "reward":
        return skipped("a penalty in reward carries no gradient of its own")
    if not case.subject.hears_sampler:
        return skipped("no parameter plays the sampler")
    batch = _with_advantages(case.mild_batch, case.options.seed)
    whole, rest = (flows(case.subject, case.placement, b, kl_alone=False) for b in (batch, batch.with_beta(0.0)))
    for what, flow in (("the gradient", whole), ("apart from the KL term the gradient", rest)):
        if flow.policy <= case.noise < flow.sampler:
            return Answer(
                "fail",
                f"{what} reaches the sampler (largest at a token {flow.sampler:.3g}), and not the policy",
                "tested",
                {"policy": 0.0, "sampler": flow.sampler},
                theorems=(),
            )
    alone = _without_sampler(case.subject)
    if alone is None:
        if whole.policy <= case.noise:
            return skipped("no gradient reaches the policy or the sampler")
        return passed("the weight's gradient is the policy's; the sampler is always given")
    home = replace(batch, sampler=batch.policy)
    try:
        given, left = (once(s, case.placement, home).coefficient for s in (case.subject, alone))
        given_kl, left_kl = (kl_part(s, case.placement, home).coefficient for s in (case.subject, alone))
        given_rest, left_rest = (
            once(s, case.placement, home.with_beta(0.0)).coefficient for s in (case.subject, alone)
        )
    except SubjectError:
        return skipped("it does not run without a sampler")
    for what, one, two in (
        ("gradient", given, left),
        ("KL part's gradient", given_kl, left_kl),
        ("gradient without the KL term", given_rest, left_rest),
    ):
        size = float(one.abs().max())
        if size > case.noise and not float(two.abs().max()) > 1e-9 * size:
            return Answer(
                "fail",
                f"without a sampler the {what} is 0, where policy = sampler gives {size:.3g}",
                "tested",
                {"expected": size, "actual": 0.0},
            )
    size = float(given_kl.abs().max())
    change = float((given_kl - left_kl).abs().max())
    if not change <= max(1e-9, case.tolerance) * max(size, 1e-30):
        return Answer(
            "fail",
            "without a sampler the KL part has another gradient than at policy = sampler "
            f"({change / max(size, 1e-30):.2%} off): its weight is 1, but has no gradient",
            "tested",
            {"change": change / max(size, 1e-30)},
            "note",
        )
    return passed("without a sampler the gradient is that at policy = sampler")


def _with_advantages(batch: Batch, seed: int) -> Batch:
    generator = torch.Generator().manual_seed(seed + 5)
    return replace(batch, advantages=0.5 + torch.rand(batch.shape[0], generator=generator, dtype=torch.float64))


def _without_sampler(subject: Subject) -> Subject | None:
    """The subject called with None for its sampler, where that is the parameter's default."""
    name = subject.binding.roles.get(Role.SAMPLER)
    stated = parameters_of(subject.target.function).get(name or "")
    return None if stated is None or stated.default is not None else subject.with_settings({str(name): None})
