"""Other ways to write a formula, equal everywhere on one side of L = 0, of which the most accurate is kept.

Which one is best depends on the side: L exp(L) - exp(L) + 1 wants to be collected by exp(L) to the
right and to use expm1 to the left. The candidates are made here, and judged in `proofs.lowering.plan`.
"""

from __future__ import annotations

from collections.abc import Iterator

import sympy as sp
from sympy import Abs, Add, Expr, S, Symbol, exp, log, sign
from sympy.codegen.cfunctions import expm1, log1p

from proofs.normal_form import TooLarge, normal_form

KINKS = (sp.Abs, sp.sign, sp.Min, sp.Max, sp.Piecewise, sp.Heaviside)


def arrangements(expr: Expr, symbol: Symbol, side: int) -> list[Expr]:
    """Return expressions equal to `expr` where `symbol` has the sign `side`; the first is the plainest."""
    found: dict[Expr, None] = {}
    for candidate in _candidates(expr, symbol, side):
        for form in (candidate, with_expm1(candidate)):
            form = form.replace(_is_log_of_one_plus, lambda e: log1p(e.args[0] - 1))
            found.setdefault(form)
    return list(found)


def _candidates(expr: Expr, symbol: Symbol, side: int) -> Iterator[Expr]:
    yield expr
    smooth = _on_one_side(expr, symbol, side)
    yield from _forms(smooth, _expanded(smooth))
    if smooth.has(log):
        decaying = _expanded(smooth).replace(_is_softplus, lambda e: _decaying(e, symbol, side))
        yield from _forms(decaying, sp.expand(decaying))  # a normal form would write the logarithm the other way


def _expanded(expr: Expr) -> Expr:
    try:
        return normal_form(expr).expr
    except TooLarge:
        return expr


def _on_one_side(expr: Expr, symbol: Symbol, side: int) -> Expr:
    """Write |x| and sign(x) of what has the sign of the symbol, or of exp(k symbol) - 1, as they are there."""

    def has_its_sign(e: Expr) -> int:
        rate = sp.diff(e, symbol)
        return int(sp.sign(rate)) * side if e.subs(symbol, 0) == 0 and (rate.is_positive or rate.is_negative) else 0

    def known(e: Expr) -> bool:
        return isinstance(e, Abs | sign) and has_its_sign(e.args[0]) != 0

    def resolved(e: Expr) -> Expr:
        value = sp.Integer(has_its_sign(e.args[0]))
        return value * e.args[0] if isinstance(e, Abs) else value

    return expr.replace(known, resolved)


def _forms(expr: Expr, expanded: Expr) -> Iterator[Expr]:
    yield expr
    yield expanded
    rates = sorted(expanded.atoms(exp), key=sp.default_sort_key)
    for rate in rates:
        yield sp.collect(expanded, rate)
    yield sp.collect(expanded, rates)
    for factored in (sp.factor(expr), *_factored_by_exponential(expanded)):
        yield factored
        number, rest = factored.as_coeff_Mul()
        yield sp.Mul(number, rest, evaluate=False) if rest.is_Add else factored


def _factored_by_exponential(expanded: Expr) -> Iterator[Expr]:
    """Factor as a polynomial in exp(g x) and in exp(-g x), g the greatest common divisor of the rates."""
    symbols = sorted({s for e in expanded.atoms(exp) for s in e.free_symbols}, key=str)
    rates = {sp.diff(e.args[0], symbols[0]) for e in expanded.atoms(exp)} if len(symbols) == 1 else set()
    if not rates or not all(rate.is_Rational and rate != 0 for rate in rates):
        return
    step = sp.Integer(sp.igcd(0, *(rate.p for rate in rates))) / sp.ilcm(1, *(rate.q for rate in rates))
    base = sp.Dummy("base", positive=True)
    for unit in (step, -step):
        powers = {e: base ** (sp.diff(e.args[0], symbols[0]) / unit) for e in expanded.atoms(exp)}
        if all(e.args[0].subs(symbols[0], 0) == 0 for e in powers):
            yield sp.factor(expanded.xreplace(powers)).subs(base, exp(unit * symbols[0]))


def _is_softplus(e: Expr) -> bool:
    if not (isinstance(e, log) and e.args[0].is_Add and len(e.args[0].args) == 2):
        return False
    one, other = sorted(e.args[0].args, key=lambda term: term != 1)
    return bool(one == 1 and isinstance(other, exp))


def _decaying(e: Expr, symbol: Symbol, side: int) -> Expr:
    """Write log(1 + exp(a x)) with the exponential that decays on this side."""
    argument = next(term for term in e.args[0].args if term != 1).args[0]
    rate = argument / symbol
    if rate.is_Rational and rate * side > 0:
        return argument + log(1 + exp(-argument))
    return e


def _is_log_of_one_plus(e: Expr) -> bool:
    return isinstance(e, log) and bool(e.args[0].is_Add) and S.One in e.args[0].args


def with_expm1(expr: Expr) -> Expr:
    """Write sums of exponentials and a number that cancel at 0 with expm1.

    All of them, c_1 exp(a_1) + ... + c_n exp(a_n) - (c_1 + ... + c_n), or else one, c exp(a) - c.
    """
    if not expr.args or expr.is_number:
        return expr
    rebuilt = expr.func(*map(with_expm1, expr.args))
    return _sum_with_expm1(rebuilt) if rebuilt.is_Add else rebuilt


def _sum_with_expm1(expr: Expr) -> Expr:
    number = Add(*(term for term in expr.args if term.is_number))
    parts = [term.as_coeff_Mul() for term in expr.args if not term.is_number]
    powers = [(c, e) for c, e in parts if isinstance(e, exp)]
    if number != 0 and powers and Add(*(c for c, _ in powers)) == -number:
        chosen = powers
    else:
        chosen = next(([(c, e)] for c, e in powers if c == -number), [])
    if not chosen:
        return expr
    rest = [c * e for c, e in parts if (c, e) not in chosen]
    return Add(*rest, *(c * expm1(e.args[0]) for c, e in chosen), *([] if chosen else [number]))
