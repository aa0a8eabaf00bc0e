"""Listening to a subject: another body under the same signature hears what arguments it is called with."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from oracle.errors import OracleError, SubjectError
from oracle.subject.batch import Batch
from oracle.subject.binding import parameters_of
from oracle.subject.subject import Subject
from oracle.subject.target import Target


class _Heard(BaseException):
    """Ends a call once its arguments are known; no handler of the subject's takes it for an error."""


def arguments_of(subject: Subject, batch: Batch, logits: Any = None) -> Mapping[str, Any]:
    """The arguments, by name, that the subject gets for a batch."""
    heard: dict[str, Any] = {}
    names = positional(subject.target)

    def listen(*args: Any, **kwargs: Any) -> Any:
        heard.update(dict(zip(names, args, strict=False)) | kwargs)
        raise _Heard

    deaf = replace(subject, target=listening(subject.target, listen))
    try:
        if logits is None:
            deaf.result(batch, batch.policy.to(subject.convention.dtype))
        else:
            deaf.result_on(batch, logits)
    except _Heard:
        return heard
    except OracleError as error:
        if heard:
            return heard
        raise SubjectError(f"the arguments of {subject.target.name} could not be written down: {error}") from error
    raise SubjectError(f"{subject.target.name} was not called; replay the case instead")


def positional(target: Target) -> list[str]:
    """The parameters that take no name at the call."""
    return [n for n, p in parameters_of(target.function).items() if p.kind is p.POSITIONAL_ONLY]


def listening(target: Target, listen: Callable[..., Any]) -> Target:
    """The target with its signature and another body."""
    listen.__signature__ = inspect.Signature(list(parameters_of(target.function).values()))  # type: ignore[attr-defined]
    return replace(target, function=listen)
