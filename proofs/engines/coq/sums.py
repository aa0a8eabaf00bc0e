"""A script for equalities of sums over the vocabulary: every sum as a combination of a few.

The combination is a hint from SymPy's expansion; Coq checks it token by token.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import sympy as sp
from sympy import Expr, Integer, Symbol

from proofs.engines.coq.fidelity import faithful
from proofs.engines.coq.printer import TOKEN
from proofs.statements import Total


def combinations(sides: Sequence[Expr], names: Mapping[Symbol, str]) -> str:
    """Return the script that rewrites every total, then the masses, and compares polynomials."""
    steps = ["intros;"]
    totals = sorted({total for side in sides for total in side.atoms(Total)}, key=str)
    rewritten = []
    for number, total in enumerate(totals):
        terms = _terms(total.args[0])
        if terms == {total.args[0]: 1}:
            continue
        written = " + ".join(f"{faithful(c, names)} * {faithful(Total(atom), names)}" for atom, c in terms.items())
        steps.append(f"assert (T{number} : {faithful(total, names)} = {written}) by combination;")
        rewritten.append(f"T{number}")
    steps += [f"try rewrite {name}; clear {name};" for name in rewritten]
    steps.append("totals.")
    return " ".join(steps)


def _terms(body: Expr) -> dict[Expr, Expr]:
    """The summand as constants times products of the token's own quantities."""
    found: dict[Expr, Expr] = {}
    for term in sp.Add.make_args(sp.expand(sp.expand_log(sp.expand(body)))):
        constant, atom = term.as_independent(*TOKEN, as_Add=False)
        found[atom] = found.get(atom, Integer(0)) + constant
    return found
