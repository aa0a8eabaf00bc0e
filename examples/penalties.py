"""KL penalties as one writes them: one value for each token, from two log-probabilities.

    kl-oracle identify examples/penalties.py:k3

`logp` is the log-probability of the sampled token under the policy, `ref_logp` under the frozen
reference; both have one entry for each token. In the comments below L = logp - ref_logp.
"""

from torch import Tensor


def k1(logp: Tensor, ref_logp: Tensor) -> Tensor:
    """The log-ratio itself: L."""
    return logp - ref_logp


def k2(logp: Tensor, ref_logp: Tensor) -> Tensor:
    """Half the squared log-ratio: L^2 / 2."""
    return 0.5 * (logp - ref_logp).square()


def k3(logp: Tensor, ref_logp: Tensor) -> Tensor:
    """The non-negative estimator of low variance near the reference: exp(-L) - 1 + L."""
    log_ratio = ref_logp - logp
    return log_ratio.exp() - 1 - log_ratio


def k3_clamped(logp: Tensor, ref_logp: Tensor) -> Tensor:
    """k3 with its log-ratio and its value clamped, against overflow.

    Where a clamp is active the gradient is exactly zero: the value reaches 10 at
    log(ref / pi) = 2.61, so the penalty no longer pulls on just those tokens that the policy has
    lost.
    """
    log_ratio = (ref_logp - logp).clamp(-20, 20)
    return (log_ratio.exp() - 1 - log_ratio).clamp(-10, 10)


def k3_plus(logp: Tensor, ref_logp: Tensor) -> Tensor:
    """Straight-through: the value of k3, the gradient of k2."""
    value = k3(logp, ref_logp)
    gradient = k2(logp, ref_logp)
    return value.detach() + (gradient - gradient.detach())
