"""An audit on a terminal."""

from __future__ import annotations

from rich.console import Console
from rich.table import Table
from rich.text import Text

from gpu_checks.audit.records import Audit, Cell, Check
from gpu_checks.reporters.summaries import compiled_rows, fault_lines, fault_rows
from gpu_checks.reporters.words import MEANING, about, headline, ratio, states
from gpu_checks.subject import State
from oracle.escaping import plain_record
from oracle.reporters.console import as_text

_COLOUR = {"passes": "green", "fails": "red", "not run": "yellow"}


def render(audit: Audit) -> str:
    """Return the states, a table of the cells, and what failed in each."""
    audit = plain_record(audit)

    def paint(console: Console) -> None:
        console.print(Text(headline(audit), style="bold"))
        for state, _ in states(audit):
            console.print(Text(f"  {state}: {MEANING[state]}", style="dim"))
        if audit.cells:
            console.print()
            console.print(_table(audit.cells))
        for cell in audit.cells:
            _details(console, cell)
        _skipped(console, audit.cells)
        _faults(console, audit)
        _compiled(console, audit)
        for line in audit.absent:
            console.print(Text(line, style="yellow"))

    return as_text(paint, 80, 110, 140)


def _table(cells: list[Cell]) -> Table:
    table = Table(show_edge=False, pad_edge=False, header_style="bold", box=None, padding=(0, 2, 0, 0))
    table.add_column("subject", overflow="fold")
    table.add_column("backend", no_wrap=True)
    table.add_column("dtype", no_wrap=True)
    table.add_column("V", justify="right", no_wrap=True)
    table.add_column("outcome", no_wrap=True)
    table.add_column("error/bound", justify="right", no_wrap=True)
    table.add_column("descends", overflow="fold")
    table.add_column("time", justify="right", no_wrap=True)
    for c in cells:
        table.add_row(
            Text(c.subject),
            Text(c.backend),
            c.dtype,
            str(c.vocabulary),
            Text(c.outcome, style=_COLOUR[c.outcome]),
            ratio(c.worst),
            c.objective or "",
            f"{c.seconds:.1f} s" if c.seconds else "",
        )
    return table


def _faults(console: Console, audit: Audit) -> None:
    if not audit.faults:
        return
    console.print()
    for line in fault_lines(audit):
        console.print(Text(line, style="bold"))
    table = _plain_table(
        "planted fault", "subject", "dtype", "outcome", "caught by", "upstream tolerances that pass it"
    )
    for fault, passing in fault_rows(audit):
        colour = {"caught": "green", "missed": "red"}.get(fault.outcome, "yellow")
        outcome = Text(fault.outcome, style=colour)
        table.add_row(Text(fault.name), fault.subject, fault.dtype, outcome, fault.caught_by or "", passing)
    console.print(table)


def _compiled(console: Console, audit: Audit) -> None:
    if not audit.compiled:
        return
    console.print()
    console.print(Text(f"{State.COMPILED_ONLY.value}: {MEANING[State.COMPILED_ONLY.value]}", style="bold"))
    table = _plain_table("kernel", "compiler", "formats", "architectures", "registers", "spills", "remarks")
    for row in compiled_rows(audit):
        table.add_row(*map(Text, row))
    console.print(table)


def _plain_table(*names: str) -> Table:
    table = Table(show_edge=False, pad_edge=False, header_style="bold", box=None, padding=(0, 2, 0, 0))
    for name in names:
        table.add_column(name, overflow="fold")
    return table


def _details(console: Console, cell: Cell) -> None:
    shown = [c for c in cell.checks if c.outcome in ("fail", "note")]
    if cell.reason is None and not shown:
        return
    console.print()
    console.print(Text(about(cell), style="bold"))
    if cell.reason is not None:
        console.print(Text(f"  {cell.reason}", style="yellow"))
    for check in shown:
        _check(console, check)


def _skipped(console: Console, cells: list[Cell]) -> None:
    """Checks that were not asked, each once with the subjects that it is about: no pass, and no news."""
    found: dict[tuple[str, str], list[str]] = {}
    for cell in cells:
        for check in cell.checks:
            if check.outcome == "skip" and not check.message.startswith("not needed"):
                names = found.setdefault((check.check, check.message), [])
                if cell.subject not in names:
                    names.append(cell.subject)
    if found:
        console.print()
    for (name, message), subjects in found.items():
        console.print(Text(f"{name} of {', '.join(subjects)}: {message}", style="dim"))


def _check(console: Console, check: Check) -> None:
    style = {"fail": "red", "note": "yellow"}.get(check.outcome, "dim")
    console.print(Text(f"  {check.check}: {check.outcome}", style=style), Text(check.message))
    if check.where and check.outcome == "fail":
        console.print(Text(f"    at {check.where}", style="dim"))
    if check.remedy:
        console.print(Text(f"    {check.remedy}", style="dim"))
