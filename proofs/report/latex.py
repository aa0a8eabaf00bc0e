"""A report as one LaTeX file: standard packages, plots as coordinates, every text escaped.

It compiles with pdflatex and with tectonic. A formula wider than the line is made smaller, and one
much wider is set as running text, where TeX breaks it.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import singledispatch
from pathlib import Path
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
    Line,
    Prose,
    Section,
    Verdicts,
)
from proofs.report.html import is_numeric, seconds_text
from proofs.report.plots import COLOURS, Curve, Mark

_PREAMBLE = (Path(__file__).parent / "templates" / "preamble.tex").read_text("utf-8")
_DASHES = ("solid", "dashed", "densely dotted", "dashdotted")
_KINDS = {"proved": "good", "refuted": "good", "tested": "mild", "inconclusive": "mild"}


def render(document: Document) -> str:
    """Return the LaTeX source."""
    colours = "\n".join(rf"\definecolor{{curve{i}}}{{HTML}}{{{c[1:].upper()}}}" for i, c in enumerate(COLOURS))
    body = "\n".join(_section(section, "section") for section in document.sections)
    title = escape.latex(document.title)
    return "\n".join(
        (
            _PREAMBLE.rstrip(),
            colours,
            rf"\title{{{title}}}\author{{}}\date{{}}",
            r"\begin{document}",
            r"\maketitle",
            rf"\noindent {escape.latex(document.summary)}",
            r"\tableofcontents",
            body,
            r"\end{document}",
            "",
        )
    )


def _section(section: Section, command: str) -> str:
    title = escape.latex(section.title)
    if section.is_theorem:
        # the id in typewriter would break the table of contents' column; it is short enough as a heading
        head = rf"\theoremhead{{{title}}}{{{escape.anchor(section.anchor)}}}"
    else:
        head = rf"\{command}{{{title}}}\hypertarget{{{escape.anchor(section.anchor)}}}{{}}"
    blocks = "\n".join(_block(block) for block in section.blocks)
    subs = "\n\\mayend\n".join(_section(sub, "subsection") for sub in section.sections)
    return "\n".join((head, blocks, subs))


def _inline(parts: Sequence[Inline]) -> str:
    return "".join(_part(part) for part in parts)


def _part(part: Inline) -> str:
    if isinstance(part, Formula):
        return rf"$\displaystyle {part.latex}$"
    return rf"\texttt{{{escape.latex(part.text)}}}" if isinstance(part, Code) else escape.latex(part)


def _fitted(latex: str) -> str:
    # made smaller only a little where it can be broken instead
    option = "[1.2]" if _can_break(latex) else ""
    return rf"\fitted{option}{{{latex}}}"


_OPENING, _CLOSING = {"{", r"\left"}, {"}", r"\right"}


def _can_break(latex: str) -> bool:
    """Whether TeX may break the formula: at a sum or difference outside of all braces and brackets."""
    depth, before = 0, ""
    for token in re.findall(r"\\[A-Za-z]+|\\.|\S", latex):
        if token in _OPENING:
            depth += 1
        elif token in _CLOSING:
            depth -= 1
        elif token in ("+", "-") and depth == 0 and before not in ("", "=", "(", "["):
            return True
        before = token
    return False


@singledispatch
def _block(block: Any) -> str:
    raise TypeError(f"no LaTeX is known for {type(block).__name__}")


@_block.register
def _prose(block: Prose) -> str:
    return _inline(block.parts) + r"\par"


@_block.register
def _display(block: Display) -> str:
    return _fitted(block.formula.latex)


@_block.register
def _facts(block: Facts) -> str:
    rows = "\n".join(rf"\item[{escape.latex(name)}] {_inline(parts)}" for name, parts in block.rows)
    return "\n".join((r"\begin{facts}", rows, r"\end{facts}"))


@_block.register
def _chain(block: Chain) -> str:
    lines = [
        # where the other side begins
        (r"\par\vspace{5pt}" + "\n" if i and line.before is not None else "") + _line(line)
        for i, line in enumerate(block.lines)
    ]
    return "\n".join((r"\begin{steps}", *lines, r"\end{steps}"))


def _line(line: Line) -> str:
    note = rf" \note{{{escape.latex(line.note)}}}" if line.note else ""
    before = "" if line.before is None else _fitted(line.before.latex)
    # the group keeps a relation sign at the beginning of a formula from losing its space
    relation = rf"{{}}{line.relation}{{}} " if line.relation else ""
    return rf"\item[] \textbf{{{escape.latex(line.rule)}}}{note}\par{before}{_fitted(relation + line.after.latex)}"


@_block.register
def _verdicts(block: Verdicts) -> str:
    shown = []
    for verdict in block.verdicts:
        colour = _KINDS.get(verdict.kind, "soft") if verdict.expected else "bad"
        at = ", ".join(f"{name} = {value}" for name, value in verdict.counterexample.items())
        why = verdict.detail if verdict.kind != "proved" else ""
        scope = "; ".join(part for part in (verdict.scope, why, f"at {at}" if at else "") if part)
        remark = f" ({escape.latex(scope)})" if scope else ""
        kind = rf"\textcolor{{{colour}}}{{\textbf{{{verdict.kind}}}}}"
        shown.append(rf"{escape.latex(verdict.engine)}: {kind}{remark}, {seconds_text(verdict.seconds)}")
    return r"{\small\raggedright " + ";\n".join(shown) + r".\par}"


@_block.register
def _grid(block: Grid) -> str:
    numeric = [is_numeric(block, i) for i in range(len(block.header))]
    text = sum(not one for one in numeric)
    width = (0.96 - 0.085 * sum(numeric)) / text
    columns = "".join("r" if one else rf">{{\raggedright\arraybackslash}}p{{{width:.2f}\linewidth}}" for one in numeric)
    header = " & ".join(rf"\scriptsize {escape.latex(cell)}" for cell in block.header)
    rows = "\n".join(" & ".join(_inline(cell) for cell in row) + r" \\" for row in block.rows)
    begin = rf"\noindent {escape.latex(block.caption)}\par{{\small\setlength{{\tabcolsep}}{{3pt}}"
    begin += rf"\begin{{longtable}}{{@{{}}{columns}@{{}}}}"
    return "\n".join((begin, rf"\toprule {header} \\ \midrule\endhead", rows, r"\bottomrule\end{longtable}}"))


@_block.register
def _figure(block: Figure) -> str:
    plot = block.plot
    options = [
        rf"xlabel={{{escape.latex(plot.x_label)}}}",
        rf"ylabel={{{escape.latex(plot.y_label)}}}",
        r"width=0.9\linewidth, height=0.5\linewidth, legend style={draw=none,font=\small}",
        r"legend pos=north west, legend cell align=left, axis lines=left, font=\small",
        r"enlarge x limits=false, clip mode=individual",
    ]
    options += [f"{name}={bound:g}" for name, bound in (("ymin", plot.low), ("ymax", plot.high)) if bound is not None]
    lines = [_curve(one, i, plot.low, plot.high) for i, one in enumerate(plot.curves)]
    if plot.level is not None:
        first, last = plot.curves[0].points[0][0], plot.curves[0].points[-1][0]
        ends = f"({first:g},{plot.level:g}) ({last:g},{plot.level:g})"
        lines.append(rf"\addplot[densely dotted, soft, forget plot] coordinates {{{ends}}};")
    middle = (plot.curves[0].points[0][0] + plot.curves[0].points[-1][0]) / 2
    for mark in plot.marks:
        anchor = ("north " if mark.below else "south ") + ("east" if mark.x > middle else "west")
        lines.append(_mark(mark, anchor))
    axis = rf"\begin{{tikzpicture}}\begin{{axis}}[{', '.join(options)}]"
    end = r"\end{axis}\end{tikzpicture}\par\nopagebreak"
    return "\n".join(
        (r"\begin{center}", axis, *lines, end, rf"{{\small {escape.latex(plot.alt)}\par}}", r"\end{center}")
    )


def _curve(one: Curve, i: int, low: float | None, high: float | None) -> str:
    # far outside the picture TeX's numbers overflow
    span = 1e3
    shown = [(x, y) for x, y in one.points if -span + (low or 0) < y < span + (high or 0)]
    coordinates = " ".join(f"({x:.4f},{y:.5f})" for x, y in shown)
    style = rf"curve{i}, thick, {_DASHES[i]}, mark=none"
    return rf"\addplot[{style}] coordinates {{{coordinates}}}; \addlegendentry{{{escape.latex(one.name)}}}"


def _mark(mark: Mark, anchor: str) -> str:
    at = f"(axis cs:{mark.x:g},{mark.y:.4f})"
    return (
        rf"\fill {at} circle (1.2pt); \node[anchor={anchor}, font=\footnotesize] at {at} {{{escape.latex(mark.text)}}};"
    )
