"""Every rule of the reduction, on every small monomial, against expectations in a listed world."""

from __future__ import annotations

from functools import cache
from itertools import product

import pytest
import sympy as sp
from mpmath import iv

from proofs.engines.sequences import worlds
from proofs.engines.sequences.fields import DIVERGENCE, REFERENCE_DIVERGENCE, SCORE, Direction
from proofs.engines.sequences.reduction import integrated
from proofs.symbols import LENGTH, divergence_symbol, reference_divergence_symbol, token_symbols


def _own(t):
    x, rho = token_symbols(t)
    return [sp.Integer(1), x, rho, rho * sp.exp(-x), rho * x, rho * x * sp.exp(-x)]


SHARED = [sp.Integer(1), divergence_symbol(0), divergence_symbol(1), reference_divergence_symbol(1), 1 / LENGTH]
DIRECTIONS = [None, *(Direction(kind, t) for kind in (SCORE, DIVERGENCE, REFERENCE_DIVERGENCE) for t in (0, 1))]


def answers(world):
    """Every answer with its chance and the values in it, and a function that knows their directions' components."""
    listed = [(a, worlds._chance(world.sampler, a), worlds._values(world, a)) for a in world.answers()]
    return listed, cache(lambda answer, to: worlds._component(world, answer[: to.t], answer, to))


def expectation(world, listed, component, monomial, direction):
    """E_sampler[monomial * direction], one number a logit."""
    total = dict.fromkeys(world.policy, iv.mpf(0))
    for answer, chance, values in listed:
        weight = chance * worlds._value(monomial, values)
        if direction is None:
            total[()] += weight
        elif direction.t < len(answer):
            total[answer[: direction.t]] += weight * component(answer, direction)
    return total


@pytest.mark.parametrize("ends", [False, True])
@pytest.mark.parametrize("direction", DIRECTIONS, ids=str)
def test_what_is_integrated_out_has_the_same_expectation(direction, ends):
    world = worlds.draw(11, ends)
    listed, component = answers(world)
    changed = 0
    for first, second, shared in product(_own(0), _own(1), SHARED):
        monomial = first * second * shared
        number, reduced, into = integrated(monomial, direction, 2)
        before, after = (
            expectation(world, listed, component, *term) for term in ((monomial, direction), (reduced, into))
        )
        for prefix, value in before.items():
            difference = value - after[prefix] * int(number)
            assert 0 in difference, (monomial, direction)
            assert difference.delta < 1e-10
        changed += (reduced, into) != (monomial, direction)
    # a rule that never applied would have been held against nothing
    assert changed > 0
