"""What compilers make of the kernels, in the words of the report: our own by NVRTC and nvcc, others' by Triton."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from gpu_checks.audit.records import Compiled
from gpu_checks.compile_audit import ARCHITECTURES, Compilation, Unit, default_units
from gpu_checks.compile_audit import audit as compile_own
from gpu_checks.kernels.sources import KERNELS
from gpu_checks.subject import Unavailable
from gpu_checks.triton_compile import CompiledKernel, compiled


def compile_all(watch: Callable[[str], None] = lambda _what: None) -> tuple[list[Compiled], list[str]]:
    """Return every compilation of every kernel, and a line for each compiler that is absent.

    Our kernels in their default forms and every storage format; those of other projects in bfloat16.
    """
    units = [unit for kernel in KERNELS.values() for unit in default_units(kernel)]
    own = compile_own(units=units, watch=lambda unit, name: watch(f"{name}: {unit.kernel} {unit.architecture}"))
    absences = list(own.absences)
    records = [_own(record) for record in own.records]
    watch("Triton")
    try:
        records += list(_third_party(compiled()))
    except (Unavailable, RuntimeError) as absence:
        absences.append(str(absence))
    return records, absences


def compiled_for(kernel: str, settings: Mapping[str, Any], dtype: str) -> str | None:
    """Return in a line what NVRTC makes of one of our kernels in a form and format; None where it does not compile.

    None too where NVRTC is absent. `settings` are those that the claim asks for.
    """
    units = [
        Unit(kernel, str(settings.get("form", "")), str(settings.get("weight", "")), dtype, architecture)
        for architecture in ARCHITECTURES
    ]
    records = compile_own(compilers=("nvrtc",), units=units).records
    if not records or any(record.problems() for record in records):
        return None
    registers = [r.registers for r in records if r.registers is not None]
    return (
        f"compiled by {records[0].compiler} for {', '.join(ARCHITECTURES)}: at most {max(registers, default=0)} "
        "registers, no spills, no float64"
    )


def _own(record: Compilation) -> Compiled:
    spills = [n for n in (record.spill_stores, record.spill_loads, record.stack) if n is not None]
    return Compiled(
        kernel=record.entry,
        dtype=record.dtype,
        architecture=record.architecture,
        compiler=record.compiler,
        compiles=not record.error,
        registers=record.registers,
        spills=sum(spills) if spills else None,
        shared=record.shared,
        remarks=list(record.problems()),
    )


def _third_party(kernels: list[CompiledKernel]) -> Iterator[Compiled]:
    for kernel in kernels:
        remarks = []
        if kernel.bf16_truncated:
            remarks.append(f"{kernel.bf16_truncated} conversions to bfloat16 truncate")
        if kernel.float64:
            remarks.append(f"{kernel.float64} instructions in float64")
        if kernel.half_arithmetic:
            remarks.append(f"{kernel.half_arithmetic} additions or products in 16 bits")
        yield Compiled(
            kernel=kernel.kernel,
            dtype=kernel.dtype,
            architecture=f"sm_{kernel.architecture}",
            compiler=f"Triton {kernel.triton}",
            registers=kernel.registers,
            spills=kernel.stack_bytes + kernel.local_bytes,
            shared=kernel.shared_bytes,
            remarks=remarks,
        )
