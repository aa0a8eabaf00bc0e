"""Classes as callables: one that is called with what its method takes and what its constructor takes.

A new instance is made for every call, so that no call hears of another (running means, step counters).
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

from oracle.errors import TargetError

_OPEN = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)


class Constructed:
    """``Class(...).method(...)`` as one function; where both take a parameter of one name, both are given it."""

    def __init__(self, made: type, method: str, name: str) -> None:
        self.__name__ = self.__qualname__ = name
        self.made, self.method = made, method
        self.given = _parameters(getattr(made, method), name)
        start = inspect.getattr_static(made, "__init__")
        self.fixed = _parameters(start, name) if inspect.isfunction(start) else {}
        own = [p.replace(kind=p.KEYWORD_ONLY) for p in self.given.values()]
        more = [p.replace(kind=p.KEYWORD_ONLY) for n, p in self.fixed.items() if n not in self.given]
        self.__signature__ = inspect.Signature([*own, *more])

    def __call__(self, **values: Any) -> Any:
        """Construct, and call the method."""
        instance = self.made(**{n: v for n, v in values.items() if n in self.fixed})
        # a module is called by itself, so that its hooks run
        call = instance if self.method in ("forward", "__call__") else getattr(instance, self.method)
        positional = [n for n, p in self.given.items() if p.kind is p.POSITIONAL_ONLY and n in values]
        named = {n: v for n, v in values.items() if n in self.given and n not in positional}
        return call(*[values[n] for n in positional], **named)


def _parameters(function: Callable[..., Any], name: str) -> dict[str, inspect.Parameter]:
    """The parameters after self, without those that take any number of arguments."""
    try:
        found = list(inspect.signature(function).parameters.values())[1:]
    except (TypeError, ValueError) as error:
        raise TargetError(f"{name} has no readable signature; wrap it in a small Python function") from error
    return {p.name: p for p in found if p.kind not in _OPEN}


def constructed(made: type, name: str, method: str | None = None) -> Callable[..., Any]:
    """A class, or one of its methods, as a callable. Raises TargetError where the class cannot be called."""
    if method is None:
        method = next((m for m in ("forward", "__call__") if _defines(made, m)), None)
        if method is None:
            public = [n for n, v in vars(made).items() if inspect.isfunction(v) and not n.startswith("_")]
            hint = (
                f"name one of its methods: {', '.join(f'{name}.{m}' for m in public[:6])}"
                if public
                else ("it has no method; write a small function")
            )
            raise TargetError(f"{name} is a class without forward or __call__; {hint}")
    if isinstance(inspect.getattr_static(made, method), (staticmethod, classmethod)):
        return getattr(made, method)  # type: ignore[no-any-return]
    return Constructed(made, method, name)


def _defines(made: type, method: str) -> bool:
    """Whether a class defines a method; torch's Module has a forward that only raises."""
    owner = next((c for c in made.__mro__ if method in vars(c)), None)
    return owner is not None and not (owner.__module__.startswith("torch.nn.modules.module"))
