"""One theorem on a terminal: what it says, why, and what the engines found."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Console
from rich.padding import Padding
from rich.table import Table
from rich.text import Text
from sympy.core.relational import Relational

from proofs.ledger import Entry
from proofs.report.catalogue import steps_of
from proofs.report.html import seconds_text
from proofs.report.notation import expression_text, lines_of
from proofs.statements import Instance
from proofs.steps import Step
from proofs.theorem import Theorem

MAX_WIDTH = 110


def print_theorem(theorem: Theorem, entries: Sequence[Entry], console: Console) -> None:
    """Print words, formula, conditions, source, derivation and findings."""
    width = min(console.width, MAX_WIDTH)
    console.print(Text(theorem.id, style="bold"))
    words = theorem.words if theorem.holds else f"False, and to be refused: {theorem.words}"
    _indented(words, console, width)
    for _, text in lines_of(theorem.statement):
        _indented(text, console, width, 4)
    facts = Table.grid(padding=(0, 1))
    facts.add_row("for", Text("; ".join(theorem.conditions)))
    if theorem.refutes is not None:
        facts.add_row("refutes", Text(theorem.refutes))
    if isinstance(theorem.statement, Instance):
        instance = "; ".join(f"{name} = {value}" for name, value in theorem.statement.instance.items())
        facts.add_row("instance", Text(instance))
    facts.add_row("source" if theorem.holds else "because", Text(theorem.source))
    console.print(Padding(facts, (0, 0, 0, 2)), width=width)
    steps = steps_of(theorem)
    if steps:
        _print_steps(steps, console, width)
    found = Table.grid(padding=(0, 1))
    for entry in entries:
        finding = entry.finding
        counterexample = ", ".join(f"{name} = {value}" for name, value in finding.counterexample.items())
        parts = [part for part in (finding.scope, finding.detail, counterexample) if part]
        found.add_row(entry.engine, Text(str(finding.outcome)), Text("; ".join(parts)), seconds_text(entry.seconds))
    console.print(Padding(found, (0, 0, 1, 2)), width=width)


def _indented(text: str, console: Console, width: int, by: int = 2) -> None:
    console.print(Padding(Text(text), (0, 0, 0, by)), width=width)


def _print_steps(steps: Sequence[Step], console: Console, width: int) -> None:
    for step in steps:
        if step.before is not None and step.before != step.after:
            _indented(expression_text(step.before), console, width, 4)
        note = f": {step.note}" if step.note else ""
        stands_alone = step.before == step.after or isinstance(step.after, Relational)
        _indented(f"{'' if stands_alone else '= '}{expression_text(step.after)}", console, width, 4)
        _indented(f"[{step.rule}{note}]", console, width, 8)
