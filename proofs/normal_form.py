"""The normal form of exponential polynomials: a sum of number * monomial, like terms collected.

A monomial is a product of powers of symbols, one exp(polynomial), and what else could not be taken
apart (an *atom*: log(1 + exp(L)), sign(L), a Piecewise). Powers of symbols, logarithms of positive
symbols and exponentials of distinct Laurent polynomials are linearly independent over the numbers
(the exponents differ by more than a constant), so a form without atoms is zero only if it has no
terms: `conclusive`. A form that has no terms is zero in any case.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from types import MappingProxyType

import sympy as sp
from sympy import Add, Expr, Mul, Pow, S, Symbol, exp, log, sign

MAX_TERMS = 1500
_EMPTY: Mapping[Expr, Expr] = MappingProxyType({})
_HYPERBOLIC = (sp.tanh, sp.cosh, sp.sinh, sp.coth, sp.sech, sp.csch)


class TooLarge(ArithmeticError):
    """The expanded form would have more than MAX_TERMS terms."""


@dataclass(frozen=True)
class NormalForm:
    """`terms` maps each monomial to its number; `conclusive` says that no terms are hidden zeros."""

    terms: Mapping[Expr, Expr]
    conclusive: bool

    @property
    def expr(self) -> Expr:
        """The form as an expression."""
        return Add(*(number * monomial for monomial, number in self.terms.items()))

    @property
    def is_constant(self) -> bool:
        """Whether it is a number."""
        return all(monomial is S.One for monomial in self.terms)


def normal_form(expr: Expr) -> NormalForm:
    """Return the normal form; floats are read as the decimal numbers that they print as."""
    floats = expr.atoms(sp.Float)
    if floats:
        expr = expr.xreplace({number: exact(number) for number in floats})
    return _form(expr)


def exact(number: sp.Float) -> sp.Rational:
    """Return the shortest decimal number that rounds to this float."""
    return sp.Rational(repr(float(number))) if number._prec <= 53 else sp.Rational(str(number))


@lru_cache(maxsize=4096)
def is_zero_number(number: Expr) -> bool | None:
    """Whether a number is zero; None where that stays undecided."""
    if number.is_Rational:
        return bool(number == 0)
    expanded = sp.expand_log(sp.expand(number), force=True)
    if expanded.is_Rational:
        return bool(expanded == 0)
    value = expanded.evalf(30)
    if value.is_number and value.is_comparable and abs(value) > sp.Float("1e-20"):
        return False
    if expanded.is_zero:
        return True
    if value.has(sp.Function):
        return None  # the value of an arbitrary function: no number that could be simplified
    return True if sp.simplify(expanded) == 0 else None


def cancelled(form: NormalForm) -> NormalForm:
    """Return the form with common factors cancelled where a sum stands in a denominator."""
    fractions = [m for m in form.terms if any(_is_fraction(f) for f in Mul.make_args(m))]
    if not fractions:
        return form
    simpler = _form(sp.cancel(Add(*(form.terms[m] * m for m in fractions))))
    rest = {m: number for m, number in form.terms.items() if m not in fractions}
    conclusive = all(_form(m).conclusive for m in rest)
    return _sum([simpler, NormalForm(MappingProxyType(rest), conclusive)])


def _is_fraction(factor: Expr) -> bool:
    return bool(factor.is_Pow and factor.exp.is_negative and factor.base.is_Add)


@lru_cache(maxsize=8192)
def _form(expr: Expr) -> NormalForm:
    if expr is S.Zero:
        return NormalForm(_EMPTY, True)
    if expr.is_Rational:
        return _single(S.One, expr)
    if expr in (S.NaN, S.ComplexInfinity, S.Infinity, S.NegativeInfinity):
        return NormalForm(MappingProxyType({expr: S.One}), False)
    if not expr.free_symbols:
        if expr.is_Add:
            return _sum(_form(term) for term in expr.args)
        plain = _plain_number(expr)
        return _form(plain) if plain.is_Add or plain.is_Rational else _single(S.One, plain)
    if expr.is_Symbol:
        return _single(expr)
    if expr.is_Add:
        return _sum(_form(term) for term in expr.args)
    if expr.is_Mul:
        product = _form(expr.args[0])
        for factor in expr.args[1:]:
            product = _product(product, _form(factor))
        return product
    if isinstance(expr, exp):
        return _exponential(expr)
    if expr.is_Pow:
        return _power(expr)
    if isinstance(expr, log):
        return _logarithm(expr)
    if isinstance(expr, sign):
        return _sign(expr)
    if isinstance(expr, sp.Abs):
        return _product(_form(expr.args[0]), _sign(sign(expr.args[0], evaluate=False)))
    if isinstance(expr, sp.Heaviside):
        half = sign(expr.args[0]) / 2 + S.Half
        return _form(half) if expr.args[1] == S.Half else _atom(expr)
    if isinstance(expr, _HYPERBOLIC):
        return _form(expr.rewrite(exp))
    return _atom(expr)


def _plain_number(number: Expr) -> Expr:
    """Write log(4) as 2 log(2), and sinh(log(4)) as 15/8."""
    if number.has(*_HYPERBOLIC):
        number = number.rewrite(exp)
    return sp.expand(sp.expand_log(number)) if number.has(log, exp) else number


def _single(monomial: Expr, number: Expr = S.One, conclusive: bool = True) -> NormalForm:
    return NormalForm(MappingProxyType({monomial: number}), conclusive)


def _atom(expr: Expr) -> NormalForm:
    return _single(expr, conclusive=False)


def _sum(forms: Iterable[NormalForm]) -> NormalForm:
    terms: dict[Expr, Expr] = {}
    conclusive = True
    for form in forms:
        conclusive &= form.conclusive
        for monomial, number in form.terms.items():
            terms[monomial] = terms[monomial] + number if monomial in terms else number
    return _collected(terms, conclusive)


def _collected(terms: dict[Expr, Expr], conclusive: bool) -> NormalForm:
    if len(terms) > MAX_TERMS:
        raise TooLarge(f"more than {MAX_TERMS} terms")
    kept: dict[Expr, Expr] = {}
    for monomial, number in terms.items():
        zero = is_zero_number(number)
        if not zero:
            kept[monomial] = number
            conclusive &= zero is False
    return NormalForm(MappingProxyType(kept), conclusive)


def _product(left: NormalForm, right: NormalForm) -> NormalForm:
    if len(left.terms) * len(right.terms) > 4 * MAX_TERMS:
        raise TooLarge(f"more than {MAX_TERMS} terms")
    terms: dict[Expr, Expr] = {}
    for m, a in left.terms.items():
        for n, b in right.terms.items():
            monomial, number = m * n, a * b
            terms[monomial] = terms[monomial] + number if monomial in terms else number
    return _collected(terms, left.conclusive and right.conclusive)


def _is_laurent(monomial: Expr) -> bool:
    return all(
        factor.is_Symbol or (factor.is_Pow and factor.base.is_Symbol and factor.exp.is_Rational)
        for factor in Mul.make_args(monomial)
    )


def _exponential(expr: Expr) -> NormalForm:
    argument = _form(expr.args[0])
    conclusive = argument.conclusive
    factor, exponent = _single(S.One), []
    for monomial, number in argument.terms.items():
        if monomial is S.One:
            factor = _product(factor, _single(S.One, exp(number)))
        elif isinstance(monomial, log) and number.is_Rational:
            factor = _product(factor, _form(Pow(monomial.args[0], number)))
        else:
            conclusive = conclusive and _is_laurent(monomial)
            exponent.append(number * monomial)
    return _product(factor, _single(exp(Add(*exponent)), conclusive=conclusive))


def _power(expr: Expr) -> NormalForm:
    base, power = expr.args
    if not power.is_Rational:
        return _form(exp(power * log(base))) if base.is_positive else _atom(expr)
    form = _form(base)
    if power.is_Integer and 0 <= power <= 64:
        result = _single(S.One)
        for _ in range(int(power)):
            result = _product(result, form)
        return result
    if len(form.terms) == 1:
        ((monomial, number),) = form.terms.items()
        if power.is_Integer or (number.is_positive and monomial.is_positive):
            return _single(monomial**power, number**power, form.conclusive)
        return _atom(expr)
    lead = _lead(form)
    number = form.terms[lead]
    if power.is_Integer or (number.is_positive and lead.is_positive):
        rest = Add(*(b / number * (m / lead) for m, b in form.terms.items()))
        return _product(_single(lead**power, number**power), _atom(rest**power))
    return _atom(expr)


def _logarithm(expr: Expr) -> NormalForm:
    form = _form(expr.args[0])
    if not form.terms:
        return _atom(expr)
    lead = _lead(form)
    number = form.terms[lead]
    if not (number.is_positive and lead.is_positive):
        return _atom(expr)
    parts = [_form(log(number))] if number is not S.One else []
    for factor in Mul.make_args(lead):
        if isinstance(factor, exp):
            parts.append(_form(factor.args[0]))
        elif factor is not S.One:
            base, power = factor.as_base_exp()
            parts.append(_single(log(base), power, base.is_Symbol))
    if len(form.terms) > 1:
        parts.append(_atom(log(Add(*(b / number * (m / lead) for m, b in form.terms.items())))))
    return _sum(parts)


def _sign(expr: Expr) -> NormalForm:
    form = _form(expr.args[0])
    if not form.terms:
        return form
    lead = _lead(form)
    number = form.terms[lead]
    if len(form.terms) > 1:
        crossing = _crossing(form)
        if crossing is not None:
            return _form(crossing)
        if number.is_zero is not False or not number.is_real or not lead.is_positive:
            return _atom(expr)
        rest = Add(*(b / number * (m / lead) for m, b in form.terms.items()))
        return _single(sign(rest, evaluate=False), sign(number), conclusive=False)
    monomial, outside = S.One, sign(number)
    for factor in Mul.make_args(lead):
        if not factor.is_positive:
            base, power = factor.as_base_exp()
            odd = power.is_Integer and power % 2
            monomial *= sign(base) if odd else sign(base) ** 2
    return _single(monomial, outside, conclusive=False)


def _crossing(form: NormalForm) -> Expr | None:
    """sign(a exp(k x) + b) is the sign of a k (x - log(-b/a)/k), or of a."""
    if len(form.terms) != 2:
        return None
    low, high = sorted(form.terms, key=lambda m: m is not S.One)
    if low is not S.One or not isinstance(high, exp):
        return None
    a, b, (argument,) = form.terms[high], form.terms[low], high.args
    if (a * b).is_positive:
        return sign(a)
    symbols = argument.free_symbols
    if (a * b).is_negative and len(symbols) == 1:
        (symbol,) = symbols
        rate = argument / symbol
        if rate.is_Rational:
            return sign(a * rate) * sign(symbol - log(-b / a) / rate)
    return None


def _lead(form: NormalForm) -> Expr:
    """Return the least monomial in an order that multiplication by a monomial keeps."""
    symbols = sorted({s for m in form.terms for s in m.free_symbols}, key=lambda s: str(s.name))
    return min(form.terms, key=lambda m: (_degrees(m, symbols), sp.default_sort_key(m)))


def _degrees(monomial: Expr, symbols: list[Symbol]) -> tuple[Expr, ...]:
    rates: dict[Symbol, Expr] = dict.fromkeys(symbols, S.Zero)
    powers: dict[Symbol, Expr] = dict.fromkeys(symbols, S.Zero)
    for factor in Mul.make_args(monomial):
        if isinstance(factor, exp):
            for term in Add.make_args(factor.args[0]):
                number, rest = term.as_coeff_Mul()
                if rest in rates:
                    rates[rest] += number
        else:
            base, power = factor.as_base_exp()
            if base in powers and power.is_Rational:
                powers[base] += power
    return (*rates.values(), *powers.values())
