"""What every report is made of, whatever the format: sections of blocks.

A renderer knows these blocks and nothing of theorems or estimators; what fills them in knows nothing
of formats.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TypeAlias

from proofs.report.plots import Plot


@dataclass(frozen=True)
class Formula:
    """A formula in LaTeX, without dollars, and as text for where no formulas can be shown."""

    latex: str
    text: str


@dataclass(frozen=True)
class Code:
    """Text that is shown as it is: ids, commands."""

    text: str


Inline: TypeAlias = "str | Formula | Code"


@dataclass(frozen=True)
class Prose:
    """A paragraph."""

    parts: tuple[Inline, ...]


@dataclass(frozen=True)
class Display:
    """A formula on a line of its own."""

    formula: Formula


@dataclass(frozen=True)
class Facts:
    """Named facts, one below the other."""

    rows: tuple[tuple[str, tuple[Inline, ...]], ...]


@dataclass(frozen=True)
class Line:
    """One step: the rule, why it applies, and what it gives, with `relation` before it: empty where
    nothing comes before, or where the result is itself a relation."""

    rule: str
    note: str
    after: Formula
    before: Formula | None = None
    relation: str = "="


@dataclass(frozen=True)
class Chain:
    """A derivation, line by line."""

    lines: tuple[Line, ...]


@dataclass(frozen=True)
class Verdict:
    """What one engine found; `kind` is the outcome as a word."""

    engine: str
    kind: str
    expected: bool
    scope: str
    detail: str
    seconds: float
    counterexample: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Verdicts:
    """What the engines found."""

    verdicts: tuple[Verdict, ...]


@dataclass(frozen=True)
class Grid:
    """A table; the first cell of each row names the row."""

    caption: str
    header: tuple[str, ...]
    rows: tuple[tuple[tuple[Inline, ...], ...], ...]


@dataclass(frozen=True)
class Figure:
    """A plot."""

    plot: Plot


Block: TypeAlias = "Prose | Display | Facts | Chain | Verdicts | Grid | Figure"


@dataclass(frozen=True)
class Section:
    """A part of a document. `anchor` is unique in it; theorems have their ids."""

    title: str
    anchor: str
    blocks: tuple[Block, ...] = ()
    sections: tuple[Section, ...] = ()
    is_theorem: bool = False


@dataclass(frozen=True)
class Document:
    """A report."""

    title: str
    summary: str
    sections: tuple[Section, ...]
