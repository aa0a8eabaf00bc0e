"""The parts of Triton that the shim replaces: found, or named as missing."""

from __future__ import annotations

import os
from dataclasses import dataclass
from importlib import import_module
from typing import Any

from gpu_checks.subject import Unavailable

NEEDED = {
    "triton.runtime.interpreter": (
        "_implicit_cvt",
        "GridExecutor.__call__",
        "ReduceOps.apply",
        "ScanOps.apply",
        "TensorHandle",
        "interpreter_builder",
        *(
            f"InterpreterBuilder.{name}"
            for name in (
                "binary_op",
                "cast_impl",
                "create_atomic_rmw",
                "create_clampf",
                "create_dot",
                "create_dot_scaled",
                "create_erf",
                "create_fma",
                "create_fp_to_fp",
                "create_rsqrt",
                "ternary_op",
                "unary_op",
            )
        ),
    ),
    "triton.runtime.autotuner": ("Autotuner.run",),
    "triton.language": ("bfloat16", "float16", "float32", "float64", "int1", "tensor", "constexpr"),
    "triton.language.standard": ("_elementwise_max", "_elementwise_min"),
    "triton.language.extra.libdevice": ("exp",),
    "triton.language.extra.cuda.libdevice": ("exp",),
}
"""What must be there, by module; a name with a dot is an attribute of a class."""


@dataclass(frozen=True)
class Internals:
    """Triton's modules that are patched, all of them checked."""

    version: str
    interpreter: Any
    autotuner: Any
    language: Any
    standard: Any
    libdevices: tuple[Any, ...]


def load() -> Internals:
    """Import Triton and return its internals.

    Raises Unavailable, in one line, where Triton is absent, where this process compiles, or where the installed
    version has no part that the shim replaces; nothing is patched then.
    """
    if os.environ.get("TRITON_INTERPRET") != "1":
        raise Unavailable("Triton's interpreter needs TRITON_INTERPRET=1 before triton is first imported")
    try:
        version = str(import_module("triton").__version__)
    except ImportError:
        raise Unavailable("triton is not installed: pip install triton (Linux only)") from None
    modules = {name: _checked(name, parts, version) for name, parts in NEEDED.items()}
    return Internals(
        version,
        modules["triton.runtime.interpreter"],
        modules["triton.runtime.autotuner"],
        modules["triton.language"],
        modules["triton.language.standard"],
        (modules["triton.language.extra.libdevice"], modules["triton.language.extra.cuda.libdevice"]),
    )


def _checked(name: str, parts: tuple[str, ...], version: str) -> Any:
    """Return a module that has all the parts."""
    try:
        module = import_module(name)
    except ImportError:
        raise _misfit(version, name) from None
    for part in parts:
        owner: Any = module
        for step in part.split("."):
            if not hasattr(owner, step):
                raise _misfit(version, f"{name}.{part}")
            owner = getattr(owner, step)
    return module


def _misfit(version: str, missing: str) -> Unavailable:
    return Unavailable(f"the interpreter of Triton {version} has no {missing}, which the shim replaces: use triton 3.9")
