"""mask.nonfinite, batch.permutation, determinism: what stands beside a sequence, before it, or behind the mask."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from tests.oracle.checks.asking import Loss, ask, verdict_of

# --- mask.nonfinite -------------------------------------------------------------------------------


def nan_swallowed(logp: Tensor, ref_logp: Tensor, mask: Tensor, beta: float) -> Tensor:
    d = ref_logp - logp
    per_sequence = ((d.expm1() - d) * mask).sum(1)
    return beta * torch.nan_to_num(per_sequence).mean()  # fault: a sequence with NaN padding learns nothing


def finite_rows_only(log_probs: Tensor, log_probs_base: Tensor, action_mask: Tensor, kl_coef: float) -> Tensor:
    kl = 0.5 * (log_probs - log_probs_base) ** 2
    rows = torch.isfinite(kl.sum(1))  # fault: drops every sequence that has such padding
    return kl_coef * (kl * action_mask)[rows].sum() / action_mask.sum()


def multiplied(logp: Tensor, ref_logp: Tensor, mask: Tensor, beta: float) -> Tensor:
    d = ref_logp - logp
    return beta * ((d.expm1() - d) * mask).sum(1).mean()


def masked_afterwards(logp: Tensor, ref_logp: Tensor, mask: Tensor, beta: float) -> Tensor:
    d = ref_logp - logp
    kl = torch.where(mask.bool(), d.expm1() - d, torch.zeros_like(d))  # finite forward; backward 0 * inf
    return beta * kl.sum(1).mean()


def filled_first(logp: Tensor, ref_logp: Tensor, mask: Tensor, beta: float) -> Tensor:
    d = (ref_logp - logp).masked_fill(mask == 0, 0.0)
    return beta * (d.expm1() - d).sum(1).mean()


def gathered(logp: Tensor, ref_logp: Tensor, mask: Tensor, beta: float) -> Tensor:
    keep = mask.bool()
    d = logp[keep] - ref_logp[keep]
    return beta * 0.5 * (d * d).sum() / keep.sum()


@pytest.mark.parametrize(
    ("loss", "outcome"),
    [
        (nan_swallowed, "fail/warning"),
        (finite_rows_only, "fail/warning"),
        (multiplied, "fail/note"),
        (masked_afterwards, "fail/note"),
        (filled_first, "pass"),
        (gathered, "pass"),
    ],
    ids=lambda f: getattr(f, "__name__", f),
)
def test_what_stands_behind_the_mask(loss: Loss, outcome: str) -> None:
    assert verdict_of("mask.nonfinite", loss) == outcome


# --- batch.permutation ----------------------------------------------------------------------------


def weights_by_place(logp: Tensor, ref_logp: Tensor, mask: Tensor, beta: float) -> Tensor:
    kl = 0.5 * (logp - ref_logp) ** 2 * mask
    place = torch.arange(1, kl.shape[0] + 1, dtype=kl.dtype)[:, None]  # fault: decays along the batch, not the tokens
    return beta * (kl / place).sum() / mask.sum()


def last_row_dropped(logp: Tensor, ref_logp: Tensor, mask: Tensor, beta: float) -> Tensor:
    total = logp.new_zeros(())
    for b in range(len(logp) - 1):  # fault: off by one
        total = total + (0.5 * (logp[b] - ref_logp[b]) ** 2 * mask[b]).sum()
    return beta * total / mask.sum()


def divided_by_the_first_length(logp: Tensor, ref_logp: Tensor, mask: Tensor, beta: float) -> Tensor:
    kl = (logp - ref_logp).square().mul(0.5).mul(mask)
    return beta * (kl.sum(1) / mask[0].sum()).mean()  # fault: mask[0] for mask.sum(1)


def by_token_place(logp: Tensor, ref_logp: Tensor, mask: Tensor, beta: float) -> Tensor:
    kl = 0.5 * (logp - ref_logp) ** 2 * mask
    place = torch.arange(1, kl.shape[1] + 1, dtype=kl.dtype)[None, :]
    return beta * (kl / place).sum() / mask.sum()


def row_by_row(logp: Tensor, ref_logp: Tensor, mask: Tensor, beta: float) -> Tensor:
    total = logp.new_zeros(())
    for b in range(len(logp)):
        total = total + (0.5 * (logp[b] - ref_logp[b]) ** 2 * mask[b]).sum()
    return beta * total / mask.sum()


def leave_one_out(logp: Tensor, ref_logp: Tensor, old_logp: Tensor, mask: Tensor, beta: float) -> Tensor:
    kl = beta * ((logp - ref_logp) * mask).sum(1).detach()
    return ((kl - (kl.sum() - kl) / (len(kl) - 1)) * ((logp - old_logp) * mask).sum(1).exp()).mean()


@pytest.mark.parametrize(
    ("loss", "outcome"),
    [
        (weights_by_place, "fail/warning"),
        (last_row_dropped, "fail/warning"),
        (divided_by_the_first_length, "fail/warning"),
        (by_token_place, "pass"),
        (row_by_row, "pass"),
        (leave_one_out, "pass"),
    ],
    ids=lambda f: getattr(f, "__name__", f),
)
def test_the_order_of_the_batch(loss: Loss, outcome: str) -> None:
    assert verdict_of("batch.permutation", loss) == outcome


# --- determinism ----------------------------------------------------------------------------------


def dropout_left_on(logp: Tensor, ref_logp: Tensor) -> Tensor:
    return torch.nn.functional.dropout(0.5 * (logp - ref_logp) ** 2, 0.1)  # fault: in training mode


def noise_of_numpy(logp: Tensor, ref_logp: Tensor) -> Tensor:
    noise = torch.from_numpy(np.random.normal(size=tuple(logp.shape)))
    return 0.5 * (logp - ref_logp + 1e-3 * noise) ** 2


class _Adaptive:
    """A coefficient that follows the last batch: state of the trainer inside the loss."""

    def __init__(self) -> None:
        self.scale = 1.0

    def __call__(self, logp: Tensor, ref_logp: Tensor) -> Tensor:
        kl = 0.5 * (logp - ref_logp) ** 2
        out = self.scale * kl
        self.scale = 0.9 * self.scale + 0.1 * (
            1.0 + float(kl.mean().detach())
        )  # fault: the next call has another scale
        return out


def reference_overwritten(logp: Tensor, ref_logp: Tensor, mask: Tensor, beta: float) -> Tensor:
    d = ref_logp.sub_(logp.detach()).neg()  # fault: the next epoch gets what is left of it
    return beta * (d * logp * mask).sum() / mask.sum()


def mask_overwritten(logp: Tensor, ref_logp: Tensor, mask: Tensor, beta: float) -> Tensor:
    view = mask.view(-1)
    view /= mask.sum()  # fault: through a view
    return beta * ((logp - ref_logp) ** 2 / 2 * mask).sum()


def own_copy_overwritten(logp: Tensor, ref_logp: Tensor, mask: Tensor, beta: float) -> Tensor:
    d = ref_logp.clone().sub_(logp).neg_()
    weight = mask.clone()
    weight /= mask.sum()
    return beta * (d * d / 2 * weight).sum()


def same_bits(logp: Tensor, ref_logp: Tensor) -> Tensor:
    kept = torch.nn.functional.dropout(logp, 0.5, training=False)
    return 0.5 * (kept - ref_logp) ** 2


@pytest.mark.parametrize(
    ("loss", "words"),
    [
        (dropout_left_on, "draws numbers"),
        (noise_of_numpy, "draws numbers"),
        (_Adaptive(), "keeps state"),
        (reference_overwritten, "overwrites ref_logp"),
        (mask_overwritten, "overwrites mask"),
    ],
    ids=lambda f: getattr(f, "__name__", ""),
)
def test_not_the_same_again(loss: Loss, words: str) -> None:
    found = ask("determinism", loss)
    assert (found.outcome, found.severity) == ("fail", "warning")
    assert words in found.message


@pytest.mark.parametrize("twin", [own_copy_overwritten, same_bits], ids=lambda f: f.__name__)
def test_the_same_again(twin: Loss) -> None:
    assert verdict_of("determinism", twin) == "pass"


def test_the_random_state_is_left_as_it_was() -> None:
    torch.manual_seed(3)
    before = torch.get_rng_state()
    assert verdict_of("determinism", dropout_left_on) == "fail/warning"
    assert torch.equal(before, torch.get_rng_state())
