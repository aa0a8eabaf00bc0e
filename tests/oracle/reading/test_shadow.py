"""The shadow memory: what is written through one tensor is seen by all that look at the same memory."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import sympy as sp
import torch
from torch import Tensor

from oracle.reading.atoms import Unread, exact
from oracle.reading.shadow import Shadow
from tests.oracle.reading.mirrored import run, symbols

START = torch.tensor([[0.3, -0.5], [0.7, 0.2]], dtype=torch.float64)


WINDOWS: dict[str, Callable[[Tensor], Tensor]] = {
    "itself": lambda t: t,
    "view": lambda t: t.view(4),
    "reshape": lambda t: t.reshape(1, 4),
    "transpose": lambda t: t.t(),
    "permute": lambda t: t.permute(1, 0),
    "row": lambda t: t[1],
    "column": lambda t: t[:, 1],
    "element": lambda t: t[1, 0],
    "slice": lambda t: t[:, 1:],
    "step": lambda t: t.view(-1)[::2],
    "narrow": lambda t: t.narrow(1, 0, 1),
    "select": lambda t: t.select(0, -1),
    "diagonal": lambda t: t.diagonal(),
    "as_strided": lambda t: t.as_strided((2,), (3,), 0),
    "as_strided with an offset": lambda t: t.as_strided((2,), (1,), 1),
    "unbind": lambda t: t.unbind(1)[0],
    "chunk": lambda t: t.chunk(2, dim=1)[1],
    "split": lambda t: t.split(1)[0],
    "tensor_split": lambda t: t.tensor_split(2)[1],
    "unsqueeze": lambda t: t.unsqueeze(0),
    "squeeze": lambda t: t[:1].squeeze(0),
    "unfold": lambda t: t.unfold(1, 1, 1),
    "expand of one row": lambda t: t[None].expand(1, 2, 2),
    "movedim": lambda t: t.movedim(0, 1),
    "flatten": lambda t: t.flatten(),
    "detach": lambda t: t.detach(),
    "data": lambda t: t.data,
    "alias": lambda t: torch.ops.aten.alias(t),
    "view of a view": lambda t: t.t()[1:].view(-1)[:1],
    "in-place transpose of an alias": lambda t: t.detach().t_().unsqueeze_(0),
    "set_": lambda t: torch.empty(0, dtype=t.dtype).set_(t),
    "view_as_same_dtype": lambda t: t.view(torch.float64),
}


@pytest.mark.parametrize("window", WINDOWS.values(), ids=WINDOWS.keys())
def test_a_write_through_a_view_is_seen_by_all(window: Callable[[Tensor], Tensor]) -> None:
    def program(x: Tensor) -> Any:
        base = x.clone()
        others = [w(base) for w in WINDOWS.values()]
        window(base).mul_(3)
        return [base, *others]

    seen = run(program, START, gradient=False)
    assert seen.differs() is None
    assert any(3 * s in seen.formulas[0].flatten().tolist() for s in symbols("x", (2, 2)).flat)


@pytest.mark.parametrize("window", WINDOWS.values(), ids=WINDOWS.keys())
@pytest.mark.parametrize(
    "write",
    [
        lambda w: w.add_(w),
        lambda w: w.zero_(),
        lambda w: w.fill_(0.1),
        lambda w: w.copy_(w.detach().exp()),
        lambda w: w.exp_(),
        lambda w: w.masked_fill_(w > 0, 0.25),
        lambda w: w.clamp_(-0.1, 0.1),
    ],
    ids=["add_", "zero_", "fill_", "copy_", "exp_", "masked_fill_", "clamp_"],
)
def test_every_kind_of_write(window: Callable[[Tensor], Tensor], write: Callable[[Tensor], Any]) -> None:
    def program(x: Tensor) -> Any:
        base = x.clone()
        write(window(base))
        return [base, base.t(), base.detach() * 2]

    assert run(program, START, gradient=False).differs() is None


def test_writes_into_plain_buffers() -> None:
    def program(x: Tensor) -> Any:
        buffer = torch.zeros(3, 2, dtype=torch.float64)
        tail = buffer[1:]
        tail[:] = x
        buffer[0] = 5.0
        tail += 1
        small = torch.ones(2, 2)
        small[0] = x[1]
        return buffer, tail, small

    assert run(program, START).differs(1e-6) is None


def test_a_broadcast_copy_and_a_copy_between_formats() -> None:
    def program(x: Tensor) -> Any:
        return torch.zeros(2, 2, dtype=torch.float64).copy_(x[0]), torch.zeros(2, 2, dtype=torch.bool).copy_(x > 0)

    assert run(program, START).differs() is None


def test_a_copy_does_not_share() -> None:
    def program(x: Tensor) -> Any:
        copy = x.clone()
        x.detach().mul_(2)
        return copy, x

    seen = run(program, START, gradient=False)
    assert seen.formulas[0].tolist() == symbols("x", (2, 2)).tolist()
    assert seen.formulas[1].tolist() == (2 * symbols("x", (2, 2))).tolist()


@pytest.mark.parametrize(
    ("value", "dtype", "lifted"),
    [
        (0.1, torch.float64, sp.Rational(1, 10)),
        (0.1, torch.float32, sp.Rational(1, 10)),
        (1 / 3, torch.float64, sp.Rational(1, 3)),
        (1 / 3, torch.float32, sp.Rational(1, 3)),
        (2 / 7, torch.float32, sp.Rational(2, 7)),
        (1e-8, torch.float64, sp.Rational(1, 10**8)),
        (1e-8, torch.float32, sp.Rational(1, 10**8)),
        (1e30, torch.float64, sp.Integer(10) ** 30),
        (0.2, torch.bfloat16, sp.Rational(1, 5)),
        (-2.5, torch.float16, sp.Rational(-5, 2)),
        (0.0, torch.float32, sp.Integer(0)),
        (7, torch.int64, sp.Integer(7)),
        (200, torch.uint8, sp.Integer(200)),
        (True, torch.bool, sp.true),
        (False, torch.bool, sp.false),
        (float("inf"), torch.float32, sp.oo),
        (-float("inf"), torch.float64, -sp.oo),
    ],
)
def test_constants_are_lifted_to_what_is_meant(value: float, dtype: torch.dtype, lifted: Any) -> None:
    found = Shadow().read(torch.tensor([value, value], dtype=dtype))
    if lifted == sp.Integer(10) ** 30:
        assert float(found[0]) == 1e30
    else:
        assert found.tolist() == [lifted, lifted]


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.float16, torch.bfloat16])
def test_a_lifted_constant_rounds_to_the_very_number(dtype: torch.dtype) -> None:
    numbers = torch.randn(60, generator=torch.Generator().manual_seed(5), dtype=torch.float64)
    stored = (numbers * torch.logspace(-4, 4, 60, dtype=torch.float64)).to(dtype)
    back = torch.tensor([float(e) for e in Shadow().read(stored)], dtype=torch.float64).to(dtype)
    assert torch.equal(stored, back)


def test_nan_is_lifted() -> None:
    assert exact(float("nan")) is sp.nan


@pytest.mark.parametrize("dtype", [torch.int64, torch.int32, torch.float32, torch.uint8])
def test_a_view_that_reinterprets_memory_ends_the_reading(dtype: torch.dtype) -> None:
    with pytest.raises(Unread, match="reinterprets memory"):
        run(lambda x: x.view(dtype).add_(1), START, gradient=False)


def test_what_a_program_catches_has_still_ended_the_reading() -> None:
    def program(x: Tensor) -> Tensor:
        try:
            x.detach().view(torch.int64).add_(1)
        except Exception:
            return x * 2
        return x

    with pytest.raises(Unread, match="reinterprets memory"):
        run(program, START)


def test_a_tensor_over_the_limit_ends_with_its_size() -> None:
    seen = run(lambda x: x[0, 0] * torch.ones(2048, dtype=torch.float64), START, gradient=False)
    assert seen.unknown() == []
    with pytest.raises(Unread, match="a tensor of 5000 elements"):
        run(lambda x: torch.ones(5000, dtype=torch.float64) * x[0, 0], START, gradient=False)


def test_a_resized_storage_ends_the_reading() -> None:
    with pytest.raises(Unread, match="resize_"):
        run(lambda x: x.detach().clone().resize_(5, 5), START)


def test_memory_that_moved_is_not_read_as_what_it_was() -> None:
    shadow = Shadow()
    t = torch.ones(4, dtype=torch.float64)
    shadow.write(t, symbols("x", (4,)))
    address = t.untyped_storage().data_ptr()
    t.untyped_storage().resize_(10**6)
    assert t.untyped_storage().data_ptr() != address
    assert not shadow.has(t)


def test_reading_gives_a_copy() -> None:
    shadow = Shadow()
    t = torch.zeros(2)
    shadow.write(t, symbols("x", (2,)))
    shadow.read(t)[0] = sp.Integer(9)
    assert shadow.read(t).tolist() == symbols("x", (2,)).tolist()
    assert not shadow.has(torch.zeros(0))
    shadow.write(torch.zeros(0), np.empty(0, dtype=object))
