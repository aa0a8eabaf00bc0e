"""Planted faults and compilations, summed up for every report."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import groupby

from gpu_checks.audit.records import Audit, Compiled, Fault


def fault_lines(audit: Audit) -> list[str]:
    """Return what became of the planted faults, and how many of them the upstream tolerances let pass."""
    if not audit.faults:
        return []
    told = {o: sum(f.outcome == o for f in audit.faults) for o in ("caught", "missed", "neutral", "not run")}
    ran = told["caught"] + told["missed"]
    lines = [f"{told['caught']} of {ran} planted faults are caught"]
    if told["neutral"]:
        lines[0] += f"; {told['neutral']} more change no result that a kernel promises"
    if told["not run"]:
        lines[0] += f"; {told['not run']} did not run"
    for name, tolerance in audit.tolerances.items():
        compared = [f for f in audit.faults if name in f.passes]
        if not compared:
            continue
        passed = sum(f.passes[name] for f in compared)
        what = "values and gradients" if tolerance.gradients else "values"
        lines.append(
            f"{passed} of {len(compared)} pass at atol {tolerance.atol:g}, rtol {tolerance.rtol:g} on {what}: "
            f"{tolerance.source}"
        )
    return lines


def fault_rows(audit: Audit) -> Iterator[tuple[Fault, str]]:
    """Yield each fault with the upstream tolerances that let it pass, in words."""
    for fault in audit.faults:
        yield fault, ", ".join(name for name, passes in fault.passes.items() if passes)


def compiled_rows(audit: Audit) -> Iterator[tuple[str, str, str, str, str, str, str]]:
    """Yield kernel, compiler, formats, architectures, registers, spills and remarks, alike ones in one row."""

    def alike(record: Compiled) -> tuple[str, str]:
        return record.kernel, record.compiler

    for (kernel, compiler), group in groupby(sorted(audit.compiled, key=alike), alike):
        records = list(group)
        registers = [r.registers for r in records if r.registers is not None]
        spills = [r.spills for r in records if r.spills is not None]
        remarks = sorted({remark for r in records for remark in r.remarks})
        yield (
            kernel,
            compiler,
            ", ".join(dict.fromkeys(r.dtype for r in records)),
            ", ".join(dict.fromkeys(r.architecture for r in records)),
            _range(registers),
            f"{_range(spills)} B" if spills else "unknown",
            "; ".join(remarks),
        )


def _range(numbers: list[int]) -> str:
    if not numbers:
        return "unknown"
    return str(min(numbers)) if min(numbers) == max(numbers) else f"{min(numbers)} to {max(numbers)}"
