"""The kernels of other projects: Liger Kernel 0.8.5 and flash-linear-attention's fla-core 0.6.0.

What each computes, exactly, stands in `liger` and `fla`, and as float64 formulas in `formulas`. The cost models follow
from the kernels' block structure as compiled: `_block_sum` for a sum inside a block, one addition more for each block,
and one rescaling more where the softmax is online. `exp` compiles to ex2.approx of a product with log2(e), as
gpu_checks.triton_compile shows; its error, 2 ulp, is that of the PTX ISA (ex2). A division by a temperature compiles to
div.full, 2 ulp, of which the bounds allow two roundings. The scalar losses store their gradient before the upstream
derivative comes. None promises anything for logits of -inf.
"""

from __future__ import annotations

from collections.abc import Callable
from math import ceil, log2
from typing import Literal

from gpu_checks.backends.triton_interpreter import triton_interpreter
from gpu_checks.bounds.cost import CostModel, K3Form
from gpu_checks.subject import Family, Opener, Subject

LIGER = ("liger_kernel", "pip install --no-deps liger-kernel==0.8.5")
FLA = ("fla", "pip install --no-deps fla-core==0.6.0 einops")

_JSD_LAUNCHER = "liger_kernel.ops.backends._triton.jsd"

BACKEND = "triton-interpreter"

ROWS_A_CALL = 4
"""whole_rows.GROUP, without importing torch."""

Chain = Callable[[int], int]


def _block_sum(block: int, warps: int) -> int:
    """Additions that one of a block's elements goes through: a thread's own, one after another, then a tree."""
    threads = 32 * warps
    return max(1, block // threads) + ceil(log2(threads))


def _online(block: int, warps: int) -> Chain:
    """An online softmax: an addition and a rescaling a block, and the sum inside one."""
    return lambda vocabulary: 2 * ceil(vocabulary / block) + _block_sum(block, warps)


def _blocks(block: int, warps: int) -> Chain:
    """Block sums added one after another."""
    return lambda vocabulary: ceil(vocabulary / block) + _block_sum(block, warps)


def _torch_sum() -> Chain:
    """torch.sum over the rows of a call: a thread's share in a block of 512, then a tree."""
    return lambda vocabulary: ceil(ROWS_A_CALL * vocabulary / 512) + 9


def _cost(
    chain: Chain,
    *,
    rescale_every: int = 0,
    k3: K3Form = "switched",
    inputs: Literal["logits", "log-probabilities"] = "logits",
    stored_first: float | None = None,
) -> CostModel:
    return CostModel(
        chain,
        rescalings=(lambda vocabulary: ceil(vocabulary / rescale_every)) if rescale_every else (lambda _: 0),
        exp_ulp=2.0,
        log_ulp=1.0,
        exp_by_exp2=True,
        k3=k3,
        inputs=inputs,
        stored_first=stored_first,
    )


def _subject(
    name: str,
    title: str,
    family: Family,
    claim: str,
    cost: CostModel,
    block: int,
    opener: Opener,
    modules: tuple[str, ...],
    *,
    temperatures: tuple[float, ...] = (1.0,),
    dtypes: tuple[str, ...] = ("float32", "bfloat16", "float16"),
) -> Subject:
    source = "gpu_checks/subjects/" + ("fla.py" if name.startswith("fla") else "liger.py")
    return Subject(
        name=name,
        title=title,
        family=family,
        claim=claim,
        cost=cost,
        backends={BACKEND: opener},
        dtypes=dtypes,
        sources=(
            *(f"module:{module}" for module in modules),
            source,
            "gpu_checks/subjects/whole_rows.py",
            "gpu_checks/backends/triton_shim",
        ),
        temperatures=temperatures,
        block=block,
        masks=False,
    )


def _modules(name: str) -> tuple[str, ...]:
    """The installed files that the kernel stands in."""
    return next(files for prefix, files in _FILES.items() if name.startswith(prefix))


_FILES = {
    "liger-grpo": ("module:liger_kernel.ops.grpo_loss",),
    "liger-kl-div": ("module:liger_kernel.ops.kl_div",),
    "liger-jsd": ("module:liger_kernel.ops.jsd",),
    "liger-tvd": ("module:liger_kernel.ops.tvd",),
    "liger-fused": ("module:liger_kernel.ops.fused_linear_jsd", "module:liger_kernel.ops.jsd"),
    "fla-grpo": ("module:fla.modules.grpo.ops",),
    "fla-kl": ("module:fla.modules.fused_kl_div.ops",),
}

_LIGER_GRPO = _cost(_online(2048, 1), rescale_every=2048, k3="naive")
_FLA_GRPO = _cost(_online(1024, 4), rescale_every=1024, k3="naive")


def _jsd(suffix: str, claim: str, beta: float) -> Subject:
    return _subject(
        f"liger-jsd{suffix}",
        f"Liger 0.8.5 LigerJSDFunction, beta {beta:g}",
        "whole",
        claim,
        _cost(_torch_sum(), inputs="log-probabilities", stored_first=1.0),
        4096,
        triton_interpreter("gpu_checks.subjects.liger:JSD", *LIGER, beta=beta),
        ("liger_kernel.ops.jsd", _JSD_LAUNCHER),
    )


def _fused_jsd(suffix: str, claim: str, beta: float) -> Subject:
    return _subject(
        f"liger-fused-linear-jsd{suffix}",
        f"Liger 0.8.5 LigerFusedLinearJSDFunction, beta {beta:g}",
        "whole",
        claim,
        _cost(_torch_sum(), stored_first=1.0),
        4096,
        triton_interpreter("gpu_checks.subjects.liger:FUSED_JSD", *LIGER, beta=beta),
        ("liger_kernel.ops.fused_linear_jsd", "liger_kernel.ops.jsd", _JSD_LAUNCHER),
        temperatures=(1.0, 0.75),
    )


SUBJECTS: tuple[Subject, ...] = (
    _subject(
        "liger-grpo",
        "Liger 0.8.5 GrpoLossFunction, advantage 0",
        "sampled",
        "k3 as loss",
        _LIGER_GRPO,
        4096,
        triton_interpreter("gpu_checks.subjects.liger:GRPO", *LIGER),
        ("liger_kernel.ops.grpo_loss",),
        temperatures=(1.0, 0.75),
    ),
    _subject(
        "liger-grpo-corrected",
        "Liger 0.8.5 GrpoLossFunction, use_bias_correction_kl, advantage 0",
        "sampled",
        "k3 as loss, weight differentiated",
        _LIGER_GRPO,
        4096,
        triton_interpreter("gpu_checks.subjects.liger:GRPO", *LIGER, bias_correction=True),
        ("liger_kernel.ops.grpo_loss",),
        temperatures=(1.0, 0.75),
    ),
    _subject(
        "liger-kl-div",
        "Liger 0.8.5 LigerKLDivLossFunction, log target",
        "whole",
        "forward_kl",
        _cost(_blocks(16384, 16), inputs="log-probabilities", stored_first=1.0),
        16384,
        triton_interpreter("gpu_checks.subjects.liger:KL_DIV", *LIGER),
        ("liger_kernel.ops.kl_div",),
    ),
    _jsd("-forward", "forward_kl", 0.0),
    _jsd("", "jensen_shannon", 0.5),
    _jsd("-reverse", "reverse_kl", 1.0),
    _subject(
        "liger-tvd",
        "Liger 0.8.5 LigerTVDLossFunction",
        "whole",
        "total_variation",
        _cost(_blocks(16384, 16), inputs="log-probabilities", stored_first=1.0),
        16384,
        triton_interpreter("gpu_checks.subjects.liger:TVD", *LIGER),
        ("liger_kernel.ops.tvd",),
        dtypes=("float32",),
    ),
    _fused_jsd("-forward", "forward_kl", 0.0),
    _fused_jsd("", "jensen_shannon", 0.5),
    _fused_jsd("-reverse", "reverse_kl", 1.0),
    _subject(
        "fla-grpo",
        "fla-core 0.6.0 fused_grpo_loss, advantage 0",
        "sampled",
        "k3 as loss",
        _FLA_GRPO,
        65536,
        triton_interpreter("gpu_checks.subjects.fla:GRPO", *FLA),
        ("fla.modules.grpo.ops", "fla.ops.utils.op"),
    ),
    _subject(
        "fla-kl",
        "fla-core 0.6.0 FusedKLDivLoss",
        "whole",
        "forward_kl",
        _cost(_online(32768, 32), rescale_every=32768, stored_first=1 / ROWS_A_CALL),
        32768,
        triton_interpreter("gpu_checks.subjects.fla:KL_DIV", *FLA),
        ("fla.modules.fused_kl_div.ops", "fla.ops.utils.op"),
    ),
)
"""Every kernel of another project that is judged. `liger-tvd` takes probabilities, exp of the batch's numbers, and adds
16-bit ones in 16 bits, in the compiler's order: only float32 is judged."""
