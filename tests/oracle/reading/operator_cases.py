"""Programs that reach every rule of the reading, by the rule's name."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

D = torch.float64
Program = Callable[[Tensor, Tensor], Any]
aten = torch.ops.aten

INDEX = torch.tensor([[1, 0], [0, 0]])
ROW = torch.tensor([1, 0, 1])
MASK = torch.tensor([[True, False], [True, True]])


def whole(call: Callable[[Tensor, Tensor], Any]) -> Program:
    """In inference mode composite operators reach the mirror in one piece."""

    def program(x: Tensor, y: Tensor) -> Any:
        with torch.inference_mode():
            return call(x.detach().clone(), y.detach().clone())

    return program


def plain(call: Callable[[Tensor, Tensor], Any]) -> Program:
    """Without a gradient."""
    return lambda x, y: call(x.detach(), y.detach())


def methods(name: str, *argument_lists: Any, domain: Callable[[Tensor], Tensor] = lambda x: x) -> list[Program]:
    """A method out of place and in place; arguments may be functions of y."""

    def given(arguments: Any, y: Tensor) -> list[Any]:
        return [a(y) if callable(a) else a for a in arguments]

    out: list[Program] = []
    for a in argument_lists or ((),):
        out.append(lambda x, y, a=a: getattr(domain(x), name)(*given(a, y)))  # type: ignore[misc]
        if hasattr(torch.Tensor, f"{name}_"):
            out.append(lambda x, y, a=a: getattr(domain(x).clone(), f"{name}_")(*given(a, y)))  # type: ignore[misc]
    return out


def positive(x: Tensor) -> Tensor:
    return x.exp() + 0.1


def same(y: Tensor) -> Tensor:
    return y


def corner(y: Tensor) -> Tensor:
    return y[0, 0]


def overloads(name: str, scalar: float = 0.3) -> list[Program]:
    """With a tensor, a row, a 0-d tensor and a number."""
    return methods(name, (same,), (lambda y: y[0],), (corner,), (scalar,))


def compared(name: str) -> list[Program]:
    return [
        lambda x, y: x * getattr(torch, name)(x, y),
        lambda x, y: x * getattr(torch, name)(x, 0.2),
        lambda x, y: x * getattr(x.detach().clone(), f"{name}_")(y.detach()),
        lambda x, y: x * getattr(torch, name)(x, x.clone()),
    ]


def reduced(name: str) -> list[Program]:
    f = getattr(torch, name)
    return [
        lambda x, y: f(x, dim=-1),
        lambda x, y: f(x, dim=0, keepdim=True),
        lambda x, y: f(x[0, 0], dim=0),
    ]


def lists_of_dims(name: str) -> list[Program]:
    f = getattr(torch, name)
    return [lambda x, y: f(x, dim=(0, -1)), lambda x, y: f(x, dim=(), keepdim=True), lambda x, y: f(x, dim=[])]


def shrinking(name: str) -> list[Program]:
    """Reductions to all elements, too."""
    return [lambda x, y: getattr(torch, name)(x)]


def pairwise(name: str) -> list[Program]:
    f = getattr(torch, name)
    return [lambda x, y: f(x, y), lambda x, y: f(x, y[0])]


def logical(name: str) -> list[Program]:
    f = getattr(torch, f"logical_{name}")
    return [lambda x, y: x * f(x > 0, y > 0), lambda x, y: x * f(x, (y > 0).long())]


def bitwise(name: str) -> list[Program]:
    f, in_place = getattr(torch, f"bitwise_{name}"), getattr(Tensor, f"bitwise_{name}_")
    return [
        lambda x, y: x * f(x > 0, y > 0),
        lambda x, y: x * f(x > 0, True),
        lambda x, y: x * in_place(x > 0, y > 0),
        lambda x, y: x * f(torch.where(MASK, 6, (x > 99).long() * 0), 3),
    ]


def asked(name: str) -> list[Program]:
    f = getattr(torch, name)
    return [
        lambda x, y: y * f(x),
        lambda x, y: y * f(x.masked_fill(MASK, torch.inf)),
        lambda x, y: y * f(x.masked_fill(MASK, -torch.inf)),
        lambda x, y: y * f(x.masked_fill(MASK, torch.nan)),
        lambda x, y: y * f(x.masked_fill(x > 0, torch.inf)),
    ]


CASES: dict[str, list[Program]] = {
    **{
        n: methods(n)
        for n in (
            "neg",
            "exp",
            "expm1",
            "exp2",
            "square",
            "abs",
            "sgn",
            "sign",
            "tanh",
            "sinh",
            "cosh",
            "sin",
            "cos",
            "atan",
            "sigmoid",
            "relu",
            "erf",
        )
    },
    **{n: methods(n, domain=positive) for n in ("log", "log1p", "log2", "log10", "sqrt", "rsqrt", "reciprocal")},
    "asinh": [lambda x, y: x.asinh(), plain(lambda x, y: x.asinh_())],
    "square": [whole(lambda x, y: torch.square(x)), whole(lambda x, y: x.square_())],
    "log": [
        *methods("log", domain=positive),
        lambda x, y: (x.exp() * torch.tensor([0.0, 1.0], dtype=D)).detach().log(),
    ],
    **{n: pairwise(n) for n in ("minimum", "maximum", "fmin", "fmax", "logaddexp", "logaddexp2")},
    "atan2": methods("atan2", (same,)),
    "hypot": methods("hypot", (same,)),
    "mul": [*overloads("mul"), lambda x, y: x * (y > 0), lambda x, y: x * ((y > 0) * (y < 0.5))],
    "add": [
        *overloads("add"),
        lambda x, y: torch.add(x, y, alpha=-2),
        lambda x, y: torch.add(x, 1, alpha=0.5),
        lambda x, y: x * ((y > 0) + (y > 0.4)),
        lambda x, y: x * ((y > 0).long() + True),
        plain(lambda x, y: torch.add(x, y, out=torch.empty(2, 2, dtype=D))),
    ],
    "sub": [*overloads("sub"), lambda x, y: torch.sub(x, y, alpha=3), lambda x, y: 1 - x],
    "rsub": [lambda x, y: torch.rsub(x, y, alpha=2), lambda x, y: torch.rsub(x, 0.7)],
    "div": [*overloads("div"), lambda x, y: 1 / (x + 9), lambda x, y: x / (y > 0).sum().clamp(min=1)],
    "true_divide": [whole(lambda x, y: torch.true_divide(x, y)), whole(lambda x, y: x.true_divide_(3))],
    "pow": [
        *methods("pow", (2,), (3.0,), (0,), (-1,), (-2.0,)),
        *methods("pow", (0.5,), (-1.5,), (same,), domain=positive),
        lambda x, y: 2.0**x,
        lambda x, y: x ** torch.tensor([3, 2]),
        lambda x, y: (x**2) ** 0.5,
    ],
    "addcmul": [lambda x, y: torch.addcmul(x, y, y.exp(), value=0.5), lambda x, y: x.clone().addcmul_(y, y)],
    "addcdiv": [lambda x, y: torch.addcdiv(x, y, y.exp(), value=-2), lambda x, y: x.clone().addcdiv_(y, y.exp())],
    "lerp": [
        lambda x, y: torch.lerp(x, y, 0.3),
        lambda x, y: torch.lerp(x, y, y),
        lambda x, y: x.clone().lerp_(y, 0.7),
    ],
    "xlogy": [
        lambda x, y: torch.xlogy(x, positive(y)),
        lambda x, y: torch.xlogy(2.0, positive(y)),
        plain(lambda x, y: torch.xlogy((x > 99).double(), y * 0)),
    ],
    "clamp": [
        *methods("clamp", (-0.2, 0.3), (None, 0.1), (0.1,), (1.0, -1.0)),
        lambda x, y: x.clamp(y, y + 0.3),
        lambda x, y: x.clamp(min=y[0], max=torch.tensor(0.4, dtype=D)),
        lambda x, y: x.clamp(y, y.flip(0)),
        lambda x, y: x.clamp(max=1),
    ],
    "clip": [whole(lambda x, y: torch.clip(x, -0.1, 0.2)), whole(lambda x, y: x.clip_(max=0.1))],
    "clamp_min": [*methods("clamp_min", (0.1,)), lambda x, y: torch.clamp_min(x, y)],
    "clamp_max": [*methods("clamp_max", (0.1,)), lambda x, y: torch.clamp_max(x, y)],
    "softplus": [lambda x, y: F.softplus(x), lambda x, y: F.softplus(x, beta=2, threshold=0.5)],
    "softplus_backward": [lambda x, y: F.softplus(x, beta=3, threshold=0.1)],
    "log_sigmoid_forward": [lambda x, y: F.logsigmoid(x)],
    "log_sigmoid_backward": [lambda x, y: F.logsigmoid(x * 2)],
    "tanh_backward": [lambda x, y: torch.tanh(x)],
    "sigmoid_backward": [lambda x, y: torch.sigmoid(x)],
    "threshold_backward": [lambda x, y: torch.relu(x), lambda x, y: F.threshold(x, 0.2, 3.0)],
    "nan_to_num": [
        lambda x, y: torch.nan_to_num(x),
        lambda x, y: torch.nan_to_num(x.masked_fill(MASK, -torch.inf), neginf=-2.0) * y,
        lambda x, y: torch.nan_to_num(x.masked_fill(x > 0, torch.inf), posinf=3.0) * y,
        plain(lambda x, y: torch.nan_to_num(x.masked_fill(MASK, torch.nan), nan=0.5)),
    ],
    "_to_copy": [
        lambda x, y: (x > 0).to(D) * x,
        lambda x, y: x * (y > 0).long(),
        lambda x, y: x * (y > 0).to(torch.bfloat16),
        lambda x, y: x * (x * 0.5).bool(),
        plain(lambda x, y: x.to(memory_format=torch.contiguous_format, copy=True)),
    ],
    "copy": [lambda x, y: x.clone().copy_(y[0]), lambda x, y: x.clone().copy_(y[0, 0])],
    "fill": [
        lambda x, y: x.clone().fill_(0.1),
        lambda x, y: x.clone().fill_(y[0, 0]),
        plain(lambda x, y: torch.fill(x, 2)),
    ],
    "zero": [lambda x, y: (x * y).zero_() + x],
    # comparisons and logic
    **{n: compared(n) for n in ("eq", "ne", "lt", "le", "gt", "ge")},
    "ne.Scalar": [lambda x, y: x * (y != 0.2)],
    **{f"logical_{n}": logical(n) for n in ("and", "or", "xor")},
    **{f"bitwise_{n}": bitwise(n) for n in ("and", "or", "xor")},
    "logical_not": [lambda x, y: x * torch.logical_not(x > 0), lambda x, y: x * torch.logical_not(x)],
    "bitwise_not": [lambda x, y: x * ~(x > 0), lambda x, y: x * ~(x > 0).long()],
    **{n: asked(n) for n in ("isnan", "isinf", "isposinf", "isneginf")},
    "isfinite": [
        whole(lambda x, y: torch.isfinite(x.masked_fill(MASK, torch.inf))),
        whole(lambda x, y: y * torch.isfinite(x.masked_fill(x > 0, torch.nan))),
    ],
    "where": [
        lambda x, y: torch.where(x > 0, x, y),
        lambda x, y: torch.where(x > y, x, 2.0),
        lambda x, y: torch.where(x > 0, 1.5, 0.0) * y,
        lambda x, y: torch.where(MASK, x, y[0]),
        lambda x, y: torch.where(x[0] > 0, x, y[:, :1]),
    ],
    "masked_fill": [*methods("masked_fill", (lambda y: y > 0, 0.3), (lambda y: y > 0, corner), (MASK[0], -1))],
    "any": [
        lambda x, y: x * (x > 0).any(),
        lambda x, y: x * (x > 0).any(dim=-1, keepdim=True),
        lambda x, y: x * torch.any(x > 0.5, dim=(0, 1)),
        lambda x, y: x * x.any(0),
    ],
    "all": [lambda x, y: x * (x > 0).all(), lambda x, y: x * (x > 0).all(dim=1), lambda x, y: x * (x > 9)[:0].all()],
    # reductions
    "sum": [
        *shrinking("sum"),
        *reduced("sum"),
        *lists_of_dims("sum"),
        lambda x, y: x.sum(dtype=D),
        lambda x, y: x * (x > 0).sum(-1),
        lambda x, y: x[:0].sum() + y,
        plain(lambda x, y: torch.sum(x, 1, out=torch.empty(2, dtype=D))),
    ],
    "nansum": [*shrinking("nansum"), *reduced("nansum"), plain(lambda x, y: x.masked_fill(MASK, torch.nan).nansum())],
    "mean": [*shrinking("mean"), *reduced("mean"), *lists_of_dims("mean"), lambda x, y: (x > 0).mean(dtype=D) * y],
    "prod": [*shrinking("prod"), *reduced("prod"), lambda x, y: x[:0].prod() + y],
    "count_nonzero": [lambda x, y: x * torch.count_nonzero(x > 0), lambda x, y: x * torch.count_nonzero(x > 0, dim=-1)],
    "cumsum": [
        *methods("cumsum", (0,), (-1,)),
        lambda x, y: x[0, 0].cumsum(0),
        lambda x, y: x * (x > 0).cumsum(1),
    ],
    "cumprod": [
        plain(lambda x, y: x.cumprod(0)),
        plain(lambda x, y: x.cumprod(-1)),
        plain(lambda x, y: x[0, 0].cumprod(0)),
    ],
    "var.correction": [
        *shrinking("var"),
        *reduced("var")[:2],
        lambda x, y: x.var(unbiased=False),
        lambda x, y: x.var(dim=(0, 1), correction=0.5),
        lambda x, y: torch.var(x, (), correction=2),
    ],
    "std.correction": [
        *shrinking("std"),
        *reduced("std")[:2],
        lambda x, y: x.std(1, False),
        lambda x, y: x.std(dim=None, correction=0, keepdim=True),
    ],
    "var_mean.correction": [
        lambda x, y: torch.var_mean(x, dim=1),
        lambda x, y: torch.var_mean(x),
        lambda x, y: F.layer_norm(x, (2,), eps=1e-3),
    ],
    "std_mean.correction": [
        lambda x, y: torch.std_mean(x, dim=-1, keepdim=True, correction=0),
        lambda x, y: torch.std_mean(x),
    ],
    "amax": [*reduced("amax"), *lists_of_dims("amax"), *shrinking("amax")],
    "amin": [*reduced("amin"), *lists_of_dims("amin"), *shrinking("amin")],
    "max.default": [lambda x, y: x.max()],
    "min.default": [lambda x, y: x.min() * y],
    "max.dim": [plain(lambda x, y: x.max(-1).values), plain(lambda x, y: x.max(0, keepdim=True)[0])],
    "min.dim": [plain(lambda x, y: x.min(-1).values), plain(lambda x, y: x.min(0, keepdim=True)[0])],
    "max.other": [whole(lambda x, y: torch.max(x, y))],
    "min.other": [whole(lambda x, y: torch.min(x, y))],
    "logsumexp": [
        lambda x, y: x.logsumexp(-1),
        lambda x, y: x.logsumexp((0, 1), keepdim=True),
        lambda x, y: x.masked_fill(MASK, -torch.inf).logsumexp(1),
    ],
    "_log_softmax": [lambda x, y: x.log_softmax(-1), lambda x, y: F.log_softmax(x, 0, dtype=D)],
    "_softmax": [lambda x, y: x.softmax(0), lambda x, y: x.masked_fill(MASK, -torch.inf).softmax(0)],
    "_log_softmax_backward_data": [lambda x, y: x.log_softmax(0) * y],
    "_softmax_backward_data": [lambda x, y: x.softmax(-1) * y],
    "linalg_vector_norm": [
        lambda x, y: x.norm(),
        lambda x, y: x.norm(p=1, dim=-1),
        lambda x, y: x.norm(p=3),
        lambda x, y: x.norm(p=torch.inf, dim=0, keepdim=True),
        lambda x, y: x.norm(p=-torch.inf),
        lambda x, y: x * torch.linalg.vector_norm(x.detach(), 0),
        lambda x, y: torch.linalg.vector_norm(x, 1.5, dim=(0, 1)),
    ],
    "mm": [lambda x, y: x @ y, lambda x, y: torch.einsum("ij,kj->ki", x, y)],
    "bmm": [lambda x, y: torch.bmm(torch.stack([x, y]), torch.stack([y, y]))],
    "mv": [lambda x, y: x @ y[0]],
    "dot": [lambda x, y: x[0] @ y[1], lambda x, y: torch.inner(x[0], y[0])],
    "vdot": [lambda x, y: torch.vdot(x[0], y[1])],
    "matmul": [whole(lambda x, y: torch.matmul(x, y))],
    "addmm": [lambda x, y: torch.addmm(x, y, x, beta=0.5, alpha=2), lambda x, y: F.linear(x, y, x[0])],
    "addmv": [lambda x, y: torch.addmv(x[0], x, y[0], alpha=-1)],
    "baddbmm": [
        lambda x, y: torch.baddbmm(x[None], y[None], x[None], beta=0.2),
        lambda x, y: torch.baddbmm(x[None], y[None], x[None], beta=0),
    ],
    # layout
    "clone": [lambda x, y: x.clone(), plain(lambda x, y: x.t().clone(memory_format=torch.contiguous_format))],
    "contiguous": [whole(lambda x, y: x.t().contiguous())],
    "lift_fresh_copy": [plain(lambda x, y: aten.lift_fresh_copy(x))],
    "alias_copy": [plain(lambda x, y: aten.alias_copy(x))],
    "detach_copy": [plain(lambda x, y: aten.detach_copy(x))],
    "view_copy": [plain(lambda x, y: aten.view_copy(x, [4])), plain(lambda x, y: aten.view_copy(x, [-1, 1]))],
    "reshape": [whole(lambda x, y: aten.reshape(x.t(), [4]))],
    "_reshape_copy": [plain(lambda x, y: aten._reshape_copy(x.t(), [4]))],
    "cat": [lambda x, y: torch.cat([x, y], dim=-1), lambda x, y: torch.cat([x, torch.empty(0, dtype=D), y])],
    "concat": [whole(lambda x, y: torch.concat([x, y], 1))],
    "stack": [lambda x, y: torch.stack([x, y], dim=-1), lambda x, y: torch.stack([x[0, 0], y[0, 0]])],
    "flip": [lambda x, y: x.flip(0, -1), lambda x, y: x[0, 0].flip(())],
    "roll": [lambda x, y: x.roll(1), lambda x, y: x.roll((1, 1), (0, -1)), lambda x, y: torch.cat([x, y]).roll(-3, 0)],
    "repeat": [lambda x, y: x.repeat(2, 1, 2), lambda x, y: x[0, 0].repeat(3)],
    "expand_copy": [
        plain(lambda x, y: aten.expand_copy(x[:, :1], [3, 2, 2])),
        plain(lambda x, y: aten.expand_copy(x, [-1, 2])),
    ],
    "tril": [*methods("tril", (), (-1,)), lambda x, y: torch.stack([x, y]).tril(1)],
    "triu": [*methods("triu", (), (1,)), lambda x, y: torch.stack([x, y]).triu(-1)],
    "constant_pad_nd": [
        lambda x, y: F.pad(x, (1, 0)),
        lambda x, y: F.pad(x, (0, 1, 2, 0), value=0.3),
        lambda x, y: F.pad(x, (1, -1, -1, 0), value=2),
    ],
    "index_select": [lambda x, y: x.index_select(-1, ROW), lambda x, y: x.index_select(0, ROW[0])],
    "gather": [
        lambda x, y: x.gather(1, INDEX),
        lambda x, y: x.gather(0, INDEX[:1]),
        lambda x, y: x[0].expand(3, 2).gather(-1, torch.tensor([[0], [1], [1]])),
        lambda x, y: torch.take_along_dim(x, INDEX, dim=1),
    ],
    "index": [
        lambda x, y: x[ROW],
        lambda x, y: x[:, ROW],
        lambda x, y: x[INDEX, 1 - INDEX],
        lambda x, y: x[MASK],
        lambda x, y: x[None][:, ROW, :, None][0],
        lambda x, y: torch.stack([x, y])[ROW[:2], :, ROW[:2]],
    ],
    "index_put": [
        lambda x, y: x.index_put((ROW[:2],), y),
        lambda x, y: x.index_put((torch.tensor([0, 0]), torch.tensor([1, 1])), y[0], accumulate=True),
        lambda x, y: x.clone().index_put_((MASK,), y[0, 0]),
    ],
    "_unsafe_index_put": [plain(lambda x, y: aten._unsafe_index_put(x, [ROW[:2]], y, True))],
    "scatter": [
        lambda x, y: x.scatter(1, INDEX[:, :1], y.detach()),
        lambda x, y: x.scatter(-1, INDEX.flip(0) * 0 + torch.tensor([0, 1]), y),
        lambda x, y: x.scatter(0, INDEX[:1], 0.3),
        plain(lambda x, y: x.scatter(1, INDEX, y, reduce="add")),
        plain(lambda x, y: x.scatter(-1, INDEX, y, reduce="multiply")),
        plain(lambda x, y: x.scatter(1, INDEX, 2.0, reduce="multiply")),
    ],
    "scatter_add": [lambda x, y: x.scatter_add(1, INDEX, y), lambda x, y: x.clone().scatter_add_(0, INDEX[:1], y[:1])],
    "index_add": [
        lambda x, y: x.index_add(-1, ROW[:2], y, alpha=2),
        lambda x, y: x.clone().index_add_(0, ROW, torch.cat([y, y[:1]])),
    ],
    "masked_select": [plain(lambda x, y: x.masked_select(MASK)), lambda x, y: x.masked_select(MASK[0])],
    "masked_scatter": [lambda x, y: x.masked_scatter(MASK, y), lambda x, y: x.masked_scatter(MASK[0], y)],
    "masked_scatter_backward": [lambda x, y: x.masked_scatter(MASK, y).exp()],
    "select_backward": [lambda x, y: x[1].exp(), lambda x, y: x.select(-1, -1) ** 2, lambda x, y: x[0, 0] * y],
    "slice_backward": [
        lambda x, y: x[:, 1:].exp(),
        lambda x, y: x[-1:] ** 2,
        lambda x, y: torch.cat([x, y])[::2].exp(),
        lambda x, y: x[:, :-1] * y,
    ],
    "diagonal_backward": [
        lambda x, y: x.diagonal().exp(),
        lambda x, y: x.diagonal(1) ** 2,
        lambda x, y: torch.stack([x, y]).diagonal(-1, 0, 2).exp(),
        lambda x, y: torch.stack([x, y]).diagonal(0, 1, 0).exp(),
    ],
    "slice_scatter": [lambda x, y: x.slice_scatter(y[:1], 0, 1), lambda x, y: x.slice_scatter(y[:, :1], -1, 0, 2, 2)],
    "select_scatter": [lambda x, y: x.select_scatter(y[0], 1, -1), lambda x, y: x[0].select_scatter(y[0, 0], 0, 1)],
    "index_fill": [lambda x, y: x.index_fill(-1, ROW[:1], 0.3), lambda x, y: x.index_fill(0, ROW[:1], y[0, 0])],
    "repeat_interleave.self_int": [
        whole(lambda x, y: x.repeat_interleave(2)),
        whole(lambda x, y: x.repeat_interleave(3, dim=-1)),
    ],
    # creation
    "zeros_like": [lambda x, y: x + torch.zeros_like(y), lambda x, y: x * torch.zeros_like(y, dtype=torch.bool)],
    "empty_like": [lambda x, y: x * torch.empty_like(y).fill_(2)],
    "ones_like": [lambda x, y: x * torch.ones_like(y), lambda x, y: x * torch.ones_like(y, dtype=torch.int64)],
    "full_like": [
        lambda x, y: x * torch.full_like(y, 0.3),
        lambda x, y: x * torch.full_like(y, True, dtype=torch.bool),
    ],
    "new_zeros": [lambda x, y: x + y.new_zeros(2)],
    "new_empty": [lambda x, y: x + y.new_empty(2).zero_()],
    "new_ones": [lambda x, y: x + y.new_ones(2, 1)],
    "new_full": [lambda x, y: x * y.new_full((2, 2), 0.7)],
    "new_empty_strided": [lambda x, y: x * y.new_empty_strided((2, 2), (1, 2)).fill_(3)],
}

UNREAD: dict[str, tuple[Program, str]] = {
    "sort": (lambda x, y: x.sort(-1).values, "an order that depends on the inputs"),
    "topk": (lambda x, y: x.topk(1).values, "an order that depends on the inputs"),
    "median": (lambda x, y: x.median(), "an order that depends on the inputs"),
    "kthvalue": (lambda x, y: x.kthvalue(1).values, "an order that depends on the inputs"),
    "mode": (lambda x, y: x.mode().values, "an order that depends on the inputs"),
    "_unique2": (plain(lambda x, y: x.unique()), "an order that depends on the inputs"),
    "unique_dim": (plain(lambda x, y: x.unique(dim=0)), "an order that depends on the inputs"),
    "unique_consecutive": (plain(lambda x, y: x.unique_consecutive()), "an order that depends on the inputs"),
    "split_with_sizes_copy": (plain(lambda x, y: aten.split_with_sizes_copy(x, [1, 1])), "a list of copies"),
    "split_copy": (plain(lambda x, y: aten.split_copy(x, 1)), "a list of copies"),
    "unbind_copy": (plain(lambda x, y: aten.unbind_copy(x)), "a list of copies"),
}
"""Rules that say why there is no formula."""

CONCRETES: dict[str, Program] = {
    "argmax": lambda x, y: x * x.argmax(-1),
    "argmin": lambda x, y: x * x.argmin(),
    "argsort": whole(lambda x, y: x.argsort(-1)),
    "nonzero": lambda x, y: x * (x > 0).nonzero().sum(),
    "searchsorted": lambda x, y: x * torch.searchsorted(torch.tensor([0.0, 1.0], dtype=D), y.detach()),
    "bucketize": lambda x, y: x * torch.bucketize(y.detach(), torch.tensor([0.0, 1.0], dtype=D)),
    "histc": lambda x, y: x[0, 0] * torch.histc(y.detach(), 4),
    "bincount": lambda x, y: x[0, 0] * torch.bincount((y > 0).long().flatten()),
    "equal": lambda x, y: x * torch.equal(x, y),
}
"""Rules whose numbers stand; the path depends on them."""


def inputs(seed: int) -> tuple[Tensor, Tensor]:
    g = torch.Generator().manual_seed(seed)
    return torch.randn(2, 2, generator=g, dtype=D), torch.randn(2, 2, generator=g, dtype=D)
