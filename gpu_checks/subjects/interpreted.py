"""A user's function that calls Triton kernels, in the worker where Triton interprets them."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from types import ModuleType
from typing import Any

from gpu_checks.backends.triton_adapter import Adapter
from gpu_checks.formats import format_of
from gpu_checks.subject import SampledBatch
from gpu_checks.subjects.functions import Opened, files_of, open_function
from oracle.errors import SubjectError
from oracle.subject.target import resolve


@lru_cache(maxsize=8)
def _opened(target: str, roles: tuple[str, ...], settings: tuple[str, ...], reward: bool) -> tuple[Opened, Any]:
    found = resolve(target)
    if len(found) != 1:
        names = ", ".join(f.name for f in found)
        raise SubjectError(f"{target} names {len(found)} functions: name one of {names}")
    return open_function(found[0], roles, settings, reward), found[0].function


def _call(_modules: Mapping[str, ModuleType], batch: Any, settings: Mapping[str, Any]) -> Any:
    opened, function = _opened(settings["target"], settings["roles"], settings["set"], settings["reward"])
    if isinstance(batch, str):  # what it is, before there is a batch
        return {**opened.about(), "files": files_of(function)}
    stored = batch.logits if isinstance(batch, SampledBatch) else batch.policy
    return opened.run(batch, format_of(stored).name)


FUNCTION = Adapter((), _call, {"target": "", "roles": (), "set": (), "reward": False})
