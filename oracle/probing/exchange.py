"""The code as it would be with two of its arguments exchanged: what tells an order of arguments from a formula."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace

import torch
from jaxtyping import Float
from torch import Tensor

from oracle.subject.batch import Batch
from oracle.subject.roles import Role
from oracle.subject.subject import Placement, Subject


@dataclass(frozen=True)
class Exchanged(Subject):
    """A subject in which policy and ``other`` (reference or sampler) stand in each other's place.

    ``reflected``: only in the difference of the two, by giving 2 policy - other for ``other``, so that
    log(policy/other) changes its sign wherever it stands and everything else is as before. Otherwise the two parameters
    are given each other's numbers.
    """

    other: Role = Role.REFERENCE
    reflected: bool = True
    live: bool = True
    """Whether gradient flows through what is reflected: it does where the code differentiates the difference."""

    def result(self, batch: Batch, policy: Float[Tensor, "b t"]) -> Tensor:
        """As ``Subject.result``; gradient reaches the policy through the parameter it stands in."""
        theirs = (batch.reference if self.other is Role.REFERENCE else batch.sampler).to(policy.dtype)
        mine = 2 * (policy if self.live else policy.detach()) - theirs if self.reflected else policy
        changed = replace(batch, reference=mine) if self.other is Role.REFERENCE else replace(batch, sampler=mine)
        return super().result(changed, policy if self.reflected else theirs.clone())


def exchanged(subject: Subject, other: Role, reflected: bool = True, live: bool = True) -> Exchanged:
    """The subject with policy and ``other`` exchanged."""
    own = {f.name: getattr(subject, f.name) for f in fields(subject)}
    return Exchanged(**own, other=other, reflected=reflected, live=live)


@dataclass(frozen=True)
class Flows:
    """The largest gradient that reaches the policy, the reference and the sampler; 0 where none does."""

    policy: float
    reference: float
    sampler: float


def flows(subject: Subject, placement: Placement, batch: Batch, kl_alone: bool = True) -> Flows:
    """Where the gradient of the subject goes when all three log-probabilities ask for one.

    ``kl_alone``: of its KL part, the gradient at the batch's coefficient less that at 0; else of the whole.
    """
    at = _gradients(subject, batch)
    if kl_alone and subject.has(Role.BETA):
        at = at - _gradients(subject, batch.with_beta(0.0))
    return Flows(*(float(g.abs().max()) for g in at))


def _gradients(subject: Subject, batch: Batch) -> Float[Tensor, "3 b t"]:
    leaf = torch.stack([batch.policy, batch.reference, batch.sampler]).detach().requires_grad_()
    nothing = torch.zeros_like(leaf)
    with torch.enable_grad():
        policy, reference, sampler = leaf.unbind()
        live = replace(batch, policy=policy, reference=reference, sampler=sampler)
        result = subject.result(live, policy.to(subject.convention.dtype).clone())
        if not result.requires_grad:
            return nothing
        gradient = subject.derivative(result.sum() if subject.kind == "penalty" else result.mean(), leaf)
    return nothing if gradient is None else gradient
