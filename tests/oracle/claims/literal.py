"""Each form as one would write it in torch: autograd of this code is what a claim of the form is held against."""

from __future__ import annotations

from collections.abc import Callable

import torch
from hypothesis import strategies as st
from torch import Tensor

from oracle.case import Case, Options
from oracle.claims.claim import Form, Weight
from oracle.probing.aggregation import Aggregation, aggregation_of
from oracle.subject.binding import bind
from oracle.subject.subject import Convention, Subject, open_subject
from oracle.subject.target import Target
from proofs.estimators import ABS_K1, K1, K2, K3

Loss = Callable[[Tensor, Tensor, Tensor], Tensor]
_VALUES = {
    "k1": lambda x: x,
    "k2": lambda x: x**2 / 2,
    "k3": lambda x: torch.expm1(-x) + x,
    "abs": torch.abs,
}


def weight_of(weight: Weight, log_weight: Tensor) -> Tensor:
    """The weight of each token, before it is cut."""
    if weight.level == "token":
        return log_weight.exp()
    if weight.level == "prefix":
        return log_weight.cumsum(1).exp()
    whole = log_weight.sum(1, keepdim=True) if weight.level == "sequence" else log_weight.mean(1, keepdim=True)
    return whole.exp().expand_as(log_weight)


def loss_of(form: Form) -> Loss:
    """The sum over tokens of the form, as a whole loss."""

    def loss(logp: Tensor, old_logp: Tensor, ref_logp: Tensor) -> Tensor:
        k = _VALUES[form.estimator.name](logp - ref_logp)
        w = weight_of(form.weight, logp - old_logp)
        cut = w.clamp(form.weight.low, form.weight.high)
        total = logp.new_zeros(())
        if form.placement != "reward":
            total = total + {"none": k, "detached": cut.detach() * k}.get(form.weight.kind, cut * k).sum()
        if form.placement != "loss":
            r = (k.flip(1).cumsum(1).flip(1) if form.returns else k).detach()
            plain = {"none": r * logp, "detached": cut.detach() * r * logp, "differentiated": cut * r}
            total = total + plain.get(form.weight.kind, torch.maximum(w * r, cut * r)).sum()
        return total

    return loss


def case_of(function: Callable[..., Tensor], summed: bool = False) -> Case:
    """A whole loss with its signals alone: nothing was read, no objective named; ``summed`` leaves trying out too."""
    target, binding = Target("f", function, None), bind(function)
    if summed:
        subject = Subject(target, binding, Convention(), "loss")
        return Case(subject, "whole", Options(), aggregation=Aggregation("sum", per_sequence=False))
    subject = open_subject(target, binding)
    return Case(subject, "whole", Options(), aggregation=aggregation_of(subject))


def written(form: Form) -> str:
    """The claim that says the form."""
    w = form.weight
    parts = [{"loss": "as loss", "reward": "in reward", "both": "as loss and in reward"}[form.placement]]
    if w.kind != "none":
        kind = "" if w.kind == "surrogate" else f" {w.kind}"
        cut = f" clipped to {w.low}..{w.high}" if w.low else f" truncated at {w.high}" if w.cut else ""
        parts.append(f"weight {w.level}{kind}{cut}")
    return ", ".join([f"{form.estimator.name} {parts[0]}", *parts[1:], *(["returns-to-go"] if form.returns else [])])


@st.composite
def forms(draw: st.DrawFn) -> Form:
    """All that the language can say, with estimators by name."""
    placement = draw(st.sampled_from(["loss", "reward", "both"]))
    level = draw(st.sampled_from(["token", "prefix", "sequence", "geometric"]))
    kinds = ["none", "detached", "differentiated"] + (["surrogate"] if placement == "reward" else [])
    kind = draw(st.sampled_from(kinds))
    low, high = 0.0, float("inf")
    if kind == "surrogate" or (kind != "none" and placement != "both" and draw(st.booleans())):
        low = draw(st.sampled_from([0.5, 0.8] if kind == "surrogate" else [0.0, 0.5, 0.8]))
        high = draw(st.sampled_from([1.2, 2.0, 10.0]))
    weight = Weight() if kind == "none" else Weight(kind, level, low, high)
    returns = placement != "loss" and draw(st.booleans())
    return Form(draw(st.sampled_from([K1, K2, K3, ABS_K1])), placement, weight, returns)
