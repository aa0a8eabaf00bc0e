"""What a mutant is, and what every family of them is written with."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Literal

Fault = Literal[
    "tail",
    "overflow",
    "rescale",
    "sign",
    "form",
    "weight",
    "barrier",
    "order",
    "rounding",
    "token",
    "scale",
    "row",
    "index",
    "normaliser",
    "poison",
    "random",
]

EVERY = ("float32", "bfloat16", "float16")
SHORT = ("bfloat16", "float16")
"""The formats in which 16 bits are too few."""

ROUNDED = "widen(narrow<Stored>"
"""Begins a number rounded to the storage format; it takes one bracket more at its end."""


@dataclass(frozen=True)
class Mutant:
    """A kernel with one fault: `edits` are (old, new) texts, all in `file` of `kernel`.

    `settings` are those of a request under which it shows, `dtypes` the storage formats in which it does, `shows` what
    else that takes, in words. `neutral` says why a mutant that changes no result need not be caught.
    """

    name: str
    kernel: str
    file: str
    edits: tuple[tuple[str, str], ...]
    fault: Fault
    shows: str
    settings: Mapping[str, Any] = field(default_factory=dict)
    dtypes: tuple[str, ...] = EVERY
    neutral: str = ""


def settings_of(**values: Any) -> Mapping[str, Any]:
    """Return settings as a mapping that nothing changes."""
    return MappingProxyType(values)


def without_barrier(name: str, kernel: str, file: str, note: str, shows: str, **more: Any) -> Mutant:
    """A mutant without the barrier that has this note beside it; it shows under some schedules alone."""
    edits = ((f"__syncthreads();  // {note}", f"// no barrier: {note}"),)
    return Mutant(name, kernel, file, edits, "barrier", shows, **more)
