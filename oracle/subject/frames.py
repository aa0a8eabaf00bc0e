"""Frames: how the tokens of a batch stand in the arrays that a callable on logits or hidden states takes."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import torch
from jaxtyping import Float, Int64
from torch import Tensor
from torch.utils._python_dispatch import _disable_current_modes

from oracle.errors import SubjectError
from oracle.subject.binding import Binding
from oracle.subject.roles import POLICY_FORMS, Role

Layout = Literal["aligned", "shifted", "extra"]

SAYS = {
    "aligned": "logits at a position score the token at the same position",
    "shifted": "logits at a position score the token at the next one, as a model gives them; one token of prompt",
    "extra": "logits have one position more than tokens, and the last scores none",
}
_END = 0.3


@dataclass(frozen=True)
class Frame:
    """``aligned``: logits [B, T, V], ids [B, T]. ``shifted``: logits [B, T+1, V], ids [B, T+1], of which the first is
    prompt. ``extra``: logits [B, T+1, V], ids [B, T]. ``flat`` joins the first two dimensions."""

    layout: Layout = "aligned"
    scored_mask: bool = False
    """A mask of the scored positions alone, where ids have one position more."""
    whole_reference: bool = False
    """The reference's log-probabilities are those of the whole vocabulary [B, T, V]."""
    whole_sampler: bool = False
    flat: bool = False

    @property
    def prompt(self) -> int:
        """Positions of ids before the first token that is scored."""
        return 1 if self.layout == "shifted" else 0

    def logits(self, rows: Float[Tensor, "b t v"]) -> Float[Tensor, "b n v"]:
        """Rows of the scored positions, with a last one that scores nothing where the layout has it."""
        if self.layout == "aligned":
            return rows
        with _disable_current_modes():
            end = _END * torch.arange(rows.shape[-1], dtype=rows.dtype).log1p().expand(rows.shape[0], 1, -1).clone()
        return torch.cat([rows, end], 1)

    def ids(self, tokens: Int64[Tensor, "b t"], size: int) -> Int64[Tensor, "b n"]:
        """Token ids; the prompt's token is not the first that is scored."""
        if self.layout != "shifted":
            return tokens.clone()
        return torch.cat([(tokens[:, :1] + 1) % size, tokens], 1)

    def mask(self, mask: Tensor, attention: bool) -> Tensor:
        """The mask: 0 on the prompt, or 1 where it says what is attended to and another says what is scored."""
        out = mask
        if attention:  # all up to the last token that counts
            out = (mask.flip(1).cumsum(1).flip(1) > 0).to(mask.dtype)
        if self.layout != "shifted" or self.scored_mask:
            return out.clone()
        first = torch.ones_like(out[:, :1]) if attention else torch.zeros_like(out[:, :1])
        return torch.cat([first, out], 1)

    def joined(self, x: Tensor) -> Tensor:
        """The array as it is handed over."""
        return x.flatten(0, 1) if self.flat and x.dim() > 1 else x

    def scored(self, result: Tensor, b: int, t: int) -> Tensor | None:
        """A result with one value a scored position, [b, t]; None where it has not this shape.

        Values of each token of the vocabulary are added up: their sum is the value of the position.
        """
        widths = {"aligned": (t,), "shifted": (t, t + 1), "extra": (t, t + 1)}[self.layout]
        for width in widths:
            shape = (b * width,) if self.flat else (b, width)
            if result.shape[: len(shape)] != shape or result.dim() > len(shape) + 1:
                continue
            full = result.sum(-1) if result.dim() > len(shape) and result.shape[-1] != 1 else result
            full = full.reshape(b, width)
            return full if width == t else full[:, 1:] if self.layout == "shifted" else full[:, :-1]
        return None


def frames(binding: Binding) -> Iterator[Frame]:
    """The frames to try, the plainest first; of callables that are told how long a prompt is, those with one."""
    cut = Role.COMPLETION_LENGTH in binding.roles or Role.PROMPT_LENGTH in binding.roles
    tokens = Role.TOKENS in binding.roles
    layouts: tuple[Layout, ...] = ("shifted", "extra", "aligned") if cut else ("aligned", "shifted", "extra")
    if not tokens and not cut and Role.MASK not in binding.roles:
        layouts = ("aligned", "shifted")
    both = (False, True)
    for flat, layout, scored, reference, sampler in itertools.product(
        both,
        layouts,
        both if Role.MASK in binding.roles else (False,),
        both if Role.REFERENCE in binding.roles else (False,),
        both if Role.SAMPLER in binding.roles else (False,),
    ):
        if not (scored and layout != "shifted"):
            yield Frame(layout, scored, reference, sampler, flat)


def is_wide(binding: Binding) -> bool:
    """Whether a callable takes the policy over the whole vocabulary."""
    return any(r in binding.roles for r in POLICY_FORMS[1:])


def head(size: int, dtype: torch.dtype) -> Float[Tensor, "v v"]:
    """A symmetric orthogonal matrix [V, H], H = V: hidden states are logits times it, and it is its own transpose."""
    v = 1.0 + torch.arange(size, dtype=torch.float64) / 4
    out = torch.eye(size, dtype=torch.float64) - 2 * torch.outer(v, v) / (v @ v)
    return out.to(dtype)


def no_frame(name: str, shape: tuple[int, ...], b: int, t: int) -> SubjectError:
    """The error where a result has no shape that any frame explains."""
    return SubjectError(
        f"{name} returned a tensor of shape {shape} for {b} sequences of {t} tokens; "
        "expected one value a token, one a sequence, or a scalar"
    )
