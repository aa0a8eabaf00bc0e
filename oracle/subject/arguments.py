"""Arguments: the numbers of a batch, in the place of each parameter and in the shape it wants."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor
from torch.utils._python_dispatch import _disable_current_modes

from oracle.subject.batch import Batch
from oracle.subject.binding import Binding
from oracle.subject.frames import Frame, head
from oracle.subject.roles import WEIGHTS, Role
from oracle.subject.vocabulary import Rest, rest_of, rows_of

IGNORED = -100
"""What stands in labels where no token counts."""
_SHIFTS = {Role.LOGITS: 0.5, Role.REFERENCE_LOGITS: -0.25, Role.SAMPLER_LOGITS: 0.125}
"""What is added to log-probabilities to make logits of them, times the position: no softmax may notice."""
_BIAS = 0.25


@dataclass(frozen=True)
class Convention:
    """How a callable wants its arguments, found by trying: dtype of the numbers, of the mask, shape of advantages;
    ``frame`` where it takes the whole vocabulary, ``ignore`` where labels say what counts."""

    dtype: torch.dtype = torch.float64
    mask: torch.dtype = torch.float64
    advantages: Literal["sequence", "token", "column"] = "sequence"
    frame: Frame | None = None
    ignore: bool = False
    variant: int = 0
    """Which rest of the vocabulary, where a batch says nothing of it."""
    exact: bool = False
    """Logits as they are given: no constant is added to those of a position."""
    wide: torch.dtype | None = None
    """The dtype of logits, where it is not that of the other numbers."""
    plain: bool = False
    """For a reading: two tokens, logits that are log-probabilities, hidden states that are logits."""


def arguments(
    binding: Binding, convention: Convention, batch: Batch, policy: Tensor, logits: Tensor | None = None
) -> dict[str, Any]:
    """Parameter to value. ``logits`` [B, N, V], where given, stand in the policy's place."""
    b, t = batch.shape
    shape = {"sequence": (b,), "token": (b, t), "column": (b, 1)}[convention.advantages]
    spread = batch.advantages.to(convention.dtype)
    spread = (spread if shape == (b,) else spread[:, None].expand(shape)).clone()
    reference, sampler = (x.to(convention.dtype).clone() for x in (batch.reference, batch.sampler))
    values: dict[Role, Any] = {
        Role.POLICY: policy,
        Role.REFERENCE: reference,
        Role.SAMPLER: sampler,
        Role.MASK: batch.mask.to(convention.mask).clone(),
        Role.ADVANTAGES: spread,
        Role.REWARDS: spread.clone(),
        Role.BETA: batch.beta,
        Role.VALUES: torch.zeros(b, t, dtype=convention.dtype),
        # ids of tokens whose log-probabilities are given: any will do
        Role.TOKENS: torch.arange(b * t, dtype=torch.int64).reshape(b, t) % 3,
        Role.COMPLETION_LENGTH: t,
        Role.PROMPT_LENGTH: 0,
    }
    # made where they are asked for: what is computed here is read as part of the subject
    if Role.LOG_RATIO in binding.roles:
        values[Role.LOG_RATIO] = policy - reference
    if Role.LOG_IMPORTANCE_WEIGHT in binding.roles:
        values[Role.LOG_IMPORTANCE_WEIGHT] = policy - sampler
    if Role.IMPORTANCE_WEIGHT in binding.roles:
        values[Role.IMPORTANCE_WEIGHT] = (policy - sampler).exp()
    named: dict[str, Any] = {}
    if convention.frame is not None:
        values |= _wide(binding, convention, convention.frame, batch, policy, logits)
        if len(binding.masks()) > 1:
            named = _masks(binding, convention, convention.frame, batch)
    further = {name: values[role].clone() for name, role in binding.also.items()}
    return {name: values[role] for role, name in binding.roles.items()} | further | named | dict(binding.settings)


def _wide(
    binding: Binding, convention: Convention, frame: Frame, batch: Batch, policy: Tensor, logits: Tensor | None
) -> dict[Role, Any]:
    rest = _rest(convention, batch)
    reference = _lowered(batch.reference.to(convention.dtype), rest)
    sampler = _lowered(batch.sampler.to(convention.dtype), rest)
    own = frame.logits(policy_rows(convention, batch, policy, rest)) if logits is None else logits
    if rest.tables is None:
        away = frame.logits(rows_of(reference, rest.reference, rest.tokens))
        drawn = frame.logits(rows_of(sampler, rest.sampler, rest.tokens))
    else:  # as they are: a share of a probability loses what underflows
        away, drawn = (frame.logits(x.to(convention.dtype)) for x in (rest.tables.reference, rest.tables.sampler))
    b, n, size = own.shape
    hidden_states = any(role in binding.roles for pair in WEIGHTS.items() for role in pair)
    # a model's log-softmax stands before them: its backward pass is part of the gradient at the logits
    normal = own.log_softmax(-1)
    with _disable_current_modes():
        step = (1 + torch.arange(n, dtype=convention.dtype))[None, :, None].expand(b, n, 1)
        if hidden_states:  # a square of the vocabulary
            matrix = torch.eye(size, dtype=convention.dtype) if convention.plain else head(size, convention.dtype)
            other = matrix.roll((1, 1), (0, 1)).contiguous()
        bias = (0.0 if convention.plain else _BIAS) * torch.arange(size, dtype=convention.dtype)
        tokens = frame.ids(rest.tokens, size)
        if convention.ignore:
            tokens = tokens.masked_fill(frame.mask(batch.mask, attention=False) == 0, IGNORED)
    as_given = convention.plain or convention.exact
    shifted = {r: x if as_given else x + _SHIFTS[r] * step for r, x in zip(_SHIFTS, (own, away, drawn), strict=True)}
    if convention.wide is not None:
        shifted = {r: x.to(convention.wide) for r, x in shifted.items()}
    values: dict[Role, Any] = {
        **{r: frame.joined(x) for r, x in shifted.items()},
        Role.DISTRIBUTION: frame.joined(normal),
        Role.REFERENCE_DISTRIBUTION: frame.joined(away),
        Role.SAMPLER_DISTRIBUTION: frame.joined(drawn),
        Role.PROBABILITIES: frame.joined(normal.exp()),
        Role.REFERENCE_PROBABILITIES: frame.joined(away.exp()),
        Role.REFERENCE: frame.joined(away if frame.whole_reference else reference),
        Role.SAMPLER: frame.joined(drawn if frame.whole_sampler else sampler),
        Role.TOKENS: frame.joined(tokens),
        Role.MASK: frame.joined(frame.mask(batch.mask.to(convention.mask), attention=False)),
        Role.COMPLETION_LENGTH: batch.shape[1],
        Role.PROMPT_LENGTH: frame.prompt,
        Role.BIAS: bias,
    }
    for (hidden, weight), x in zip(WEIGHTS.items(), shifted.values(), strict=True) if hidden_states else ():
        # each matrix is symmetric and its own inverse, so that hidden @ weight.T is the logits again
        mine = matrix if hidden is Role.HIDDEN or weight not in binding.roles else other
        biased = Role.BIAS in binding.roles and hidden is Role.HIDDEN
        values[hidden] = frame.joined((x - bias if biased else x) @ mine)
        values[weight] = mine.clone()
    return values


def policy_rows(convention: Convention, batch: Batch, policy: Tensor, rest: Rest | None = None) -> Tensor:
    """Log-probabilities of the vocabulary [b, t, V] under the policy, differentiable in the token's own."""
    rest = rest or _rest(convention, batch)
    return rows_of(_lowered(policy, rest), rest.policy, rest.tokens)


def _rest(convention: Convention, batch: Batch) -> Rest:
    tables = None if convention.plain else batch.tables
    return rest_of(batch.policy, batch.reference, batch.sampler, tables, convention.variant, convention.plain)


def _lowered(logp: Tensor, rest: Rest) -> Tensor:
    return logp - rest.excess.to(logp.dtype) if bool(rest.excess.any()) else logp


def _masks(binding: Binding, convention: Convention, frame: Frame, batch: Batch) -> dict[str, Any]:
    """Of several masks the one that says what is attended to holds the prompt too."""
    mask = batch.mask.to(convention.mask)
    return {n: frame.joined(frame.mask(mask, attention="attention" in n.lower())) for n in binding.masks()}
