"""Whole answers in the field: every answer of a tree, every direction of every node."""

from __future__ import annotations

from itertools import product

import numpy as np
import sympy as sp
from sympy import Expr, Integer, Symbol, log

from proofs.engines.abstraction import Abstraction
from proofs.engines.base import CannotExpress
from proofs.engines.modular.field import Element, add, multiply, negative, power
from proofs.engines.modular.world import World
from proofs.statements import SequenceGradient, SequenceValue, Surrogate, undetached
from proofs.symbols import (
    LENGTH,
    M,
    P,
    Q,
    divergence_symbol,
    log_policy_symbol,
    reference_divergence_symbol,
    token_symbols,
)

Answer = tuple[int, ...]
_END = 0
Gradient = dict[Answer, list[int]]
"""For each node, the coefficient of each token's dp."""


def sequence_difference(statement: SequenceGradient, horizon: int, size: int, seed: int) -> bool:
    """Whether both expected gradients are the same on a random tree, in every direction.

    The dp of a node sum to zero, so two gradients agree if their difference is one number on its tokens.
    """
    tree = _Tree(size, seed)
    variable = statement.variable_length
    left = tree.gradient(statement.left, statement.left_drawn_from, horizon, variable)
    right = tree.gradient(statement.right, statement.right_drawn_from, horizon, variable)
    for node in left:
        differences = {add(a, negative(b)) for a, b in zip(left[node], right[node], strict=True)}
        if len(differences) > 1:
            return False
    return True


def sequence_means_agree(statement: SequenceValue, horizon: int, size: int, seed: int) -> bool:
    """Whether both means are the same number on a random tree."""
    tree = _Tree(size, seed)
    variable = statement.variable_length
    left = tree.mean(statement.left, statement.left_drawn_from, horizon, variable)
    return left == tree.mean(statement.right, statement.right_drawn_from, horizon, variable)


class _Tree:
    """Next-token probabilities and logarithms at every node, drawn when first met."""

    def __init__(self, size: int, seed: int) -> None:
        self.size = size
        self.world = World(1, seed)

    def probability(self, who: Symbol, prefix: Answer, token: int) -> int:
        """A node's probabilities sum to 1."""
        if token < self.size - 1:
            return self.world.constant(("probability", who, prefix, token))
        others: Element = 0
        for other in range(self.size - 1):
            others = add(others, self.probability(who, prefix, other))
        return int(add(1, negative(others)))

    def logarithm(self, who: Symbol, prefix: Answer, token: int) -> int:
        return self.world.constant(("logarithm", who, prefix, token))

    def log_ratio(self, prefix: Answer, token: int) -> int:
        return int(add(self.logarithm(P, prefix, token), negative(self.logarithm(Q, prefix, token))))

    def divergence(self, who: Symbol, prefix: Answer) -> int:
        """KL(policy||reference) at a node, or KL(reference||policy) if `who` is the reference."""
        result: Element = 0
        for a in range(self.size):
            result = add(result, multiply(self.probability(who, prefix, a), self.log_ratio(prefix, a)))
        return int(result if who == P else negative(result))

    def mean(self, surrogate: Surrogate, drawn_from: Symbol, horizon: int, variable: bool) -> int:
        """Sum over all answers of their chance times the value."""
        result: Element = 0
        value = undetached(sp.sympify(surrogate(horizon)))
        for length in range(1 if variable else horizon, horizon + 1):
            answers = self._answers(length, horizon, variable)
            if answers:
                (values,) = self._evaluated([value], answers, horizon)
                for answer, x in zip(answers, values, strict=True):
                    result = add(result, multiply(self._chance(drawn_from, answer), int(x)))
        return int(result)

    def _chance(self, who: Symbol, answer: Answer) -> int:
        chance: Element = 1
        for t, a in enumerate(answer):
            chance = multiply(chance, self.probability(who, answer[:t], a))
        return int(chance)

    def gradient(self, surrogate: Surrogate, drawn_from: Symbol, horizon: int, variable: bool) -> Gradient:
        """Sum over all answers of their chance times what moving each node does to them."""
        result: Gradient = {}
        for length in range(1 if variable else horizon, horizon + 1):
            answers = self._answers(length, horizon, variable)
            if not answers:
                continue
            parts = self._slopes(sp.sympify(surrogate(horizon)), answers, horizon)
            for i, answer in enumerate(answers):
                chance = self._chance(drawn_from, answer)
                for t, a in enumerate(answer):
                    slopes = [multiply(chance, int(parts[t][part][i])) for part in range(3)]
                    self._enter(result, answer[:t], a, slopes)
        return result

    def _enter(self, result: Gradient, node: Answer, token: int, slopes: list[int]) -> None:
        """By the token's own score, by KL(policy||reference) and by KL(reference||policy) of the node."""
        row = result.setdefault(node, [0] * self.size)
        by_token, by_policy, by_reference = slopes
        row[token] = int(add(row[token], multiply(by_token, power(self.probability(P, node, token), -1))))
        for a in range(self.size):
            if by_policy:
                row[a] = int(add(row[a], multiply(by_policy, self.log_ratio(node, a))))
            if by_reference:
                share = multiply(self.probability(Q, node, a), power(self.probability(P, node, a), -1))
                row[a] = int(add(row[a], negative(multiply(by_reference, share))))

    def _answers(self, length: int, horizon: int, variable: bool) -> list[Answer]:
        """Token 0 ends an answer, where they have various lengths."""
        every = product(range(self.size), repeat=length)
        if not variable:
            return list(every)
        return [y for y in every if _END not in y[:-1] and (y[-1] == _END or length == horizon)]

    def _slopes(self, surrogate: Expr, answers: list[Answer], horizon: int) -> list[list[Element]]:
        """For each position, by log policy of its token and by the node's divergences; one value an answer."""
        exprs: list[Expr] = []
        for t in range(len(answers[0])):
            log_ratio, ratio = token_symbols(t)
            by_token = sp.diff(surrogate, log_ratio) + sp.diff(surrogate, log_policy_symbol(t))
            exprs.append(by_token + ratio * sp.diff(surrogate, ratio))
            exprs += [sp.diff(surrogate, of(t)) for of in (divergence_symbol, reference_divergence_symbol)]
        found = self._evaluated([undetached(e) for e in exprs], answers, horizon)
        return [found[i : i + 3] for i in range(0, len(found), 3)]

    def _evaluated(self, exprs: list[Expr], answers: list[Answer], horizon: int) -> list[Element]:
        """The expressions on answers of one length; after the end L = 0, rho = 1 and the divergences are 0."""
        length = len(answers[0])
        written: dict[Symbol, Expr] = {LENGTH: Integer(length)}
        for t in range(horizon):
            log_ratio, ratio = token_symbols(t)
            policy, forward, backward = log_policy_symbol(t), divergence_symbol(t), reference_divergence_symbol(t)
            if t >= length:
                written |= dict.fromkeys((log_ratio, policy, forward, backward), Integer(0)) | {ratio: Integer(1)}
                continue
            p, q, m = (_at(who, t) for who in (P, Q, M))
            written |= {log_ratio: log(p) - log(q), ratio: p / m, policy: log(p)}
        abstraction = Abstraction()
        read = abstraction.read(*(e.xreplace(written) for e in exprs))
        values = self._values(abstraction, {s for e in read for s in e.free_symbols}, answers)
        return [_spread(self.world.evaluate(e, values), len(answers)) for e in read]

    def _values(self, abstraction: Abstraction, symbols: set[Symbol], answers: list[Answer]) -> dict[Symbol, Element]:
        values: dict[Symbol, Element] = {}
        known: dict[Symbol, list[int]] = {}
        for t in range(len(answers[0])):
            for who in (P, Q, M):
                known[_at(who, t)] = [self.probability(who, y[:t], y[t]) for y in answers]
                logs = [self.logarithm(who, y[:t], y[t]) for y in answers]
                values |= {
                    u.symbol: np.array(logs, dtype=np.uint64)
                    for u in abstraction.unknowns.values()
                    if u.kind == "log" and u.argument == _at(who, t)
                }
            known[divergence_symbol(t)] = [self.divergence(P, y[:t]) for y in answers]
            known[reference_divergence_symbol(t)] = [self.divergence(Q, y[:t]) for y in answers]
        values |= {s: np.array(row, dtype=np.uint64) for s, row in known.items()}
        for symbol in sorted(symbols - set(values) - set(abstraction.unknowns), key=str):
            values[symbol] = self.world.constant(symbol)
        for unknown in abstraction.unknowns.values():
            if unknown.kind == "root":
                raise CannotExpress("a root of a ratio, which a finite field may not have")
            if unknown.symbol not in values:
                argument = _spread(self.world.evaluate(unknown.argument, values), len(answers))
                # one number for one argument, on whichever answers it occurs
                name = (unknown.kind, unknown.degree, unknown.symbol.name.rpartition("_of_")[0])
                drawn = [self.world.constant((name, int(x))) for x in argument]
                values[unknown.symbol] = np.array(drawn, dtype=np.uint64)
        return values


def _at(who: Symbol, t: int) -> Symbol:
    return Symbol(f"{who}{t}", positive=True)


def _spread(value: Element, count: int) -> Element:
    return np.full(count, value, dtype=np.uint64) if isinstance(value, int) else value
