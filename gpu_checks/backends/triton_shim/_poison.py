"""Memory that nobody wrote reads as NaN, so a block that a kernel skips cannot pass on an earlier call's answer."""

from __future__ import annotations

from gpu_checks.subject import Unavailable


def poison() -> None:
    """Have torch.empty and its kin return NaN (the greatest integer for integers) in this process.

    Raises Unavailable where PyTorch cannot: kernels would then be judged on stale memory.
    """
    import torch  # here, for the page that only names the errors of this package stays light

    torch.use_deterministic_algorithms(True, warn_only=True)
    torch.utils.deterministic.fill_uninitialized_memory = True  # type: ignore[attr-defined]
    for empty in (torch.empty(3), torch.empty_like(torch.ones(3, dtype=torch.bfloat16)), torch.ones(1).new_empty(3)):
        if not bool(torch.isnan(empty).all()):
            raise Unavailable(f"torch {torch.__version__} does not fill new memory: pip install 'torch>=2.4'")
