"""Which Triton kernels of other projects are compiled, and with which types and constants they are launched.

The launches are those of Liger Kernel 0.8.5 and fla-core 0.6.0: constants and warps as their wrappers pass them, for
the KL term of the subjects in gpu_checks.subjects.third_party.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

VOCABULARY = 131072
"""The vocabulary that constants and strides are for."""

STORAGE = "*storage"
"""A pointer to the storage format, which the compilation chooses."""


@dataclass(frozen=True)
class KernelLaunch:
    """A kernel by its place, and how it is launched.

    `types` gives a Triton type to each argument that is passed (`*fp32`, `i32`; STORAGE), `constants` a value to each
    that is compiled in; None is a pointer that is not passed.
    """

    name: str
    package: str
    module: str
    attribute: str
    types: Mapping[str, str]
    constants: Mapping[str, Any]
    warps: int
    stages: int = 3


_GRPO_POINTERS = {
    "LOGITS": STORAGE,
    "REF_LOGP": "*fp32",
    "INPUT_IDS": "*i64",
    "COMPLETION_MASK": "*i32",
    "ADVANTAGES": "*fp32",
    "LSE": "*fp32",
    "VLLM_IS_RATIO_STRIDE": "i32",
}
_GRPO_CONSTANTS = {
    "OLD_LOGP": None,
    "VLLM_IS_RATIO": None,
    "PHI_SEQ": None,
    "TEMPERATURE": 0.75,
    "BETA": 1.0,
    "EPS_LOW": 0.2,
    "EPS_HIGH": 0.2,
    "LOSS_TYPE": 0,
    "SAPO_TEMP_POS": 1.0,
    "SAPO_TEMP_NEG": 1.05,
    "DELTA": 0.0,
    "USE_BIAS_CORRECTION_KL": False,
    "L": 3,
    "N": VOCABULARY,
}
_FLA_TYPES = {
    "logits_ptr": STORAGE,
    "ref_logp_ptr": "*fp32",
    "input_ids_ptr": "*i64",
    "advantages_ptr": "*fp32",
    "completion_mask_ptr": "*i32",
    "lse_ptr": "*fp32",
    "beta": "fp32",
    "B": "i32",
    "N": "i32",
    "L": "i32",
    "start_idx": "i32",
}


def _jsd(suffix: str, beta: float) -> KernelLaunch:
    return KernelLaunch(
        f"liger-jsd{suffix}",
        "liger_kernel",
        "liger_kernel.ops.jsd",
        "_jsd_kernel",
        {
            "X_ptr": STORAGE,
            "X_stride": "i32",
            "Y_ptr": STORAGE,
            "Y_stride": "i32",
            "loss_ptr": "*fp32",
            "loss_stride": "i32",
            "dX_ptr": STORAGE,
            "dX_stride": "i32",
            "label_ptr": "*i64",
            "n_non_ignore": "i32",
            "n_cols": "i32",
        },
        {"beta": beta, "ignore_index": -100, "BLOCK_SIZE": 4096, "HAS_LABEL": True},
        warps=4,
    )


LAUNCHES: tuple[KernelLaunch, ...] = (
    KernelLaunch(
        "liger-grpo-forward",
        "liger_kernel",
        "liger_kernel.ops.grpo_loss",
        "_grpo_loss_fwd_kernel",
        {**_GRPO_POINTERS, "LOSS": "*fp32", "KL": "*fp32", "IS_CLIPPED": "*fp32"},
        {**_GRPO_CONSTANTS, "BLOCK_N": 2048},
        warps=1,
        stages=2,
    ),
    KernelLaunch(
        "liger-grpo-backward",
        "liger_kernel",
        "liger_kernel.ops.grpo_loss",
        "_grpo_loss_bwd_kernel",
        {**_GRPO_POINTERS, "DLOSS": "*fp32", "DLOGITS": STORAGE, "loss_stride0": "i32", "loss_stride1": "i32"},
        {**_GRPO_CONSTANTS, "BLOCK_N": 4096},
        warps=16,
        stages=1,
    ),
    KernelLaunch(
        "liger-kl-div-forward",
        "liger_kernel",
        "liger_kernel.ops.kl_div",
        "_kldiv_kernel_forward",
        {
            "y_ptr": STORAGE,
            "y_stride": "i32",
            "gt_ptr": STORAGE,
            "gt_stride": "i32",
            "loss_ptr": "*fp32",
            "loss_stride": "i32",
            "n_cols": "i32",
            "eps": "fp32",
        },
        {"BLOCK_SIZE": 16384, "reduction": 1, "log_target": True},
        warps=16,
    ),
    KernelLaunch(
        "liger-kl-div-backward",
        "liger_kernel",
        "liger_kernel.ops.kl_div",
        "_kldiv_kernel_backward",
        {
            "target_ptr": STORAGE,
            "target_stride": "i32",
            "new_grads_ptr": STORAGE,
            "new_grads_stride": "i32",
            "n_cols": "i32",
        },
        {"BLOCK_SIZE": 16384, "log_target": True},
        warps=16,
    ),
    _jsd("-forward", 0.0),
    _jsd("", 0.5),
    _jsd("-reverse", 1.0),
    KernelLaunch(
        "liger-tvd",
        "liger_kernel",
        "liger_kernel.ops.tvd",
        "_tv_distance_kernel",
        {
            "p_ptr": STORAGE,
            "p_stride": "i32",
            "q_ptr": STORAGE,
            "q_stride": "i32",
            "loss_ptr": "*fp32",
            "loss_stride": "i32",
            "grads_ptr": STORAGE,
            "grads_stride": "i32",
            "label_ptr": "*i64",
            "n_cols": "i32",
            "scale": "fp32",
        },
        {"ignore_index": -100, "BLOCK_SIZE": 16384, "HAS_LABEL": True, "reduction": 3},
        warps=16,
    ),
    KernelLaunch(
        "fla-grpo-forward",
        "fla",
        "fla.modules.grpo.ops",
        "grpo_fwd_kernel",
        {**_FLA_TYPES, "loss_ptr": "*fp32", "M": "i32"},
        {"save_kl": False, "BLOCK_SIZE": 1024},
        warps=4,
        stages=1,
    ),
    KernelLaunch(
        "fla-grpo-backward",
        "fla",
        "fla.modules.grpo.ops",
        "grpo_bwd_kernel",
        {**_FLA_TYPES, "dloss_ptr": "*fp32", "dlogits_ptr": STORAGE},
        {"save_kl": False, "BLOCK_SIZE": 65536},
        warps=32,
        stages=4,
    ),
    KernelLaunch(
        "fla-kl",
        "fla",
        "fla.modules.fused_kl_div.ops",
        "kl_div_kernel",
        {"logits": STORAGE, "target_logits": STORAGE, "loss": "*fp32", "s_logits": "i32", "s_loss": "i32"},
        {"reduction": "batchmean", "N": 4, "V": VOCABULARY, "BV": 32768},
        warps=32,
    ),
)
"""Every kernel that is compiled, by name."""
