"""Opening: what a callable's arguments are, found by trying where names leave it open.

Per-token log-probabilities, or those of the whole vocabulary; a coefficient, or the weight of a mixture; and for
callables on logits, distributions or hidden states the frame in which they work.

A frame is right where the gradient says so: every position that scores a token has one, a position that scores none has
none, and a loss on sampled tokens moves the logits along each token's own score.
"""

from __future__ import annotations

import dataclasses
import inspect
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor

from oracle.errors import SubjectError
from oracle.subject.arguments import Convention
from oracle.subject.batch import Batch, mild
from oracle.subject.binding import Binding, parameters_of
from oracle.subject.construct import Constructed
from oracle.subject.frames import SAYS, Frame, frames, is_wide, no_frame
from oracle.subject.roles import Role
from oracle.subject.subject import (
    Kind,
    Placement,
    Subject,
    call,
    conventions,
    first_bad,
    is_rewarding,
    open_narrow,
)
from oracle.subject.target import Target
from oracle.subject.vocabulary import coefficients, rest_of

Fit = Literal["token", "whole", "none", "wrong"]
_SHAPE = (2, 3)
"""Sequences and tokens of the trial batch: with a vocabulary of 5 and frames of 3 or 4 no two dimensions are equal."""
_EXACT = {torch.float64: 1e-8, torch.float32: 1e-4}
_COARSE = 2e-2
"""Relative error that is none in 16 bits; any fewer digits are those of the code."""


@dataclass(frozen=True)
class _Found:
    subject: Subject
    fit: Fit
    cut: bool = False
    """The logits of the first or of the last position have no gradient: the code leaves one out."""


def open_any(target: Target, binding: Binding) -> Subject:
    """Open a subject in the form its parameters say, or in the one that works."""
    return _without_idle(_without_mixture(_open_form(target, binding)))


def _open_form(target: Target, binding: Binding) -> Subject:
    if is_wide(binding):
        return open_wide(target, binding)
    try:
        narrow = open_narrow(target, binding)
    except SubjectError:
        whole = _as_distribution(target, binding)
        if whole is None:
            raise
        return whole
    return (_as_distribution(target, binding) or narrow) if _holds_probabilities(narrow) else narrow


_WHOLE_FORM = {
    Role.POLICY: Role.DISTRIBUTION,
    Role.REFERENCE: Role.REFERENCE_DISTRIBUTION,
    Role.SAMPLER: Role.SAMPLER_DISTRIBUTION,
}
_ONE_A_TOKEN = ("logp", "token", "selected", "lps")


def _as_distribution(target: Target, binding: Binding) -> Subject | None:
    """The callable on log-probabilities of the whole vocabulary, where it answers one number a position or fewer.

    None where its names say one value a token, or where it does not work so.
    """
    names = [binding.roles[r] for r in (Role.POLICY, Role.REFERENCE) if r in binding.roles]
    if any(w in n.lower().replace("_p", "-") for n in names for w in _ONE_A_TOKEN):
        return None
    roles = {_WHOLE_FORM.get(r, r): n for r, n in binding.roles.items()}
    also = {n: _WHOLE_FORM.get(r, r) for n, r in binding.also.items()}
    try:
        subject = open_wide(target, dataclasses.replace(binding, roles=roles, also=also))
        batch = mild(*_SHAPE, seed=7)
        answer = call(target, subject.binding, subject.convention, batch, batch.policy.to(subject.convention.dtype))
    except SubjectError:
        return None
    aligned = _fit(subject, batch) in ("token", "whole")
    return subject if aligned and answer.dim() < 3 else None


def _holds_probabilities(subject: Subject) -> bool:
    """Whether a coefficient changes with the policy's probability where all log-ratios stay as they are."""
    from oracle.probing.signal import kl_part

    batch = mild(3, 2, seed=7)
    lower = dataclasses.replace(
        batch, policy=batch.policy - 0.3, reference=batch.reference - 0.3, sampler=batch.sampler - 0.3
    )
    placement: Placement = "whole" if subject.kind == "loss" else "loss"
    try:
        one, two = (kl_part(subject, placement, x).coefficient for x in (batch, lower))
    except SubjectError:
        return False
    return bool((one - two).abs().max() > 1e-3 * one.abs().max())


def _without_mixture(subject: Subject) -> Subject:
    """Where ``beta`` weighs a mixture (a generalised Jensen-Shannon divergence), it is no coefficient of the KL part.

    The gradient is then no linear function of it, and at 0 it still looks at the reference, or at 1 there is none.
    """
    from oracle.probing.signal import once

    name = subject.binding.roles.get(Role.BETA)
    if name != "beta" or subject.has(Role.ADVANTAGES) or subject.has(Role.REWARDS):
        return subject
    batch = mild(*_SHAPE, seed=7)
    other = dataclasses.replace(batch, reference=mild(*_SHAPE, seed=8).reference)
    placement: Placement = "whole" if subject.kind == "loss" else "loss"
    try:
        none, moved, half, full = (
            once(subject, placement, x.with_beta(b)).coefficient
            for x, b in ((batch, 0.0), (other, 0.0), (batch, 0.5), (batch, 1.0))
        )
    except SubjectError:
        return subject
    size = float(full.abs().max()) + float(none.abs().max())
    looks = float((none - moved).abs().max()) > 1e-3 * size
    bent = float((2 * half - none - full).abs().max()) > 1e-3 * size
    if not (bent and (looks or not full.any())):
        return subject
    default = parameters_of(subject.target.function)[name].default
    if not isinstance(default, (int, float)):
        raise SubjectError(
            f"{subject.target.name}: {name} is no coefficient of the KL part (the gradient is not proportional to it); "
            f"say which value is meant with --set {name}=0.5"
        )
    roles: dict[Role, str] = {r: n for r, n in subject.binding.roles.items() if r is not Role.BETA}
    # opened anew: in what frame it works was found with the weight at 0 and at 1
    subject = open_any(subject.target, dataclasses.replace(subject.binding, roles=roles))
    note = f"{name} is no coefficient, and stays at its default {default}"
    return dataclasses.replace(subject, notes=(*subject.notes, note))


def _without_idle(subject: Subject) -> Subject:
    """Where the coefficient changes nothing though the reference does, the KL part stands there without it."""
    from oracle.probing.signal import once

    name = subject.binding.roles.get(Role.BETA)
    if name is None:
        return subject
    batch = mild(*_SHAPE, seed=7)
    placement: Placement = "whole" if subject.kind == "loss" else subject.placements[0]

    def alike(one: Batch, two: Batch) -> bool:
        a, b = (once(subject, placement, x) for x in (one, two))
        return torch.equal(a.coefficient, b.coefficient) and torch.equal(a.value, b.value)

    try:
        idle = all(alike(batch.with_beta(0.0), batch.with_beta(b)) for b in (1.0, 2.5))
        if not idle or alike(batch, dataclasses.replace(batch, reference=mild(*_SHAPE, seed=8).reference)):
            return subject
    except SubjectError:
        return subject
    stated = parameters_of(subject.target.function)[name]
    roles: dict[Role, str] = {r: n for r, n in subject.binding.roles.items() if r is not Role.BETA}
    settings = {**subject.binding.settings, **({name: 1.0} if stated.default is stated.empty else {})}
    # opened anew: the frame was found by what the coefficient scales, which is nothing
    subject = open_any(subject.target, dataclasses.replace(subject.binding, roles=roles, settings=settings))
    function = subject.target.function
    if isinstance(function, Constructed) and name not in function.given:
        return dataclasses.replace(subject, notes=(*subject.notes, f"{name} is no coefficient of what is called"))
    return dataclasses.replace(subject, notes=(*subject.notes, f"{name} changes nothing"), idle=name)


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
            found.append(one)
            if one.fit == "token" or (one.fit == "whole" and Role.TOKENS not in binding.roles):
                break
        if found:
            return _finished(_best(found).subject)
    assert first is not None
    raise _explained(target, binding, first)


def _best(found: list[_Found]) -> _Found:
    """The frame that fits best; of frames of which none fits, one with a prompt if the code leaves out a position."""
    for fit in ("token", "whole", "none"):
        for one in found:
            if one.fit == fit:
                return one
    shifted = [f for f in found if f.subject.convention.frame and f.subject.convention.frame.layout == "shifted"]
    return shifted[0] if shifted and found[0].cut else found[0]


def _finished(subject: Subject) -> Subject:
    subject = _ignoring(subject)
    frame = subject.convention.frame
    assert frame is not None
    notes = []
    if Role.DISTRIBUTION in subject.binding.roles:
        notes.append("log-probabilities are those of the whole vocabulary, [B, T, V]")
    if subject.has(Role.TOKENS) or frame.layout != "aligned":
        notes.append(SAYS[frame.layout])
    return dataclasses.replace(subject, notes=tuple(notes))


def _ignoring(subject: Subject) -> Subject:
    """Whether labels of -100 leave positions out, where no parameter plays the mask and the code speaks of them.

    torch's cross entropy leaves them out by itself; code that does not mention them is not given any.
    """
    if subject.has(Role.MASK) or not subject.has(Role.TOKENS) or not _speaks_of_ignoring(subject.target.function):
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


def _speaks_of_ignoring(function: Any) -> bool:
    """Whether the source of a callable, or of its class, has -100 or the name of an index to ignore in it."""
    code = getattr(function, "func", getattr(function, "made", function))
    try:
        source = inspect.getsource(code if inspect.isroutine(code) or inspect.isclass(code) else type(code))
    except (OSError, TypeError):
        return False
    return "-100" in source or "ignore" in source.lower()


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
    gradient = gradient_on(subject, batch)[0].abs().sum(-1)
    cut = not bool(gradient[:, 0].any()) or not bool(gradient[:, -1].any())
    return _Found(dataclasses.replace(subject, whole=fit in ("whole", "wrong")), fit, cut)


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
    near = _EXACT.get(_precision(subject, batch), _COARSE) * size
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


def _precision(subject: Subject, batch: Batch) -> torch.dtype:
    """The coarsest format that the code works in, whatever it is given."""
    from oracle.probing.precision import working_dtype

    return working_dtype(subject, "whole" if subject.kind == "loss" else "loss", batch)


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
