"""What a Triton subject has to write: which modules hold its source, and how a batch becomes a call of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import ModuleType
from typing import Any

import ml_dtypes
import numpy as np
import torch

from gpu_checks.formats import Array
from gpu_checks.subject import Result

Call = Callable[[Mapping[str, ModuleType], Any, Mapping[str, Any]], Result]
"""(modules by name, batch, settings) -> Result."""


@dataclass(frozen=True)
class Adapter:
    """`modules` are imported in the worker, with the request's edits; `call` runs one batch on them.

    `settings` are those that the call reads, with their defaults; any other name is refused before it runs.
    """

    modules: tuple[str, ...]
    call: Call
    settings: Mapping[str, Any]

    def complete(self, given: Mapping[str, Any]) -> dict[str, Any]:
        """Return the settings with defaults filled in; temperature 1 may be given to every adapter.

        Raises ValueError for a name that is not read.
        """
        if "temperature" not in self.settings and given.get("temperature") == 1.0:
            given = {name: value for name, value in given.items() if name != "temperature"}
        if unknown := sorted(set(given) - set(self.settings)):
            raise ValueError(f"unknown setting {', '.join(unknown)}: known are {', '.join(self.settings) or 'none'}")
        return {**self.settings, **given}


def to_torch(array: Array) -> torch.Tensor:
    """Return a copy of an array as a tensor, bfloat16 by its bit patterns."""
    array = np.ascontiguousarray(array).copy()
    if array.dtype == ml_dtypes.bfloat16:
        return torch.from_numpy(array.view(np.uint16)).view(torch.bfloat16)
    return torch.from_numpy(array)


def to_numpy(tensor: torch.Tensor) -> Array:
    """Return a tensor's numbers as an array of its own format."""
    tensor = tensor.detach().contiguous()
    if tensor.dtype == torch.bfloat16:
        return np.asarray(tensor.view(torch.uint16).numpy()).view(ml_dtypes.bfloat16)
    return np.asarray(tensor.numpy())
