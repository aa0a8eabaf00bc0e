"""Prints a tree of operations as assignments and one expression; how a leaf or a call looks is the language's own."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

from proofs.lowering.entries import Entry, Planned
from proofs.lowering.nodes import Node

_SIGNS = {"add": "+", "subtract": "-", "multiply": "*", "divide": "/"}
_LEAVES = ("constant", "variable")


@dataclass(frozen=True)
class Language:
    """How a number, a call and an assignment are written."""

    number: Callable[[float], str]
    call: Callable[[str, str], str]
    assignment: str


def printed(node: Node, point: str, language: Language) -> tuple[list[str], str]:
    """Return the assignments of what is used more than once, and the expression of the whole.

    `point` is written for L.
    """
    uses: Counter[Node] = Counter()

    def count(part: Node) -> None:
        uses[part] += 1
        if uses[part] == 1:
            for argument in part.arguments:
                count(argument)

    count(node)
    lines: list[str] = []
    names: dict[Node, str] = {}

    def text(part: Node, inside: bool = True) -> str:
        if part in names:
            return names[part]
        if uses[part] > 1 and part.operation not in _LEAVES:
            value = whole(part, False)
            names[part] = f"t{len(names)}"
            lines.append(language.assignment.format(name=names[part], value=value))
            return names[part]
        return whole(part, inside)

    def whole(part: Node, inside: bool) -> str:
        if part.operation == "variable":
            return point if part.name == "L" else part.name
        if part.operation == "constant":
            return language.number(number_of(part))
        if part.operation == "negate":
            return f"-{text(part.arguments[0])}"
        if part.operation in _SIGNS:
            left, right = map(text, part.arguments)
            written = f"{left} {_SIGNS[part.operation]} {right}"
            return f"({written})" if inside else written
        return language.call(part.operation, ", ".join(text(argument, False) for argument in part.arguments))

    value = text(node, False)
    return lines, value


def number_of(node: Node) -> float:
    """Return the number of a constant, rounded once."""
    assert node.number is not None
    return float(node.number.evalf(40))


def words_of(entry: Entry) -> str:
    """Return what an entry computes, and how well."""
    if not isinstance(entry, Planned):
        return entry.words
    worst = max(entry.plan.roundings.values()) / 2
    return f"{entry.words} {'Exact.' if worst == 0 else f'Error at most {worst:.1f} ulp.'}"
