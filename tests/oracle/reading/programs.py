"""Random small torch programs on the tensors of a batch, built from a list of choices."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

_POSITIVE = 0.3


def _write(a: Tensor, b: Tensor, where: Callable[[Tensor], Tensor], how: str) -> Tensor:
    """An in-place write through a view of a copy."""
    out = a.clone()
    window = where(out)
    getattr(window, how)(where(b))
    return out


def _no_grad(a: Tensor) -> Tensor:
    with torch.no_grad():
        return (a * 2).exp_().add_(1).reciprocal()


UNARY: dict[str, Callable[[Tensor], Tensor]] = {
    "exp": lambda a: a.clamp(-3, 3).exp(),
    "expm1": lambda a: a.clamp(max=2.0).expm1(),
    "log": lambda a: (a.abs() + _POSITIVE).log(),
    "log1p": lambda a: a.square().log1p(),
    "tanh": torch.tanh,
    "sigmoid": torch.sigmoid,
    "logsigmoid": torch.nn.functional.logsigmoid,
    "softplus": torch.nn.functional.softplus,
    "neg": lambda a: -a,
    "square": torch.square,
    "cube": lambda a: a**3,
    "root": lambda a: (a.abs() + _POSITIVE).sqrt(),
    "inverse": lambda a: 1 / (a.square() + 1),
    "abs": torch.abs,
    "relu": torch.relu,
    "clamp": lambda a: a.clamp(-0.21, 0.33),
    "clamp_min": lambda a: a.clamp(min=0.11),
    "detach": torch.Tensor.detach,
    "detached_factor": lambda a: a * a.detach().exp().clamp(max=2),
    "no_grad": _no_grad,
    "to32": lambda a: a.float(),
    "to64": lambda a: a.double(),
    "flip": lambda a: a.flip(0),
    "flip_last": lambda a: a.flip(-1),
    "roll": lambda a: a.roll(1, -1),
    "transpose": lambda a: a.t() * 1.5,
    "cumsum": lambda a: a.cumsum(-1),
    "returns": lambda a: a.flip(-1).cumsum(-1).flip(-1),
    "softmax": lambda a: a.softmax(-1),
    "log_softmax": lambda a: a.log_softmax(0),
    "centred": lambda a: a - a.mean(0, keepdim=True),
    "standard": lambda a: (a - a.mean()) / (a.std() + 1e-3),
    "row_sum": lambda a: a.sum(-1, keepdim=True) + a,
    "mean_all": lambda a: a.mean() + a,
    "var": lambda a: a + a.var(dim=1, unbiased=False, keepdim=True),
    "norm": lambda a: a / (a.norm(dim=-1, keepdim=True) + 0.1),
    "logsumexp": lambda a: a - a.logsumexp(-1, keepdim=True),
    "amax": lambda a: a - a.amax(-1, keepdim=True),
    "max_all": lambda a: a.max() * a,
    "prod": lambda a: a.prod(-1, keepdim=True) + a,
    "tril": lambda a: a.tril() + 0.2 * a,
    "where": lambda a: torch.where(a > 0.07, a, a * 0.1),
    "where_scalar": lambda a: torch.where(a > 0.07, a, -0.4),
    "where_mask": lambda a: a * torch.where(a.abs() > 0.23, 1.0, 0.5),
    "indicator": lambda a: a * (a > 0.05).to(a.dtype),
    "bool_sum": lambda a: a * ((a > 0.05) + (a > 0.4)),
    "not_both": lambda a: a * (~((a > 0.05) & (a < 0.4))).float(),
    "count": lambda a: a / (a > 0.03).sum().clamp(min=1),
    "masked_fill": lambda a: a.masked_fill(a.detach() < -0.17, 0.3),
    "masked_inf": lambda a: a.masked_fill(torch.tensor([True, False]), -torch.inf).softmax(0).nan_to_num(nan=0.0),
    "stack": lambda a: torch.stack([a, a.exp().clamp(max=3)], dim=-1).sum(-1),
    "cat": lambda a: torch.cat([a[:1], a[:1] * a[1:]], dim=0),
    "chunk": lambda a: torch.cat([b * (i + 1) for i, b in enumerate(a.chunk(2, dim=1))], dim=1),
    "unbind": lambda a: torch.stack([b.square() for b in a.unbind(0)]),
    "gather": lambda a: a.gather(1, torch.tensor([[1, 1], [0, 1]])),
    "take": lambda a: a[torch.tensor([1, 1]), torch.tensor([[0], [1]])],
    "index_add": lambda a: a.index_add(0, torch.tensor([0, 0]), a, alpha=2),
    "scatter_add": lambda a: a.scatter_add(1, torch.tensor([[0, 0], [1, 0]]), a),
    "index_put": lambda a: a.index_put((torch.tensor([0, 0]),), a[1], accumulate=True),
    "expand": lambda a: a[:, :1].expand(2, 2) * a,
    "repeat": lambda a: a.repeat(2, 1)[1:3],
    "interleave": lambda a: a.repeat_interleave(2, dim=0)[1:3],
    "pad": lambda a: torch.nn.functional.pad(a, (1, -1), value=0.3),
    "diagonal": lambda a: a + a.diagonal(),
    "strided": lambda a: a * a.clone().as_strided((2,), (3,)),
    "mm": lambda a: a @ a.t(),
    "einsum": lambda a: torch.einsum("ij,kj->ik", a, a.sigmoid()),
    "logcumsumexp": lambda a: a.cumsum(0).logaddexp(a),
    "gelu": lambda a: torch.nn.functional.gelu(a),
    "silu_": lambda a: torch.nn.functional.silu(a.clone(), inplace=True),
    "elu": torch.nn.functional.elu,
    "zero_row": lambda a: _write(a, torch.zeros_like(a), lambda t: t[0], "copy_"),
    "scale_column": lambda a: _write(a, a.detach(), lambda t: t[:, 1], "mul_"),
    "write_diagonal": lambda a: _write(a, a.exp().clamp(max=3), lambda t: t.diagonal(), "copy_"),
    "buffer": lambda a: _write(torch.zeros(2, 2, dtype=a.dtype), a * 2, lambda t: t.t()[1:], "add_"),
    "buffer32": lambda a: _write(torch.zeros(2, 2), a, lambda t: t[:, :1], "copy_"),
    "data": lambda a: a + (a * 1).data.mul_(2),
    "fill_element": lambda a: _write(torch.ones_like(a), a, lambda t: t[1, 0], "fill_"),
    "xlogy": lambda a: torch.xlogy((a > 0.1).to(a.dtype), a.abs() + _POSITIVE),
    "lerp": lambda a: torch.lerp(a, a.exp().clamp(max=2), 0.3),
    "pow_tensor": lambda a: (a.abs() + _POSITIVE) ** torch.tensor([1.5, -2.0], dtype=a.dtype),
    "base_two": lambda a: 2.0 ** a.clamp(-2, 2),
    "clamp_tensor": lambda a: a.clamp(min=torch.tensor([-0.3, 0.2]).to(a), max=torch.tensor(0.5).to(a)),
    "int_length": lambda a: a / torch.ones(2, 2, dtype=torch.int64).sum(-1, keepdim=True),
    "smooth_l1": lambda a: torch.nn.functional.smooth_l1_loss(a, a.detach() * 0 + 0.1, reduction="none", beta=0.3),
    "huber": lambda a: torch.nn.functional.huber_loss(a, torch.full_like(a, 0.1), reduction="none", delta=0.2),
    "second_order": lambda a: _second_order(a),
    "checkpoint": lambda a: _checkpoint(a),
    "custom": lambda a: _Cube.apply(a),
    "hook": lambda a: _hooked(a),
    "vmap": lambda a: torch.func.vmap(lambda row: row * row.sigmoid().sum())(a),
}

BINARY: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "add": lambda a, b: a + b,
    "sub": lambda a, b: a - b,
    "rsub": lambda a, b: torch.rsub(a, b, alpha=2),
    "mul": lambda a, b: a * b,
    "div": lambda a, b: a / (b.square() + 0.5),
    "minimum": torch.minimum,
    "maximum": torch.maximum,
    "where": lambda a, b: torch.where(a > b, a * 2, b),
    "where_const": lambda a, b: torch.where(torch.tensor([[True], [False]]), a, b),
    "straight_through": lambda a, b: a - a.detach() + b.detach(),
    "logaddexp": torch.logaddexp,
    "hypot": lambda a, b: torch.hypot(a, b + 0.2),
    "mm": lambda a, b: a @ b,
    "addmm": lambda a, b: torch.addmm(a, b, a, beta=0.5, alpha=2),
    "bmm": lambda a, b: torch.bmm(a[None], b[None])[0],
    "baddbmm": lambda a, b: torch.baddbmm(a[None], b[None], a[None], beta=0.5)[0],
    "broadcast": lambda a, b: a[:, :1] * b[1],
    "addcmul": lambda a, b: torch.addcmul(a, a, b, value=0.3),
    "cat": lambda a, b: torch.cat([a[:, 1:], b[:, :1]], dim=-1),
    "write_view": lambda a, b: _write(a, b, lambda t: t[:, 1], "mul_"),
    "write_row": lambda a, b: _write(a, b, lambda t: t.view(-1)[1:3], "copy_"),
    "masked_scatter": lambda a, b: a.masked_scatter(torch.tensor([[True, False], [False, True]]), b),
    "scatter": lambda a, b: a.scatter(1, torch.tensor([[1], [0]]), b[:, :1]),
    "advantage": lambda a, b: a * (b.detach() - b.detach().mean()) / (b.detach().std() + 1e-2),
    "mse": lambda a, b: torch.nn.functional.mse_loss(a, b, reduction="none"),
    "kl_div": lambda a, b: torch.nn.functional.kl_div(a, b, log_target=True, reduction="none"),
    "cosine": lambda a, b: a * torch.nn.functional.cosine_similarity(a, b + 0.1, dim=-1)[:, None],
}

REDUCE: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "sum": lambda a, m: a.sum(),
    "mean": lambda a, m: a.mean(),
    "masked_mean": lambda a, m: (a * m).sum() / m.sum().clamp(min=1),
    "sequence_mean": lambda a, m: ((a * m).sum(-1) / m.sum(-1)).mean(),
    "selected": lambda a, m: a[m.bool()].mean(),
    "filled": lambda a, m: a.masked_fill(m == 0, 0.0).sum(1).mean(0),
    "last": lambda a, m: a[:, -1].sum() + 0.1 * a[0, 0],
    "dot": lambda a, m: a.reshape(-1).dot(m.reshape(-1).to(a)),
}


class _Cube(torch.autograd.Function):
    """A cube with a gradient of its own."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        ctx.save_for_backward(x)
        return x**3

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:  # type: ignore[override]
        (x,) = ctx.saved_tensors
        return gradient * 2 * x


def _second_order(a: Tensor) -> Tensor:
    if not a.requires_grad:
        return a
    (slope,) = torch.autograd.grad((a.sigmoid() * a).sum(), a, create_graph=True)
    return slope * a


def _checkpoint(a: Tensor) -> Tensor:
    from torch.utils.checkpoint import checkpoint

    out: Tensor = checkpoint(lambda z: z.sigmoid() * z, a, use_reentrant=False)
    return out


def _hooked(a: Tensor) -> Tensor:
    out = a * 2
    if out.requires_grad:
        out.register_hook(lambda g: g.clamp(max=0.4))
    return out.sin()


@dataclass(frozen=True)
class Program:
    """A straight-line program: each step applies an operator to results before it; then a reduction."""

    steps: tuple[tuple[str, int, int], ...]
    reduction: str

    def __call__(self, logp: Tensor, ref: Tensor, old: Tensor, mask: Tensor) -> Tensor:
        """A loss."""
        values = [logp - ref, (logp - old).exp(), logp, ref]
        for name, i, j in self.steps:
            a, b = values[-1 - i % len(values)], values[-1 - j % len(values)]
            if name.startswith("b:"):
                b = b.to(a.dtype)
                values.append(BINARY[name[2:]](a, b))
            else:
                values.append(UNARY[name](a))
        return REDUCE[self.reduction](values[-1], mask.to(values[-1].dtype))

    def coarse(self) -> bool:
        """Whether float32 enters."""
        return any(name in ("to32", "buffer32", "not_both") for name, _, _ in self.steps)


def names() -> Sequence[str]:
    """All operators that a step may apply."""
    return [*UNARY, *(f"b:{n}" for n in BINARY), *(f"b:{n}" for n in BINARY)]
