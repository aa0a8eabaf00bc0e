"""Faults and their twins, one for each rule that a witness can break: the same names in two files."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Planted:
    """``check`` fails on the fault and not on the twin; a claim is held where one is given."""

    name: str
    check: str
    rule: str | None
    fault: str
    twin: str
    claim: str | None = None
    options: tuple[tuple[str, ...], tuple[str, ...]] = ((), ())
    placement: str | None = "loss"


HEAD = "import torch\ncalls = []\n"
_GRPO = "def {0}(logp, old_logp, ref_logp, advantages, mask, beta):\n    ratio = (logp - old_logp).exp()\n"
_TAIL = "    per = beta * {0} - ratio * advantages[:, None]\n    return (per * mask).sum() / mask.sum()\n"

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
)
