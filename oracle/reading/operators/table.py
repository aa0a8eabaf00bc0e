"""The table of rules and the decorator that enters one."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

Rule = Callable[..., Any]
OPERATORS: dict[str, Any] = {}


def CONCRETE(*_: Any, **__: Any) -> Any:
    """Marks an operator whose numbers stand as they are."""
    raise AssertionError("a marker is not called")


def rule(*names: str) -> Callable[[Rule], Rule]:
    """Enter a function as the rule of the named operators; a name that is taken is an error."""

    def enter(function: Rule) -> Rule:
        for name in names:
            if name in OPERATORS:
                raise ValueError(f"the operator {name} has two rules")
            OPERATORS[name] = function
        return function

    return enter
