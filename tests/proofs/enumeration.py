"""An independent world to hold the calculus against: every answer of T tokens, listed.

Nothing here comes from `proofs` but the symbols that formulas are written in.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from itertools import product

import mpmath
import sympy as sp

from proofs.symbols import token_symbols

Prefix = tuple[int, ...]


@dataclass(frozen=True)
class World:
    """Next-token probabilities of policy, reference and sampler after every prefix."""

    size: int
    horizon: int
    policy: dict[Prefix, list[Fraction]]
    reference: dict[Prefix, list[Fraction]]
    sampler: dict[Prefix, list[Fraction]]

    @property
    def answers(self) -> list[Prefix]:
        return list(product(range(self.size), repeat=self.horizon))

    @property
    def parameters(self) -> list[tuple[Prefix, int]]:
        """One logit for each prefix and token."""
        return [(prefix, token) for prefix in self.policy for token in range(self.size)]


def draw(size: int, horizon: int, seed: int, on_policy: bool = False) -> World:
    """Random rational distributions."""
    rng = random.Random(seed)
    prefixes = [p for t in range(horizon) for p in product(range(size), repeat=t)]

    def table() -> dict[Prefix, list[Fraction]]:
        out = {}
        for prefix in prefixes:
            weights = [rng.randint(1, 9) for _ in range(size)]
            out[prefix] = [Fraction(w, sum(weights)) for w in weights]
        return out

    policy, reference, sampler = table(), table(), table()
    return World(size, horizon, policy, reference, policy if on_policy else sampler)


def chance(table: dict[Prefix, list], answer: Prefix):
    result = 1
    for t, token in enumerate(answer):
        result *= table[answer[:t]][token]
    return result


def score(world: World, answer: Prefix, t: int, parameter: tuple[Prefix, int]) -> Fraction:
    """d log pi(token t of the answer) / d logit."""
    prefix, token = parameter
    if answer[:t] != prefix:
        return Fraction(0)
    return (answer[t] == token) - world.policy[prefix][token]


def expected(world: World, value: Callable[[Prefix, int], object]) -> list:
    """E_sampler[sum_t value(answer, t) s_t], one entry for each parameter."""
    values = {
        (answer, t): chance(world.sampler, answer) * value(answer, t)
        for answer in world.answers
        for t in range(world.horizon)
    }
    return [
        sum(v * score(world, answer, t, parameter) for (answer, t), v in values.items())
        for parameter in world.parameters
    ]


def field_values(world: World, field: list[sp.Expr]) -> Callable[[Prefix, int], mpmath.mpf]:
    """The field's coefficient on a token, evaluated at the ratios of an answer to many digits."""
    symbols = [s for t in range(world.horizon) for s in token_symbols(t)]
    functions = [sp.lambdify(symbols, g, "mpmath") for g in field]

    def value(answer: Prefix, t: int) -> mpmath.mpf:
        arguments = []
        for i, token in enumerate(answer):
            p, q, m = (w[answer[:i]][token] for w in (world.policy, world.reference, world.sampler))
            arguments += [mpmath.log(exact(p / q)), exact(p / m)]
        return mpmath.mpf(functions[t](*arguments))

    return value


def exact(number: Fraction) -> mpmath.mpf:
    return mpmath.mpf(number.numerator) / number.denominator


DEFINITIONS: dict[str, Callable] = {
    "reverse_kl": lambda p, q: p * mpmath.log(p / q),
    "forward_kl": lambda p, q: q * mpmath.log(q / p),
    "chi2_half": lambda p, q: (p - q) ** 2 / q / 2,
    "chi2_reference_half": lambda p, q: (p - q) ** 2 / p / 2,
    "jeffreys": lambda p, q: (p - q) * mpmath.log(p / q),
    "jensen_shannon": lambda p, q: (p * mpmath.log(2 * p / (p + q)) + q * mpmath.log(2 * q / (p + q))) / 2,
    "hellinger_squared": lambda p, q: (mpmath.sqrt(p) - mpmath.sqrt(q)) ** 2 / 2,
    "total_variation": lambda p, q: abs(p - q) / 2,
}
"""Each objective's summand over outcomes, from its textbook definition."""


def objective_gradient(world: World, name: str, level: str, prefixes: str | None) -> list:
    """The gradient by every logit, by numeric differentiation of the objective's definition."""
    term = DEFINITIONS[name]
    base = {p: [mpmath.log(exact(a)) for a in row] for p, row in world.policy.items()}
    frozen = {"sampler": world.sampler, "policy": world.policy, None: world.policy}[prefixes]

    def softmax(logits: list) -> list:
        weights = [mpmath.exp(x) for x in logits]
        return [w / sum(weights) for w in weights]

    def value(parameter: tuple[Prefix, int], x) -> mpmath.mpf:
        prefix, token = parameter
        moved = [x if a == token else b for a, b in enumerate(base[prefix])]
        policy = {p: [exact(a) for a in row] for p, row in world.policy.items()}
        policy[prefix] = softmax(moved)
        reference = {p: [exact(a) for a in row] for p, row in world.reference.items()}
        if level == "sequence":
            pairs = ((chance(policy, y), chance(reference, y)) for y in world.answers)
            return sum(term(p, q) for p, q in pairs)
        total = mpmath.mpf(0)
        for h in policy:
            reach = mpmath.mpf(1)
            for t, token_ in enumerate(h):
                reach *= exact(frozen[h[:t]][token_])
            total += reach * sum(term(p, q) for p, q in zip(policy[h], reference[h], strict=True))
        return total

    return [
        mpmath.diff(lambda x, at=parameter: value(at, x), base[parameter[0]][parameter[1]])
        for parameter in world.parameters
    ]
