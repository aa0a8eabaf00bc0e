"""Faults planted in the kernels of other projects: Liger Kernel 0.8.5 and fla-core 0.6.0.

Each is an edit of the installed source as it is loaded in the worker, nothing is written; an old text that a later
version has no more is a ValueError there. What a fault needs to show is stated with it: a vocabulary beyond a block and
no multiple of it, a temperature, a format.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal


@dataclass(frozen=True)
class ThirdPartyMutant:
    """A fault by its name, in the subject of that name.

    `edits` are for gpu_checks.subject.Request; `shows` where it is wrong; `vocabulary`, `dtype` and `settings` what it
    takes to be seen; `because` why it takes that.
    """

    name: str
    subject: str
    edits: tuple[tuple[str, str], ...]
    shows: Literal["value", "gradient", "both"]
    vocabulary: int
    because: str = "any vocabulary"
    dtype: str = "float32"
    settings: Mapping[str, Any] = field(default_factory=dict)


_GRPO_V = 4096 + 37
_KL_V = 16384 + 37
_FLA_V = 65536 + 37
_FLA_KL_V = 32768 + 37
_TAIL = "a vocabulary that is no multiple of the block"
_BLOCKS = "a vocabulary of several blocks, a later one with the greatest logit"

_K3_VALUE = "kl = tl.exp(ref_logp - logp) - (ref_logp - logp) - 1"
_K3_GRADIENT = "(1 - tl.exp(ref_logp - logp))"


def _grpo(
    name: str,
    old: str,
    new: str,
    shows: Literal["value", "gradient", "both"],
    because: str = "any vocabulary",
    subject: str = "liger-grpo",
    **conditions: Any,
) -> ThirdPartyMutant:
    return ThirdPartyMutant(name, subject, ((old, new),), shows, _GRPO_V, because, **conditions)


MUTANTS: tuple[ThirdPartyMutant, ...] = (
    _grpo("grpo: tail reads 0", 'mask=cols < N, other=float("-inf")', "mask=cols < N, other=0.0", "both", _TAIL),
    _grpo(
        "grpo: last block not summed",
        "for start in range(0, N, BLOCK_N)",
        "for start in range(0, N - BLOCK_N + 1, BLOCK_N)",
        "both",
        _TAIL,
    ),
    _grpo(
        "grpo: last block not written",
        "tl.range(0, N, BLOCK_N)",
        "tl.range(0, N - BLOCK_N + 1, BLOCK_N)",
        "gradient",
        _TAIL + ", and memory that does not hold an earlier answer",
    ),
    _grpo("grpo: no rescale", "l_i = l_i * alpha +", "l_i = l_i +", "both", _BLOCKS),
    _grpo(
        "grpo: sum kept in bfloat16",
        "m_i = new_m_i",
        "l_i = l_i.to(tl.bfloat16).to(tl.float32)\n        m_i = new_m_i",
        "both",
    ),
    _grpo("grpo: ratio inverted", _K3_VALUE, "kl = tl.exp(logp - ref_logp) - (logp - ref_logp) - 1", "value"),
    _grpo("grpo: k1's value", _K3_VALUE, "kl = logp - ref_logp", "value"),
    _grpo("grpo: k2's value", _K3_VALUE, "kl = 0.5 * (logp - ref_logp) * (logp - ref_logp)", "value"),
    _grpo("grpo: ratio inverted in the gradient", _K3_GRADIENT, "(1 - tl.exp(logp - ref_logp))", "gradient"),
    _grpo("grpo: gradient's sign", _K3_GRADIENT, "(tl.exp(ref_logp - logp) - 1)", "gradient"),
    _grpo("grpo: k2's gradient", _K3_GRADIENT, "(logp - ref_logp)", "gradient"),
    _grpo(
        "grpo: gradient only where the policy is above",
        _K3_GRADIENT,
        f"{_K3_GRADIENT} * (logp > ref_logp)",
        "gradient",
        "a token whose reference is above the policy",
    ),
    _grpo(
        "grpo: no 1/temperature",
        "dlogp = dlogp * dloss / TEMPERATURE",
        "dlogp = dlogp * dloss",
        "gradient",
        "a temperature other than 1",
        settings={"temperature": 0.75},
    ),
    _grpo("grpo: next token's logit", "tl.load(LOGITS + idx)", "tl.load(LOGITS + idx + 1)", "both"),
    _grpo("grpo: next token's column", "cols == idx", "cols == idx + 1", "gradient"),
    _grpo(
        "grpo: every sequence shares a log-sum-exp",
        "LSE += off_b * L + off_l",
        "LSE += off_l",
        "gradient",
        "more than one sequence",
    ),
    _grpo(
        "grpo: store truncates",
        "tl.store(DLOGITS + cols, dlogits,",
        'tl.store(DLOGITS + cols, dlogits.to(tl.bfloat16, fp_downcast_rounding="rtz"),',
        "gradient",
        "bfloat16",
        dtype="bfloat16",
    ),
    _grpo(
        "grpo: weight not differentiated",
        "BETA * coef_1 * (logp - ref_logp)",
        f"BETA * coef_1 * {_K3_GRADIENT}",
        "gradient",
        "the bias correction",
        subject="liger-grpo-corrected",
    ),
    ThirdPartyMutant(
        "kl-div: last block left out",
        "liger-kl-div",
        (("range(0, n_cols, BLOCK_SIZE)", "range(0, n_cols - BLOCK_SIZE + 1, BLOCK_SIZE)"),),
        "both",
        _KL_V,
        _TAIL,
    ),
    ThirdPartyMutant(
        "kl-div: other direction",
        "liger-kl-div",
        (("tl.exp(y_true) * (y_true - y)", "tl.exp(y) * (y - y_true)"),),
        "value",
        _KL_V,
    ),
    ThirdPartyMutant(
        "kl-div: gradient's sign",
        "liger-kl-div",
        (("res = -tl.exp(target)", "res = tl.exp(target)"),),
        "gradient",
        _KL_V,
    ),
    ThirdPartyMutant(
        "jsd: mixture with the weights exchanged",
        "liger-jsd",
        (
            (
                "beta * tl.exp(Y_shifted) + (1 - beta) * tl.exp(X_shifted)",
                "(1 - beta) * tl.exp(Y_shifted) + beta * tl.exp(X_shifted)",
            ),
        ),
        "both",
        _GRPO_V,
        "a beta other than 1/2",
        settings={"beta": 0.125},
    ),
    ThirdPartyMutant(
        "jsd: reverse KL without the derivative of its weight",
        "liger-jsd-reverse",
        (("dX = loss + X_prob", "dX = X_prob"),),
        "gradient",
        _GRPO_V,
    ),
    ThirdPartyMutant(
        "jsd: forward KL's sign",
        "liger-jsd-forward",
        (("dX = -Y_prob", "dX = Y_prob"),),
        "gradient",
        _GRPO_V,
    ),
    ThirdPartyMutant("tvd: gradient's sign", "liger-tvd", (("tl.where(p > q,", "tl.where(p < q,"),), "gradient", _KL_V),
    ThirdPartyMutant(
        "fused jsd: teacher without temperature",
        "liger-fused-linear-jsd",
        (("teacher_logits_chunk = teacher_logits_chunk / temperature", "pass"),),
        "both",
        _GRPO_V,
        "a temperature other than 1",
        settings={"temperature": 0.75},
    ),
    ThirdPartyMutant(
        "fused jsd: forward KL's sign in the kernel",
        "liger-fused-linear-jsd-forward",
        (("loss = Y_prob * (Y - X)", "loss = Y_prob * (X - Y)"),),
        "value",
        _GRPO_V,
    ),
    ThirdPartyMutant(
        "fla grpo: no rescale",
        "fla-grpo",
        (("l_i = l_i * exp(m_i - new_m_i) +", "l_i = l_i +"),),
        "both",
        _GRPO_V,
        _BLOCKS,
    ),
    ThirdPartyMutant(
        "fla grpo: gradient's sign",
        "fla-grpo",
        (("-1.0 * exp(ref_logp - logp) + 1", "exp(ref_logp - logp) - 1"),),
        "gradient",
        _GRPO_V,
    ),
    ThirdPartyMutant(
        "fla grpo: only the first block written",
        "fla-grpo",
        (("element_ty), mask=mask)", "element_ty), mask=cols < BLOCK_SIZE)"),),
        "gradient",
        _FLA_V,
        "a vocabulary of more than one block, and memory that does not hold an earlier answer",
    ),
    ThirdPartyMutant(
        "fla kl: teacher's sum not rescaled",
        "fla-kl",
        (("td = td * exp(tm - m_new)", "td = td"),),
        "both",
        _FLA_V,
        _BLOCKS,
    ),
    ThirdPartyMutant(
        "fla kl: gradient's sign",
        "fla-kl",
        (("b_dl = -b_tp + b_sp", "b_dl = b_tp - b_sp"),),
        "gradient",
        _FLA_KL_V,
    ),
)
"""Every planted fault of another project's kernel."""
