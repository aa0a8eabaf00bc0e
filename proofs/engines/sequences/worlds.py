"""Counterexamples for the prover: binary trees in rational numbers, evaluated in intervals.

`mpmath.iv` rounds outwards, so an interval without zero is a certain difference. The expected gradient
is taken by the logit of each prefix, every answer of two tokens listed.
"""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from functools import cache
from itertools import product
from typing import Any

import sympy as sp
from mpmath import iv
from sympy import Expr, Symbol, exp, log

from proofs.engines.base import CannotExpress
from proofs.engines.sequences.fields import DIVERGENCE, SCORE, Direction, field_of, value_of
from proofs.ledger import Finding, Outcome
from proofs.statements import SequenceGradient, SequenceValue
from proofs.symbols import LENGTH, P, divergence_symbol, reference_divergence_symbol, token_symbols

Prefix = tuple[int, ...]
Interval = Any
HORIZON = 2
_TRIES = 3
_SEED = 20251001


@dataclass(frozen=True)
class World:
    """The probability of token 1 after every prefix; what ends with token 0 is over if `ends`."""

    policy: Mapping[Prefix, Fraction]
    reference: Mapping[Prefix, Fraction]
    sampler: Mapping[Prefix, Fraction]
    ends: bool

    def answers(self) -> list[Prefix]:
        """Every answer; with `ends` only those that end once."""
        full = list(product((0, 1), repeat=HORIZON))
        if not self.ends:
            return full
        return sorted({y[: y.index(0) + 1] if 0 in y else y for y in full})

    def shown(self) -> dict[str, str]:
        """The world for a reader."""
        tables = {"policy": self.policy, "reference": self.reference, "sampler": self.sampler}
        return {
            f"{who}(1 | {' '.join(map(str, prefix)) or 'start'})": str(probability)
            for who, table in tables.items()
            for prefix, probability in table.items()
        }


@cache
def draw(seed: int, ends: bool) -> World:
    """Return a random world in small fractions."""
    choose = random.Random(seed)
    prefixes = [p for t in range(HORIZON) for p in product((0, 1), repeat=t) if not (ends and 0 in p)]

    def table() -> dict[Prefix, Fraction]:
        return {prefix: Fraction(choose.randint(1, 9), 10) for prefix in prefixes}

    return World(table(), table(), table(), ends)


def counterexample(statement: SequenceGradient | SequenceValue) -> Finding | None:
    """Return a refutation by a world in which the sides certainly differ; None if none of a few tells."""
    for attempt in range(_TRIES):
        world = draw(_SEED + attempt, statement.variable_length)
        left = _expected(statement, world, True)
        right = _expected(statement, world, False)
        for prefix, value in left.items():
            gap = value - right[prefix]
            if gap.a > 0 or gap.b < 0:
                what = "the expectations differ"
                if isinstance(statement, SequenceGradient):
                    what = f"the gradients by the logit after {' '.join(map(str, prefix)) or 'the start'} differ"
                size = sp.Float(float(gap.mid), 6)
                return Finding(Outcome.REFUTED, f"V = 2, T = {HORIZON}", f"{what} by {size}", world.shown())
    return None


def _expected(statement: SequenceGradient | SequenceValue, world: World, left: bool) -> dict[Prefix, Interval]:
    """The expectation of one side, for a gradient one number for each logit."""
    surrogate = statement.left if left else statement.right
    drawn = statement.left_drawn_from if left else statement.right_drawn_from
    chances = world.policy if drawn == P else world.sampler
    if isinstance(statement, SequenceValue):
        expr = value_of(surrogate, HORIZON, statement.variable_length)
        return {(): sum((_chance(chances, y) * _value(expr, _values(world, y)) for y in world.answers()), iv.mpf(0))}
    field = field_of(surrogate, HORIZON, statement.variable_length)
    total: dict[Prefix, Interval] = {prefix: iv.mpf(0) for prefix in world.policy}
    for y in world.answers():
        values, weight = _values(world, y), _chance(chances, y)
        for direction, coefficient in field.items():
            if direction.t < len(y):
                prefix = y[: direction.t]
                total[prefix] += weight * _value(coefficient, values) * _component(world, prefix, y, direction)
    return total


def _exact(number: Fraction) -> Interval:
    return iv.mpf(number.numerator) / number.denominator


def _row(table: Mapping[Prefix, Fraction], prefix: Prefix) -> tuple[Fraction, Fraction]:
    return 1 - table[prefix], table[prefix]


def _chance(table: Mapping[Prefix, Fraction], answer: Prefix) -> Interval:
    chance = Fraction(1)
    for t, token in enumerate(answer):
        chance *= _row(table, answer[:t])[token]
    return _exact(chance)


def _component(world: World, prefix: Prefix, answer: Prefix, direction: Direction) -> Interval:
    """The direction's component by the logit of token 1 after the prefix."""
    policy, reference = _row(world.policy, prefix), _row(world.reference, prefix)
    if direction.kind == SCORE:
        return _exact(answer[direction.t] - policy[1])
    if direction.kind == DIVERGENCE:
        ratios = [iv.log(_exact(p / q)) for p, q in zip(policy, reference, strict=True)]
        return _exact(policy[0] * policy[1]) * (ratios[1] - ratios[0])
    return _exact(policy[1] - reference[1])


def _values(world: World, answer: Prefix) -> dict[Symbol, Interval]:
    """What every symbol is on this answer; a position after the end counts for nothing."""
    values: dict[Symbol, Interval] = {LENGTH: iv.mpf(len(answer))}
    for t in range(HORIZON):
        log_ratio, rho = token_symbols(t)
        pair = (divergence_symbol(t), reference_divergence_symbol(t))
        if t >= len(answer):
            values |= {log_ratio: iv.mpf(0), rho: iv.mpf(1), pair[0]: iv.mpf(0), pair[1]: iv.mpf(0)}
            continue
        prefix, token = answer[:t], answer[t]
        policy, reference, sampler = (_row(w, prefix) for w in (world.policy, world.reference, world.sampler))
        ratios = [iv.log(_exact(p / q)) for p, q in zip(policy, reference, strict=True)]
        values[log_ratio], values[rho] = ratios[token], _exact(policy[token] / sampler[token])
        values[pair[0]] = sum((_exact(p) * r for p, r in zip(policy, ratios, strict=True)), iv.mpf(0))
        values[pair[1]] = sum((-_exact(q) * r for q, r in zip(reference, ratios, strict=True)), iv.mpf(0))
    return values


def _value(expr: Expr, values: Mapping[Symbol, Interval]) -> Interval:
    """Evaluate an expression in intervals; a symbol of its own is a constant and may be 2."""
    if expr.is_Symbol:
        return values.get(expr, iv.mpf(2))
    if expr.is_Rational:
        return iv.mpf(int(expr.p)) / int(expr.q)
    parts = [_value(part, values) for part in expr.args]
    if expr.is_Add:
        return sum(parts, iv.mpf(0))
    if expr.is_Mul:
        result = iv.mpf(1)
        for part in parts:
            result *= part
        return result
    if isinstance(expr, exp):
        return iv.exp(parts[0])
    if isinstance(expr, log):
        return iv.log(parts[0])
    if expr.is_Pow:
        if expr.exp.is_Integer:
            return parts[0] ** int(expr.exp)
        return iv.exp(parts[1] * iv.log(parts[0]))
    raise CannotExpress(f"no interval for {expr.func.__name__}")
