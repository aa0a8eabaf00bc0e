"""Sums over the vocabulary: token by token where they enter linearly, written out for V = 2, 3 elsewhere."""

from __future__ import annotations

from dataclasses import replace

import sympy as sp
from sympy import Expr, Integer

from proofs.engines.abstraction import Abstraction
from proofs.engines.smt.goals import TOKEN, Goal, Problem, copied, goal, replaced
from proofs.statements import Total, Value, undetached
from proofs.symbols import M, P, Q

_SIZES = (2, 3)


def value_problem(statement: Value) -> Problem:
    """Return the goals of an equality of sums."""
    summand, rest = _linear(statement)
    if summand is not None:
        return Problem(
            tuple(_token_by_token(summand, rest, statement)),
            "any vocabulary",
            "the summands differ by a p + b q + c m on every token, and a, b, c times the masses add up",
        )
    return Problem(
        tuple(_written_out(statement, size) for size in _SIZES), "V = 2, 3", "the sums, written out, are equal"
    )


def _linear(statement: Value) -> tuple[Expr | None, Expr]:
    """The one summand whose total, with the rest, is the difference of the sides; None if there is none."""
    difference = sp.expand(undetached(statement.left - statement.right))
    summand, rest = Integer(0), Integer(0)
    for term in sp.Add.make_args(difference):
        totals = term.atoms(Total)
        if not totals:
            rest += term
            continue
        factor, total = term.as_independent(Total, as_Add=False)
        if not isinstance(total, Total):
            return None, difference
        summand += factor * total.args[0]
    return summand, rest


def _token_by_token(summand: Expr, rest: Expr, statement: Value) -> list[Goal]:
    abstraction = Abstraction()
    read, constant = abstraction.read(summand, rest)
    unknowns = list(abstraction.unknowns.values())
    expanded = sp.expand(read)
    # a guess, which the solver confirms or refuses
    moving = abstraction.depends_on(TOKEN)
    terms = sp.Add.make_args(expanded)
    shares = {s: sp.Add(*(t / s for t in terms if not (t / s).free_symbols & moving)) for s in (P, Q, M)}
    combination = sp.Add(*(share * s for s, share in shares.items()))
    total = sp.Add(*(share * statement.masses[s] for s, share in shares.items()))
    whole = _written_out(statement, 3)
    return [
        replace(goal(read, combination, unknowns, whole.claim), exact=False, domain=whole.domain),
        replace(goal(total + constant, Integer(0), unknowns, whole.claim), exact=False, domain=whole.domain),
    ]


def _written_out(statement: Value, size: int) -> Goal:
    """All sums of `size` tokens; the last probability is what the others leave."""
    rows = [{s: copied(s, f"_{i}") for s in TOKEN} for i in range(1, size + 1)]

    def total(body: Expr) -> Expr:
        return sp.Add(*(body.xreplace(row) for row in rows))

    last = {rows[-1][s]: statement.masses[s] - sp.Add(*(row[s] for row in rows[:-1])) for s in (P, Q, M)}
    sides = [undetached(side).replace(Total, total) for side in (statement.left, statement.right)]
    abstraction = Abstraction()
    left, right = (e.xreplace(last) for e in abstraction.read(*sides))
    unknowns = replaced(abstraction, last)
    used = (sides[0] - sides[1]).free_symbols
    domain = [value for symbol, value in last.items() if symbol in used]
    return goal(left, right, unknowns, (sides[0] - sides[1]).subs(last), domain)
