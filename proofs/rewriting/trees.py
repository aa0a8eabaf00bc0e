"""A drawn tree of answers: every line of a derivation on whole answers is evaluated on it.

Three tokens at every prefix, in rational numbers; the parameters move along one drawn direction v of
the logits, policy(a | h) ~ p_a exp(x v_a). Where a line holds a gradient that was not worked out, it is
a central difference to many digits, what is detached held at x = 0: no rule enters.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import cache
from itertools import product
from typing import Any

import sympy as sp
from sympy import Add, Basic, Expr, Mul, Symbol

from proofs.ledger import Finding, Outcome
from proofs.rewriting.numbers import DIGITS, INTERVALS, Number, certainly_apart, evaluate, exactly, program
from proofs.statements import SequenceGradient, SequenceValue
from proofs.steps import Expectation, Nabla
from proofs.symbols import (
    LENGTH,
    M,
    P,
    divergence_symbol,
    log_policy_symbol,
    reference_divergence_symbol,
    token_symbols,
)

ANSWER = Symbol("y")
"""The answer that an expectation is over."""
_TOKENS = 3
_SEED = 11
_TRIES = 3
_CONSTANT = Fraction(7, 5)
"""What a symbol is that depends on no answer."""

Prefix = tuple[int, ...]
Row = tuple[Fraction, ...]


@cache
def score_symbol(t: int) -> Symbol:
    """Return the score of the token at position t."""
    return Symbol(f"s{t}", real=True)


@dataclass(frozen=True)
class Tree:
    """The three distributions after every prefix, and the direction; token 0 ends an answer if `ends`."""

    horizon: int
    policy: Mapping[Prefix, Row]
    reference: Mapping[Prefix, Row]
    sampler: Mapping[Prefix, Row]
    direction: Mapping[Prefix, Row]
    ends: bool

    def answers(self) -> Iterator[Prefix]:
        """Yield every answer once."""
        seen = set()
        for y in product(range(_TOKENS), repeat=self.horizon):
            answer = y[: y.index(0) + 1] if self.ends and 0 in y else y
            if answer not in seen:
                seen.add(answer)
                yield answer

    def shown(self, who: Sequence[str]) -> dict[str, str]:
        """The tree for a reader."""
        tables = {"policy": self.policy, "reference": self.reference, "sampler": self.sampler}
        return {
            f"{name}({'.' if not prefix else '. | ' + ' '.join(map(str, prefix))})": f"({', '.join(map(str, row))})"
            for name in who
            for prefix, row in tables[name].items()
        }


@cache
def drawn_tree(horizon: int, ends: bool, seed: int = _SEED) -> Tree:
    """Return a random tree in small fractions."""
    draw = random.Random(seed)
    prefixes = [p for t in range(horizon) for p in product(range(_TOKENS), repeat=t) if not (ends and 0 in p)]

    def table() -> dict[Prefix, Row]:
        rows = {}
        for prefix in prefixes:
            weights = [draw.randint(1, 9) for _ in range(_TOKENS)]
            rows[prefix] = tuple(Fraction(w, sum(weights)) for w in weights)
        return rows

    directions = {prefix: tuple(Fraction(draw.randint(-5, 5), 3) for _ in range(_TOKENS)) for prefix in prefixes}
    return Tree(horizon, table(), table(), table(), directions, ends)


class Walk:
    """A tree evaluated in one context (`proofs.rewriting.numbers`)."""

    def __init__(self, tree: Tree, context: Any) -> None:
        """Take the tree as it is drawn, x = 0."""
        self.tree, self.context = tree, context
        self._step = None if context is INTERVALS else context.mpf(10) ** -12
        self._constant = exactly(context, _CONSTANT)
        self._answers = tuple(tree.answers())
        # What is asked for again and again, by the function below that works it out.
        self._known: dict[tuple[Prefix, Number], dict[Symbol, Number]] = {}
        self._chances: dict[tuple[Prefix, Symbol, Number], Number] = {}
        self._rows: dict[tuple[Prefix, Number], list[Number]] = {}
        self._scores: dict[Prefix, list[Number]] = {}
        self._gradients: dict[tuple[Expr, Prefix], Number] = {}

    def line(self, line: Basic) -> Number:
        """Return the number of a line: sums and multiples of expectations and of their gradients."""
        if isinstance(line, Add):
            return sum((self.line(part) for part in line.args), self.context.mpf(0))
        if isinstance(line, Expectation):
            return self._mean(line, 0)
        if isinstance(line, Nabla):
            inner = line.args[0]
            return self._slope(lambda x: self._mean(inner, x))
        if isinstance(line, Mul):
            number, rest = line.as_coeff_Mul()
            return exactly(self.context, number) * self.line(rest)
        return evaluate(line, {}, self.context)

    def _slope(self, function: Any) -> Number:
        step = self._step
        assert step is not None, "a difference quotient has no interval"
        return (function(step) - function(-step)) / (2 * step)

    def _mean(self, line: Expr, x: Number) -> Number:
        (_, who), body = line.args
        gradients = {gradient: sp.Dummy() for gradient in body.atoms(Nabla)}
        worked_out = body.xreplace(gradients)
        constants = self._constants(worked_out)
        numbers = program(worked_out)
        total = self.context.mpf(0)
        for answer in self._answers:
            values = constants | self._values(answer, x)
            for gradient, name in gradients.items():
                values[name] = self._gradient(gradient.args[0], answer)
            total += self._chance(answer, who, x) * numbers.run(values, self.context, values)
        return total

    def _gradient(self, expr: Expr, answer: Prefix) -> Number:
        key = (expr, answer)
        if key not in self._gradients:
            self._gradients[key] = self._gradient_anew(expr, answer)
        return self._gradients[key]

    def _gradient_anew(self, expr: Expr, answer: Prefix) -> Number:
        for t in range(self.tree.horizon):
            if expr in (divergence_symbol(t), reference_divergence_symbol(t)):
                return self._divergence_gradient(answer, t, expr == divergence_symbol(t))
        constants = self._constants(expr)
        held = constants | self._values(answer, 0)
        numbers = program(expr)
        return self._slope(lambda x: numbers.run(constants | self._values(answer, x), self.context, held))

    def _constants(self, expr: Expr) -> dict[Symbol, Number]:
        """What depends on no answer; the symbols that do overwrite theirs."""
        return dict.fromkeys(expr.free_symbols, self._constant)

    def _row(self, prefix: Prefix, x: Number) -> list[Number]:
        key = (prefix, x)
        if key not in self._rows:
            self._rows[key] = self._row_anew(prefix, x)
        return self._rows[key]

    def _row_anew(self, prefix: Prefix, x: Number) -> list[Number]:
        numbers = [exactly(self.context, p) for p in self.tree.policy[prefix]]
        if x == 0:
            return numbers
        pushes = self.tree.direction[prefix]
        weights = [p * self.context.exp(x * exactly(self.context, v)) for p, v in zip(numbers, pushes, strict=True)]
        total = sum(weights, self.context.mpf(0))
        return [w / total for w in weights]

    def _chance(self, answer: Prefix, who: Symbol, x: Number) -> Number:
        key = (answer, who, x)
        if key not in self._chances:
            self._chances[key] = self._chance_anew(answer, who, x)
        return self._chances[key]

    def _chance_anew(self, answer: Prefix, who: Symbol, x: Number) -> Number:
        chance = self.context.mpf(1)
        for t, token in enumerate(answer):
            prefix = answer[:t]
            chance *= (
                self._row(prefix, x)[token] if who == P else exactly(self.context, self.tree.sampler[prefix][token])
            )
        return chance

    def _centred(self, prefix: Prefix) -> list[Number]:
        """The score of each token along the direction."""
        if prefix not in self._scores:
            self._scores[prefix] = self._centred_anew(prefix)
        return self._scores[prefix]

    def _centred_anew(self, prefix: Prefix) -> list[Number]:
        pushes = [exactly(self.context, v) for v in self.tree.direction[prefix]]
        mean = sum((p * v for p, v in zip(self._row(prefix, 0), pushes, strict=True)), self.context.mpf(0))
        return [v - mean for v in pushes]

    def _divergence_gradient(self, answer: Prefix, t: int, policy_first: bool) -> Number:
        """sum grad p L for KL(policy||reference)_t, -sum q grad log p for KL(reference||policy)_t."""
        if t >= len(answer):
            return self.context.mpf(0)
        prefix, zero = answer[:t], self.context.mpf(0)
        policy = self._row(prefix, 0)
        reference = [exactly(self.context, q) for q in self.tree.reference[prefix]]
        rows = zip(policy, reference, self._centred(prefix), strict=True)
        if policy_first:
            return sum((p * s * self.context.log(p / q) for p, q, s in rows), zero)
        return sum((-q * s for _, q, s in rows), zero)

    def _values(self, answer: Prefix, x: Number) -> dict[Symbol, Number]:
        """What every symbol is on this answer; a position after the end counts for nothing."""
        key = (answer, x)
        if key not in self._known:
            self._known[key] = self._values_anew(answer, x)
        return self._known[key]

    def _values_anew(self, answer: Prefix, x: Number) -> dict[Symbol, Number]:
        context, zero = self.context, self.context.mpf(0)
        values: dict[Symbol, Number] = {LENGTH: context.mpf(len(answer))}
        for t in range(self.tree.horizon):
            log_ratio, rho = token_symbols(t)
            names = (divergence_symbol(t), reference_divergence_symbol(t), score_symbol(t), log_policy_symbol(t))
            if t >= len(answer):
                values |= {log_ratio: zero, rho: context.mpf(1), **dict.fromkeys(names, zero)}
                continue
            prefix, token = answer[:t], answer[t]
            policy = self._row(prefix, x)
            reference = [exactly(context, q) for q in self.tree.reference[prefix]]
            ratios = [context.log(p / q) for p, q in zip(policy, reference, strict=True)]
            divergence = sum((p * r for p, r in zip(policy, ratios, strict=True)), zero)
            other = sum((-q * r for q, r in zip(reference, ratios, strict=True)), zero)
            values |= {
                log_ratio: ratios[token],
                rho: policy[token] / exactly(context, self.tree.sampler[prefix][token]),
                **dict(
                    zip(
                        names,
                        (divergence, other, self._centred(prefix)[token], context.log(policy[token])),
                        strict=True,
                    )
                ),
            }
        return values


def value_of_line(line: Basic, horizon: int, ends: bool) -> Number:
    """Return a line's number on the drawn tree, to many digits."""
    return _drawn_walk(horizon, ends, _SEED, DIGITS).line(line)


@cache
def _drawn_walk(horizon: int, ends: bool, seed: int, context: Any) -> Walk:
    return Walk(drawn_tree(horizon, ends, seed), context)


def counterexample_of_answers(statement: SequenceGradient | SequenceValue) -> Finding | None:
    """Return a refutation by a tree on which the sides certainly differ; None if none of a few tells."""
    from proofs.rewriting.sequences import SHOWN, worked_out

    lines = [worked_out(statement, left, SHOWN) for left in (True, False)]
    for attempt in range(_TRIES):
        walk = _drawn_walk(SHOWN, statement.variable_length, _SEED + attempt, INTERVALS)
        one, other = (walk.line(line) for line in lines)
        if certainly_apart(one, other):
            what = "expected gradients, along one direction of the logits," if _is_gradient(statement) else "means"
            gap = float((one - other).mid)
            who = ["policy", "reference"]
            if M in (statement.left_drawn_from, statement.right_drawn_from):
                who.append("sampler")
            scope = f"V = {_TOKENS}, T = {SHOWN}"
            return Finding(Outcome.REFUTED, scope, f"the {what} differ by {gap:.6g}", walk.tree.shown(who))
    return None


def _is_gradient(statement: SequenceGradient | SequenceValue) -> bool:
    return isinstance(statement, SequenceGradient)
