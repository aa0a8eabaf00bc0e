"""The terminal report: for each verdict what it descends, by which formula, and what the checks found."""

from __future__ import annotations

import msgspec
from rich.console import Console, Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from oracle.escaping import plain_record
from oracle.records import Finding, ObjectiveRecord, Verdict
from oracle.reporters.console import as_text
from oracle.words import LEVELS, PLACEMENTS, display, sentence

_STYLE = {"error": "bold red", "warning": "yellow", "note": "cyan"}
_THEOREMS = "by: the theorems that a name rests on; kl-oracle prove ID shows one."
_LEGEND = "L = log(policy/reference), rho = policy/sampler; a formula multiplies the score of its token."


def render(verdicts: list[Verdict]) -> str:
    """The whole report as text."""
    judged = [plain_record(v) for v in verdicts if isinstance(v.error, msgspec.UnsetType)]

    def paint(console: Console) -> None:
        for verdict in judged:
            console.print(_verdict(verdict))
        if judged:
            console.print(Text(_LEGEND, style="dim"))
            if any(_cites(v) for v in judged):
                console.print(Text(_THEOREMS, style="dim"))

    return as_text(paint, 60, 100, 120)


def _cites(v: Verdict) -> bool:
    return any(record is not None and record.theorems for record in (v.on_policy, v.off_policy))


def _verdict(v: Verdict) -> RenderableType:
    head = Text.assemble((v.subject.target, "bold"), "  ", (PLACEMENTS[v.subject.placement], "bold"))
    if v.aggregation:
        head.append(f", {v.aggregation}")
    if not isinstance(v.subject.settings, msgspec.UnsetType):
        head.append("  (" + ", ".join(f"{n}={x}" for n, x in v.subject.settings.items()) + ")", style="dim")
    sides = Table.grid(padding=(0, 2))
    sides.add_column(no_wrap=True, style="bold")
    sides.add_column(overflow="fold")
    sides.add_column(no_wrap=True, justify="right", style="dim")
    for name, record in (("on-policy", v.on_policy), ("off-policy", v.off_policy)):
        if record is not None:
            _side(sides, name, record)
    if not isinstance(v.with_returns, msgspec.UnsetType):
        w = v.with_returns
        what = (
            f"{display(w.objective)}, {LEVELS[w.level]}"
            if w.level
            else {"zero": "nothing"}.get(w.objective, "no objective it knows")
        )
        sides.add_row("with returns-to-go", Text(what), w.evidence)
        _by(sides, w.theorems)
    parts: list[RenderableType] = [head, Padding(sides, (0, 0, 0, 2))]
    for label, lines in (
        ("read where", v.path),
        ("not read", [v.unread] if not isinstance(v.unread, msgspec.UnsetType) else []),
    ):
        if not isinstance(lines, msgspec.UnsetType):
            parts += [Padding(Text(f"{label}: {line}", style="dim"), (0, 0, 0, 2)) for line in lines]
    parts += _findings(v.findings)
    if v.outcome != "described":
        style = {"conforms": "bold green", "violates": "bold red"}.get(v.outcome, "bold yellow")
        parts.append(Padding(Text(v.outcome, style=style), (0, 0, 0, 2)))
    return Group(*parts, Text(""))


def _side(grid: Table, name: str, record: ObjectiveRecord) -> None:
    grid.add_row(name, Text(sentence(record)), record.evidence)
    if record.formula is not None:
        grid.add_row("", Text(record.formula, style="cyan"), "")
    _by(grid, record.theorems)


def _by(grid: Table, theorems: list[str]) -> None:
    if theorems:
        grid.add_row("", Text(f"by {', '.join(theorems)}", style="dim"), "")


def _findings(findings: list[Finding]) -> list[RenderableType]:
    told: list[RenderableType] = []
    for f in findings:
        if f.outcome in ("fail", "inconclusive", "expected-fail") or f.check == "claim":
            word = f.severity if f.outcome == "fail" else f.outcome
            style = _STYLE.get(f.severity, "") if f.outcome != "pass" else "green"
            by = "" if isinstance(f.theorems, msgspec.UnsetType) else f"; theorem {', '.join(f.theorems)}"
            line = Text.assemble(
                (f"{word} ", style), (f.check, "bold"), f": {f.message}", (f"  [{f.evidence}{by}]", "dim")
            )
            told.append(Padding(line, (0, 0, 0, 2)))
            told += [Padding(Text(line), (0, 0, 0, 6)) for line in _example(f)]
            if not isinstance(f.remedy, msgspec.UnsetType) and f.severity != "note":
                told.append(Padding(Text(f"remedy: {f.remedy}", style="dim"), (0, 0, 0, 6)))
            if not isinstance(f.replay, msgspec.UnsetType):
                told.append(Padding(Text(f"again: {f.replay}", style="dim"), (0, 0, 0, 6)))
    passed = [f.check for f in findings if f.outcome == "pass" and f.check != "claim"]
    skipped = [f.check for f in findings if f.outcome == "skip"]
    if passed:
        told.append(Padding(Text("pass " + ", ".join(passed), style="dim"), (0, 0, 0, 2)))
    if skipped:
        told.append(Padding(Text("skip " + ", ".join(skipped), style="dim"), (0, 0, 0, 2)))
    return told


def _example(f: Finding) -> list[str]:
    """The counterexample: the smallest case where there is one, else what the claim's finding has."""
    example = dict(f.counterexample or {})
    smallest = example.pop("smallest", None)
    if f.outcome == "fail" and isinstance(smallest, dict):
        what = {n: x for n, x in smallest.items() if n not in ("expected", "actual")}
        given = ", ".join(f"{n} {_short(x)}" for n, x in what.items())
        expected, actual = (_short(smallest[n]) for n in ("expected", "actual"))
        return [f"smallest case: {given}", f"expected {expected}, actual {actual}"]
    return [", ".join(f"{n} = {x}" for n, x in example.items())] if example and f.check == "claim" else []


def _short(value: object) -> str:
    """Numbers and fractions without quotes."""
    return str(value).replace("'", "")
