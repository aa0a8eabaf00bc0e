"""Liger-Kernel: the chunked GRPO loss (``ppo_loss_fn``) with its KL correction off and on, ``k3_loss_fn``, and the
fused losses on hidden states: GRPO, and the Jensen-Shannon distillation with both its ends."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch import Tensor

from oracle.libraries.entry import Entry, named
from oracle.subject.construct import constructed
from oracle.subject.lift import LiftedFile, method_of

_DISTILLATION = "liger_kernel/chunked_loss/jsd_loss.py"
_FILE = "liger_kernel/chunked_loss/grpo_loss.py"
_LOSSES = ("grpo", "bnpo", "dr_grpo", "dapo", "luspo")


def _loss(file: LiftedFile) -> Callable[..., Any]:
    """The loss on log-probabilities that the fused kernels chunk over; one chunk holds the whole batch."""
    function = method_of(file, "LigerFusedLinearGRPOFunction.ppo_loss_fn")

    def grpo_loss(
        logps: Tensor,
        ref_logps: Tensor,
        old_logps: Tensor,
        advantages: Tensor,
        mask: Tensor,
        beta: float,
        loss_type: str,
        correction: bool,
        max_completion_length: int = 8,
    ) -> Any:
        return function(
            logps,
            mask,
            advantages,
            mask,
            ref_per_token_logps=ref_logps,
            old_per_token_logps=old_logps,
            beta=beta,
            loss_type=loss_type,
            use_bias_correction_kl=correction,
            max_completion_length=max_completion_length,
        )

    return grpo_loss


def _made(name: str) -> Callable[[LiftedFile], Callable[..., Any]]:
    """A module, made anew for every call."""
    return lambda file: constructed(file.get(name), name)


ENTRIES = (
    *(
        Entry(
            "liger-kernel",
            "liger_kernel",
            _FILE,
            "ppo_loss_fn",
            f"{loss}, use_bias_correction_kl={'on' if on else 'off'}",
            _loss,
            None,
            {"loss_type": loss, "correction": on},
        )
        for loss in _LOSSES
        for on in (False, True)
    ),
    Entry(
        "liger-kernel",
        "liger_kernel",
        _FILE,
        "k3_loss_fn",
        "log_p=reference, log_q=policy",
        named("k3_loss_fn"),
        "loss",
        roles={"log_p": "reference", "log_q": "policy"},
    ),
    *(
        Entry(
            "liger-kernel",
            "liger_kernel",
            _FILE,
            "LigerFusedLinearGRPOLoss",
            f"dapo, use_bias_correction_kl={'on' if on else 'off'}",
            _made("LigerFusedLinearGRPOLoss"),
            None,
            {"compiled": False, "chunk_size": 64, "use_bias_correction_kl": on},
        )
        for on in (False, True)
    ),
    *(
        Entry(
            "liger-kernel",
            "liger_kernel",
            _DISTILLATION,
            "LigerFusedLinearJSDLoss",
            f"beta={beta}, soft loss alone",
            _made("LigerFusedLinearJSDLoss"),
            None,
            {"compiled": False, "weight_hard_loss": 0.0, "weight_soft_loss": 1.0, "beta": beta},
        )
        for beta in (0.0, 0.5, 1.0)
    ),
)
