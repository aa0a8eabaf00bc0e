"""A report as one page: MathML and SVG inside, no script, nothing loaded from elsewhere."""

from __future__ import annotations

import functools
import html
import re
from pathlib import Path
from typing import Any

from proofs.report.content import Document, Formula, Grid
from proofs.report.errors import needs
from proofs.report.plots import Plot, to_svg

_TEMPLATES = Path(__file__).parent / "templates"
_SUM = "<mo>&#x02211;</mo>"
LONG = 110
"""Signs of text beyond which a formula is printed smaller on paper."""


@functools.cache
def to_mathml(latex: str, block: bool = False) -> str | None:
    """Return a formula as MathML, or None where it cannot be converted. Raises ReportError without latex2mathml."""
    try:
        from latex2mathml.converter import convert
        from latex2mathml.exceptions import (
            DenominatorNotFoundError,
            ExtraLeftOrMissingRightError,
            NoAvailableTokensError,
        )
    except ImportError as error:
        raise needs("latex2mathml", "a report in HTML") from error
    try:
        converted = convert(latex, display="block" if block else "inline")
    except (DenominatorNotFoundError, ExtraLeftOrMissingRightError, NoAvailableTokensError, ValueError, IndexError):
        return None
    if re.search(r">\\[A-Za-z]", converted):  # a command it does not know is left standing
        return None
    converted = converted.replace(' xmlns="http://www.w3.org/1998/Math/MathML"', "")
    converted = converted.replace("<mi>&#x0007E;</mi>", "<mo>&#x0223C;</mo>")
    converted = converted.replace("<math", '<math displaystyle="true"', 1)
    # limits stand below a sum, inside brackets too
    converted = re.sub(
        rf"<msub>({_SUM})((?:<mrow>)?<mi>\w</mi>(?:</mrow>)?)</msub>", r"<munder>\1\2</munder>", converted
    )
    # brackets have no space of their own; browsers give an operator that they do not know the widest one
    converted = re.sub(r'<mo stretchy="true"(?=[^>]*form=)', '<mo lspace="0" rspace="0" stretchy="true"', converted)
    return re.sub(r"<m[io]>(log|sinh|cosh|min|max|sg|sign)</m[io]>(?=(<mrow><mo)?)", _operator, converted)


def _operator(name: re.Match[str]) -> str:
    """A function's name with the space around it that TeX sets."""
    after = "0" if name[2] else "0.17em"
    return f'<mo lspace="0.17em" rspace="{after}">{name[1]}</mo>'


def math(formula: Formula, block: bool = False, relation: str = "") -> str:
    """Return the formula as HTML: MathML that names itself in words, or its text."""
    latex = f"{relation} {formula.latex}" if relation else formula.latex
    converted = to_mathml(latex, block)
    text = html.escape(f"{relation} {formula.text}".strip(), quote=True)
    if converted is None:
        return f"<code>{text}</code>"
    return converted.replace("<math", f'<math aria-label="{text}"', 1)


def render(document: Document, formulas: bool = True) -> str:
    """Return the page; without `formulas` as text and in plain colours, for what knows no MathML.

    Raises ReportError where an optional package is missing.
    """
    try:
        import jinja2
        from markupsafe import Markup
    except ImportError as error:
        raise needs("jinja2", "a report in HTML") from error

    def marked(text: str) -> Any:
        return Markup(text)

    show = math if formulas else _as_text
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(_TEMPLATES), autoescape=True, undefined=jinja2.StrictUndefined
    )
    environment.filters.update(
        kind=lambda thing: type(thing).__name__,
        math=lambda formula, block=False, relation="": marked(show(formula, block, relation)),
        slug=lambda text: text.replace(" ", "-"),
        time=seconds_text,
        numeric=is_numeric,
        svg=lambda plot: marked(_accessible(plot) if formulas else _plainly_coloured(_accessible(plot))),
    )
    environment.tests["long"] = _is_long
    sheets = ("report.css",) if formulas else ("report.css", "paper.css")
    css = "".join((_TEMPLATES / sheet).read_text("utf-8") for sheet in sheets)
    return environment.get_template("report.html").render(document=document, css=marked(css))


def _is_long(formula: Formula) -> bool:
    """By the signs that are seen: the names of distributions are words in the text, and letters in the formula."""
    return len(re.sub(r"\b(policy|reference|sampler)\b", "p", formula.text)) > LONG


def _as_text(formula: Formula, block: bool = False, relation: str = "") -> str:
    return f"<code>{html.escape(f'{relation} {formula.text}'.strip(), quote=True)}</code>"


def _plainly_coloured(svg: str) -> str:
    return re.sub(r"var\(--curve-\d, (#\w+)\)", r"\1", svg).replace("currentColor", "#000000")


def seconds_text(seconds: float) -> str:
    """Return a duration in the unit that fits.

    >>> seconds_text(0.0123)
    '12 ms'
    """
    return f"{seconds:.1f} s" if seconds >= 1 else f"{1000 * seconds:.0f} ms"


def is_numeric(grid: Grid, column: int) -> bool:
    """Whether a table's column holds numbers, which are set to the right."""
    cells = [row[column] for row in grid.rows]
    return bool(cells) and all(
        len(cell) == 1 and isinstance(cell[0], str) and bool(re.fullmatch(r"[\d.]+( s)?", cell[0])) for cell in cells
    )


def _accessible(plot: Plot) -> str:
    label = html.escape(f"{plot.title}. {plot.alt}", quote=True)
    return to_svg(plot).replace("<svg", f'<svg role="img" aria-label="{label}"', 1)
