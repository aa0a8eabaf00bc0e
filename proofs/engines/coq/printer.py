"""SymPy expressions as Coq text over the reals; what has no word here is refused, never approximated.

Every composite is in parentheses, so that the reading does not hang on precedence.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

import sympy as sp
from sympy import Expr, Symbol

from proofs.engines.base import CannotExpress
from proofs.statements import DK, K, Total
from proofs.symbols import REWARD, M, P, Q

LIVE = Symbol("live", positive=True)
"""The policy's probability as far as it is differentiated; P itself is the frozen number."""

TOKEN = {LIVE: "x", P: "p", Q: "q", M: "m", REWARD: "r"}
"""What the symbols of one token are called."""

_FUNCTIONS = {
    sp.exp: "exp",
    sp.log: "ln",
    sp.sinh: "sinh",
    sp.cosh: "cosh",
    sp.Abs: "Rabs",
    sp.sign: "sign",
    K: "k",
    DK: "dk",
}
_PAIRS = {sp.Min: "Rmin", sp.Max: "Rmax"}
_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]*")


def constant_name(symbol: Symbol) -> str:
    """Return the name of a symbol that is the same for all tokens."""
    if not _NAME.fullmatch(symbol.name):
        raise CannotExpress(f"{symbol.name} is no name in Coq")
    return f"c_{symbol.name}"


def names_of(expr: Expr) -> dict[Symbol, str]:
    """Return the default names of all symbols of an expression."""
    return {s: TOKEN[s] if s in TOKEN else constant_name(s) for s in expr.free_symbols}


def coq(expr: Expr, names: Mapping[Symbol, str] | None = None) -> str:
    """Return the expression as Coq text. Raises CannotExpress."""
    return _print(sp.sympify(expr), names_of(expr) if names is None else names)


def _print(e: Expr, names: Mapping[Symbol, str]) -> str:
    if e.is_Symbol:
        if e not in names:
            raise CannotExpress(f"{e} has no name here")
        return names[e]
    if e is sp.E:
        return "(exp 1)"
    if e.is_Integer:
        return str(e) if e >= 0 else f"(- {-e})"
    if e.is_Rational:
        return f"({e.p} / {e.q})" if e > 0 else f"(- ({-e.p} / {e.q}))"
    if e.is_Add:
        return _joined([_print(a, names) for a in e.args], "+")
    if e.is_Mul:
        return _product(e, names)
    if e.is_Pow:
        return _power(e.base, e.exp, names)
    if isinstance(e, Total):
        return _total(e.args[0], names)
    for kind, name in _PAIRS.items():
        if isinstance(e, kind):
            first, *rest = (_print(a, names) for a in e.args)
            for text in rest:
                first = f"({name} {first} {text})"
            return first
    function = _FUNCTIONS.get(e.func)
    if function is None or len(e.args) != 1:
        raise CannotExpress(f"no Coq form for {e.func.__name__}")
    return f"({function} {_print(e.args[0], names)})"


def _joined(texts: list[str], operator: str) -> str:
    return texts[0] if len(texts) == 1 else f"({f' {operator} '.join(texts)})"


def _product(e: Expr, names: Mapping[Symbol, str]) -> str:
    sign, above, below = "", [], []
    for factor in e.args:
        if factor.is_Rational:
            sign = "- " if factor < 0 else ""
            if abs(factor.p) != 1:
                above.append(str(abs(factor.p)))
            if factor.q != 1:
                below.append(str(factor.q))
        elif factor.is_Pow and factor.exp.is_Rational and factor.exp < 0:
            below.append(_power(factor.base, -factor.exp, names))
        else:
            above.append(_print(factor, names))
    text = _joined(above or ["1"], "*")
    if below:
        text = f"({text} / {_joined(below, '*')})"
    return f"({sign}{text})" if sign else text


def _power(base: Expr, exponent: Expr, names: Mapping[Symbol, str]) -> str:
    text = _print(base, names)
    if exponent.is_Rational and exponent < 0:
        return f"(/ {_power(base, -exponent, names)})"
    if exponent == 1:
        return text
    if exponent.is_Integer:
        return f"({text} ^ {exponent})"
    if exponent == sp.S.Half:
        return f"(sqrt {text})"
    if base.is_positive and exponent.is_Rational:
        return f"(Rpower {text} {_print(exponent, names)})"
    raise CannotExpress(f"no Coq form for the power {exponent} of {base}")


def _total(body: Expr, names: Mapping[Symbol, str]) -> str:
    if body.has(Total):
        raise CannotExpress("a sum within a sum")
    indexed = {**names, **{s: f"({TOKEN[s]} i)" for s in (P, Q, M, REWARD)}}
    return f"(S n (fun i => {_print(body, indexed)}))"
