"""How a batch becomes a call of flash-linear-attention's fla-core 0.6.0; run in the worker of the interpreter.

Exact meaning, with x the policy's logits, a = log softmax(x), p = e^a, b and q the reference's, w the upstream
derivative of a row; natural logarithms, no temperature.

* GRPO, advantage 0: with L = a[token] - reference, value beta (e^-L + L - 1), gradient by x of
  w beta (1 - e^-L)(1[token] - p).
* KL_DIV: sum q (b - a), which is KL(reference||policy); gradient by the logits w (p - q). The loss takes hidden states
  and a weight, divides by the number of rows (a power of two here) and computes the gradient with the value: its
  forward function is what is called. w, which the library multiplies in by a second kernel of one program a token, and
  the number of rows are multiplied in here.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import ModuleType
from typing import Any

import torch

from gpu_checks.backends.triton_adapter import Adapter, to_numpy, to_torch
from gpu_checks.subject import Result, SampledBatch, WholeBatch
from gpu_checks.subjects.liger import with_last_position
from gpu_checks.subjects.whole_rows import linear, row_by_row, times

_GRPO = "fla.modules.grpo.ops"
_KL_DIV = "fla.modules.fused_kl_div.ops"

Modules = Mapping[str, ModuleType]
Settings = Mapping[str, Any]


def _grpo(modules: Modules, batch: SampledBatch, settings: Settings) -> Result:
    logits = with_last_position(to_torch(batch.logits)).requires_grad_()
    shape = (logits.shape[0], logits.shape[1] - 1)
    value = modules[_GRPO].GrpoLoss.apply(
        logits,
        to_torch(batch.reference).reshape(shape),
        to_torch(batch.tokens).reshape(shape),
        torch.zeros(shape[0]),
        settings["beta"],
        torch.ones(shape, dtype=torch.int32),
        False,
        False,
    )
    value.backward(to_torch(batch.upstream).reshape(shape))
    assert logits.grad is not None
    return Result(to_numpy(value.reshape(-1)), to_numpy(logits.grad[:, :-1].reshape(-1, logits.shape[2])))


def _kl_div(modules: Modules, batch: WholeBatch, settings: Settings) -> Result:
    forward = modules[_KL_DIV].fused_kl_div_fwd

    def evaluate(
        mine: torch.Tensor, theirs: torch.Tensor, _: torch.Tensor, upstream: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        (hidden, weight), (their_hidden, their_weight) = linear(mine), linear(theirs)
        value, _, by_weight = forward(hidden, their_hidden, weight, their_weight)
        rows = mine.shape[0]
        return value * rows, times(by_weight.t(), upstream * rows)

    return row_by_row(batch, evaluate, equal_others=True, infinite_alone=True)


GRPO = Adapter((_GRPO,), _grpo, {"beta": 1.0})
KL_DIV = Adapter((_KL_DIV,), _kl_div, {})
