"""Opening of wide subjects: in which frame a callable on logits, distributions or hidden states works.

A frame is right where the gradient says so: every position that scores a token has one, a position that scores none has
none, and a loss on sampled tokens moves the logits along each token's own score.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from oracle.errors import SubjectError
from oracle.subject.arguments import Convention
from oracle.subject.batch import Batch, mild
from oracle.subject.binding import Binding
from oracle.subject.frames import SAYS, Frame, frames, no_frame
from oracle.subject.roles import Role
from oracle.subject.subject import Kind, Subject, call, conventions, first_bad, is_rewarding
from oracle.subject.target import Target
from oracle.subject.vocabulary import coefficients, rest_of

Fit = Literal["token", "whole", "none", "wrong"]
_SHAPE = (2, 3)
"""Sequences and tokens of the trial batch: with a vocabulary of 5 and frames of 3 or 4 no two dimensions are equal."""
_EXACT = {torch.float64: 1e-8, torch.float32: 1e-4}


@dataclass(frozen=True)
class _Found:
    subject: Subject
    fit: Fit


def open_wide(target: Target, binding: Binding) -> Subject:
    """Try every frame under each calling convention; the first whose gradient fits is kept.

    Where none fits (the code is misaligned in every frame, or leads no gradient to the policy), the first that answers
    is kept, and the checks say what is wrong. Raises SubjectError where no frame answers well.
    """
    first: SubjectError | None = None
    for convention in conventions(binding):
        found: list[_Found] = []
        for frame in frames(binding):
            try:
                one = _try(target, binding, dataclasses.replace(convention, frame=frame))
            except SubjectError as error:
                first = first or error
                continue
            if one.fit in ("token", "whole"):
                return _finished(one.subject)
            found.append(one)
        if found:
            # without any gradient there is nothing to align
            return _finished(min(found, key=lambda f: ("none", "wrong").index(f.fit)).subject)
    assert first is not None
    raise _explained(target, binding, first)


def _finished(subject: Subject) -> Subject:
    subject = _ignoring(subject)
    frame = subject.convention.frame
    assert frame is not None
    notes = []
    if subject.has(Role.TOKENS) or frame.layout != "aligned":
        notes.append(SAYS[frame.layout])
    return dataclasses.replace(subject, notes=tuple(notes))


def _ignoring(subject: Subject) -> Subject:
    """Whether labels of -100 leave positions out, where no parameter plays the mask."""
    if subject.has(Role.MASK) or not subject.has(Role.TOKENS):
        return subject
    there = dataclasses.replace(subject, convention=dataclasses.replace(subject.convention, ignore=True))
    mask = torch.ones(_SHAPE, dtype=torch.float64)
    mask[0, -1] = 0.0
    try:
        signal, _ = gradient_on(there, dataclasses.replace(mild(*_SHAPE, seed=7), mask=mask))
    except (SubjectError, IndexError):
        return subject
    left = signal[0, _SHAPE[1] - 1]
    return there if bool(torch.isfinite(signal).all()) and signal.any() and not left.any() else subject


def _try(target: Target, binding: Binding, convention: Convention) -> _Found:
    batch = mild(*_SHAPE, seed=7)
    assert convention.frame is not None
    result = call(target, binding, convention, batch, batch.policy.to(convention.dtype))
    kind = _kind(target, convention.frame, result)
    if not bool(torch.isfinite(result).all()):
        raise SubjectError(
            f"{target.name} returned {first_bad(result)} on mild inputs (|log(policy/reference)| < .4); "
            "mend the function, or fix a parameter with --set"
        )
    rewarding = kind == "penalty" and is_rewarding(target, binding, convention, batch)
    subject = Subject(target, binding, convention, kind, rewarding)
    fit = _fit(subject, batch)
    return _Found(dataclasses.replace(subject, whole=fit in ("whole", "wrong")), fit)


def _kind(target: Target, frame: Frame, result: Tensor) -> Kind:
    if result.numel() == 1 or (result.shape == _SHAPE[:1]):
        return "loss"
    if frame.scored(result, *_SHAPE) is not None:
        return "penalty"
    raise no_frame(target.name, tuple(result.shape), *_SHAPE)


def gradient_on(subject: Subject, batch: Batch) -> tuple[Tensor, Tensor]:
    """(gradient of the KL part at all logits [B, N, V], log-probabilities of the scored positions [B, T, V])."""
    from oracle.probing.signal import kl_part_on_logits

    logits = subject.logits(batch).detach()
    gradient = kl_part_on_logits(subject, batch, logits)
    return gradient, logits[:, : batch.shape[1]].double()


def _fit(subject: Subject, batch: Batch) -> Fit:
    """What the gradient at the logits says of a frame."""
    gradient, rows = gradient_on(subject, batch)
    t = batch.shape[1]
    size = float(gradient.norm(dim=-1).max())
    if size == 0.0:
        return "none"
    scored, rest = gradient[:, :t], gradient[:, t:]
    near = _EXACT[subject.convention.dtype] * size
    if float(rest.abs().max()) > near if rest.numel() else False:
        return "wrong"
    if not bool((scored.norm(dim=-1) > near).all()):
        return "wrong"
    along, across = coefficients(scored, rows, _tokens(subject, batch))
    if float(across.max()) > near:
        return "whole"
    # the same log-probabilities with another rest of the vocabulary: then only the tokens' own may count
    other = dataclasses.replace(subject, convention=dataclasses.replace(subject.convention, variant=1))
    gradient, rows = gradient_on(other, batch)
    again, across = coefficients(gradient[:, :t], rows, _tokens(other, batch))
    alike = float((along - again).abs().max()) <= near and float(across.max()) <= near
    return "token" if alike else "whole"


def _tokens(subject: Subject, batch: Batch) -> Tensor:
    return rest_of(batch.policy, batch.reference, batch.sampler, batch.tables, subject.convention.variant).tokens


def _explained(target: Target, binding: Binding, error: SubjectError) -> SubjectError:
    text = str(error)
    if "selected index k out of range" in text or ("out of range" in text and "topk" in text):
        return SubjectError(
            f"{target.name} asks for more of the likeliest tokens than a small vocabulary has; "
            "set their number to 2, for example --set k=2"
        )
    return error
