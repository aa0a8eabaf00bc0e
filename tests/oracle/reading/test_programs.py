"""Programs as people write them: numbers that leave a tensor, what has no formula, gradients of one's own."""

from __future__ import annotations

import re
from typing import Any

import pytest
import torch
import torch.nn.functional as F
import torch.utils.checkpoint
from torch import Tensor

from tests.oracle.reading.mirrored import run
from tests.oracle.reading.operator_cases import MASK, D, Program, inputs, whole


@pytest.mark.parametrize(
    ("program", "cause"),
    [
        (lambda x, y: x.logcumsumexp(0), "the operator aten.logcumsumexp.default"),
        (lambda x, y: torch.lgamma(x) * y, "the operator aten.lgamma.default"),
        (lambda x, y: torch.erfc(x), "the operator aten.erfc.default"),
        (lambda x, y: x.round() * y, "the operator aten.round.default"),
        (lambda x, y: x.floor() * y, "the operator aten.floor.default"),
        (lambda x, y: x * torch.div(y, 2, rounding_mode="floor"), r"a division that rounds \(floor\)"),
        (lambda x, y: x * (y.detach() // 0.3), "the operator aten.floor_divide|a division that rounds"),
        (lambda x, y: x * (y % 0.3), "the operator aten.remainder.Scalar"),
        (lambda x, y: F.dropout(x), "random numbers"),
        (lambda x, y: x * torch.rand(2, 2, dtype=D), "random numbers"),
        (lambda x, y: x + torch.empty_like(x).normal_(), "random numbers"),
        (lambda x, y: x.bfloat16() * y, "a cast to bfloat16"),
        (lambda x, y: x.half().double(), "a cast to float16"),
        (lambda x, y: x * y.detach().long(), "a cast to int64"),
        (lambda x, y: x * torch.zeros(2, 2, dtype=torch.int32).copy_(y.detach()), "a cast to int32"),
        (lambda x, y: x * y.mean(dtype=torch.float16), "a cast to float16"),
        (lambda x, y: x * y.detach().sum(dtype=torch.int64), "a cast to int64"),
        (lambda x, y: torch.ones(2, dtype=torch.float16) * x[0, 0].float(), "a cast to float16"),
        (lambda x, y: x * ((y > 0).to(torch.uint8) * 200 + (y < 9).to(torch.uint8) * 100), "a cast to uint8"),
        (lambda x, y: x[x > 0], "positions that depend on the inputs"),
        (lambda x, y: torch.stack(torch._foreach_mul([x.detach(), y.detach()], 2.0)), "the operator aten._foreach_mul"),
        (lambda x, y: torch.nan_to_num(x.masked_fill(MASK, torch.inf)), "an infinity replaced by nan_to_num"),
        (lambda x, y: x * ((y > 0).long() & 1), "bits of an integer"),
    ],
)
def test_what_cannot_be_read_is_unknown_by_its_first_cause(program: Program, cause: str) -> None:
    seen = run(program, *inputs(1))
    assert seen.unknown()
    assert re.match(cause, seen.unknown()[0]), seen.unknown()[0]
    assert seen.mirror.lost[0] == seen.unknown()[0]


def test_only_what_depends_on_the_unknown_is_unknown() -> None:
    seen = run(lambda x, y: (x * 2, x.detach().sort()[0].mean(), x.exp()), *inputs(1), gradient=False)
    unknown = [bool(f.size and any("unknown" in str(e) for e in f.flat)) for f in seen.formulas]
    assert unknown == [False, True, False]


def metrics(x: Tensor, y: Tensor) -> Tensor:
    log = {"mean": x.mean().item(), "list": y.tolist(), "max": float(x.max()), "array": x.detach().numpy().sum()}
    return x * y if log else x


def test_metrics_on_the_side_do_not_disturb_the_formula() -> None:
    seen = run(metrics, *inputs(1))
    assert seen.differs() is None
    assert not seen.unknown()
    assert len(seen.mirror.escapes) == 1 + 4 + 1 + 4


LEAVING: dict[str, Program] = {
    "item": lambda x, y: x * y.sum().item(),
    "float": lambda x, y: x * float(y[0, 0]),
    "branch": lambda x, y: x * 2 if y.sum() > 0 else x,
    "tolist": lambda x, y: x * torch.tensor(y.tolist(), dtype=D),
    "numpy": lambda x, y: x * torch.from_numpy(y.detach().numpy() * 2),
    "tensor of tensors": lambda x, y: x * torch.tensor([y[0, 0], 1.0], dtype=D),
    "as_tensor of tensors": lambda x, y: x * torch.as_tensor([y[0, 0], y[0, 1]]),
    "new_tensor of tensors": lambda x, y: x * x.new_tensor([y[0, 0], 2.0]),
    "an old constructor": lambda x, y: x * torch.DoubleTensor([y[0, 0], 2.0]),
    "equal": lambda x, y: x * torch.equal(x, y),
    "allclose": lambda x, y: x * torch.allclose(x, y),
}


@pytest.mark.parametrize("name", LEAVING)
def test_numbers_that_leave_a_tensor_leave_a_path_condition(name: str) -> None:
    seen = run(LEAVING[name], *inputs(1))
    assert seen.mirror.escapes
    assert seen.differs() is None


@pytest.mark.parametrize(
    "program",
    [
        lambda x, y: torch.tensor(x) * y,
        lambda x, y: torch.as_tensor(x) * y,
        lambda x, y: x * y if x.shape[0] == 2 and x.requires_grad and x.numel() else x,
        lambda x, y: x * len(y) * y.size(0),
    ],
)
def test_what_depends_on_no_numbers_leaves_none(program: Program) -> None:
    seen = run(program, *inputs(1))
    assert not seen.mirror.escapes
    assert seen.differs() is None


class Doubled(torch.autograd.Function):
    """x^3 with a gradient of its own."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        ctx.save_for_backward(x)
        return x**3

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:  # type: ignore[override]
        return gradient * 2 * ctx.saved_tensors[0]


def second_order(x: Tensor, y: Tensor) -> Tensor:
    (slope,) = torch.autograd.grad((x.exp() * x).sum(), x, create_graph=True)
    return slope * y


def hooked(x: Tensor, y: Tensor) -> Tensor:
    out = x * y
    out.register_hook(lambda g: g.clamp(max=0.4))
    out.retain_grad()
    return out.exp()


def without_gradient(x: Tensor, y: Tensor) -> Tensor:
    with torch.no_grad():
        weight = (x * 2).clone()
        weight[0] = 0
    return x * weight + y


def counted(x: Tensor, y: Tensor) -> Tensor:
    lengths = (x > 0).sum(1)
    lengths += torch.tensor([3, 1])
    lengths.mul_(2)
    return x / lengths.clamp(min=1)[:, None]


def replaced(x: Tensor, y: Tensor) -> Tensor:
    out = x * 1
    out.data.mul_(2)
    return out * y


@pytest.mark.parametrize(
    "program",
    [
        second_order,
        hooked,
        without_gradient,
        counted,
        replaced,
        lambda x, y: Doubled.apply(x) * y,
        lambda x, y: torch.utils.checkpoint.checkpoint(lambda z: z.exp() * z, x, use_reentrant=False),
        lambda x, y: torch.func.grad(lambda z: (z**3).sum())(x) * y,
        lambda x, y: torch.func.vmap(lambda r: r.exp().sum() * r)(x),
        lambda x, y: torch.func.vmap(torch.func.grad(lambda r: r.exp().sum() * r[0]))(x),
        lambda x, y: x - x.detach() + y.detach(),
        lambda x, y: (x * 2).detach_() * y,
        lambda x, y: x * y.clone().squeeze_().t_().unsqueeze_(0),
        whole(lambda x, y: x.std() + F.gelu(y) + x.__iand__(x) if x.dtype is torch.bool else x.var() * y),
    ],
)
def test_ways_of_writing_a_loss(program: Program) -> None:
    for seed in (1, 2):
        seen = run(program, *inputs(seed))
        assert not seen.unknown()
        assert seen.differs() is None
