"""Sums over vocabularies of 2 and 3 tokens, written out."""

from __future__ import annotations

import sympy as sp
from sympy import Expr, Symbol

from proofs.engines.explicit.rational import differs_at, points_of, vanishes
from proofs.ledger import Finding, Outcome
from proofs.statements import Total, Value
from proofs.symbols import REWARD, M, P, Q

_SIZES = (2, 3)


def prove_value(statement: Value) -> Finding:
    """Write every sum out; the last probability of each distribution is what the others leave."""
    for size in _SIZES:
        difference, last = _written_out(statement, size)
        if not vanishes(difference, last):
            whole = difference.xreplace(last)
            points = [p for p in points_of(_free(whole, last), 60) if _is_distribution(last, p)]
            point = differs_at(whole, points)
            if point is None:
                return Finding(Outcome.INCONCLUSIVE, detail="the sides do not cancel, and no point tells them apart")
            shown = {str(s): str(v) for s, v in point.items()}
            return Finding(Outcome.REFUTED, f"V = {size}", "the sides differ", shown)
    return Finding(Outcome.PROVED, "V = 2, 3")


def _written_out(statement: Value, size: int) -> tuple[Expr, dict[Symbol, Expr]]:
    """The difference of the sides, and what the last probability of each distribution is."""
    rows = {s: [Symbol(f"{s}{i}", positive=s.is_positive, real=True) for i in range(size)] for s in (P, Q, M, REWARD)}

    def total(body: Expr) -> Expr:
        return sp.Add(*(body.xreplace({s: row[i] for s, row in rows.items()}) for i in range(size)))

    last = {rows[s][-1]: statement.masses[s] - sp.Add(*rows[s][:-1]) for s in (P, Q, M)}
    return (statement.left - statement.right).replace(Total, total), last


def _free(whole: Expr, last: dict[Symbol, Expr]) -> set[Symbol]:
    return {*whole.free_symbols, *(s for rest in last.values() for s in rest.free_symbols)}


def _is_distribution(last: dict[Symbol, Expr], point: dict[Symbol, Expr]) -> bool:
    return all(rest.subs(point).is_positive for rest in last.values())
