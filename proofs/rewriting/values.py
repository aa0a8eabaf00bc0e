"""Sums over the vocabulary, opened by linearity and closed by normalisation."""

from __future__ import annotations

from functools import lru_cache

import sympy as sp
from sympy import Expr

from proofs.rewriting.trail import Trail
from proofs.statements import Total, Value
from proofs.steps import Step
from proofs.symbols import REWARD, M, P, Q


def rewrite_value(statement: Value) -> Trail:
    """Open both sides into sums of single terms; they have to be the same."""
    steps, ends = [], []
    for side in (statement.left, statement.right):
        opened = sp.expand(side.xreplace({total: _by_linearity(total.args[0]) for total in side.atoms(Total)}))
        if opened != side:
            steps.append(Step("linearity", opened, "sums of single terms, constants taken out", side))
        masses = {Total(s): mass for s, mass in statement.masses.items()}
        summed = opened.xreplace(masses)
        closed = opened if summed == opened else sp.expand(summed)
        if closed != opened:
            before = None if opened != side else side
            steps.append(Step("normalisation", closed, "each distribution sums to its mass", before))
        ends.append(closed)
    return Trail(tuple(steps), ends[0] == ends[1] or sp.expand(ends[0] - ends[1]) == 0)


@lru_cache(maxsize=1024)
def _by_linearity(body: Expr) -> Expr:
    total = sp.Integer(0)
    for term in sp.Add.make_args(sp.expand(sp.powsimp(sp.expand(sp.expand_log(sp.expand(body), force=True))))):
        outside, inside = term.as_independent(P, Q, M, REWARD, as_Add=False)
        total += outside * Total(inside)
    return total
