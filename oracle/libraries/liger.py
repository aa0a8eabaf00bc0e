"""Liger-Kernel: the chunked GRPO loss (``ppo_loss_fn``) with its KL correction off and on, and ``k3_loss_fn``."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch import Tensor

from oracle.libraries.entry import Entry, named
from oracle.subject.lift import LiftedFile, method_of

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
)
