"""TRL: ``GRPOTrainer._compute_loss`` with its KL correction on and off, its sequence-level importance ratio,
and the divergence of its distillation over the whole vocabulary."""

from __future__ import annotations

import collections
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import torch
from torch import Tensor

from oracle.libraries.entry import Entry, named
from oracle.subject.lift import LiftedFile, method_of

_FILE = "trl/trainer/grpo_trainer.py"
_DISTILLATION = "trl/experimental/server_distillation/server_distillation_trainer.py"


def _trainer(
    logps: Tensor, beta: float, loss_type: str, level: str, correction: bool, max_completion_length: int
) -> SimpleNamespace:
    """What the method asks of its trainer: one process, one accumulation step, the model's answer given."""
    accelerator = SimpleNamespace(
        gather=lambda x: x,
        gather_for_metrics=lambda x: x,
        reduce=lambda x, reduction="sum": x,
        num_processes=1,
        sync_gradients=False,
    )
    args = SimpleNamespace(
        use_bias_correction_kl=correction,
        delta=None,
        steps_per_generation=1,
        sapo_temperature_pos=1.0,
        sapo_temperature_neg=1.05,
        report_to=[],
    )
    return SimpleNamespace(
        accelerator=accelerator,
        args=args,
        model=SimpleNamespace(training=True),
        beta=beta,
        loss_type=loss_type,
        importance_sampling_level=level,
        epsilon_low=0.2,
        epsilon_high=0.2,
        top_entropy_quantile=1.0,
        off_policy_mask_threshold=None,
        use_vllm=False,
        vllm_importance_sampling_correction=False,
        aux_loss_enabled=False,
        _entropy_bonus_enabled=False,
        use_adaptive_entropy=False,
        max_completion_length=max_completion_length,
        current_gradient_accumulation_steps=1,
        tools=None,
        environments=None,
        _metrics={"train": collections.defaultdict(list)},
        _get_per_token_logps_and_entropies=lambda *_, **__: (logps, torch.zeros_like(logps).detach(), None),
    )


def _loss(file: LiftedFile) -> Callable[..., Any]:
    method = method_of(file, "GRPOTrainer._compute_loss")

    def grpo_loss(
        per_token_logps: Tensor,
        ref_per_token_logps: Tensor,
        old_per_token_logps: Tensor,
        advantages: Tensor,
        completion_mask: Tensor,
        beta: float,
        loss_type: str,
        level: str,
        correction: bool,
        max_completion_length: int = 8,
    ) -> Any:
        b, t = per_token_logps.shape
        inputs = {
            "prompt_ids": torch.zeros(b, 1, dtype=torch.long),
            "prompt_mask": torch.ones(b, 1, dtype=torch.long),
            "completion_ids": torch.zeros(b, t, dtype=torch.long),
            "completion_mask": completion_mask,
            "advantages": advantages,
            "old_per_token_logps": old_per_token_logps,
            "ref_per_token_logps": ref_per_token_logps,
            "num_items_in_batch": completion_mask.sum(),
        }
        trainer = _trainer(per_token_logps, beta, loss_type, level, correction, max_completion_length)
        return method(trainer, None, inputs)

    return grpo_loss


def _entry(setting: str, loss_type: str, level: str, correction: bool) -> Entry:
    fixed = {"loss_type": loss_type, "level": level, "correction": correction}
    return Entry("trl", "trl", _FILE, "_compute_loss", setting, _loss, None, fixed)


ENTRIES = (
    _entry("grpo, use_bias_correction_kl=on", "grpo", "token", True),
    _entry("grpo, use_bias_correction_kl=off", "grpo", "token", False),
    _entry("grpo, sequence-level ratio", "grpo", "sequence", True),
    _entry("dapo, use_bias_correction_kl=on", "dapo", "token", True),
    _entry("dr_grpo, use_bias_correction_kl=on", "dr_grpo", "token", True),
    _entry("luspo, use_bias_correction_kl=on", "luspo", "token", True),
    *(
        Entry(
            "trl",
            "trl",
            _DISTILLATION,
            "_jsd_divergence",
            f"beta={beta}",
            named("_jsd_divergence"),
            "loss",
            {"beta": beta},
            {"student_log_probs": "distribution", "teacher_log_probs": "reference_distribution"},
        )
        for beta in (0.0, 0.5, 1.0)
    ),
)
