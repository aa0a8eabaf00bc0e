"""aggregation and microbatch.invariance: how tokens of unequal sequences are weighed, whole and in pieces."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from tests.oracle.checks.asking import Loss, ask, verdict_of


def _k3(logp: Tensor, ref_logp: Tensor) -> Tensor:
    d = ref_logp - logp
    return d.expm1() - d


def token_mean(logp: Tensor, ref_logp: Tensor, mask: Tensor, beta: float) -> Tensor:
    return beta * (_k3(logp, ref_logp) * mask).sum() / mask.sum()


def sequence_mean(logp: Tensor, ref_logp: Tensor, mask: Tensor, beta: float) -> Tensor:
    return beta * ((_k3(logp, ref_logp) * mask).sum(1) / mask.sum(1).clamp(min=1)).mean()


def constant(logp: Tensor, ref_logp: Tensor, mask: Tensor, beta: float, max_tokens: int = 8) -> Tensor:
    return beta * (_k3(logp, ref_logp) * mask).sum() / (len(logp) * max_tokens)


def summed(logp: Tensor, ref_logp: Tensor, mask: Tensor, beta: float) -> Tensor:
    return beta * torch.einsum("bt,bt->", _k3(logp, ref_logp), mask)


def by_root_of_length(logp: Tensor, ref_logp: Tensor, mask: Tensor, beta: float) -> Tensor:
    return beta * ((_k3(logp, ref_logp) * mask).sum(1) / mask.sum(1).sqrt()).mean()


def by_longest(logp: Tensor, ref_logp: Tensor, mask: Tensor, beta: float) -> Tensor:
    length = mask.sum(1)
    return beta * ((_k3(logp, ref_logp) * mask).sum(1) / length * (length / length.max())).mean()


def mean_of_micro_means(logp: Tensor, ref_logp: Tensor, mask: Tensor, beta: float) -> Tensor:
    losses = []
    for p, q, m in zip(logp.chunk(2), ref_logp.chunk(2), mask.chunk(2), strict=True):
        losses.append((_k3(p, q) * m).sum() / m.sum())  # fault: each micro-batch by its own tokens
    return beta * torch.stack(losses).mean()


def mean_of_pairs(logp: Tensor, ref_logp: Tensor, mask: Tensor, beta: float) -> Tensor:
    total, pieces = logp.new_zeros(()), 0
    for at in range(0, len(logp), 2):
        rows = slice(at, at + 2)
        total = total + (_k3(logp[rows], ref_logp[rows]) * mask[rows]).sum() / mask[rows].sum()  # fault, as above
        pieces += 1
    return beta * total / pieces


def micro_sums_over_all_tokens(logp: Tensor, ref_logp: Tensor, mask: Tensor, beta: float) -> Tensor:
    parts = zip(logp.chunk(2), ref_logp.chunk(2), mask.chunk(2), strict=True)
    return beta * torch.stack([(_k3(p, q) * m).sum() / mask.sum() for p, q, m in parts]).sum()


@pytest.mark.parametrize(
    ("loss", "words"),
    [
        (token_mean, "token-mean"),
        (sequence_mean, "seq-mean-token-mean"),
        (constant, "constant"),
        (summed, "sum: every token weighs 1"),
        (micro_sums_over_all_tokens, "token-mean"),
    ],
    ids=lambda f: getattr(f, "__name__", ""),
)
def test_the_normalisation_is_named(loss: Loss, words: str) -> None:
    found = ask("aggregation", loss)
    assert (found.outcome, found.message.split(":")[0]) == ("pass", words.split(":")[0])


@pytest.mark.parametrize(
    ("loss", "ratio"),
    [
        (by_root_of_length, 2**0.5),  # 1/sqrt(2) against 1/sqrt(4)
        (mean_of_micro_means, 2.0),  # 1/2 against 1/4
    ],
    ids=lambda f: getattr(f, "__name__", ""),
)
def test_a_normalisation_without_a_name(loss: Loss, ratio: float) -> None:
    found = ask("aggregation", loss)
    assert (found.outcome, found.severity) == ("fail", "warning")
    assert found.counterexample is not None
    long, short = found.counterexample["weights"][0][0], found.counterexample["weights"][1][0]
    assert short / long == pytest.approx(ratio, rel=1e-4)


def test_a_divisor_that_is_the_longest_length() -> None:
    found = ask("aggregation", by_longest)
    assert (found.outcome, found.severity) == ("fail", "warning")
    assert "weigh alike" in found.message


def test_nothing_is_said_of_coupled_sequences_and_of_penalties() -> None:
    def whitened(logp: Tensor, ref_logp: Tensor, mask: Tensor, beta: float) -> Tensor:
        kl = (logp - ref_logp).detach() * mask
        return beta * ((kl - kl.mean()) * logp * mask).sum() / mask.sum().sqrt()

    assert verdict_of("aggregation", whitened) == "skip"
    assert verdict_of("aggregation", _k3) == "skip"
    assert verdict_of("microbatch.invariance", _k3) == "skip"


# --- micro-batches --------------------------------------------------------------------------------


def told_the_count(
    logp: Tensor, ref_logp: Tensor, mask: Tensor, beta: float, num_items_in_batch: int | None = None
) -> Tensor:
    tokens = mask.sum() if num_items_in_batch is None else num_items_in_batch
    return beta * (_k3(logp, ref_logp) * mask).sum() / tokens


def deaf_to_the_count(
    logp: Tensor, ref_logp: Tensor, mask: Tensor, beta: float, num_items_in_batch: int | None = None
) -> Tensor:
    del num_items_in_batch  # fault: the KL term is divided by the micro-batch's own tokens
    return beta * (_k3(logp, ref_logp) * mask).sum() / mask.sum()


def divided_twice(
    logp: Tensor,
    ref_logp: Tensor,
    mask: Tensor,
    beta: float,
    num_tokens_in_batch: int | None = None,
    gradient_accumulation_steps: int = 1,
) -> Tensor:
    tokens = mask.sum() if num_tokens_in_batch is None else num_tokens_in_batch
    return beta * (_k3(logp, ref_logp) * mask).sum() / tokens / gradient_accumulation_steps  # fault: by both


@pytest.mark.parametrize(
    ("loss", "outcome", "words"),
    [
        (token_mean, "fail/note", "2.333 times"),
        (sequence_mean, "pass", "averaged"),
        (constant, "pass", "averaged"),
        (summed, "pass", "added up"),
        (mean_of_micro_means, "fail/warning", "2 pieces of its batch"),
        (mean_of_pairs, "fail/warning", "its pieces of 2 sequences"),
        (micro_sums_over_all_tokens, "fail/note", "token-mean"),
        (told_the_count, "pass", "added up"),
        (deaf_to_the_count, "fail/warning", "told num_items_in_batch"),
        (divided_twice, "fail/warning", "0.5 times"),
    ],
    ids=lambda f: getattr(f, "__name__", ""),
)
def test_micro_batches(loss: Loss, outcome: str, words: str) -> None:
    found = ask("microbatch.invariance", loss)
    assert (f"fail/{found.severity}" if found.outcome == "fail" else found.outcome) == outcome
    assert words in found.message
