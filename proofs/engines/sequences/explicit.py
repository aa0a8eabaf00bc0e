"""The second path for whole answers: a binary tree of two tokens, every sum written out.

After each prefix the policy takes token 1 with probability exp(x)/(1 + exp(x)), x a raw logit. Both
probabilities of a choice are kept as symbols whose derivatives by x are SymPy's own. What is detached,
and what draws, is written in a second, frozen set of probabilities, put equal to the first once the
derivative is taken. Logarithms and roots are then unknowns of their own: what has to vanish is, for
each product of them, a rational function of probabilities, brought over one denominator with the
probability of token 0 written as 1 minus that of token 1.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from itertools import product
from random import Random
from typing import Any

import sympy as sp
from mpmath import iv
from sympy import QQ, Add, Expr, Integer, Mul, Rational, Symbol, log
from sympy.polys.rings import ring

from proofs.engines.base import CannotExpress
from proofs.ledger import Finding, Outcome
from proofs.statements import MeanGradient, SequenceGradient, SequenceValue, Surrogate, sg
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
_THAWED = {frozen: live for prefix in _PREFIXES for frozen, live in zip(_FROZEN[prefix], _POLICY[prefix], strict=True)}
_COMPLEMENT = {row[0]: row[1] for table in (_POLICY, _FROZEN, _REFERENCE, _SAMPLER) for row in table.values()}
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


def _by_logit(expr: Expr, prefix: Prefix) -> Expr:
    """The derivative by the logit of the policy's choice after a prefix."""
    row = dict(zip(_POLICY[()], _POLICY[prefix], strict=True))
    return Add(*(expr.diff(p) * slope.xreplace(row) for p, slope in zip(_POLICY[prefix], _slopes(), strict=True)))


def prove_explicitly(statement: SequenceGradient | SequenceValue) -> Finding:
    """Write both sides out and cancel; refute where intervals at a rational point have no zero."""
    if isinstance(statement, SequenceValue):
        residues: dict[Prefix | None, Expr] = {None: _difference(statement, _POLICY).xreplace(_THAWED)}
    else:
        difference = _difference(statement, _FROZEN)
        residues = {prefix: _by_logit(difference, prefix).xreplace(_THAWED) for prefix in _PREFIXES}
    left = {prefix: residue for prefix, residue in residues.items() if not _vanishes(residue)}
    if not left:
        return Finding(Outcome.PROVED, _SCOPE)
    for prefix, residue in left.items():
        point = _certain_difference(residue)
        if point is not None:
            what = "the expectations differ"
            if prefix is not None:
                what = f"the derivatives by the logit after {' '.join(map(str, prefix)) or 'the start'} differ"
            return Finding(Outcome.REFUTED, _SCOPE, what, {str(s): str(v) for s, v in point.items()})
    return Finding(Outcome.INCONCLUSIVE, _SCOPE, "a side is left over, and no point tells it from zero")


def _difference(statement: SequenceGradient | SequenceValue, drawing: Table) -> Expr:
    """E left - E right with the drawing policy's probabilities as given."""
    return Add(
        *_summands(statement.left, statement.left_drawn_from, drawing, statement.variable_length),
        *(-x for x in _summands(statement.right, statement.right_drawn_from, drawing, statement.variable_length)),
    )


def _summands(surrogate: Surrogate, drawn: Symbol, drawing: Table, ends: bool) -> list[Expr]:
    """Probability times surrogate, one for each answer."""
    if isinstance(surrogate, MeanGradient) and drawing is _FROZEN:
        # the gradient of a mean is taken of the mean itself, not by the log-derivative rule
        surrogate, drawing = surrogate.value, _POLICY
    table = drawing if drawn == P else _SAMPLER
    expr = sp.sympify(surrogate(_T))
    return [_chance(table, answer) * _on(expr, answer) for answer in _answers(ends)]


@cache
def _answers(ends: bool) -> tuple[Prefix, ...]:
    if ends:
        return (0,), (1, 0), (1, 1)
    return tuple(product((0, 1), repeat=_T))


def _chance(table: Table, answer: Prefix) -> Expr:
    return Mul(*(table[answer[:t]][token] for t, token in enumerate(answer)))


def _on(expr: Expr, answer: Prefix) -> Expr:
    """The surrogate on one answer, its detached parts in the frozen probabilities."""
    live, frozen = _values_at(False, answer), _values_at(True, answer)
    return expr.replace(sg, lambda x: x.xreplace(frozen)).xreplace(live)


@cache
def _values_at(is_frozen: bool, answer: Prefix) -> dict[Symbol, Expr]:
    """What each symbol is on the answer; a position after its end counts for nothing."""
    policy = _FROZEN if is_frozen else _POLICY
    values: dict[Symbol, Expr] = {LENGTH: Integer(len(answer))}
    for t in range(_T):
        log_ratio, rho = token_symbols(t)
        divergences = (divergence_symbol(t), reference_divergence_symbol(t))
        if t >= len(answer):
            values |= dict.fromkeys((log_ratio, *divergences, log_policy_symbol(t)), Integer(0))
            values[rho] = Integer(1)
            continue
        prefix, token = answer[:t], answer[t]
        p, q, m = (table[prefix] for table in (policy, _REFERENCE, _SAMPLER))
        log_p, log_q = tuple(map(log, p)), tuple(map(log, q))
        values |= {
            log_ratio: log_p[token] - log_q[token],
            rho: p[token] / m[token],
            log_policy_symbol(t): log_p[token],
            divergences[0]: Add(*(p[a] * (log_p[a] - log_q[a]) for a in (0, 1))),
            divergences[1]: Add(*(q[a] * (log_q[a] - log_p[a]) for a in (0, 1))),
        }
    return values


def _vanishes(residue: Expr) -> bool:
    """Whether the residue is zero as a polynomial in logarithms and roots over rational functions.

    That is enough to be zero, whatever relations the logarithms and roots may have.
    """
    groups: dict[frozenset[tuple[Expr, Expr]], dict[frozenset[tuple[Symbol, int]], Expr]] = {}
    for term, number in sp.expand(residue).as_coefficients_dict().items():
        if not number.is_Rational:
            raise CannotExpress(f"the number {number} is not rational")
        unknowns, powers = _sorted_factors(term)
        group = groups.setdefault(frozenset(unknowns.items()), {})
        key = frozenset(powers.items())
        group[key] = group.get(key, Integer(0)) + number
    return all(_cancels(group) for group in groups.values())


def _sorted_factors(term: Expr) -> tuple[dict[Expr, Expr], dict[Symbol, int]]:
    """The powers of logarithms and roots in a monomial, and the whole powers of its symbols."""
    unknowns: dict[Expr, Expr] = {}
    powers: dict[Symbol, int] = {}
    for base, power in term.as_powers_dict().items():
        if base == 1:
            continue
        if isinstance(base, log) and base.args[0].is_Symbol and power.is_Integer:
            unknowns[base] = power
        elif base.is_Symbol and power.is_Rational:
            whole, rest = divmod(power, 1)
            powers[base] = int(whole)
            if rest:
                unknowns[base] = rest
        else:
            raise CannotExpress(f"{base}**{power} is neither a power of a probability nor of its logarithm")
    return unknowns, powers


def _cancels(terms: Mapping[frozenset[tuple[Symbol, int]], Expr]) -> bool:
    """Whether a sum of numbers times powers of probabilities vanishes."""
    lowest: dict[Symbol, int] = {}
    for powers in terms:
        for symbol, power in powers:
            lowest[symbol] = min(lowest.get(symbol, 0), power)
    if not lowest:
        return all(number == 0 for number in terms.values())
    free = sorted({_COMPLEMENT.get(symbol, symbol) for symbol in lowest}, key=str)
    polynomials, *generators = ring(free, QQ)
    images = dict(zip(free, generators, strict=True))
    images |= {symbol: 1 - images[_COMPLEMENT[symbol]] for symbol in lowest if symbol in _COMPLEMENT}
    total = polynomials.zero
    for key, number in terms.items():
        exponents = dict(key)
        summand = polynomials(QQ(int(number.p), int(number.q)))
        for symbol, low in lowest.items():
            # times the common denominator; every exponent is 0 or more
            summand *= images[symbol] ** (exponents.get(symbol, 0) - low)
        total += summand
    return not total


def _certain_difference(residue: Expr) -> Mapping[Symbol, Expr] | None:
    """Return probabilities at which the residue, in intervals that round outwards, is certainly not zero."""
    choose = Random(7)
    symbols = sorted({_COMPLEMENT.get(symbol, symbol) for symbol in residue.free_symbols}, key=str)
    for _ in range(3):
        point: dict[Symbol, Expr] = {symbol: Rational(choose.randint(1, 18), 19) for symbol in symbols}
        point |= {zero: 1 - point[one] for zero, one in _COMPLEMENT.items() if one in point}
        enclosed = _enclosed(residue, point)
        if enclosed.a > 0 or enclosed.b < 0:
            return point
    return None


def _enclosed(expr: Expr, point: Mapping[Symbol, Expr]) -> Any:
    if expr.is_Symbol:
        return _enclosed(point[expr], point)
    if expr.is_Rational:
        return iv.mpf(int(expr.p)) / int(expr.q)
    parts = [_enclosed(part, point) for part in expr.args]
    if expr.is_Add:
        return sum(parts, iv.mpf(0))
    if expr.is_Mul:
        total = iv.mpf(1)
        for part in parts:
            total *= part
        return total
    if isinstance(expr, log):
        return iv.log(parts[0])
    if expr.is_Pow and expr.exp.is_Integer:
        return parts[0] ** int(expr.exp)
    if expr.is_Pow and expr.exp.is_Rational:
        return iv.exp(parts[1] * iv.log(parts[0]))
    raise CannotExpress(f"no interval for {expr.func.__name__}")
