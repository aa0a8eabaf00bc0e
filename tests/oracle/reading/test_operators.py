"""Every rule against torch: the formula gives the numbers, forward and backward, out of place and in place."""

from __future__ import annotations

from typing import Any

import pytest
import torch
import torch.nn.functional as F

from oracle.reading.atoms import Unread
from oracle.reading.operators import CONCRETE, OPERATORS
from tests.oracle.reading.mirrored import run
from tests.oracle.reading.operator_cases import CASES, CONCRETES, ROW, UNREAD, Program, inputs, plain


def test_every_rule_has_a_case() -> None:
    assert sorted(OPERATORS) == sorted({**CASES, **UNREAD, **CONCRETES})
    assert {n for n, r in OPERATORS.items() if r is CONCRETE} == set(CONCRETES)


@pytest.mark.parametrize("name", [n for n in OPERATORS if n not in UNREAD and n not in CONCRETES])
def test_the_formula_gives_the_numbers(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    calls = []
    rule = OPERATORS[name]
    monkeypatch.setitem(OPERATORS, name, lambda *a, **k: calls.append(name) or rule(*a, **k))
    for i, program in enumerate(CASES[name]):
        for seed in (1, 2):
            seen = run(program, *inputs(seed))
            assert not seen.unknown(), f"case {i}"
            assert not seen.mirror.lost, f"case {i}"
            assert seen.differs() is None, f"case {i}"
    assert calls, "no case reaches the rule"


@pytest.mark.parametrize("name", UNREAD)
def test_what_has_no_formula_says_why(name: str) -> None:
    program, cause = UNREAD[name]
    seen = run(program, *inputs(1))
    assert seen.mirror.lost[0] == cause
    assert seen.unknown()[0] == cause


@pytest.mark.parametrize("name", CONCRETES)
def test_an_index_leaves_a_path_condition(name: str) -> None:
    seen = run(CONCRETES[name], *inputs(1))
    assert seen.differs() is None
    assert seen.mirror.escapes


DECOMPOSED: dict[str, Program] = {
    "gelu": lambda x, y: F.gelu(x),
    "gelu tanh": lambda x, y: F.gelu(x, approximate="tanh"),
    "silu": lambda x, y: F.silu(x),
    "silu in place": lambda x, y: F.silu(x * 1, inplace=True),
    "mish": lambda x, y: F.mish(x),
    "elu": lambda x, y: F.elu(x, 0.5),
    "elu in place": lambda x, y: F.elu_(x * 1),
    "selu": lambda x, y: F.selu(x),
    "celu": lambda x, y: F.celu(x, 0.3),
    "leaky_relu": lambda x, y: F.leaky_relu(x),
    "hardtanh": lambda x, y: F.hardtanh(x),
    "huber_loss": lambda x, y: F.huber_loss(x, y, delta=0.5),
    "smooth_l1_loss": lambda x, y: F.smooth_l1_loss(x, y, beta=0.5),
    "l1_loss": lambda x, y: F.l1_loss(x, y),
    "mse_loss": lambda x, y: F.mse_loss(x, y, reduction="sum"),
    "binary_cross_entropy": lambda x, y: F.binary_cross_entropy(x.sigmoid(), (y > 0).double()),
    "binary_cross_entropy_with_logits": lambda x, y: F.binary_cross_entropy_with_logits(x, y.sigmoid()),
    "nll_loss": lambda x, y: F.nll_loss(x, torch.tensor([1, 0])),
    "cross_entropy": lambda x, y: F.cross_entropy(x, torch.tensor([1, -100]), label_smoothing=0.1),
    "kl_div": lambda x, y: F.kl_div(x, y, log_target=True, reduction="batchmean"),
    "cosine_similarity": lambda x, y: F.cosine_similarity(x, y),
    "normalize": lambda x, y: F.normalize(x),
    "layer_norm": lambda x, y: F.layer_norm(x, (2,), y[0], y[1], eps=1e-2),
    "logit": lambda x, y: torch.logit(x.sigmoid()),
    "diff": lambda x, y: x.diff(dim=1),
    "trace": lambda x, y: x.trace() * y,
    "embedding": lambda x, y: F.embedding(ROW, x),
    "glu": lambda x, y: F.glu(x),
    "repeat_interleave": lambda x, y: x.repeat_interleave(torch.tensor([1, 2]), 0),
    "index_copy": lambda x, y: x.index_copy(0, ROW[:1], y[:1]),
    "addr": lambda x, y: torch.addr(x, y[0], y[1]),
    "outer": lambda x, y: torch.outer(x[0], y[0]),
    "diag_embed": lambda x, y: x.diag_embed(),
    "float_power": lambda x, y: torch.float_power(x, 2),
    "heaviside": plain(lambda x, y: torch.heaviside(x, y)),
    "scaled_dot_product_attention": lambda x, y: F.scaled_dot_product_attention(x[None], y[None], x[None]),
}


@pytest.mark.parametrize("name", DECOMPOSED)
def test_what_torch_decomposes_reads_right(name: str) -> None:
    for seed in (1, 2):
        seen = run(DECOMPOSED[name], *inputs(seed))
        assert not seen.unknown()
        assert seen.differs() is None


def test_zero_times_what_may_be_infinite_is_no_zero() -> None:
    seen = run(lambda x, y: x.masked_fill(x > 0, torch.inf) * 0, *inputs(1), gradient=False)
    assert any("nan" in str(e) for e in seen.formulas[0].flat)


def test_a_rule_of_a_wrong_shape_makes_its_result_unknown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(OPERATORS, "exp", lambda a: a.reshape(-1)[:1])
    seen = run(lambda x, y: x.exp(), *inputs(1), gradient=False)
    assert "a result of shape" in seen.unknown()[0]


def test_a_rule_that_breaks_makes_its_result_unknown(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(a: Any) -> Any:
        raise Unread("nothing known")

    monkeypatch.setitem(OPERATORS, "exp", broken)
    assert run(lambda x, y: x.exp() * y, *inputs(1), gradient=False).unknown()[0] == "nothing known"
