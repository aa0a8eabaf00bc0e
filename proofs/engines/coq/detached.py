"""Splits a surrogate into what is differentiated and what stop-gradient holds fixed, from the statement itself."""

from __future__ import annotations

import sympy as sp
from sympy import Expr, Integer

from proofs.engines.base import CannotExpress
from proofs.engines.coq.printer import LIVE
from proofs.statements import DK, Total, sg, undetached
from proofs.symbols import P


def live_and_frozen(expr: Expr) -> tuple[Expr, list[Expr]]:
    """Return the surrogate with the live probability apart from the frozen one, and where it has corners.

    P becomes LIVE outside of sg and stays P inside. A corner is a frozen expression that must not be 0:
    the argument of |.| or sign that moves.
    """
    kinks: list[Expr] = []
    return _split(sp.sympify(expr), kinks), kinks


def _split(e: Expr, kinks: list[Expr]) -> Expr:
    if isinstance(e, sg):
        return undetached(e.args[0])
    if e == P:
        return LIVE
    if not e.args or not e.has(P):
        return e
    if isinstance(e, DK | Total):
        raise CannotExpress(f"{type(e).__name__} is differentiated")
    parts = [_split(a, kinks) for a in e.args]
    if isinstance(e, sp.Min | sp.Max) and any(part.has(LIVE) for part in parts):
        raise CannotExpress(f"{type(e).__name__} of what moves is differentiated")
    if isinstance(e, sp.Abs | sp.sign) and parts[0].has(LIVE):
        kinks.append(parts[0].subs(LIVE, P))
    return Integer(0) if e == 0 else e.func(*parts)
