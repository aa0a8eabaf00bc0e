"""An entry: one function of a library at one setting, and how to make it callable as a subject."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from oracle.subject.lift import LiftedFile


@dataclass(frozen=True)
class Entry:
    """``make`` answers the callable from the installed file; ``settings`` fix its parameters, ``roles`` name others."""

    library: str
    package: str
    file: str
    function: str
    setting: str
    make: Callable[[LiftedFile], Callable[..., Any]]
    placement: Literal["loss", "reward"] | None = None
    settings: Mapping[str, Any] = field(default_factory=dict)
    roles: Mapping[str, str] = field(default_factory=dict)


def named(function: str) -> Callable[[LiftedFile], Callable[..., Any]]:
    """Take the function itself, with no adapter around it."""
    return lambda file: file.get(function)
