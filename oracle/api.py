"""The same from Python: ``oracle.identify(function, roles={"base": "reference"}, kl_penalty="k3")``."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

from oracle.case import Options
from oracle.judge import judge_binding
from oracle.records import Verdict
from oracle.subject.binding import bind
from oracle.subject.construct import constructed
from oracle.subject.subject import Placement
from oracle.subject.target import Target


def identify_callable(
    function: Callable[..., Any],
    *,
    roles: Mapping[str, str] | None = None,
    settings: Mapping[str, Any] | None = None,
    placement: Placement | None = None,
    seed: int = 0,
    max_examples: int = 20,
) -> list[Verdict]:
    """Name the objective of a penalty or a loss; one verdict a placement, loss first.

    ``roles`` maps parameters to roles where their names do not say them; ``settings`` fixes parameters. Raises
    OracleError (oracle.errors) with what to do where the function cannot be bound or called.
    """
    if isinstance(function, type):
        function = constructed(function, function.__qualname__)
    fixed = dict(settings or {})
    binding = bind(function, [f"{n}={r}" for n, r in (roles or {}).items()], [f"{n}=0" for n in fixed])
    target = Target(getattr(function, "__qualname__", repr(function)), function, None)
    return judge_binding(target, dataclasses.replace(binding, settings=fixed), placement, Options(seed, max_examples))
