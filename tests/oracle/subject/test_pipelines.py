"""Reward pipelines: penalty -> rewards -> advantages -> surrogate, judged as the one loss they are.

Theory 4: k1 in reward with returns-to-go is the gradient of KL(policy||reference) of whole answers; without, of the
token level; a centred group of n answers with the own one in its mean shrinks it by 1 - 1/n.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

from oracle.api import identify_callable
from oracle.records import Verdict
from tests.oracle.judging import failed, said


def to_go(x: Tensor) -> Tensor:
    return x.flip(1).cumsum(1).flip(1)


def surrogate(logp: Tensor, old_logp: Tensor, advantages: Tensor, mask: Tensor) -> Tensor:
    ratio = (logp - old_logp).exp()
    clipped = ratio.clamp(0.8, 1.2)
    return (-torch.minimum(ratio * advantages, clipped * advantages) * mask).sum(1).mean()


def penalty(logp: Tensor, ref_logp: Tensor) -> Tensor:
    return logp - ref_logp


def on_the_last(rewards: Tensor, mask: Tensor) -> Tensor:
    last = (mask.cumsum(1) == mask.sum(1, keepdim=True)).to(mask.dtype) * mask
    return rewards[:, None] * last


def whole_answers(
    logp: Tensor, old_logp: Tensor, ref_logp: Tensor, rewards: Tensor, mask: Tensor, kl_coef: float
) -> Tensor:
    shaped = on_the_last(rewards, mask) - kl_coef * penalty(logp, ref_logp).detach() * mask
    return surrogate(logp, old_logp, to_go(shaped), mask)


def immediate(
    logp: Tensor, old_logp: Tensor, ref_logp: Tensor, rewards: Tensor, mask: Tensor, kl_coef: float
) -> Tensor:
    shaped = on_the_last(rewards, mask) - kl_coef * penalty(logp, ref_logp).detach() * mask
    return surrogate(logp, old_logp, shaped, mask)  # fault: later penalties are nobody's


def added(logp: Tensor, old_logp: Tensor, ref_logp: Tensor, rewards: Tensor, mask: Tensor, kl_coef: float) -> Tensor:
    shaped = on_the_last(rewards, mask) + kl_coef * penalty(logp, ref_logp).detach() * mask  # fault: a reward for it
    return surrogate(logp, old_logp, to_go(shaped), mask)


def past(logp: Tensor, old_logp: Tensor, ref_logp: Tensor, rewards: Tensor, mask: Tensor, kl_coef: float) -> Tensor:
    shaped = on_the_last(rewards, mask) - kl_coef * penalty(logp, ref_logp).detach() * mask
    return surrogate(logp, old_logp, shaped.cumsum(1), mask)  # fault: each token earns what came before it


def estimated(
    logp: Tensor, old_logp: Tensor, ref_logp: Tensor, rewards: Tensor, values: Tensor, mask: Tensor, kl_coef: float
) -> Tensor:
    """Generalised advantage estimation with gamma = lambda = 1."""
    shaped = on_the_last(rewards, mask) - kl_coef * penalty(logp, ref_logp).detach() * mask
    advantages, last = [], torch.zeros_like(rewards)
    for t in reversed(range(logp.shape[1])):
        following = values[:, t + 1] if t + 1 < logp.shape[1] else torch.zeros_like(rewards)
        last = shaped[:, t] + following - values[:, t] + last
        advantages.append(last)
    return surrogate(logp, old_logp, torch.stack(advantages[::-1], 1), mask)


def judged(function: Callable[..., Any]) -> Verdict:
    (v,) = identify_callable(function, max_examples=1)
    return v


@pytest.mark.parametrize("function", [whole_answers, estimated], ids=lambda f: f.__name__)
def test_k1_with_returns_to_go_is_the_divergence_of_answers(function: Callable[..., Any]) -> None:
    v = judged(function)
    assert said(v.on_policy) == ("reverse_kl", "sequence", 1.0)
    assert not {f.check for f in v.findings if f.outcome == "fail" and f.severity in ("error", "warning")}
    assert v.outcome == "described"


def test_faults_in_a_pipeline_are_found() -> None:
    assert said(judged(immediate).on_policy) == ("reverse_kl", "token", 1.0)
    v = judged(added)
    assert said(v.on_policy) == ("reverse_kl", "sequence", -1.0)
    assert "sign" in failed(v)
    assert said(judged(past).on_policy)[:2] != ("reverse_kl", "sequence")
