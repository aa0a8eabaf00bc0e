"""verl: ``kl_penalty`` with every estimator and its "+" (straight-through), and the KL loss under each aggregation."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import torch
from torch import Tensor

from oracle.libraries.entry import Entry, named
from oracle.subject.lift import LiftedFile

_DISTILLATION = "verl/trainer/distillation/fsdp/losses.py"
_FILE = "verl/trainer/ppo/core_algos.py"
_ESTIMATORS = ("k1", "kl", "abs", "k2", "mse", "k3", "low_var_kl")
_MODES = ("token-mean", "token-sum", "seq-mean-token-sum", "seq-mean-token-mean", "seq-mean-token-sum-norm")


def _kl_loss(file: LiftedFile) -> Callable[..., Any]:
    """As the actor's update does: the penalty of each token, aggregated under the response mask."""
    penalty, aggregate = file.get("kl_penalty"), file.get("agg_loss")

    def kl_loss(log_prob: Tensor, ref_log_prob: Tensor, response_mask: Tensor, mode: str, estimator: str) -> Any:
        loss_mat = penalty(logprob=log_prob, ref_logprob=ref_log_prob, kl_penalty=estimator)
        return aggregate(loss_mat=loss_mat, loss_mask=response_mask, loss_agg_mode=mode)

    return kl_loss


def _topk(file: LiftedFile) -> Callable[..., Any]:
    """As the distillation does: the teacher's likeliest tokens, sequences packed one after another."""
    function = file.get("compute_forward_kl_topk")
    config = SimpleNamespace(distillation_loss=SimpleNamespace(log_prob_min_clamp=None))

    def forward_kl_topk(student_logits: Tensor, teacher_logits: Tensor, k: int = 2) -> Tensor:
        b, t, _ = student_logits.shape
        ends = torch.arange(0, b * t + 1, t)
        top = teacher_logits.log_softmax(-1).topk(k, dim=-1)
        packed = [torch.nested.nested_tensor_from_jagged(x.flatten(0, 1), ends) for x in (top.values, top.indices)]
        out: Tensor = function(student_logits.flatten(0, 1)[None], *packed, config, "thd")["distillation_losses"]
        return out.reshape(b, t)

    return forward_kl_topk


ENTRIES = (
    *(
        Entry("verl", "verl", _FILE, "kl_penalty", name, named("kl_penalty"), "loss", {"kl_penalty": name})
        for base in _ESTIMATORS
        for name in (base, f"{base}+")
    ),
    *(
        Entry("verl", "verl", _FILE, "kl_penalty", name, named("kl_penalty"), "reward", {"kl_penalty": name})
        for name in _ESTIMATORS
    ),
    *(
        Entry(
            "verl",
            "verl",
            _FILE,
            "agg_loss(kl_penalty)",
            f"low_var_kl, {mode}",
            _kl_loss,
            None,
            {"mode": mode, "estimator": "low_var_kl"},
        )
        for mode in _MODES
    ),
    Entry(
        "verl",
        "verl",
        _DISTILLATION,
        "compute_forward_kl_topk",
        "top 2 of the teacher",
        _topk,
        "loss",
    ),
)
