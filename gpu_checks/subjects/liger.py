"""How a batch becomes a call of Liger Kernel 0.8.5; run in the worker of the Triton interpreter.

Exact meaning, with x the policy's logits, a = log softmax(x), y and z the policy's and reference's log-probabilities
as given, w the upstream derivative of a row; natural logarithms.

* GRPO, advantage 0: with L = a[token] - reference at temperature T, value beta (e^-L + L - 1) rho and gradient by x
  of w beta c (1[token] - p) / T. Plain: rho = 1, c = 1 - e^-L ("k3 as loss"). With the bias correction
  rho = exp(a[token] - sampler) is differentiated too, which gives c = rho L.
* KL_DIV: sum e^z (z - y), which is KL(reference||policy); its gradient by y is -w e^z, no softmax in it.
* JSD: with M = beta e^z + (1 - beta) e^y: beta sum e^z (z - log M) + (1 - beta) sum e^y (y - log M), gradient by y of
  w (1 - beta) e^y (y - log M); beta 0 is KL(reference||policy) with -w e^z, beta 1 is KL(policy||reference) with
  w e^y (y - z + 1).
* TVD: 1/2 sum |p - q| of the probabilities p = e^y, q = e^z in the storage format; gradient by p, w/2 sign(p - q).
* FUSED_JSD: JSD of log softmax(x / T) for both sides, gradient by the logits: with g the gradient of JSD by y,
  w (g - softmax(x / T) sum g) / T. The library multiplies w in by a second kernel of one program a token, which the
  interpreter cannot run in reasonable time: it is called with w = 1, and w is multiplied in here.
"""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from types import ModuleType
from typing import Any

import numpy as np
import torch

from gpu_checks.backends.triton_adapter import Adapter, to_numpy, to_torch
from gpu_checks.backends.triton_source import swapped
from gpu_checks.formats import format_of
from gpu_checks.subject import Result, SampledBatch, WholeBatch
from gpu_checks.subjects.whole_rows import IGNORED, linear, row_by_row, through_autograd, times

_GRPO = "liger_kernel.ops.grpo_loss"
_KL_DIV = "liger_kernel.ops.kl_div"
_JSD = "liger_kernel.ops.jsd"
_TVD = "liger_kernel.ops.tvd"
_FUSED_JSD = "liger_kernel.ops.fused_linear_jsd"
_LAUNCHER = "liger_kernel.ops.backends._triton.jsd"

Modules = Mapping[str, ModuleType]
Settings = Mapping[str, Any]


def sequences(rows: int) -> int:
    """Return into how many sequences rows are cut: 2 where that is possible, so that a batch's stride is used."""
    return 2 if rows % 2 == 0 else 1


def with_last_position(logits: torch.Tensor) -> torch.Tensor:
    """Return [sequence, position + 1, token] of [row, token]: the kernels take one position more, and ignore it."""
    count = sequences(logits.shape[0])
    return torch.cat([logits.reshape(count, -1, logits.shape[1]), logits.new_zeros(count, 1, logits.shape[1])], dim=1)


def _grpo(modules: Modules, batch: SampledBatch, settings: Settings) -> Result:
    logits = with_last_position(to_torch(batch.logits)).requires_grad_()
    shape = (logits.shape[0], logits.shape[1] - 1)
    corrected = bool(settings["bias_correction"])
    sampler = to_torch(batch.sampler).reshape(shape) if corrected and batch.sampler is not None else None
    value, _, _ = modules[_GRPO].GrpoLossFunction.apply(
        logits,
        sampler,
        to_torch(batch.reference).reshape(shape),
        to_torch(batch.tokens).reshape(shape),
        torch.zeros(shape[0]),
        torch.ones(shape, dtype=torch.int32),
        settings["temperature"],
        settings["beta"],
        0.2,
        0.2,
        False,
        "grpo",
        None,
        False,
        "token",
        1.0,
        1.05,
        None,
        None,
        corrected,
    )
    value.backward(to_torch(batch.upstream).reshape(shape))
    assert logits.grad is not None
    return Result(to_numpy(value.reshape(-1)), to_numpy(logits.grad[:, :-1].reshape(-1, logits.shape[2])))


def _kl_div(modules: Modules, batch: WholeBatch, settings: Settings) -> Result:
    apply = modules[_KL_DIV].LigerKLDivLossFunction.apply
    evaluate = through_autograd(lambda mine, theirs, _: apply(mine, theirs, "sum", True))
    return row_by_row(batch, evaluate, equal_others=True)


def _jsd(modules: Modules, batch: WholeBatch, settings: Settings) -> Result:
    apply = modules[_JSD].LigerJSDFunction.apply

    def loss(mine: torch.Tensor, theirs: torch.Tensor, labels: torch.Tensor) -> Any:
        return apply(mine, theirs, labels, settings["beta"], IGNORED, "nvidia-triton")

    with swapped(import_module(_LAUNCHER), _jsd_kernel=modules[_JSD]._jsd_kernel):
        return row_by_row(batch, through_autograd(loss))


def _tvd(modules: Modules, batch: WholeBatch, settings: Settings) -> Result:
    store = format_of(batch.policy).store
    probabilities = WholeBatch(
        store(np.exp(batch.policy.astype(np.float64))),
        store(np.exp(batch.reference.astype(np.float64))),
        batch.upstream,
    )
    apply = modules[_TVD].LigerTVDLossFunction.apply
    return row_by_row(
        probabilities,
        through_autograd(lambda mine, theirs, labels: apply(mine, theirs, labels, "batchmean", IGNORED)),
    )


def _fused_jsd(modules: Modules, batch: WholeBatch, settings: Settings) -> Result:
    apply = modules[_FUSED_JSD].LigerFusedLinearJSDFunction.apply

    def evaluate(
        mine: torch.Tensor, theirs: torch.Tensor, labels: torch.Tensor, upstream: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        (hidden, weight), (their_hidden, their_weight) = linear(mine), linear(theirs)
        options = (labels, settings["beta"], IGNORED, settings["temperature"], None, "nvidia-triton")
        value = apply(hidden, weight.requires_grad_(), their_hidden, their_weight, *options)
        value.backward()
        assert weight.grad is not None
        return value.detach(), times(weight.grad.t(), upstream)

    with swapped(import_module(_LAUNCHER), _jsd_kernel=modules[_JSD]._jsd_kernel):
        return row_by_row(batch, evaluate, infinite_alone=True)


GRPO = Adapter((_GRPO,), _grpo, {"temperature": 1.0, "beta": 1.0, "bias_correction": False})
KL_DIV = Adapter((_KL_DIV,), _kl_div, {})
JSD = Adapter((_JSD,), _jsd, {"beta": 0.5})
TVD = Adapter((_TVD,), _tvd, {})
FUSED_JSD = Adapter((_FUSED_JSD, _JSD), _fused_jsd, {"beta": 0.5, "temperature": 1.0})
