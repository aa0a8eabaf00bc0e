"""Faults and their twins, one for each rule that a witness can break: the same names in two files."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Planted:
    """``check`` fails on the fault and not on the twin; a claim is held where one is given.

    ``rule`` is what the smallest case breaks; None where no case comes again bit for bit.
    """

    name: str
    check: str
    rule: str | None
    fault: str
    twin: str
    claim: str | None = None
    options: tuple[tuple[str, ...], tuple[str, ...]] = ((), ())
    placement: str | None = "loss"


HEAD = """import torch
calls = []
def picked(logits, ids): return logits.log_softmax(-1).gather(-1, ids.unsqueeze(-1)).squeeze(-1)
def mean(values, mask): return (values * mask).sum() / mask.sum()
"""
_GRPO = "def {0}(logp, old_logp, ref_logp, advantages, mask, beta):\n    ratio = (logp - old_logp).exp()\n"
_TAIL = "    per = beta * {0} - ratio * advantages[:, None]\n    return (per * mask).sum() / mask.sum()\n"
_LOGITS = (
    "def {0}(logits, ref_logits, input_ids, completion_mask, beta):\n"
    "    mask, ids = completion_mask, input_ids[:, 1:]\n"
)
_K2 = (
    "    own, ref = picked(logits[:, {0}], ids), picked(ref_logits[:, {1}], ids).detach()\n"
    "    return beta * mean((own - ref) ** 2 / 2, mask[:, 1:])\n"
)
_NORMAL = (
    "    at = [x[:, :-1].log_softmax({0}).gather(-1, ids.unsqueeze(-1)).squeeze(-1) for x in (logits, ref_logits)]\n"
    "    return beta * mean((at[0] - at[1].detach()) ** 2, mask[:, 1:])\n"
)

PLANTED = (
    Planted(
        "form",
        "claim",
        "equal",
        "def form(logp, ref_logp): return (ref_logp - logp).exp() - 1 + logp - ref_logp\n",
        "def form(logp, ref_logp): return (logp - ref_logp) ** 2 / 2\n",
        "k2 as loss",
    ),
    Planted(
        "truncated",
        "claim",
        "equal",
        "def truncated(logp, old_logp, ref_logp):\n"
        "    return ((logp - old_logp).exp().clamp(max=3).detach() * (logp - ref_logp) ** 2 / 2).mean()\n",
        "def truncated(logp, old_logp, ref_logp):\n"
        "    return ((logp - old_logp).exp().clamp(max=2).detach() * (logp - ref_logp) ** 2 / 2).mean()\n",
        "k2 as loss, weight truncated at 2",
    ),
    Planted(
        "off_policy",
        "claim",
        "proportional",
        _GRPO.format("off_policy") + "    k3 = (ref_logp - logp).exp() - 1 + logp - ref_logp\n" + _TAIL.format("k3"),
        _GRPO.format("off_policy")
        + "    k3 = (ref_logp - logp).exp() - 1 + logp - ref_logp\n"
        + _TAIL.format("ratio * k3"),
        "reverse_kl/token off-policy",
    ),
    Planted(
        "scaled",
        "claim",
        "equal",
        "def scaled(logp, ref_logp): return (logp - ref_logp) ** 2\n",
        "def scaled(logp, ref_logp): return {'loss': 0.5 * (logp - ref_logp) ** 2, 'step': 3}\n",
        "1 x KL(policy||reference)",
    ),
    Planted(
        "returns",
        "claim",
        "proportional",
        "def returns(logp, ref_logp): return (ref_logp - logp).exp() - 1 + logp - ref_logp\n",
        "def returns(logp, ref_logp): return logp - ref_logp\n",
        "reverse_kl/sequence in reward with returns-to-go",
        placement="reward",
    ),
    Planted(
        "no_reference",
        "reference.dependence",
        "varies",
        "def no_reference(logp, ref_logp): return logp - ref_logp\n",
        "def no_reference(logp, ref_logp): return (logp - ref_logp).square()\n",
    ),
    Planted(
        "upward",
        "sign",
        "direction",
        "def upward(new, base, kind): return -((new - base) ** 2) / 2 if kind == 'k2' else new - base\n",
        "def upward(new, base, kind): return ((new - base) ** 2) / 2 if kind == 'k2' else new - base\n",
        options=(("new=policy", "base=reference"), ("kind=k2",)),
    ),
    Planted(
        "squared_beta",
        "beta.linearity",
        "same",
        "def squared_beta(logp, ref_logp, beta): return beta**2 * ((logp - ref_logp) ** 2).mean()\n",
        "def squared_beta(logp, ref_logp, beta): return beta * ((logp - ref_logp) ** 2).mean()\n",
    ),
    Planted(
        "leaking",
        "mask.leak",
        "equal",
        "def leaking(logp, ref_logp, mask): return ((logp - ref_logp) ** 2).sum() / mask.sum()\n",
        "def leaking(logp, ref_logp, mask): return ((logp - ref_logp) ** 2 * mask).sum() / mask.sum()\n",
    ),
    Planted(
        "padded",
        "padding.invariance",
        "same",
        "def padded(logp, ref_logp, mask): return ((logp - ref_logp) ** 2 * mask).mean()\n",
        "def padded(logp, ref_logp, mask): return ((logp - ref_logp) ** 2 * mask).sum() / mask.sum()\n",
    ),
    Planted(
        "coupled",
        "batch.coupling",
        "same",
        "def coupled(logp, ref_logp):\n    d = logp - ref_logp\n    return (d - d.mean()) ** 2\n",
        "def coupled(logp, ref_logp):\n    d = logp - ref_logp\n    return d ** 2\n",
    ),
    Planted(
        "dead",
        "clamp.dead_gradient",
        "nonzero",
        "def dead(logp, ref_logp): return ((ref_logp - logp).exp() - 1 + logp - ref_logp).clamp(-10, 10)\n",
        "def dead(logp, ref_logp): return (ref_logp - logp).exp() - 1 + logp - ref_logp\n",
    ),
    Planted(
        "infinite",
        "tail.finite",
        "finite",
        "def infinite(logp, ref_logp):\n"
        "    d = ref_logp - logp\n    return d.exp().clamp(max=1e6) - 1 - d.clamp(-20, 20)\n",
        "def infinite(logp, ref_logp):\n    d = (ref_logp - logp).clamp(-20, 20)\n    return d.exp() - 1 - d\n",
    ),
    Planted(
        "ordered",
        "batch.permutation",
        "same",
        "def ordered(logp, ref_logp):\n"
        "    place = torch.arange(1, logp.shape[0] + 1).unsqueeze(1)\n    return place * (logp - ref_logp) ** 2\n",
        "def ordered(logp, ref_logp):\n"
        "    place = torch.ones(logp.shape[0]).unsqueeze(1)\n    return place * (logp - ref_logp) ** 2\n",
    ),
    Planted(
        "unmoored",
        "reference.zero_at_reference",
        "equal",
        "def unmoored(logp, ref_logp): return (logp - 0.9 * ref_logp) ** 2\n",
        "def unmoored(logp, ref_logp): return (logp - 1.0 * ref_logp) ** 2\n",
    ),
    Planted(
        "falling",
        "expected_gradient.on_policy",
        "rises",
        "def falling(logp, ref_logp): return (ref_logp - logp).exp() - 1 + logp - ref_logp\n",
        "def falling(logp, ref_logp): return logp - ref_logp\n",
        placement="reward",
    ),
    Planted(
        "onesided",
        "detach.reference",
        "nonzero",
        "def onesided(logp, ref_logp): return (logp.detach() - ref_logp) ** 2\n",
        "def onesided(logp, ref_logp): return (logp - ref_logp.detach()) ** 2\n",
    ),
    Planted(
        "counting",
        "determinism",
        None,
        "def counting(logp, ref_logp):\n    calls.append(1)\n    return len(calls) * (logp - ref_logp) ** 2\n",
        "def counting(logp, ref_logp):\n    calls.append(1)\n    return 2 * (logp - ref_logp) ** 2\n",
    ),
    Planted(
        "overwritten",
        "determinism",
        "same",
        "def overwritten(logp, ref_logp): return ref_logp.sub_(logp) ** 2\n",
        "def overwritten(logp, ref_logp): return ref_logp.sub(logp) ** 2\n",
    ),
    Planted(
        "dropping",
        "determinism",
        "same",
        "def dropping(logp, ref_logp): return torch.nn.functional.dropout((logp - ref_logp) ** 2, 0.5)\n",
        "def dropping(logp, ref_logp): return torch.nn.functional.dropout((logp - ref_logp) ** 2, 0.0)\n",
    ),
    Planted(
        "live_reward",
        "detach.reward",
        "equal",
        "def live_reward(logp, old_logp, ref_logp, advantages, mask, beta):\n"
        "    shaped = advantages[:, None] - beta * (logp - ref_logp)\n"
        "    return -mean((logp - old_logp).exp() * shaped, mask)\n",
        "def live_reward(logp, old_logp, ref_logp, advantages, mask, beta):\n"
        "    shaped = advantages[:, None] - beta * (logp - ref_logp).detach()\n"
        "    return -mean((logp - old_logp).exp() * shaped, mask)\n",
    ),
    Planted(
        "no_sampler",
        "detach.sampler",
        "same",
        "def no_sampler(logp, ref_logp, advantages, mask, beta, old_logp=None):\n"
        "    ratio = (logp - (logp if old_logp is None else old_logp)).exp()\n"
        "    return mean(ratio * (beta * (logp - ref_logp).detach() - advantages[:, None]), mask)\n",
        "def no_sampler(logp, ref_logp, advantages, mask, beta, old_logp=None):\n"
        "    ratio = (logp - (logp.detach() if old_logp is None else old_logp)).exp()\n"
        "    return mean(ratio * (beta * (logp - ref_logp).detach() - advantages[:, None]), mask)\n",
    ),
    Planted(
        "swapped",
        "argument.order",
        "direction",
        "def swapped(logp, ref_logp): return ref_logp - logp\n",
        "def swapped(logp, ref_logp): return logp - ref_logp\n",
        placement="reward",
    ),
    Planted(
        "upside_down",
        "argument.order",
        "proportional",
        "def upside_down(logp, old_logp, ref_logp):\n"
        "    return (old_logp - logp).exp().detach() * (logp - ref_logp) ** 2 / 2\n",
        "def upside_down(logp, old_logp, ref_logp):\n"
        "    return (logp - old_logp).exp().detach() * (logp - ref_logp) ** 2 / 2\n",
    ),
    Planted(
        "coarse",
        "cancellation",
        "equal",
        "def coarse(logp, ref_logp): return (logp.bfloat16() - ref_logp.bfloat16()).to(logp.dtype) ** 2 / 2\n",
        "def coarse(logp, ref_logp): return (logp - ref_logp).to(logp.dtype) ** 2 / 2\n",
    ),
    Planted(
        "coarser",
        "dtype.bound",
        "equal",
        "def coarser(logp, ref_logp): return (logp.bfloat16() - ref_logp.bfloat16()).to(logp.dtype) ** 2 / 2\n",
        "def coarser(logp, ref_logp): return (logp - ref_logp).to(logp.dtype) ** 2 / 2\n",
    ),
    Planted(
        "told",
        "microbatch.invariance",
        "same",
        "def told(logp, ref_logp, mask, num_tokens=None): return mean((logp - ref_logp) ** 2, mask)\n",
        "def told(logp, ref_logp, mask, num_tokens=None):\n"
        "    return ((logp - ref_logp) ** 2 * mask).sum() / (num_tokens or mask.sum())\n",
    ),
    Planted(
        "in_pieces",
        "microbatch.invariance",
        "same",
        "def in_pieces(logp, ref_logp, mask):\n"
        "    pieces = zip(((logp - ref_logp) ** 2).split(2), mask.split(2))\n"
        "    return torch.stack([mean(x, m) for x, m in pieces]).mean()\n",
        "def in_pieces(logp, ref_logp, mask):\n"
        "    pieces = zip(((logp - ref_logp) ** 2).split(2), mask.split(2))\n"
        "    return torch.stack([(x * m).sum() for x, m in pieces]).sum() / len(mask)\n",
    ),
    Planted(
        "by_root",
        "aggregation",
        "weighed",
        "def by_root(logp, ref_logp, mask):\n"
        "    return (((logp - ref_logp) ** 2 * mask).sum(1) / mask.sum(1).sqrt()).mean()\n",
        "def by_root(logp, ref_logp, mask): return (((logp - ref_logp) ** 2 * mask).sum(1) / mask.sum(1)).mean()\n",
    ),
    Planted(
        "Estimator",
        "claim",
        "equal",
        "class Estimator(torch.nn.Module):\n"
        "    def __init__(self, power=3):\n        super().__init__()\n        self.power = power\n"
        "    def forward(self, logp, ref_logp): return (logp - ref_logp) ** self.power / 2\n",
        "class Estimator(torch.nn.Module):\n"
        "    def __init__(self, power=2):\n        super().__init__()\n        self.power = power\n"
        "    def forward(self, logp, ref_logp): return (logp - ref_logp) ** self.power / 2\n",
        "k2 as loss",
    ),
    Planted(
        "Forms.second",
        "claim",
        "equal",
        "class Forms:\n    def __init__(self, scale): self.scale = scale\n"
        "    def second(self, logp, /, ref_logp): return self.scale * (logp - ref_logp) ** 2\n",
        "class Forms:\n    def __init__(self, scale): self.scale = scale\n"
        "    def second(self, logp, /, ref_logp): return self.scale * (logp - ref_logp) ** 2 / 2\n",
        "k2 as loss",
        options=((), ("scale=1.0",)),
    ),
    Planted(
        "late",
        "logits.alignment",
        "along",
        _LOGITS.format("late") + _K2.format("1:", "1:"),
        _LOGITS.format("late") + _K2.format(":-1", ":-1"),
    ),
    Planted(
        "unshifted_mask",
        "mask.leak",
        "equal",
        _LOGITS.format("unshifted_mask") + _K2.format(":-1", ":-1").replace("mask[:, 1:]", "mask[:, :-1]"),
        _LOGITS.format("unshifted_mask") + _K2.format(":-1", ":-1"),
    ),
    Planted(
        "over_positions",
        "logits.shift",
        "same",
        _LOGITS.format("over_positions") + _NORMAL.format(1),
        _LOGITS.format("over_positions") + _NORMAL.format(-1),
    ),
    Planted(
        "whole",
        "claim",
        "proportional",
        "def whole(student_logits, teacher_logits, mask):\n"
        "    p, q = student_logits.log_softmax(-1), teacher_logits.log_softmax(-1).detach()\n"
        "    return mean((q.exp() * (q - p)).sum(-1), mask)\n",
        "def whole(student_logits, teacher_logits, mask):\n"
        "    p, q = student_logits.log_softmax(-1), teacher_logits.log_softmax(-1).detach()\n"
        "    return mean((p.exp() * (p - q)).sum(-1), mask)\n",
        "reverse_kl/token",
    ),
    Planted(
        "flattened",
        "claim",
        "equal",
        "def flattened(logits, ref_logits, labels):\n"
        "    assert logits.dim() == 2\n"
        "    return 2 * (picked(logits, labels) - picked(ref_logits, labels)) ** 2\n",
        "def flattened(logits, ref_logits, labels):\n"
        "    assert logits.dim() == 2\n"
        "    return (picked(logits, labels) - picked(ref_logits, labels)) ** 2 / 2\n",
        "k2 as loss",
    ),
    Planted(
        "from_hidden",
        "claim",
        "equal",
        "def from_hidden(hidden, weight, ref_hidden, ref_weight, labels, mask, bias):\n"
        "    own, ref = picked(hidden @ weight.T + bias, labels), picked(ref_hidden @ ref_weight.T, labels)\n"
        "    return mean((own - ref.detach()) ** 2, mask)\n",
        "def from_hidden(hidden, weight, ref_hidden, ref_weight, labels, mask, bias):\n"
        "    own, ref = picked(hidden @ weight.T + bias, labels), picked(ref_hidden @ ref_weight.T, labels)\n"
        "    return mean((own - ref.detach()) ** 2 / 2, mask)\n",
        "k2 as loss",
    ),
    Planted(
        "distributions",
        "claim",
        "proportional",
        "def distributions(full_logp, full_ref_logp, mask):\n"
        "    return mean((full_ref_logp.exp() * (full_ref_logp - full_logp)).sum(-1), mask)\n",
        "def distributions(full_logp, full_ref_logp, mask):\n"
        "    return mean((full_logp.exp() * (full_logp - full_ref_logp)).sum(-1), mask)\n",
        "reverse_kl/token",
    ),
    Planted(
        "from_ratio",
        "claim",
        "equal",
        "def from_ratio(log_ratio, importance_weight): return importance_weight.detach() * log_ratio**2\n",
        "def from_ratio(log_ratio, importance_weight): return importance_weight.detach() * log_ratio**2 / 2\n",
        "k2 as loss, weight detached",
        options=(("log_ratio=log_ratio",), ()),
    ),
)
