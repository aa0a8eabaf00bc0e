"""Our kernels compiled for devices that are not here: what the compilers say of them, and what that must not be.

State of all of it: COMPILED_ONLY. A kernel that compiles has run nowhere.

    report = audit()
    for record in report.records: ...
    print(*report.absences, sep="\\n")

Each form is compiled in bfloat16, and each kernel's default form in every storage format, for four architectures, by
NVRTC; by nvcc, where there is one, the default forms.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass, field
from itertools import product
from typing import Any, Literal

from gpu_checks.compiling import nvcc, nvrtc
from gpu_checks.compiling.cubin import usage_of
from gpu_checks.compiling.ptx import PtxFacts, facts_of
from gpu_checks.kernels.sources import (
    DIRECTIONS,
    ESTIMATORS,
    KERNELS,
    PLACEMENTS,
    STORAGE,
    TOKEN_KL,
    WEIGHTS,
    WHOLE_KL,
    Kernel,
    source_of,
)
from gpu_checks.subject import State, Unavailable

ARCHITECTURES = ("sm_80", "sm_90", "sm_100", "sm_120")
"""Ampere (A100), Hopper (H100), Blackwell (B200), Blackwell (RTX 50)."""

COMPILERS = ("nvrtc", "nvcc")
CompilerName = Literal["nvrtc", "nvcc"]

_GRADIENTS = ("token_kl_backward", "whole_kl")
"""Entries that store numbers in the storage format."""


@dataclass(frozen=True)
class Unit:
    """What is compiled once: a kernel in one form and storage format, for one architecture."""

    kernel: str
    form: str
    weight: str
    dtype: str
    architecture: str

    def settings(self) -> dict[str, str]:
        """Return the settings of a request that choose this form."""
        own = KERNELS[self.kernel].settings
        chosen = {"form": self.form, "weight": self.weight}
        return {name: value for name, value in chosen.items() if name in own}


@dataclass(frozen=True)
class Compilation:
    """One entry function of a unit, compiled by one compiler. Sizes in bytes; None where a compiler does not say.

    `stack` is local memory, where spilled registers go; `stores`, `exponentials` and `logarithms` are the PTX
    instructions of each kind. `error` is the first error of a unit that did not compile, with nothing else known.
    """

    kernel: str
    entry: str
    form: str
    weight: str
    dtype: str
    architecture: str
    compiler: str
    state: str
    registers: int | None = None
    stack: int | None = None
    spill_stores: int | None = None
    spill_loads: int | None = None
    shared: int | None = None
    doubles: int | None = None
    stores: tuple[str, ...] = ()
    exponentials: tuple[str, ...] = ()
    logarithms: tuple[str, ...] = ()
    error: str = ""

    def problems(self) -> tuple[str, ...]:
        """Return what is wrong, in words; nothing where all is well."""
        found = [f"does not compile: {self.error}"] if self.error else []
        if self.doubles:
            found.append(f"{self.doubles} instructions in float64, where all arithmetic is to be float32")
        if self.stack or self.spill_stores or self.spill_loads:
            found.append(f"{self.stack} bytes of stack in local memory: registers are spilled")
        found += [f"{s} does not round to nearest even" for s in self.stores if not s.startswith("cvt.rn.")]
        if not self.error and self.entry in _GRADIENTS and self.dtype != "float32" and not self.stores:
            found.append(f"no conversion to {self.dtype}: its stores were not found")
        return tuple(found)

    def as_json(self) -> dict[str, Any]:
        """Return the record as JSON holds it, with its problems."""
        return {**asdict(self), "problems": list(self.problems())}


@dataclass(frozen=True)
class CompileReport:
    """All records, and a line for each compiler that is absent."""

    records: tuple[Compilation, ...]
    absences: tuple[str, ...] = field(default=())

    @property
    def state(self) -> State:
        """COMPILED_ONLY, or NOT_RUN where nothing was compiled."""
        return State.COMPILED_ONLY if any(not r.error for r in self.records) else State.NOT_RUN

    @property
    def failing(self) -> tuple[Compilation, ...]:
        """The records that have a problem."""
        return tuple(record for record in self.records if record.problems())


def default_units(kernel: Kernel) -> Iterator[Unit]:
    """Each kernel's own form, in every storage format, for every architecture."""
    form, weight = str(kernel.settings.get("form", "")), str(kernel.settings.get("weight", ""))
    for dtype, architecture in product(STORAGE, ARCHITECTURES):
        yield Unit(kernel.name, form, weight, dtype, architecture)


def other_units() -> Iterator[Unit]:
    """Every other form, in bfloat16: forms do not depend on how numbers are stored."""
    forms = [(TOKEN_KL, f"{k} {how}", w) for k, how, w in product(ESTIMATORS, PLACEMENTS, WEIGHTS)]
    forms += [(WHOLE_KL, direction, "") for direction in DIRECTIONS]
    for (kernel, form, weight), architecture in product(forms, ARCHITECTURES):
        unit = Unit(kernel.name, form, weight, "bfloat16", architecture)
        if unit not in default_units(kernel):
            yield unit


def audit(
    compilers: Iterable[str] = COMPILERS,
    units: Iterable[Unit] | None = None,
    watch: Callable[[Unit, str], None] = lambda _unit, _compiler: None,
) -> CompileReport:
    """Compile units by each compiler; `watch` hears of each before it starts. Without `units`, all of them.

    Nothing is raised for an absent compiler, which becomes a line of `absences`, nor for a unit that does not compile.
    """
    records: list[Compilation] = []
    absences: list[str] = []
    given = None if units is None else tuple(units)
    for name in compilers:
        try:
            compile_unit = _compiler(name)
        except Unavailable as absence:
            absences.append(str(absence))
            continue
        for unit in _all_units(name) if given is None else given:
            watch(unit, name)
            records += compile_unit(unit)
    return CompileReport(tuple(records), tuple(absences))


def _all_units(compiler: str) -> Iterator[Unit]:
    for kernel in KERNELS.values():
        yield from default_units(kernel)
    if compiler == "nvrtc":
        yield from other_units()


def _compiler(name: str) -> Callable[[Unit], list[Compilation]]:
    """Return what compiles a unit; raises Unavailable, or ValueError for a name that is no compiler's."""
    if name == "nvrtc":
        nvrtc.header_folders()
        said = nvrtc.version()
        return lambda unit: _recorded(unit, said, _by_nvrtc)
    if name == "nvcc":
        told = nvcc.version(nvcc.nvcc())
        return lambda unit: _recorded(unit, told, _by_nvcc)
    raise ValueError(f"no compiler {name!r}: one of {', '.join(COMPILERS)}")


_Usage = dict[str, dict[str, int]]


def _by_nvrtc(unit: Unit) -> tuple[dict[str, PtxFacts], _Usage]:
    made = nvrtc.compile_source(_source(unit), unit.architecture)
    return facts_of(made.ptx), {name: asdict(usage) for name, usage in usage_of(made.cubin).items()}


def _by_nvcc(unit: Unit) -> tuple[dict[str, PtxFacts], _Usage]:
    made = nvcc.compile_source(_source(unit), unit.architecture)
    return facts_of(made.ptx), {name: asdict(usage) for name, usage in made.usage.items()}


def _source(unit: Unit) -> Any:
    return source_of(KERNELS[unit.kernel], unit.dtype, unit.settings())


def _recorded(
    unit: Unit, compiler: str, make: Callable[[Unit], tuple[dict[str, PtxFacts], _Usage]]
) -> list[Compilation]:
    """Return a record for each entry of a unit, or for each one the error that none of them compiled for."""
    entries = KERNELS[unit.kernel].entries
    try:
        facts, usage = make(unit)
    except RuntimeError as error:
        return [_record(unit, entry, compiler, State.NOT_RUN, error=str(error)) for entry in entries]
    return [
        _record(unit, entry, compiler, State.COMPILED_ONLY, **{**asdict(facts[entry]), **usage[entry]})
        for entry in entries
    ]


def _record(unit: Unit, entry: str, compiler: str, state: State, **known: Any) -> Compilation:
    return Compilation(entry=entry, compiler=compiler, state=state.value, **asdict(unit), **known)
