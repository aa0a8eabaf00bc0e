"""A derivation as a reader follows it: one line after another, each with the rule that gives it."""

from __future__ import annotations

from dataclasses import dataclass

import sympy as sp
from sympy import Expr, Function, Symbol

SCORE = Symbol("s", real=True)
"""The score of the drawn token, grad log policy."""


class Expectation(Function):  # type: ignore[misc,unused-ignore]
    """E under a distribution (its probability symbol p, m or q) of an expression; inert."""

    nargs = 2
    is_real = True


class Nabla(Function):  # type: ignore[misc,unused-ignore]
    """The gradient of its argument; inert."""

    nargs = 1
    is_real = True


@dataclass(frozen=True)
class Step:
    """One line. `before` is given where a chain of equalities begins; else it is the line above's `after`.

    `rule` is the name of the rewriting rule, `note` says in words why it applies.
    """

    rule: str
    after: Expr | sp.Basic
    note: str = ""
    before: Expr | sp.Basic | None = None
