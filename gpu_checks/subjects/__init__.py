"""The bundled subjects, by short name; each module is imported when a name is asked for."""

from __future__ import annotations

from difflib import get_close_matches
from functools import lru_cache
from importlib import import_module

from gpu_checks.subject import Subject

_MODULES = ("own", "arrays", "third_party")


@lru_cache(maxsize=1)
def bundled() -> dict[str, Subject]:
    """Return every bundled subject by its short name, in the order in which they are listed."""
    found: dict[str, Subject] = {}
    for module in _MODULES:
        for subject in import_module(f"gpu_checks.subjects.{module}").SUBJECTS:
            found[subject.name] = subject
    return found


def nearest(name: str) -> str | None:
    """Return the short name most like this one, if any is."""
    close = get_close_matches(name, bundled(), n=1)
    return close[0] if close else None
