"""CUDA's libdevice in the interpreter: NumPy bodies for the plain functions, the rest refused."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from inspect import isfunction
from types import MappingProxyType
from typing import Any

import numpy as np

from gpu_checks.backends.triton_shim._internals import Internals
from gpu_checks.backends.triton_shim.refused import refuse
from gpu_checks.formats import Array

BODIES: Mapping[str, Callable[[Array], Array]] = MappingProxyType(
    {
        "ceil": np.ceil,
        "exp": np.exp,
        "exp2": np.exp2,
        "expm1": np.expm1,
        "floor": np.floor,
        "log": np.log,
        "log1p": np.log1p,
        "log2": np.log2,
        "sqrt": np.sqrt,
        "tanh": np.tanh,
    }
)
"""Functions of one float32 or float64 argument, by libdevice's name."""


def patch(internals: Internals) -> None:
    """Replace every public function of the generic and the CUDA libdevice module."""
    for module in internals.libdevices:
        for name, function in list(vars(module).items()):
            if name.startswith("_") or not (isfunction(function) or (callable(function) and name in BODIES)):
                continue
            body = BODIES.get(name)
            setattr(module, name, _refusing(name) if body is None else _computing(internals, name, body))


def _refusing(name: str) -> Callable[..., Any]:
    def refusing(*_arguments: Any, **_named: Any) -> Any:
        raise refuse(f"libdevice.{name}", "no body for it")

    return refusing


def _computing(internals: Internals, name: str, body: Callable[[Array], Array]) -> Callable[..., Any]:
    tl, Handle = internals.language, internals.interpreter.TensorHandle

    def computing(argument: Any, **_named: Any) -> Any:
        if isinstance(argument, tl.constexpr):
            argument = argument.value
        if isinstance(argument, int | float):
            argument = tl.tensor(Handle(np.array([argument], dtype=np.float32), tl.float32), tl.float32)
        scalar = argument.handle.dtype.scalar
        if scalar not in (tl.float32, tl.float64):
            raise refuse(f"libdevice.{name} of {scalar}", "libdevice has it for float32 and float64")
        data = argument.handle.data
        return tl.tensor(Handle(body(data).astype(data.dtype), scalar), argument.type)

    return computing
