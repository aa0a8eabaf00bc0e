"""The table of real library functions: what each descends, on- and off-policy, and what the checks found."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby

import msgspec
from rich.console import Console
from rich.table import Table
from rich.text import Text

from oracle.escaping import plain_record
from oracle.libraries import Listing, Row
from oracle.records import ObjectiveRecord, Verdict, WithReturns, as_json_text
from oracle.reporters.console import as_text
from oracle.words import display

_MARK = {"proved": "", "tested": " (tested)", "measured": " (measured)"}


def as_table(rows: Sequence[Row], absent: Sequence[str]) -> str:
    """One table a file, with the version and the sha256 above it; a legend below."""

    rows = [plain_record(r) for r in rows]

    def paint(console: Console) -> None:
        for (library, version, file, sha256), group in groupby(
            rows, lambda r: (r.library, r.version, r.file, r.sha256)
        ):
            console.print(Text(f"{library} {version}", style="bold"), Text(f"  {file}"))
            console.print(Text(f"sha256 {sha256 or 'unknown'}", style="dim"))
            console.print(_table(list(group)))
        for name in absent:
            console.print(Text(f"{name}: not installed here, not judged", style="yellow"))
        if rows:
            console.print(Text(_legend(rows), style="dim"))

    return as_text(paint, 80, 120, 140)


def _table(rows: Sequence[Row]) -> Table:
    table = Table(show_edge=False, pad_edge=False, header_style="bold", box=None, padding=(0, 2, 0, 0))
    for name, width in (("function", 20), ("setting", 26), ("placed", 6), ("on-policy", 19), ("off-policy", 16)):
        table.add_column(name, width=width, overflow="fold")
    table.add_column("findings", overflow="fold")
    for row in rows:
        if row.verdict is None:
            table.add_row(
                Text(row.function),
                Text(_lines(row.setting)),
                "",
                Text("not judged", style="red"),
                "",
                Text(row.error or ""),
            )
            continue
        v = row.verdict
        sides = (_side(v.on_policy), _side(v.off_policy))
        table.add_row(Text(row.function), Text(_lines(row.setting)), v.subject.placement or "", *sides, _findings(v))
        if not isinstance(v.with_returns, msgspec.UnsetType):
            table.add_row("", "", "to go", _side(v.with_returns), "", "")
    return table


def _lines(setting: str) -> str:
    return setting.replace(", ", "\n")


def _side(record: ObjectiveRecord | WithReturns | None) -> Text:
    if record is None:
        return Text("")
    if record.objective in ("zero", "unnamed"):
        return Text(record.objective + _MARK[record.evidence], style="yellow" if record.objective == "zero" else "dim")
    scale = "" if record.scale in (None, 1.0) else f"{record.scale:.4g} x "
    return Text(f"{scale}{record.objective}/{record.level}{_MARK[record.evidence]}", style="green")


def _findings(v: Verdict) -> Text:
    failed = [f.check for f in v.findings if f.outcome == "fail" and f.severity != "note"] + [
        f.check for f in v.findings if f.check == "reading.probing"
    ]
    return Text("\n".join(failed), style="red")


def _legend(rows: Sequence[Row]) -> str:
    seen = {r.objective for row in rows if row.verdict for r in (row.verdict.on_policy, row.verdict.off_policy) if r}
    names = [f"{n} = {display(n)}" for n in sorted(seen) if display(n) != n]
    return "; ".join(
        [
            *names,
            "reward: the immediate reward of its own token; to go: with returns-to-go; proved unless marked (tested)",
        ]
    )


def as_json(rows: Sequence[Row], absent: Sequence[str]) -> str:
    """The same with everything the verdicts hold."""
    body = Listing(rows=list(rows), not_installed=list(absent))
    return as_json_text(body) + "\n"
