"""What a kernel is built from: its files, the edits made to them, and the macros that choose dtype and form."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files as package_files
from types import MappingProxyType
from typing import Any

STORAGE: Mapping[str, str] = MappingProxyType(
    {"float32": "float", "bfloat16": "__nv_bfloat16", "float16": "__half"},
)
"""The C++ type of each storage format."""

THREADS = 256
"""Threads of a block, unless the setting `threads` says otherwise."""

CHUNK = 16
"""Logits that a thread takes between two rescalings of its sum (KL_CHUNK of log_sum_exp.cuh)."""

WEIGHTS = ("none", "detached", "differentiated")
ESTIMATORS = ("k1", "k2", "k3")
PLACEMENTS = ("as loss", "in reward")
DIRECTIONS = ("reverse_kl", "forward_kl")

_ROW_FILES = ("storage.cuh", "reduction.cuh", "log_sum_exp.cuh")
_GENERATED = ("kl_forms.cuh",)


@dataclass(frozen=True)
class Kernel:
    """A kernel of our own: `files[0]` is compiled, the others are its headers; `entries` are what can be launched.

    `settings` names what a request may set, with the values that count when it does not; `forms` turns settings into
    macros. Edits reach `files`, not the generated formulas.
    """

    name: str
    files: tuple[str, ...]
    entries: tuple[str, ...]
    settings: Mapping[str, Any]
    forms: Callable[[Mapping[str, Any]], dict[str, str]]
    generated: tuple[str, ...] = ()


def sampled_form(settings: Mapping[str, Any]) -> dict[str, str]:
    """Return the macros of a form such as "k3 as loss" with a weight; ValueError for one that does not exist."""
    form, weight = settings["form"], settings["weight"]
    estimator, _, placement = str(form).partition(" ")
    if estimator not in ESTIMATORS or placement not in PLACEMENTS:
        raise ValueError(f"no form {form!r}: one of {', '.join(ESTIMATORS)}, then 'as loss' or 'in reward'")
    if weight not in WEIGHTS:
        raise ValueError(f"no weight {weight!r}: one of {', '.join(WEIGHTS)}")
    coefficient = f"{estimator}_{placement.replace(' ', '_')}"
    if weight == "none":
        return {"KL_ESTIMATOR": estimator, "KL_FORM": coefficient, "KL_WEIGHTED": "0"}
    return {"KL_ESTIMATOR": estimator, "KL_FORM": f"{coefficient}_{weight}", "KL_WEIGHTED": "1"}


def whole_form(settings: Mapping[str, Any]) -> dict[str, str]:
    """Return the macro of a direction, "reverse_kl" (policy||reference) or "forward_kl"; ValueError for another."""
    form = settings["form"]
    if form not in DIRECTIONS:
        raise ValueError(f"no form {form!r}: one of {', '.join(DIRECTIONS)}")
    return {"KL_DIRECTION": str(DIRECTIONS.index(form))}


TOKEN_KL = Kernel(
    name="token_kl",
    files=("token_kl.cu", *_ROW_FILES),
    entries=("token_kl_forward", "token_kl_backward"),
    settings=MappingProxyType({"form": "k3 as loss", "weight": "none", "temperature": 1.0, "threads": THREADS}),
    forms=sampled_form,
    generated=_GENERATED,
)
WHOLE_KL = Kernel(
    name="whole_kl",
    files=("whole_kl.cu", *_ROW_FILES),
    entries=("whole_kl",),
    settings=MappingProxyType({"form": "reverse_kl", "temperature": 1.0, "threads": THREADS}),
    forms=whole_form,
    generated=_GENERATED,
)
GUMBEL = Kernel(
    name="gumbel",
    files=("gumbel.cu", "storage.cuh", "philox.cuh"),
    entries=("gumbel", "philox_words"),
    settings=MappingProxyType({"temperature": 1.0, "threads": THREADS}),
    forms=lambda _settings: {},
)

KERNELS: Mapping[str, Kernel] = MappingProxyType({k.name: k for k in (TOKEN_KL, WHOLE_KL, GUMBEL)})
"""Every kernel of our own by its name."""


@dataclass(frozen=True)
class Source:
    """Texts ready for a compiler: `main` is compiled, every text can be included by its name, `macros` are defined."""

    main: str
    texts: Mapping[str, str]
    macros: Mapping[str, str]


@cache
def text_of(name: str) -> str:
    """Return a file of this package, or of the generated formulas, by its name."""
    package = "gpu_checks.generated" if name in _GENERATED else "gpu_checks.kernels"
    return (package_files(package) / name).read_text(encoding="utf-8")


def source_of(
    kernel: Kernel,
    dtype: str,
    settings: Mapping[str, Any],
    edits: Iterable[tuple[str, str]] = (),
) -> Source:
    """Return a kernel's source for a storage format and settings.

    Raises ValueError: a dtype, setting or form that does not exist, or an edit whose old text occurs nowhere.
    """
    if dtype not in STORAGE:
        raise ValueError(f"no storage format {dtype!r}: one of {', '.join(STORAGE)}")
    chosen = settings_of(kernel, settings)
    macros = {"KL_STORAGE": STORAGE[dtype], "KL_THREADS": str(threads_of(chosen)), **kernel.forms(chosen)}
    texts = edited({name: text_of(name) for name in kernel.files}, edits)
    return Source(kernel.files[0], texts | {name: text_of(name) for name in kernel.generated}, macros)


def settings_of(kernel: Kernel, settings: Mapping[str, Any]) -> dict[str, Any]:
    """Return all settings of a kernel, its own where none is given; ValueError for one that it has not."""
    unknown = sorted(set(settings) - set(kernel.settings))
    if unknown:
        raise ValueError(f"{kernel.name} has no setting {unknown[0]!r}: it has {', '.join(kernel.settings)}")
    chosen = {**kernel.settings, **settings}
    if not chosen["temperature"] > 0:
        raise ValueError(f"a temperature is above 0, not {chosen['temperature']}")
    return chosen


def threads_of(settings: Mapping[str, Any]) -> int:
    """Return the threads of a block; ValueError for a number that the reductions cannot halve down to a warp."""
    threads = int(settings["threads"])
    if threads not in (32, 64, 128, 256, 512, 1024):
        raise ValueError(f"a block has 32, 64, 128, 256, 512 or 1024 threads, not {threads}")
    return threads


def edited(texts: Mapping[str, str], edits: Iterable[tuple[str, str]]) -> dict[str, str]:
    """Return the texts with each old text replaced wherever it occurs; ValueError where it occurs in none of them."""
    result = dict(texts)
    for old, new in edits:
        if not old or not any(old in text for text in result.values()):
            raise ValueError(f"an edit's old text is not in {', '.join(result)}: {old!r}")
        result = {name: text.replace(old, new) for name, text in result.items()}
    return result
