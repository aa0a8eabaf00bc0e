"""PyTorch functions that the tests audit: right ones, and one fault each."""

from __future__ import annotations

import torch
from torch import Tensor


def k3(logp: Tensor, ref_logp: Tensor) -> Tensor:
    return torch.exp(ref_logp - logp) - 1 - (ref_logp - logp)


def k3_careful(logp: Tensor, ref_logp: Tensor) -> Tensor:
    return torch.expm1(ref_logp - logp) - (ref_logp - logp)


def k2(logp: Tensor, ref_logp: Tensor) -> Tensor:
    return 0.5 * (logp - ref_logp) ** 2


def k1(logp: Tensor, ref_logp: Tensor) -> Tensor:
    return logp - ref_logp


def k3_swapped(logp: Tensor, ref_logp: Tensor) -> Tensor:
    return torch.exp(logp - ref_logp) - 1 - (logp - ref_logp)


def k3_ascending(logp: Tensor, ref_logp: Tensor) -> Tensor:
    value = k3(logp, ref_logp)
    return 2 * value.detach() - value


def k3_value_k2_gradient(logp: Tensor, ref_logp: Tensor) -> Tensor:
    second = k2(logp, ref_logp)
    return k3(logp, ref_logp).detach() + second - second.detach()


def k3_detached(logp: Tensor, ref_logp: Tensor) -> Tensor:
    return k3(logp, ref_logp).detach() + 0.0 * logp


def k3_clamped(logp: Tensor, ref_logp: Tensor) -> Tensor:
    return torch.clamp(k3(logp, ref_logp), max=10.0)


def k3_in_16_bits(logp: Tensor, ref_logp: Tensor) -> Tensor:
    return k3(logp.bfloat16(), ref_logp.bfloat16()).to(logp.dtype)


def k3_slightly_off(logp: Tensor, ref_logp: Tensor) -> Tensor:
    return 1.0005 * k3(logp, ref_logp)


def k3_weighted(logp: Tensor, old_logp: Tensor, ref_logp: Tensor) -> Tensor:
    return torch.exp(logp - old_logp) * k3(logp, ref_logp)


def k3_weight_detached(logp: Tensor, old_logp: Tensor, ref_logp: Tensor) -> Tensor:
    return torch.exp(logp - old_logp).detach() * k3(logp, ref_logp)


def k3_raising(logp: Tensor, ref_logp: Tensor) -> Tensor:
    if logp.shape[0] > 10:
        raise RuntimeError("too many rows")
    return k3(logp, ref_logp)


def full_kl(logits: Tensor, ref_logits: Tensor) -> Tensor:
    a, b = logits.log_softmax(-1), ref_logits.log_softmax(-1)
    return (a.exp() * (a - b)).sum(-1)


def full_kl_detached_weight(logits: Tensor, ref_logits: Tensor) -> Tensor:
    a, b = logits.log_softmax(-1), ref_logits.log_softmax(-1)
    return (a.exp().detach() * (a - b)).sum(-1)


def full_forward_kl(logits: Tensor, ref_logits: Tensor) -> Tensor:
    a, b = logits.log_softmax(-1), ref_logits.log_softmax(-1)
    return (b.exp() * (b - a)).sum(-1)


def k3_on_logits(logits: Tensor, labels: Tensor, ref_logp: Tensor) -> Tensor:
    logp = logits.log_softmax(-1).gather(-1, labels[..., None])[..., 0]
    return k3(logp, ref_logp)


def hidden_kl(hidden: Tensor, weight: Tensor, ref_logits: Tensor) -> Tensor:
    return full_kl(hidden @ weight.T, ref_logits)


def loss(logp: Tensor, ref_logp: Tensor, advantages: Tensor, beta: float) -> Tensor:
    policy = -(torch.exp(logp - logp.detach()) * advantages[:, None])
    return (policy + beta * k3(logp, ref_logp)).mean()


def full_kl_upcast(logits: Tensor, ref_logits: Tensor) -> Tensor:
    return full_kl(logits.float(), ref_logits.float())


def k3_on_logits_upcast(logits: Tensor, labels: Tensor, ref_logp: Tensor) -> Tensor:
    return k3_on_logits(logits.float(), labels, ref_logp)


def _both(logits: Tensor, ref_logits: Tensor) -> tuple[Tensor, Tensor]:
    return logits.softmax(-1), ref_logits.softmax(-1)


def full_js(logits: Tensor, ref_logits: Tensor) -> Tensor:
    p, q = _both(logits, ref_logits)
    m = (p + q) / 2
    return 0.5 * (p * (p / m).log() + q * (q / m).log()).sum(-1)


def full_tv(logits: Tensor, ref_logits: Tensor) -> Tensor:
    p, q = _both(logits, ref_logits)
    return 0.5 * (p - q).abs().sum(-1)


def full_hellinger(logits: Tensor, ref_logits: Tensor) -> Tensor:
    p, q = _both(logits, ref_logits)
    return 0.5 * ((p.sqrt() - q.sqrt()) ** 2).sum(-1)


def full_chi2(logits: Tensor, ref_logits: Tensor) -> Tensor:
    p, q = _both(logits, ref_logits)
    return 0.5 * ((p - q) ** 2 / q).sum(-1)


def full_jeffreys(logits: Tensor, ref_logits: Tensor) -> Tensor:
    a, b = logits.log_softmax(-1), ref_logits.log_softmax(-1)
    return ((a.exp() - b.exp()) * (a - b)).sum(-1)
