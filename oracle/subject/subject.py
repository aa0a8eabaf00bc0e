"""A subject: one bound callable, the kind of its result, and its value and gradient on a batch."""

from __future__ import annotations

import dataclasses
import inspect
import itertools
import traceback
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import torch
from jaxtyping import Float
from torch import Tensor

from oracle.errors import SubjectError
from oracle.subject.arguments import Convention as Convention
from oracle.subject.arguments import arguments, policy_rows
from oracle.subject.batch import Batch, mild
from oracle.subject.binding import Binding, parameters_of
from oracle.subject.frames import no_frame
from oracle.subject.guard import Interrupted, guarded
from oracle.subject.roles import HEARS_SAMPLER, Role
from oracle.subject.target import Target, eager_compile

Kind = Literal["penalty", "loss"]
Placement = Literal["loss", "reward", "whole"]


@dataclass(frozen=True)
class Subject:
    """A callable with its roles; ``kind`` is penalty (one value a token) or loss (one value a batch)."""

    target: Target
    binding: Binding
    convention: Convention
    kind: Kind
    rewarding: bool = False
    """The result is a reward (it grows with the rewards role), so the penalty is its negative."""
    whole: bool = False
    """The gradient at the logits is no multiple of the token's score: the whole vocabulary enters."""
    notes: tuple[str, ...] = ()
    """How the arguments were understood, where that was found by trying."""
    idle: str | None = None
    """A parameter that by its name is the KL coefficient, and changes nothing."""

    @property
    def wide(self) -> bool:
        """Whether it takes logits, hidden states, or log-probabilities of the whole vocabulary."""
        return self.convention.frame is not None

    @property
    def placements(self) -> tuple[Placement, ...]:
        """Where the term can stand: a penalty both ways, a loss as a whole, a shaped reward in reward only."""
        if self.kind == "loss":
            return ("whole",)
        return ("reward",) if self.rewarding else ("loss", "reward")

    def has(self, role: Role) -> bool:
        """Whether a parameter plays this role."""
        return role in self.binding.roles or (role is Role.MASK and self.convention.ignore)

    @property
    def hears_sampler(self) -> bool:
        """Whether a parameter plays the sampler, or is its importance weight."""
        return any(role in self.binding.roles for role in HEARS_SAMPLER)

    def roles(self) -> dict[str, str]:
        """Role to parameter (several, joined by commas), as the record shows it."""
        further = self.binding.also.items()
        return {
            str(role): ", ".join([name, *(n for n, r in further if r is role)])
            for role, name in self.binding.roles.items()
        }

    def at_precision(self, dtype: torch.dtype) -> Subject:
        """The same subject, called with numbers of another dtype."""
        mask = dtype if self.convention.mask.is_floating_point else self.convention.mask
        return dataclasses.replace(self, convention=dataclasses.replace(self.convention, dtype=dtype, mask=mask))

    def with_settings(self, settings: Mapping[str, Any]) -> Subject:
        """The same subject with further parameters fixed."""
        return dataclasses.replace(
            self, binding=dataclasses.replace(self.binding, settings={**self.binding.settings, **settings})
        )

    def result(self, batch: Batch, policy: Float[Tensor, "b t"]) -> Tensor:
        """Call the function with ``policy`` in the policy's place; the tensor it answers, of any permitted shape."""
        return self._scored(call(self.target, self.binding, self.convention, batch, policy), batch)

    def logits(self, batch: Batch) -> Tensor:
        """Log-probabilities [B, N, V] as ``result_on`` takes them, of the batch's policy; N >= tokens, by the frame."""
        assert self.convention.frame is not None
        return self.convention.frame.logits(policy_rows(self.convention, batch, batch.policy.to(self.convention.dtype)))

    def result_on(self, batch: Batch, logits: Float[Tensor, "b n v"]) -> Tensor:
        """Call a wide subject with these log-probabilities of the whole vocabulary in the policy's place."""
        answer = call(self.target, self.binding, self.convention, batch, batch.policy, logits)
        return self._scored(answer, batch)

    def _scored(self, answer: Tensor, batch: Batch) -> Tensor:
        if self.convention.frame is None or self.kind == "loss":
            return answer
        scored = self.convention.frame.scored(answer, *batch.shape)
        if scored is None:
            raise no_frame(self.target.name, tuple(answer.shape), *batch.shape)
        return scored

    def derivative(self, scalar: Tensor, leaf: Tensor) -> Tensor | None:
        """The gradient of a number made from the result; None where no graph leads to ``leaf``.

        Raises SubjectError where the backward pass raises (a saved tensor overwritten, a faulty autograd.Function).
        """
        try:
            with guarded(), eager_compile():
                (gradient,) = torch.autograd.grad(scalar, leaf, allow_unused=True)
        except Interrupted:
            raise
        except BaseException as error:
            raise SubjectError(
                f"{self.target.name} raised {type(error).__name__} in its backward pass: {_brief(error)}; "
                "no gradient can be taken, so nothing can be said of it as a loss"
            ) from error
        return gradient


def open_subject(target: Target, binding: Binding) -> Subject:
    """Find how a callable wants to be called, by trying. Raises SubjectError where it answers well in no way."""
    from oracle.subject.opening import open_any  # it builds on this module

    return open_any(target, binding)


def open_narrow(target: Target, binding: Binding) -> Subject:
    """Try a mild batch of 3 x 2 under each calling convention; the first that answers well is kept.

    Raises SubjectError where the callable raises, returns nothing, another shape, or a number that is not finite.
    """
    first: SubjectError | None = None
    for convention in conventions(binding):
        batch = mild(3, 2, seed=7)
        try:
            result = call(target, binding, convention, batch, batch.policy)
            kind = _kind(target, result)
        except SubjectError as error:
            first = first or error
            continue
        if not bool(torch.isfinite(result).all()):
            raise SubjectError(
                f"{target.name} returned {first_bad(result)} on mild inputs (|log(policy/reference)| < .4); "
                "mend the function, or fix a parameter with --set"
            )
        rewarding = kind == "penalty" and is_rewarding(target, binding, convention, batch)
        return Subject(target, binding, convention, kind, rewarding)
    assert first is not None
    raise first


def conventions(binding: Binding) -> Iterator[Convention]:
    """The calling conventions to try, the plainest first."""
    masks = (torch.float64, torch.bool, torch.int64) if Role.MASK in binding.roles else (torch.float64,)
    wide = Role.ADVANTAGES in binding.roles or Role.REWARDS in binding.roles
    shapes: tuple[Literal["sequence", "token", "column"], ...] = (
        ("sequence", "token", "column") if wide else ("sequence",)
    )
    for dtype, mask, shape in itertools.product((torch.float64, torch.float32), masks, shapes):
        yield Convention(dtype, dtype if mask is torch.float64 else mask, shape)


def _kind(target: Target, result: Tensor) -> Kind:
    if result.numel() == 1 or result.shape == (3,):
        return "loss"
    if result.shape == (3, 2):
        return "penalty"
    raise SubjectError(
        f"{target.name} returned a tensor of shape {tuple(result.shape)} for 3 sequences of 2 tokens; "
        "expected one value a token, one a sequence, or a scalar"
    )


def first_bad(result: Tensor) -> str:
    """The first number that is not finite, as text."""
    bad = result.detach().flatten()
    return str(float(bad[~torch.isfinite(bad)][0]))


def is_rewarding(target: Target, binding: Binding, convention: Convention, batch: Batch) -> bool:
    """Whether the result grows with the rewards, so that it is a reward and not a penalty."""
    if Role.REWARDS not in binding.roles:
        return False
    one = dataclasses.replace(batch, advantages=torch.ones_like(batch.advantages))
    low = call(target, binding, convention, batch, batch.policy).detach().sum()
    return bool(call(target, binding, convention, one, batch.policy).detach().sum() > low)


def call(
    target: Target,
    binding: Binding,
    convention: Convention,
    batch: Batch,
    policy: Tensor,
    logits: Tensor | None = None,
) -> Tensor:
    """Call a target once; the tensor in its answer. Raises SubjectError where it raises or answers no tensor."""
    given = arguments(binding, convention, batch, policy, logits)
    try:
        parameters = parameters_of(target.function)
        args = [given.pop(n) for n, p in parameters.items() if p.kind is p.POSITIONAL_ONLY and n in given]
        with guarded(), eager_compile():
            return _tensor(target, target.function(*args, **given))
    except (Interrupted, SubjectError):
        raise
    except BaseException as error:  # SystemExit and KeyboardInterrupt too, where the subject raises them
        raise SubjectError(_raised(target, error)) from error


def _raised(target: Target, error: BaseException) -> str:
    frames = traceback.extract_tb(error.__traceback__)
    own = [f for f in frames if "/oracle/subject/" not in f.filename.replace("\\", "/")]
    inside = own[0] if own else frames[-1]
    return (
        f"{target.name} raised {type(error).__name__}: {_brief(error)} (line {inside.lineno} of its file); "
        "check the roles with --role and the settings with --set"
    )


def _brief(error: BaseException) -> str:
    try:
        return " ".join(str(error).split())[:160] or "(no message)"
    except Exception:  # the subject's own exception, whose __str__ may raise
        return "(a message that cannot be shown)"


_FIRST_KEYS = ("loss", "kl_loss", "kl", "kl_penalty", "penalty", "rewards", "token_level_rewards")


def _tensor(target: Target, answer: Any) -> Tensor:
    """The tensor in an answer: itself, the loss of a dict or record, the first floating tensor of a tuple."""
    if answer is None:
        raise SubjectError(f"{target.name} returned nothing; it must return the penalty or the loss")
    if inspect.iscoroutine(answer):
        answer.close()  # else Python warns at exit that it was never awaited
        raise SubjectError(f"{target.name} is async; wrap it in a function that returns the penalty or the loss")
    if isinstance(answer, (int, float)) and not isinstance(answer, bool):
        return torch.tensor(float(answer), dtype=torch.float64)
    if dataclasses.is_dataclass(answer) and not isinstance(answer, type):
        answer = {f.name: getattr(answer, f.name) for f in dataclasses.fields(answer)}
    if isinstance(answer, Mapping):
        answer = [answer[k] for k in _FIRST_KEYS if k in answer] + list(answer.values())
    candidates = answer if isinstance(answer, (tuple, list)) else [answer]
    for item in candidates:
        if isinstance(item, Tensor) and item.is_floating_point():
            return item
    raise SubjectError(
        f"{target.name} returned {type(answer).__name__} without a floating-point tensor; "
        "it must return the penalty or the loss"
    )
