"""Tests equalities in exact arithmetic at the size of a real vocabulary, every component at once.

Both sides are rational functions of the probabilities and of unknowns for logarithms, exponentials and
arbitrary functions, of low degree: if they were different, random numbers modulo 2^61 - 1 would not
show it with a chance of their degree over the prime (Schwartz and Zippel).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from importlib.util import find_spec
from typing import Any

from sympy import Dummy, Expr, Symbol

from proofs.engines.abstraction import Abstraction
from proofs.engines.balls import counterexample
from proofs.engines.base import TableEngine
from proofs.engines.modular.field import Element, Zero, add, multiply, negative, total
from proofs.engines.modular.trees import sequence_difference, sequence_means_agree
from proofs.engines.modular.world import ONES, World, world
from proofs.engines.slopes import derivative
from proofs.ledger import Finding, Outcome
from proofs.statements import (
    ExpectedGradient,
    Gradient,
    Identity,
    SampleGradient,
    SequenceGradient,
    SequenceValue,
    Stationary,
    Total,
    Value,
    undetached,
)
from proofs.symbols import P

SIZE = 131072
_FIELD = "modulo 2^61 - 1, chance of a false agreement below 1e-12"
SCOPE = f"V = {SIZE}, {_FIELD}"
_SHAPES = ((2, 2), (2, 3), (3, 2), (4, 2))
"""Horizons and vocabularies of the trees."""
_SEEDS = (20251001, 20251002, 20251003)
Check = Callable[[World, Any], tuple[bool, bool]]
"""Whether the sides agree in a world, and whether nothing in them had to be made an unknown."""


def _read(drawn: World, exprs: Sequence[Expr], masses: Mapping[Symbol, Expr] = ONES) -> tuple[list[Element], bool]:
    """The values of expressions, and whether they are rational as they stand."""
    abstraction = Abstraction()
    read = abstraction.read(*exprs)
    values = drawn.values(abstraction, {s for e in read for s in e.free_symbols}, masses)
    key = tuple(sorted((str(s), str(mass)) for s, mass in masses.items()))
    return [drawn.evaluate(e, values, key) for e in read], not abstraction.unknowns


def _same(drawn: World, a: Element, b: Element) -> bool:
    difference = add(a, negative(b))
    return difference == 0 if isinstance(difference, int) else not difference.any()


def _in_logits(drawn: World, slope: Element) -> Element:
    """All components p_k (a_k - sum_i p_i a_i)."""
    p = drawn.square_row(str(P), 1)[0]
    mean = total(multiply(p, slope), drawn.size)
    return multiply(p, add(slope, negative(mean)))


def _slope(gradient: Gradient) -> Expr:
    return gradient.weight * derivative(gradient.of, P)


def _expected(drawn: World, statement: ExpectedGradient) -> tuple[bool, bool]:
    (left, right), plain = _read(drawn, [_slope(statement.left), _slope(statement.right)])
    return _same(drawn, _in_logits(drawn, left), _in_logits(drawn, right)), plain


def _sample(drawn: World, statement: SampleGradient) -> tuple[bool, bool]:
    sides = [derivative(side, P) for side in (statement.left, statement.right)]
    (left, right), plain = _read(drawn, sides)
    return _same(drawn, left, right), plain


def _identity(drawn: World, statement: Identity) -> tuple[bool, bool]:
    (left, right), plain = _read(drawn, [statement.left, statement.right])
    return _same(drawn, left, right), plain


def _stationary(drawn: World, statement: Stationary) -> tuple[bool, bool]:
    (force,), plain = _read(drawn, [statement.force.subs(P, statement.policy)])
    return isinstance(force, int) or _same(drawn, force, int(force[0])), plain


def _value(drawn: World, statement: Value) -> tuple[bool, bool]:
    """The sums become numbers, and the sides expressions in them."""
    sides = [undetached(side) for side in (statement.left, statement.right)]
    sums = sorted({e for side in sides for e in side.atoms(Total)}, key=str)
    names = {e: Dummy(f"T{i}", real=True) for i, e in enumerate(sums)}
    abstraction = Abstraction()
    read = abstraction.read(*(e.args[0] for e in sums), *(side.xreplace(names) for side in sides))
    symbols = {s for e in read for s in e.free_symbols} - set(names.values())
    values = drawn.values(abstraction, symbols, statement.masses)
    key = tuple(sorted((str(s), str(mass)) for s, mass in statement.masses.items()))
    for e, body in zip(sums, read[: len(sums)], strict=True):
        values[names[e]] = total(drawn.evaluate(body, values, key), drawn.size)
    left, right = (drawn.evaluate(e, values) for e in read[len(sums) :])
    return _same(drawn, left, right), not abstraction.unknowns


def _decided(check: Check, scope: str = SCOPE) -> Callable[[Any], Finding]:
    def decide(statement: Any) -> Finding:
        for seed in _SEEDS:
            try:
                agree, plain = check(world(SIZE, seed), statement)
            except Zero:
                continue
            return Finding(Outcome.TESTED, scope) if agree else _differs(statement, plain, scope)
        return Finding(Outcome.INCONCLUSIVE, detail="a division by zero in every draw")

    return decide


def _differs(statement: Any, plain: bool, scope: str) -> Finding:
    """A difference of rational functions is one; with unknowns it has to show in real numbers."""
    found = counterexample(statement)
    if found is not None:
        return Finding(Outcome.REFUTED, "this instance", "the sides differ", found)
    if plain:
        return Finding(Outcome.REFUTED, scope, "the sides differ as rational functions")
    return Finding(Outcome.INCONCLUSIVE, detail="the sides differ with logarithms taken as unknowns")


def _sequence(statement: SequenceGradient | SequenceValue) -> Finding:
    """Hold both sides against each other on random trees."""
    scope = f"T = 2, 3, 4, V = 2, 3, {_FIELD}"
    for seed in _SEEDS:
        try:
            agree = all(_agree_on_a_tree(statement, horizon, size, seed) for horizon, size in _SHAPES)
        except Zero:
            continue
        return Finding(Outcome.TESTED, scope) if agree else _differs(statement, False, scope)
    return Finding(Outcome.INCONCLUSIVE, detail="a division by zero in every draw")


def _agree_on_a_tree(statement: SequenceGradient | SequenceValue, horizon: int, size: int, seed: int) -> bool:
    if isinstance(statement, SequenceValue):
        return sequence_means_agree(statement, horizon, size, seed)
    return sequence_difference(statement, horizon, size, seed)


def _missing() -> str | None:
    return None if find_spec("numpy") else "pip install numpy"


MODULAR = TableEngine(
    "modular",
    "arithmetic modulo 2^61 - 1",
    {
        ExpectedGradient: _decided(_expected),
        SampleGradient: _decided(_sample),
        Value: _decided(_value),
        Stationary: _decided(_stationary),
        Identity: _decided(_identity, f"one random point {_FIELD}"),
        SequenceGradient: _sequence,
        SequenceValue: _sequence,
    },
    _missing,
)

__all__ = ["MODULAR", "SCOPE", "SIZE"]
