"""Kernels of our own, as subjects: one CUDA source each, run on the CPU by `host` and on a device by `cuda`.

Their cost models are read off the sources. A thread adds every 256th term, and the block adds the threads' sums in a
tree; the softmax rescales a thread's sum once in 16 terms, and once before the tree. CUDA's expf is good to 2 ulp and
its logf to 1 (CUDA C++ Programming Guide, "Mathematical Functions"); the C library's, on the CPU, are better. Without
fast math no exp2 stands in for an exp whose argument it would round.
"""

from __future__ import annotations

from math import ceil
from typing import Any

from gpu_checks.backends.host import open_gumbel, open_token_kl, open_whole_kl
from gpu_checks.backends.own_runners import Gumbel, OwnRunner, TokenKl, WholeKl
from gpu_checks.bounds.cost import CostModel, strided_block
from gpu_checks.kernels.sources import CHUNK, GUMBEL, THREADS, TOKEN_KL, WEIGHTS, WHOLE_KL, Kernel
from gpu_checks.subject import Opener, Request, Subject

_STEP = THREADS * CHUNK
"""Logits that a block takes in one step of its softmax."""


def _rescalings(vocabulary: int) -> int:
    return ceil(vocabulary / _STEP) + 1


_COST = CostModel(chain=strided_block(THREADS), rescalings=_rescalings, exp_ulp=2.0, log_ulp=1.0, k3="switched")

_SHIM = "gpu_checks/kernels/cuda_on_cpu.hpp"


def _sources(kernel: Kernel) -> tuple[str, ...]:
    own = (f"gpu_checks/kernels/{name}" for name in kernel.files)
    return (*own, *(f"gpu_checks/generated/{name}" for name in kernel.generated), _SHIM)


def _sampled_form(claim: str) -> dict[str, str]:
    """The form and weight of a claim as settings of token_kl.cu: `k2 as loss, weight detached`."""
    form, _, rest = claim.partition(",")
    weight = next((w for w in WEIGHTS if w in rest.split()), "none")
    return {"form": " ".join(form.split()), "weight": weight}


def _direction(claim: str) -> dict[str, str]:
    return {"form": claim.strip()}


def _on_device(runner: type[OwnRunner]) -> Opener:
    """Open on a CUDA device; the opener raises Unavailable, with the reason, where none answers."""

    def opened(request: Request) -> Any:
        from gpu_checks.backends.cuda import Module, require_device

        require_device()
        return runner(request, Module)

    return opened


OWN_KL = Subject(
    name="own-kl",
    title="our fused log-softmax and KL estimator (CUDA C++)",
    family="sampled",
    claim="k3 as loss",
    cost=_COST,
    backends={"host": open_token_kl, "cuda": _on_device(TokenKl)},
    sources=_sources(TOKEN_KL),
    kernel=TOKEN_KL.name,
    returns_log_probability=True,
    configured=_sampled_form,
    temperatures=(1.0, 0.7),
    block=_STEP,
)
OWN_WHOLE_KL = Subject(
    name="own-whole-kl",
    title="our KL divergence over the whole vocabulary (CUDA C++)",
    family="whole",
    claim="reverse_kl",
    cost=_COST,
    backends={"host": open_whole_kl, "cuda": _on_device(WholeKl)},
    sources=_sources(WHOLE_KL),
    kernel=WHOLE_KL.name,
    configured=_direction,
    temperatures=(1.0, 0.7),
    block=_STEP,
)
OWN_GUMBEL = Subject(
    name="own-gumbel",
    title="our Gumbel-max sampler (CUDA C++)",
    family="sampler",
    claim="softmax",
    cost=_COST,
    backends={"host": open_gumbel, "cuda": _on_device(Gumbel)},
    sources=_sources(GUMBEL),
    kernel=GUMBEL.name,
    temperatures=(1.0, 0.7),
    replayed=True,
    block=4 * THREADS,
)

SUBJECTS = (OWN_KL, OWN_WHOLE_KL, OWN_GUMBEL)
"""Every kernel of our own."""
