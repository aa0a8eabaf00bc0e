"""The ledger as a table for a terminal: a line for each theorem, a column for each engine."""

from __future__ import annotations

import string
from collections.abc import Mapping, Sequence

from rich.console import Console
from rich.table import Table
from rich.text import Text

from proofs.ledger import Entry, Outcome
from proofs.report.catalogue import MEANINGS, engine_counts, engine_seconds, summary
from proofs.theorem import Theorem

SIGNS: Mapping[Outcome, str] = {
    Outcome.PROVED: "✓",
    Outcome.TESTED: "~",
    Outcome.REFUTED: "✗",
    Outcome.INCONCLUSIVE: "?",
    Outcome.UNSUPPORTED: "·",
    Outcome.NOT_INSTALLED: "-",
}
PLAIN_SIGNS: Mapping[Outcome, str] = {
    **SIGNS,
    Outcome.PROVED: "P",
    Outcome.REFUTED: "X",
    Outcome.UNSUPPORTED: ".",
}
"""Where the terminal has ASCII alone."""
_STYLES = {Outcome.PROVED: "green", Outcome.TESTED: "yellow", Outcome.INCONCLUSIVE: "yellow", Outcome.REFUTED: "green"}


def print_ledger(
    theorems: Sequence[Theorem],
    entries: Sequence[Entry],
    console: Console,
    titles: Mapping[str, str] | None = None,
) -> None:
    """Print theorem by engine, the legend and the totals. Engines' names become letters where they do not fit."""
    signs = SIGNS if _can_print(console, "".join(SIGNS.values())) else PLAIN_SIGNS
    engines = list(dict.fromkeys(entry.engine for entry in entries))
    found = {(entry.theorem.id, entry.engine): entry for entry in entries}
    heads = _heads(theorems, engines, console.width)
    table = Table(box=None, pad_edge=False, padding=(0, 1), collapse_padding=True)
    table.add_column("", overflow="fold")
    for head in heads.values():
        table.add_column(head, justify="center", no_wrap=True, min_width=len(head))
    family = None
    for theorem in theorems:
        if theorem.family != family:
            if family is not None:
                table.add_row()
            family = theorem.family
            table.add_row(Text(family, style="bold"))
        cells = [_cell(theorem, found.get((theorem.id, engine)), signs) for engine in engines]
        table.add_row(Text(theorem.id), *cells)
    console.print(table)
    _print_legend(console, signs)
    _print_engines(entries, heads, titles or {}, console)
    console.print(Text(summary(theorems, entries)))


def _can_print(console: Console, signs: str) -> bool:
    try:
        signs.encode(console.encoding)
    except (UnicodeEncodeError, LookupError):
        return False
    return True


def _heads(theorems: Sequence[Theorem], engines: Sequence[str], width: int) -> dict[str, str]:
    """The heads of the columns: the engines' names if they fit beside the longest id, else letters."""
    ids = max((len(theorem.id) for theorem in theorems), default=0)
    if ids + sum(len(engine) + 1 for engine in engines) + 1 <= width:
        return {engine: engine for engine in engines}
    return dict(zip(engines, string.ascii_uppercase, strict=False))


def _cell(theorem: Theorem, entry: Entry | None, signs: Mapping[Outcome, str]) -> Text:
    if entry is None:
        return Text("")
    outcome = entry.finding.outcome
    unexpected = Outcome.REFUTED if theorem.holds else Outcome.PROVED
    style = "bold red" if outcome is unexpected else _STYLES.get(outcome, "dim")
    return Text(signs[outcome], style=style)


def _print_legend(console: Console, signs: Mapping[Outcome, str]) -> None:
    console.print()
    for outcome in Outcome:
        console.print(Text(f"{signs[outcome]} {outcome}: {MEANINGS[outcome]}"))
    console.print()


def _print_engines(
    entries: Sequence[Entry], heads: Mapping[str, str], titles: Mapping[str, str], console: Console
) -> None:
    seconds = engine_seconds(entries)
    absent = {e.engine: e.finding.detail for e in entries if e.finding.outcome is Outcome.NOT_INSTALLED}
    for engine, counts in engine_counts(entries).items():
        head = heads[engine]
        name = engine if head == engine else f"{head} = {engine}"
        title = f", {titles[engine]}" if engine in titles else ""
        numbers = ", ".join(f"{number} {outcome}" for outcome, number in counts.items() if number)
        end = f": {absent[engine]}" if absent.get(engine) else f"; {seconds[engine]:.2f} s"
        console.print(Text(f"{name}{title}: {numbers}{end}"))
    console.print()
