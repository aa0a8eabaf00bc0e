"""What the reports say alike."""

from __future__ import annotations

from gpu_checks.audit.records import Audit, Cell
from gpu_checks.subject import State

MEANING = {
    State.EXECUTED_GPU.value: "ran on a CUDA device",
    State.EXECUTED_CPU_SAME_SOURCE.value: "the same source ran on the CPU; device arithmetic, races between real "
    "threads and the compiler were not exercised",
    State.COMPILED_ONLY.value: "compiled for the architectures named, not run",
    State.NOT_RUN.value: "neither compiled nor run",
}


def states(audit: Audit) -> list[tuple[str, int]]:
    """Return each state that occurs with the number of cells in it, in the order of the enumeration."""
    compiled = {State.COMPILED_ONLY.value: len(audit.compiled)}
    counted = [
        (state.value, sum(c.state == state.value for c in audit.cells) + compiled.get(state.value, 0))
        for state in State
    ]
    return [(state, n) for state, n in counted if n]


def headline(audit: Audit) -> str:
    """Return the first line of every report: what ran where, and how it came out."""
    passes, fails, idle = (sum(c.outcome == o for c in audit.cells) for o in ("passes", "fails", "not run"))
    where = ", ".join(f"{state} {n}" for state, n in states(audit)) or State.NOT_RUN.value
    told = [f"{passes} pass", f"{fails} fail", *([f"{idle} did not run"] if idle else [])] if audit.cells else []
    if audit.faults:
        ran = [f for f in audit.faults if f.outcome in ("caught", "missed")]
        told.append(f"{sum(f.outcome == 'caught' for f in ran)} of {len(ran)} planted faults caught")
    if audit.compiled:
        told.append(f"{sum(c.compiles for c in audit.compiled)} of {len(audit.compiled)} compile")
    return f"{where}: {', '.join(told)}"


def ratio(value: float | None) -> str:
    """Return error / bound in three digits."""
    if value is None:
        return ""
    return f"{value:.3f}" if value < 100 else f"{value:.1e}"


def about(cell: Cell) -> str:
    """Return what a cell is, on one line."""
    return f"{cell.subject}, {cell.claim}, {cell.backend}, {cell.dtype}, V = {cell.vocabulary}"
