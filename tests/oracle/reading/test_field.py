"""Fields: formulas of a batch freed from its rows; coupling, raw log-probabilities and rows that differ."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import sympy as sp
import torch
from torch import Tensor

from oracle.reading.atoms import Unread, unknown
from oracle.reading.field import Field, at_point, field_of, on_policy, own_tokens, read_kl, unknown_in
from oracle.reading.reader import base, log_ratio, log_weight, point_of, read
from oracle.subject.batch import Batch, from_log_ratios, mild
from oracle.subject.binding import bind
from oracle.subject.subject import Convention, Subject
from oracle.subject.target import Target
from proofs.symbols import token_symbols

(L0, RHO0), (L1, RHO1) = token_symbols(0), token_symbols(1)
BATCH = mild(2, 2, seed=3)


def penalty(function: Callable[..., Any], **convention: Any) -> Subject:
    return Subject(Target("f", function, None), bind(function), Convention(**convention), "penalty")


def loss(function: Callable[..., Any], **convention: Any) -> Subject:
    return Subject(Target("f", function, None), bind(function), Convention(**convention), "loss")


def field(subject: Subject, factor: Any = 1, batch: Batch = BATCH) -> Field:
    return field_of(read_kl(subject, subject.placements[0], batch), sp.sympify(factor))


def k1(logp: Tensor, ref: Tensor) -> Tensor:
    return logp - ref


def k2(logp: Tensor, ref: Tensor) -> Tensor:
    return (logp - ref) ** 2 / 2


def k3(logp: Tensor, ref: Tensor) -> Tensor:
    return (ref - logp).exp() - 1 + (logp - ref)


def weighted(logp: Tensor, ref: Tensor, old: Tensor) -> Tensor:
    return (logp - old).exp() * (logp - ref).detach()


@pytest.mark.parametrize(
    ("function", "formulas"),
    [
        (k1, (1, 1)),
        (k2, (L0, L1)),
        (k3, (1 - sp.exp(-L0), 1 - sp.exp(-L1))),
        (weighted, (RHO0 * L0, RHO1 * L1)),
        (lambda logp, ref: (logp - ref).flip(-1).cumsum(-1).flip(-1).detach() * logp, (L0 + L1, L1)),
    ],
)
def test_the_field_of_a_penalty(function: Callable[..., Any], formulas: tuple[Any, ...]) -> None:
    found = field(penalty(function))
    assert [sp.simplify(a - b) for a, b in zip(found.coefficients, formulas, strict=True)] == [0, 0]
    assert not found.coupled
    assert not found.raw


def test_in_reward_the_value_is_read() -> None:
    kl = read_kl(penalty(k3), "reward", BATCH)
    assert sp.simplify(field_of(kl, sp.Integer(1)).coefficients[0] - (sp.exp(-L0) - 1 + L0)) == 0


def test_a_shaped_reward_is_the_negative() -> None:
    subject = penalty(k1)
    shaped = Subject(subject.target, subject.binding, subject.convention, "penalty", rewarding=True)
    assert read(shaped, "reward", BATCH).full[0, 1] == -log_ratio(0, 1)


def test_the_factor_is_divided_out() -> None:
    subject = loss(lambda logp, ref: k2(logp, ref).mean())
    assert field(subject, sp.Rational(1, 4)).coefficients == (L0, L1)


def test_beta_is_differenced() -> None:
    def objective(logp: Tensor, ref: Tensor, beta: float) -> Tensor:
        return -logp.mean() * 3 + beta * k2(logp, ref).sum()

    assert field(loss(objective)).coefficients == (L0, L1)


def test_own_tokens() -> None:
    e = log_ratio(1, 0) * sp.exp(2 * log_weight(1, 1)) + base(1, 0) + log_ratio(0, 0)
    assert own_tokens(e, 1, 2) == L0 * RHO1**2 + base(1, 0) + log_ratio(0, 0)
    assert own_tokens(sp.exp(log_weight(0, 0) - log_ratio(0, 0)), 0, 1) == RHO0 * sp.exp(-L0)


def test_on_policy() -> None:
    assert on_policy(L0 * RHO0 + RHO1**2 + log_weight(0, 0)) == L0 + 1


def test_other_sequences_couple() -> None:
    def centred(logp: Tensor, ref: Tensor) -> Tensor:
        ratio = logp - ref
        return (ratio - ratio.mean(0)).detach() * logp

    found = field(penalty(centred))
    assert found.coupled
    assert not found.raw


def test_a_log_probability_beside_its_ratio_is_raw() -> None:
    found = field(penalty(lambda logp, ref: (logp - ref) * logp))
    assert found.raw
    assert not found.coupled


def test_rows_that_differ_end_the_reading() -> None:
    weights = torch.tensor([[1.0], [2.0]], dtype=torch.float64)
    with pytest.raises(Unread, match="treated differently"):
        field(penalty(lambda logp, ref: weights * k2(logp, ref)))


def test_no_gradient_at_all() -> None:
    kl = read_kl(penalty(lambda logp, ref: k2(logp, ref).detach()), "loss", BATCH)
    assert not kl.connected
    assert set(kl.full.flat) == {sp.Integer(0)}


def test_advantages_can_be_symbols() -> None:
    subject = loss(lambda logp, ref, advantages: (logp * advantages[:, None]).sum())
    assert read(subject, "whole", BATCH, symbolic_advantages=True).full[1, 0] == sp.Symbol("A_1", real=True)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
def test_at_another_batch(dtype: torch.dtype) -> None:
    subject = penalty(lambda logp, ref, old: k3(logp, ref).clamp(max=0.4) * (logp - old).exp(), dtype=dtype)
    kl = read_kl(subject, "loss", BATCH)
    there = from_log_ratios(BATCH.policy, BATCH.policy * 0.9 + 0.6, torch.full((2, 2), 0.3, dtype=torch.float64))
    leaf = there.policy.clone().requires_grad_()
    value = k3(leaf, there.reference).clamp(max=0.4) * (leaf - there.sampler).exp()
    (seen,) = torch.autograd.grad(value.sum(), leaf)
    assert np.allclose(at_point(kl, there), seen.numpy(), rtol=1e-9)


def test_the_point_of_a_batch() -> None:
    point = point_of(BATCH)
    assert point[log_ratio(1, 0)] == pytest.approx(float(BATCH.policy[1, 0] - BATCH.reference[1, 0]))
    assert len(point) == 3 * 4 + 2


def test_the_first_cause_of_what_is_unknown() -> None:
    first, second = unknown("one"), unknown("two")
    assert unknown_in(np.array([L0, second + first], dtype=object)) == "one"
    assert unknown_in(np.array([L0], dtype=object)) is None


@pytest.mark.parametrize(
    ("function", "cause"),
    [
        (lambda logp, ref: (logp - ref).sort(-1).values, "an order that depends on the inputs"),
        (lambda logp, ref: (logp - ref).bfloat16().float() ** 2, "a cast to bfloat16"),
        (lambda logp, ref: torch.nn.functional.dropout(logp - ref), "random numbers"),
        (lambda logp, ref: (logp - ref) / (logp - logp.detach()), "0/0|division by zero"),
        (lambda logp, ref: (logp - ref).sqrt(), "negative number"),
        (lambda logp, ref: (logp - ref).view(torch.int64) * logp, "reinterprets memory"),
        (lambda logp, ref: logp[torch.ones(5000).cumsum(0).long() * 0] * ref[0, 0], "a tensor of 10000 elements"),
    ],
)
def test_what_cannot_be_read_says_why(function: Callable[..., Any], cause: str) -> None:
    with pytest.raises(Unread, match=cause):
        read(penalty(function), "loss", BATCH)


def test_what_is_unknown_but_unused_does_no_harm() -> None:
    def logged(logp: Tensor, ref: Tensor) -> Tensor:
        assert float((logp - ref).sort(-1).values.mean().detach()) < 9
        return k2(logp, ref)

    assert field(penalty(logged)).coefficients == (L0, L1)


def test_memory_written_unseen_ends_the_reading() -> None:
    def sly(logp: Tensor, ref: Tensor) -> Tensor:
        weight = (logp - ref).detach()
        weight.numpy()[:] = 7.0
        return weight * logp

    with pytest.raises(Unread, match="where 7 ran"):
        read(penalty(sly), "loss", BATCH)


def test_a_faulty_rule_does_not_give_a_formula(monkeypatch: pytest.MonkeyPatch) -> None:
    from oracle.reading.operators import OPERATORS

    right = OPERATORS["exp"]
    monkeypatch.setitem(OPERATORS, "exp", lambda a: right(a) * 2)
    with pytest.raises(Unread, match="the formula gives"):
        read(penalty(k3), "loss", BATCH)


def test_a_tie_off_policy_ends_the_reading() -> None:
    with pytest.raises(Unread, match="a tie between"):
        read(
            penalty(lambda logp, ref, old: torch.where(logp > ref, logp, 2 * logp) + 0 * old),
            "loss",
            from_log_ratios(BATCH.policy, torch.zeros(2, 2).double(), torch.full((2, 2), 0.1).double()),
        )
