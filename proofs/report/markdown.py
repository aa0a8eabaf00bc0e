"""A report as GitHub's Markdown, with formulas between dollars; plots are tables of a few points."""

from __future__ import annotations

from collections.abc import Sequence
from functools import singledispatch
from typing import Any

from proofs.report import escape
from proofs.report.content import (
    Chain,
    Code,
    Display,
    Document,
    Facts,
    Figure,
    Formula,
    Grid,
    Inline,
    Prose,
    Section,
    Verdicts,
)
from proofs.report.html import seconds_text

_SHOWN_POINTS = 9


def render(document: Document) -> str:
    """Return the Markdown."""
    lines = [f"# {escape.markdown(document.title)}", "", escape.markdown(document.summary), ""]
    for section in document.sections:
        lines += [f"- [{escape.markdown(section.title)}](#{escape.anchor(section.anchor)})"]
    lines.append("")
    for section in document.sections:
        lines += _section(section, 2)
    return "\n".join(lines).rstrip() + "\n"


def _section(section: Section, level: int) -> list[str]:
    title = escape.markdown_code(section.title) if section.is_theorem else escape.markdown(section.title)
    lines = [f'<a id="{escape.anchor(section.anchor)}"></a>', "", f"{'#' * level} {title}", ""]
    for block in section.blocks:
        lines += [*_block(block), ""]
    for sub in section.sections:
        lines += _section(sub, level + 1)
    return lines


def _inline(parts: Sequence[Inline]) -> str:
    return "".join(_part(part) for part in parts)


def _part(part: Inline) -> str:
    if isinstance(part, Formula):
        return f"$`{part.latex}`$"
    return escape.markdown_code(part.text) if isinstance(part, Code) else escape.markdown(part)


def _display(latex: str) -> list[str]:
    return ["```math", latex, "```"]


@singledispatch
def _block(block: Any) -> list[str]:
    raise TypeError(f"no Markdown is known for {type(block).__name__}")


@_block.register
def _prose(block: Prose) -> list[str]:
    return [_inline(block.parts)]


@_block.register
def _formula(block: Display) -> list[str]:
    return _display(block.formula.latex)


@_block.register
def _facts(block: Facts) -> list[str]:
    return [f"- {escape.markdown(name)}: {_inline(parts)}" for name, parts in block.rows]


@_block.register
def _chain(block: Chain) -> list[str]:
    lines = []
    for line in block.lines:
        note = f": {escape.markdown(line.note)}" if line.note else ""
        before = [] if line.before is None else _display(line.before.latex)
        lines += [f"*{escape.markdown(line.rule)}*{note}", "", *before]
        lines += [*_display(f"{line.relation} {line.after.latex}".strip()), ""]
    return lines[:-1]


@_block.register
def _verdicts(block: Verdicts) -> list[str]:
    lines = ["| engine | verdict | for | time |", "|---|---|---|---:|"]
    for verdict in block.verdicts:
        at = ", ".join(f"{name} = {value}" for name, value in verdict.counterexample.items())
        scope = "; ".join(part for part in (verdict.scope, verdict.detail, at) if part)
        warning = "" if verdict.expected else " (unexpected)"
        cells = (escape.markdown(verdict.engine), f"{verdict.kind}{warning}", escape.markdown(scope))
        lines.append(f"| {' | '.join(cells)} | {seconds_text(verdict.seconds)} |")
    return lines


@_block.register
def _grid(block: Grid) -> list[str]:
    lines = [escape.markdown(block.caption), "", _row(block.header), "|" + "---|" * len(block.header)]
    lines += ["| " + " | ".join(_inline(cell).replace("\n", " ") for cell in row) + " |" for row in block.rows]
    return lines


def _row(cells: Sequence[str]) -> str:
    return "| " + " | ".join(escape.markdown(cell) for cell in cells) + " |"


@_block.register
def _figure(block: Figure) -> list[str]:
    plot = block.plot
    points = plot.curves[0].points
    shown = [points[round(i * (len(points) - 1) / (_SHOWN_POINTS - 1))][0] for i in range(_SHOWN_POINTS)]
    header = (plot.x_label, *(one.name for one in plot.curves))
    lines = [escape.markdown(plot.alt), "", _row(header), "|" + "---:|" * len(header)]
    for x in shown:
        values = [dict(one.points).get(x) for one in plot.curves]
        lines.append(_row((f"{x:.3g}", *("" if value is None else f"{value:.4g}" for value in values))))
    return lines
