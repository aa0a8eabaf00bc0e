"""The second path for whole answers: a binary tree of two tokens, every sum written out.

After each prefix the policy takes token 1 with probability exp(x)/(1 + exp(x)), x a raw logit. Both
probabilities of a choice are kept as unknowns whose derivatives by x are SymPy's own. What is detached,
and what draws, is written in a second, frozen set of probabilities, put equal to the first once the
derivative is taken. Logarithms and roots are then unknowns of their own (`laurent`): what has to vanish
is, for each product of them, a rational function of probabilities, brought over one denominator with
the probability of token 0 written as 1 minus that of token 1.
"""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction
from functools import cache
from itertools import product
from math import comb
from random import Random
from typing import Any

import sympy as sp
from mpmath import iv
from sympy import Expr, Symbol

from proofs.engines.sequences import laurent
from proofs.engines.sequences.laurent import LOG, ONE, Monomial, Number, Terms
from proofs.ledger import Finding, Outcome
from proofs.statements import MeanGradient, SequenceGradient, SequenceValue, Surrogate
from proofs.symbols import (
    LENGTH,
    P,
    divergence_symbol,
    log_policy_symbol,
    reference_divergence_symbol,
    token_symbols,
)

Prefix = tuple[int, ...]
Row = tuple[Symbol, Symbol]
Table = Mapping[Prefix, Row]
_T = 2
_SCOPE = "V = 2, T = 2"
_PREFIXES: tuple[Prefix, ...] = ((), (0,), (1,))


def _table(name: str) -> dict[Prefix, Row]:
    """The probabilities of tokens 0 and 1 after every prefix."""

    def symbol(prefix: Prefix, token: int) -> Symbol:
        return Symbol(f"{name}({token} | {' '.join(map(str, prefix)) or 'start'})", positive=True)

    return {prefix: (symbol(prefix, 0), symbol(prefix, 1)) for prefix in _PREFIXES}


_POLICY, _FROZEN, _REFERENCE, _SAMPLER = map(_table, ("policy", "frozen", "reference", "sampler"))
_THAWED = {
    prelude + frozen.name: prelude + live.name
    for prefix in _PREFIXES
    for frozen, live in zip(_FROZEN[prefix], _POLICY[prefix], strict=True)
    for prelude in ("", LOG)
}
_COMPLEMENT = {row[0].name: row[1].name for table in (_POLICY, _REFERENCE, _SAMPLER) for row in table.values()}
"""The probability of token 0 is 1 minus that of token 1."""


@cache
def _slopes() -> tuple[Expr, Expr]:
    """d/dx of the two probabilities of a choice with the logit x, as expressions in them."""
    x, zero, one = Symbol("x", real=True), *_POLICY[()]
    probabilities = (1 / (1 + sp.exp(x)), sp.exp(x) / (1 + sp.exp(x)))
    at = {sp.exp(x): one / zero}
    # over the odds, 1 + one/zero = 1/zero as the two sum to 1
    of_zero, of_one = (sp.factor(p.diff(x).subs(at)).subs(zero + one, 1) for p in probabilities)
    return of_zero, of_one


@cache
def _relative_slopes(prefix: Prefix) -> Mapping[str, Terms]:
    """The slopes by the logit after a prefix, of p and log p, each divided by what it is the slope of."""
    row = {there: laurent.generator(here.name) for there, here in zip(_POLICY[()], _POLICY[prefix], strict=True)}
    slopes: dict[str, Terms] = {}
    for p, slope in zip(_POLICY[prefix], _slopes(), strict=True):
        relative = laurent.product(laurent.terms_of(slope, row, {}), laurent.generator(p.name, -1))
        slopes[p.name] = relative
        slopes[LOG + p.name] = laurent.product(relative, laurent.generator(LOG + p.name, -1))
    return slopes


def prove_explicitly(statement: SequenceGradient | SequenceValue) -> Finding:
    """Write both sides out and cancel; refute where intervals at a rational point have no zero."""
    if isinstance(statement, SequenceValue):
        difference = _difference(statement, _POLICY)
        residues: dict[Prefix | None, Terms] = {None: laurent.renamed(difference, _THAWED)}
    else:
        difference = _difference(statement, _FROZEN)
        residues = {
            prefix: laurent.renamed(laurent.derived(difference, _relative_slopes(prefix)), _THAWED)
            for prefix in _PREFIXES
        }
    left = {prefix: residue for prefix, residue in residues.items() if not _vanishes(residue)}
    if not left:
        return Finding(Outcome.PROVED, _SCOPE)
    for prefix, residue in left.items():
        point = _certain_difference(residue)
        if point is not None:
            what = "the expectations differ"
            if prefix is not None:
                what = f"the derivatives by the logit after {' '.join(map(str, prefix)) or 'the start'} differ"
            return Finding(Outcome.REFUTED, _SCOPE, what, {name: str(v) for name, v in point.items()})
    return Finding(Outcome.INCONCLUSIVE, _SCOPE, "a side is left over, and no point tells it from zero")


def _difference(statement: SequenceGradient | SequenceValue, drawing: Table) -> Terms:
    """E left - E right with the drawing policy's probabilities as given."""
    left = _summands(statement.left, statement.left_drawn_from, drawing, statement.variable_length)
    right = _summands(statement.right, statement.right_drawn_from, drawing, statement.variable_length)
    return laurent.total([*left, *(laurent.scaled(x, -1) for x in right)])


def _summands(surrogate: Surrogate, drawn: Symbol, drawing: Table, ends: bool) -> list[Terms]:
    """Probability times surrogate, one for each answer."""
    if isinstance(surrogate, MeanGradient) and drawing is _FROZEN:
        # the gradient of a mean is taken of the mean itself, not by the log-derivative rule
        surrogate, drawing = surrogate.value, _POLICY
    table = drawing if drawn == P else _SAMPLER
    expr = sp.sympify(surrogate(_T))
    return [laurent.product(_chance(table, answer), _on(expr, answer)) for answer in _answers(ends)]


@cache
def _answers(ends: bool) -> tuple[Prefix, ...]:
    if ends:
        return (0,), (1, 0), (1, 1)
    return tuple(product((0, 1), repeat=_T))


def _chance(table: Table, answer: Prefix) -> Terms:
    result = laurent.constant(1)
    for t, token in enumerate(answer):
        result = laurent.product(result, laurent.generator(table[answer[:t]][token].name))
    return result


def _on(expr: Expr, answer: Prefix) -> Terms:
    """The surrogate on one answer, its detached parts in the frozen probabilities."""
    return laurent.terms_of(expr, _values_at(False, answer), _values_at(True, answer))


@cache
def _values_at(is_frozen: bool, answer: Prefix) -> dict[Symbol, Terms]:
    """What each symbol is on the answer; a position after its end counts for nothing."""
    policy = _FROZEN if is_frozen else _POLICY
    values: dict[Symbol, Terms] = {LENGTH: laurent.constant(len(answer))}
    for t in range(_T):
        log_ratio, rho = token_symbols(t)
        divergences = (divergence_symbol(t), reference_divergence_symbol(t))
        if t >= len(answer):
            values |= dict.fromkeys((log_ratio, *divergences, log_policy_symbol(t)), laurent.constant(0))
            values[rho] = laurent.constant(1)
            continue
        prefix, token = answer[:t], answer[t]
        p, q, m = ([symbol.name for symbol in table[prefix]] for table in (policy, _REFERENCE, _SAMPLER))
        log_ratios = [
            laurent.total([laurent.generator(LOG + p[a]), laurent.scaled(laurent.generator(LOG + q[a]), -1)])
            for a in (0, 1)
        ]
        values |= {
            log_ratio: log_ratios[token],
            rho: laurent.product(laurent.generator(p[token]), laurent.generator(m[token], -1)),
            log_policy_symbol(t): laurent.generator(LOG + p[token]),
            divergences[0]: laurent.total(laurent.product(laurent.generator(p[a]), log_ratios[a]) for a in (0, 1)),
            divergences[1]: laurent.total(
                laurent.scaled(laurent.product(laurent.generator(q[a]), log_ratios[a]), -1) for a in (0, 1)
            ),
        }
    return values


def _vanishes(residue: Terms) -> bool:
    """Whether the residue is zero as a polynomial in logarithms and roots over rational functions.

    That is enough to be zero, whatever relations the logarithms and roots may have.
    """
    return all(_cancels(group) for group in _by_unknowns(residue).values())


def _by_unknowns(residue: Terms) -> dict[Monomial, Terms]:
    """For each product of logarithms and roots the terms in whole powers of probabilities that it has."""
    groups: dict[Monomial, Terms] = {}
    for monomial, number in residue.items():
        unknowns, powers = [], []
        for name, power in monomial:
            if name.startswith(LOG):
                unknowns.append((name, power))
                continue
            whole, rest = divmod(power, 1)
            if whole:
                powers.append((name, whole))
            if rest:
                unknowns.append((name, rest))
        groups.setdefault(tuple(unknowns), {})[tuple(powers)] = number
    return groups


def _cancels(terms: Terms) -> bool:
    """Whether a sum of numbers times whole powers of probabilities vanishes."""
    lowest: dict[str, Number] = {}
    for monomial in terms:
        for name, power in monomial:
            lowest[name] = min(lowest.get(name, 0), power)
    # times the common denominator; every exponent is then 0 or more
    denominator = tuple((name, -low) for name, low in sorted(lowest.items()) if low)
    left = {laurent.joined(monomial, denominator): number for monomial, number in terms.items()}
    for zero in lowest:
        if zero in _COMPLEMENT:
            left = laurent.total(_without(zero, monomial, number) for monomial, number in left.items())
    return not left


def _without(zero: str, monomial: Monomial, number: Number) -> Terms:
    """A term with the probability of token 0 written as 1 minus that of token 1, multiplied out."""
    powers = dict(monomial)
    degree = int(powers.pop(zero, 0))
    if not degree:
        return {monomial: number}
    rest = tuple(powers.items())
    return {
        laurent.joined(rest, ((_COMPLEMENT[zero], k),) if k else ONE): (-1) ** k * comb(degree, k) * number
        for k in range(degree + 1)
    }


def _certain_difference(residue: Terms) -> Mapping[str, Fraction] | None:
    """Return probabilities at which the residue, in intervals that round outwards, is certainly not zero."""
    choose = Random(7)
    names = {name.removeprefix(LOG) for monomial in residue for name, _ in monomial}
    for _ in range(3):
        point = {name: Fraction(choose.randint(1, 18), 19) for name in sorted({_COMPLEMENT.get(n, n) for n in names})}
        point |= {zero: 1 - point[one] for zero, one in _COMPLEMENT.items() if one in point}
        enclosed = _enclosed(residue, point)
        if enclosed.a > 0 or enclosed.b < 0:
            return point
    return None


def _enclosed(residue: Terms, point: Mapping[str, Fraction]) -> Any:
    """The residue in intervals; what has whole powers only is exact before it is one."""
    result = iv.mpf(0)
    for unknowns, terms in _by_unknowns(residue).items():
        exact = Fraction(0)
        for monomial, number in terms.items():
            value = Fraction(number)
            for name, power in monomial:
                value *= point[name] ** int(power)
            exact += value
        part = _interval(exact)
        for name, power in unknowns:
            logarithm = iv.log(_interval(point[name.removeprefix(LOG)]))
            part *= logarithm ** int(power) if name.startswith(LOG) else iv.exp(_interval(Fraction(power)) * logarithm)
        result += part
    return result


def _interval(number: Fraction) -> Any:
    return iv.mpf(number.numerator) / number.denominator
