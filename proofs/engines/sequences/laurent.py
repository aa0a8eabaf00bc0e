"""Sums of numbers times powers of probabilities and of their logarithms, in plain dictionaries.

A generator is a probability, by its name, or its logarithm, the name after `LOG`. Powers are whole or
fractions, and may be negative. Logarithms and roots are unknowns of their own here: a sum without
terms is zero, and one with terms may still be, by relations that the caller knows.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from fractions import Fraction

from sympy import Expr, Rational, Symbol, exp, log

from proofs.engines.base import CannotExpress
from proofs.statements import sg

LOG = "log "
Number = int | Fraction
Monomial = tuple[tuple[str, Number], ...]
"""Generators and their powers, in the order of the generators."""
Terms = dict[Monomial, Number]
"""The number of each monomial, none of them 0."""

ONE: Monomial = ()


def constant(number: Number) -> Terms:
    """Return a number as terms."""
    return {ONE: number} if number else {}


def generator(name: str, power: Number = 1) -> Terms:
    """Return a power of a generator."""
    return {((name, power),): 1}


def total(parts: Iterable[Terms]) -> Terms:
    """Return the sum of the parts."""
    result: Terms = {}
    for part in parts:
        for monomial, number in part.items():
            result[monomial] = result.get(monomial, 0) + number
    return {monomial: number for monomial, number in result.items() if number}


def product(left: Terms, right: Terms) -> Terms:
    """Return left times right."""
    result: Terms = {}
    for m, a in left.items():
        for n, b in right.items():
            monomial = joined(m, n)
            result[monomial] = result.get(monomial, 0) + a * b
    return {monomial: number for monomial, number in result.items() if number}


def scaled(terms: Terms, number: Number) -> Terms:
    """Return the terms times a number other than 0."""
    return {monomial: number * own for monomial, own in terms.items()}


def joined(left: Monomial, right: Monomial) -> Monomial:
    """Return the product of two monomials."""
    if not left or not right:
        return left or right
    powers = dict(left)
    for name, power in right:
        powers[name] = powers.get(name, 0) + power
    return tuple(sorted((name, power) for name, power in powers.items() if power))


def derived(terms: Terms, slopes: Mapping[str, Terms]) -> Terms:
    """Return the derivative, the slopes those of the generators divided by the generator itself."""
    return total(
        scaled(product({monomial: number}, slopes[name]), power)
        for monomial, number in terms.items()
        for name, power in monomial
        if name in slopes
    )


def renamed(terms: Terms, names: Mapping[str, str]) -> Terms:
    """Return the terms with other names for some generators, two of which may become one."""
    result: Terms = {}
    for monomial, number in terms.items():
        new = ONE
        for name, power in monomial:
            new = joined(new, ((names.get(name, name), power),))
        result[new] = result.get(new, 0) + number
    return {monomial: number for monomial, number in result.items() if number}


def terms_of(expr: Expr, values: Mapping[Symbol, Terms], detached: Mapping[Symbol, Terms]) -> Terms:
    """Return an expression in terms, with the `detached` values inside of sg. Others are constants.

    Every generator in the values is positive, or the logarithm of one that is.
    """
    if expr.is_Symbol:
        return values[expr] if expr in values else generator(expr.name)
    if expr.is_Rational:
        return constant(_number(expr))
    if expr.is_Add:
        return total(terms_of(part, values, detached) for part in expr.args)
    if expr.is_Mul:
        result = constant(1)
        for part in expr.args:
            result = product(result, terms_of(part, values, detached))
        return result
    if isinstance(expr, sg):
        return terms_of(expr.args[0], detached, detached)
    if isinstance(expr, exp):
        return _exponential(terms_of(expr.args[0], values, detached))
    if isinstance(expr, log):
        _assert_positive(expr.args[0], values)
        return _logarithm(terms_of(expr.args[0], values, detached))
    if expr.is_Pow:
        power = terms_of(expr.exp, values, detached)
        if not power.keys() <= {ONE}:
            raise CannotExpress(f"the power {expr.exp} is no number")
        number = _plain(power.get(ONE, 0))
        if not isinstance(number, int):
            _assert_positive(expr.base, values)
        return _power(terms_of(expr.base, values, detached), number)
    raise CannotExpress(f"no rule for {expr.func.__name__}")


def _number(rational: Rational) -> Number:
    return int(rational.p) if rational.q == 1 else Fraction(int(rational.p), int(rational.q))


def _plain(number: Number) -> Number:
    return number.numerator if number.denominator == 1 else number


def _assert_positive(expr: Expr, values: Mapping[Symbol, Terms]) -> None:
    if any(not symbol.is_positive and symbol not in values for symbol in expr.free_symbols):
        raise CannotExpress(f"a root or logarithm of {expr}, which need not be positive")


def _power(base: Terms, power: Number) -> Terms:
    if isinstance(power, int) and power >= 0:
        result = constant(1)
        for _ in range(power):
            result = product(result, base)
        return result
    monomial, number = _single(base)
    if isinstance(power, int):
        return {tuple((name, own * power) for name, own in monomial): Fraction(number) ** power}
    if number != 1 or any(name.startswith(LOG) for name, _ in monomial):
        raise CannotExpress("a root of what is no product of probabilities")
    return {tuple((name, own * power) for name, own in monomial): 1}


def _exponential(argument: Terms) -> Terms:
    """Return p^a for exp(a log p)."""
    result = ONE
    for monomial, number in argument.items():
        if len(monomial) != 1 or monomial[0][1] != 1 or not monomial[0][0].startswith(LOG):
            raise CannotExpress("an exponential of more than logarithms of probabilities")
        result = joined(result, ((monomial[0][0].removeprefix(LOG), number),))
    return {result: 1}


def _logarithm(argument: Terms) -> Terms:
    monomial, number = _single(argument)
    if number != 1 or any(name.startswith(LOG) for name, _ in monomial):
        raise CannotExpress("a logarithm of what is no product of probabilities")
    return {((LOG + name, 1),): power for name, power in monomial}


def _single(terms: Terms) -> tuple[Monomial, Number]:
    """The only monomial, and its number."""
    if len(terms) != 1:
        raise CannotExpress("a root, quotient or logarithm of a sum")
    return next(iter(terms.items()))
