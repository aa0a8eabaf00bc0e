"""KL(policy||reference) and its gradient over the whole vocabulary in float64, as fast as memory lets it.

The oracle of large batches: NumPy arrays in and out, PyTorch's vectorised functions in between (NumPy's own float64 exp
is scalar code on processors without AVX-512), rows shared among the cores, each worked on in pieces that stay in the
cache. `gpu_checks.arrays` has every objective, and any array library.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import torch
from jaxtyping import Float64
from torch import Tensor

from gpu_checks.arrays import cores

_PIECE = 32_768
"""Columns at a time: 256 KiB of float64. PyTorch starts threads of its own only above this size."""
_SAFE = 300.0
"""Greatest logit up to which sums of exp are taken as they are: e^300 V is far from overflow, e^-300 from underflow."""


def reverse_kl(
    policy: Float64[np.ndarray, "row token"],
    reference: Float64[np.ndarray, "row token"],
    out: Float64[np.ndarray, "row token"] | None = None,
) -> tuple[Float64[np.ndarray, " row"], Float64[np.ndarray, "row token"]]:
    """Return KL(softmax(policy)||softmax(reference)) of each row in nats, and its gradient by the policy's logits.

    The gradient is p (d - KL) with d = log p - log q (the master lemma), written to `out` where one is given. Logits
    are finite. Raises ValueError for arrays of different shapes, or that are not [row, token].
    """
    gradient = np.empty(policy.shape) if out is None else out
    if policy.shape != reference.shape or policy.ndim != 2 or gradient.shape != policy.shape:
        shapes = f"policy {policy.shape}, reference {reference.shape}, out {gradient.shape}"
        raise ValueError(f"{shapes}: all have to be [row, token], and alike")
    value = np.empty(policy.shape[0])
    x, y = (torch.from_numpy(np.require(a, np.float64, ["C", "W"])) for a in (policy, reference))
    g = torch.from_numpy(gradient)

    together = max(1, _PIECE // max(1, policy.shape[1]))

    def work(row: int) -> None:
        if together == 1:
            value[row] = _row(x[row], y[row], g[row])
        else:
            some = slice(row, row + together)
            value[some] = _short_rows(x[some], y[some], g[some]).numpy()

    with torch.inference_mode(), ThreadPoolExecutor(cores()) as pool:
        list(pool.map(work, range(0, policy.shape[0], together)))
    return value, gradient


def _short_rows(x: Tensor, y: Tensor, out: Tensor) -> Tensor:
    """Rows that fit the cache together: fewer calls for a number."""
    top, other_top = x.amax(1, keepdim=True), y.amax(1, keepdim=True)
    weight = torch.sub(x, top, out=out).exp_()
    total = weight.sum(1, keepdim=True)
    difference = torch.sub(x, y)
    mean = torch.linalg.vecdot(weight, difference)[:, None] / total
    weight.mul_(difference.sub_(mean)).div_(total)
    other_total = torch.sub(y, other_top, out=difference).exp_().sum(1, keepdim=True)
    value: Tensor = mean - (top - other_top) - (total / other_total).log()
    return value[:, 0]


def _row(x: Tensor, y: Tensor, out: Tensor) -> float:
    shift, other_shift = _shift(float(x.max())), _shift(float(y.max()))
    total = other_total = moment = 0.0
    pieces = [slice(at, at + _PIECE) for at in range(0, x.shape[0], _PIECE)]
    for piece in pieces:
        weight = out[piece]
        _exp(x[piece], shift, weight)
        total += float(weight.sum())
        difference = torch.sub(x[piece], y[piece])
        moment += float(torch.dot(weight, difference))
        _exp(y[piece], other_shift, difference)
        other_total += float(difference.sum())
    mean, scale = moment / total, 1.0 / total
    for piece in pieces:
        weight = out[piece]
        difference = torch.sub(x[piece], y[piece])
        torch.addcmul(weight * (-mean * scale), weight, difference, value=scale, out=weight)
    return mean - (shift - other_shift) - float(np.log(total / other_total))


def _shift(top: float) -> float:
    """What is subtracted before exp: nothing where no exp of a float64 overflows, one pass less."""
    return 0.0 if abs(top) < _SAFE else top


def _exp(numbers: Tensor, shift: float, out: Tensor) -> None:
    if shift:
        torch.sub(numbers, shift, out=out)
        out.exp_()
    else:
        torch.exp(numbers, out=out)
