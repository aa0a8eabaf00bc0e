"""From log-probabilities of tokens to those of the vocabulary: rows are distributions, and gradients come back."""

from __future__ import annotations

import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from oracle.subject.arguments import Convention, arguments
from oracle.subject.batch import Batch, from_log_ratios
from oracle.subject.binding import Binding
from oracle.subject.frames import Frame, head
from oracle.subject.roles import Role
from oracle.subject.vocabulary import Tables, coefficients, rest_of, rows_of

FEW = settings(max_examples=25)
LOGP = st.lists(st.floats(-30, -1e-3), min_size=6, max_size=6)
ROLES = (Role.LOGITS, Role.REFERENCE_LOGITS, Role.HIDDEN, Role.WEIGHT, Role.TOKENS, Role.MASK)


def batch_of(policy: list[float], ratio: list[float]) -> Batch:
    grid = [torch.tensor(x, dtype=torch.float64).reshape(2, 3) for x in (policy, ratio)]
    return from_log_ratios(*grid)


def taken(batch: Batch, frame: Frame) -> dict[str, Tensor]:
    """The arrays a callable is given, by role."""
    binding = Binding({r: str(r) for r in ROLES})
    return arguments(binding, Convention(frame=frame), batch, batch.policy)


@FEW
@given(LOGP, st.lists(st.floats(-40, 40), min_size=6, max_size=6), st.sampled_from(["aligned", "shifted", "extra"]))
def test_logits_say_what_the_batch_says(policy: list[float], ratio: list[float], layout: str) -> None:
    """log(policy/reference) of each scored token in every frame; hidden states times the matrix are the logits."""
    batch = batch_of(policy, ratio)
    frame = Frame(layout)  # type: ignore[arg-type]
    given = taken(batch, frame)
    own, away = given["logits"].log_softmax(-1), given["reference_logits"].log_softmax(-1)
    tokens = given["tokens"][:, frame.prompt :, None]
    seen = own[:, :3].gather(-1, tokens) - away[:, :3].gather(-1, tokens)
    assert torch.allclose(seen[..., 0], batch.policy - batch.reference, rtol=1e-9, atol=1e-9)
    if max(policy) < 0 and max(p - r for p, r in zip(policy, ratio, strict=True)) < -1e-3:
        assert torch.allclose(own[:, :3].gather(-1, tokens)[..., 0], batch.policy, rtol=1e-9, atol=1e-9)
    assert torch.allclose(given["hidden"] @ given["weight"].T, given["logits"], rtol=1e-9, atol=1e-9)
    assert given["logits"].shape[1] == (3 if layout == "aligned" else 4)
    assert given["mask"].shape[1] == given["tokens"].shape[1] == (4 if layout == "shifted" else 3)


@FEW
@given(LOGP, LOGP)
def test_a_gradient_at_the_logits_is_the_coefficient_again(policy: list[float], weights: list[float]) -> None:
    """What a loss on the tokens' log-probabilities has as gradient comes back, through rows and softmax."""
    batch = batch_of(policy, [0.1] * 6)
    c = torch.tensor(weights, dtype=torch.float64).reshape(2, 3)
    rest = rest_of(batch.policy, batch.reference, batch.sampler, None)
    leaf = batch.policy.clone().requires_grad_()
    logits = rows_of(leaf, rest.policy, rest.tokens)
    assert torch.allclose(logits.exp().sum(-1), torch.ones(2, 3, dtype=torch.float64))
    logits.retain_grad()
    logp = logits.log_softmax(-1).gather(-1, rest.tokens[..., None])[..., 0]
    (c * logp).sum().backward()  # type: ignore[no-untyped-call]
    assert leaf.grad is not None
    assert logits.grad is not None
    assert torch.allclose(leaf.grad, c, rtol=1e-6)
    along, across = coefficients(logits.grad, logits.detach(), rest.tokens)
    assert torch.allclose(along, c, rtol=1e-6)
    assert float(across.max()) < 1e-9


def test_tables_are_used_only_where_they_are_of_this_batch() -> None:
    batch = batch_of([-1.0] * 6, [0.1] * 6)
    g = torch.Generator().manual_seed(0)
    table = torch.randn(2, 3, 4, generator=g, dtype=torch.float64).log_softmax(-1)
    tokens = torch.tensor([[0, 1, 2], [3, 0, 1]])
    said = table.gather(-1, tokens[..., None])[..., 0]
    tables = Tables(table, table, table, tokens)
    assert rest_of(said, said, said, tables).policy.shape[-1] == 4
    assert torch.allclose(rows_of(said, rest_of(said, said, said, tables).policy, tokens), table)
    assert rest_of(batch.policy, batch.reference, batch.sampler, tables).policy.shape[-1] == 5


def test_the_head_is_its_own_inverse() -> None:
    matrix = head(5, torch.float64)
    assert torch.equal(matrix, matrix.T)
    assert torch.allclose(matrix @ matrix, torch.eye(5, dtype=torch.float64), atol=1e-12)
