"""Whole answers in the field: every answer of a tree, every direction of every node."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from itertools import product
from math import prod

import sympy as sp
from sympy import Expr, Integer, Symbol, log

from proofs.engines.abstraction import Abstraction, Unknown
from proofs.engines.base import CannotExpress
from proofs.engines.modular.field import PRIME
from proofs.engines.modular.rows import Row, Rows, powers, times
from proofs.engines.modular.world import World
from proofs.statements import DK, K, SequenceGradient, SequenceValue, Surrogate, sg
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
Gradient = dict[Answer, Row]
"""For each node, the coefficient of each token's dp."""


def sequence_difference(statement: SequenceGradient, horizon: int, size: int, seed: int) -> bool:
    """Whether both expected gradients are the same on a random tree, in every direction.

    The dp of a node sum to zero, so two gradients agree if their difference is one number on its tokens.
    """
    tree = _tree(size, seed)
    variable = statement.variable_length
    left = tree.gradient(statement.left, statement.left_drawn_from, horizon, variable)
    right = tree.gradient(statement.right, statement.right_drawn_from, horizon, variable)
    return all(len({(a - b) % PRIME for a, b in zip(row, right[node], strict=True)}) == 1 for node, row in left.items())


def sequence_means_agree(statement: SequenceValue, horizon: int, size: int, seed: int) -> bool:
    """Whether both means are the same number on a random tree."""
    tree = _tree(size, seed)
    variable = statement.variable_length
    left = tree.mean(statement.left, statement.left_drawn_from, horizon, variable)
    return left == tree.mean(statement.right, statement.right_drawn_from, horizon, variable)


@dataclass(frozen=True)
class _Node:
    """The next token after one prefix: by distribution, probabilities that sum to 1."""

    probabilities: Mapping[Symbol, Row]
    log_ratios: Row
    """log(p/q) of each token."""

    @cached_property
    def ratios(self) -> Row:
        """q/p of each token."""
        return times(self.probabilities[Q], powers(self.probabilities[P], -1))

    @cached_property
    def divergence(self) -> int:
        """KL(policy||reference)."""
        return sum(p * x for p, x in zip(self.probabilities[P], self.log_ratios, strict=True)) % PRIME

    @cached_property
    def reference_divergence(self) -> int:
        """KL(reference||policy)."""
        return -sum(q * x for q, x in zip(self.probabilities[Q], self.log_ratios, strict=True)) % PRIME


class _Tree:
    """Next-token probabilities and logarithms at every node, drawn when first met."""

    def __init__(self, size: int, seed: int) -> None:
        self.size = size
        self.world = World(1, seed)
        self._nodes: dict[Answer, _Node] = {}

    def node(self, prefix: Answer) -> _Node:
        """Return the node after this prefix."""
        if prefix not in self._nodes:
            rows = {who: self._row(who, prefix) for who in (P, Q, M)}
            logs = {who: [self.world.constant(("log", 1, x)) for x in rows[who]] for who in (P, Q)}
            ratios = [(a - b) % PRIME for a, b in zip(logs[P], logs[Q], strict=True)]
            self._nodes[prefix] = _Node(rows, ratios)
        return self._nodes[prefix]

    def _row(self, who: Symbol, prefix: Answer) -> Row:
        drawn = [self.world.constant(("probability", who, prefix, a)) for a in range(self.size - 1)]
        return [*drawn, (1 - sum(drawn)) % PRIME]

    def mean(self, surrogate: Surrogate, drawn_from: Symbol, horizon: int, variable: bool) -> int:
        """Sum over all answers of their chance times the value."""
        result = 0
        value = sp.sympify(surrogate(horizon))
        for length in range(1 if variable else horizon, horizon + 1):
            answers = _answers(self.size, length, horizon, variable)
            if answers:
                read, _, values = self._read(value, answers, horizon)
                chances = self._chances(drawn_from, answers)
                result += sum(chance * x for chance, x in zip(chances, values.value(read), strict=True))
        return result % PRIME

    def gradient(self, surrogate: Surrogate, drawn_from: Symbol, horizon: int, variable: bool) -> Gradient:
        """Sum over all answers of their chance times what moving each node does to them."""
        rows: Gradient = {}
        value = _apart(sp.sympify(surrogate(horizon)), horizon)
        for length in range(1 if variable else horizon, horizon + 1):
            answers = _answers(self.size, length, horizon, variable)
            if answers:
                slopes = self._slopes(value, answers, horizon)
                chances = self._chances(drawn_from, answers)
                for t in range(length):
                    self._enter(rows, t, slopes, answers, chances)
        return rows

    def _enter(
        self, rows: Gradient, t: int, slopes: Mapping[Symbol, Row], answers: Sequence[Answer], chances: Row
    ) -> None:
        """By the token's own p, by KL(policy||reference) and by KL(reference||policy) of the node."""
        nothing = [0] * len(answers)
        by_token = times(chances, slopes.get(_at(P, t), nothing))
        forward = slopes.get(divergence_symbol(t))
        backward = slopes.get(reference_divergence_symbol(t))
        for i, answer in enumerate(answers):
            node, prefix = self.node(answer[:t]), answer[:t]
            row = rows.setdefault(prefix, [0] * self.size)
            row[answer[t]] += by_token[i]
            if forward is not None:
                row[:] = [x + chances[i] * forward[i] * y for x, y in zip(row, node.log_ratios, strict=True)]
            if backward is not None:
                row[:] = [x - chances[i] * backward[i] * y for x, y in zip(row, node.ratios, strict=True)]

    def _chances(self, who: Symbol, answers: Sequence[Answer]) -> Row:
        """The chance of each answer, which the nodes on its way make."""
        return [prod(self.node(y[:t]).probabilities[who][a] for t, a in enumerate(y)) % PRIME for y in answers]

    def _slopes(self, value: Expr, answers: Sequence[Answer], horizon: int) -> dict[Symbol, Row]:
        """The slopes of a value by each position's p, logarithms included, and by the nodes' divergences."""
        read, unknowns, values = self._read(value, answers, horizon)
        rates = {u.symbol: self._rate(u, values) for u in unknowns}
        return values.slopes(read, unknowns, rates)

    def _read(self, value: Expr, answers: Sequence[Answer], horizon: int) -> tuple[Expr, list[Unknown], Rows]:
        """The value as a rational expression, its unknowns, and both on answers of one length."""
        abstraction = Abstraction()
        (read,) = abstraction.read(value.xreplace(_written(len(answers[0]), horizon)))
        unknowns = list(abstraction.unknowns.values())
        symbols = read.free_symbols.union(*(u.argument.free_symbols for u in unknowns))
        values = Rows(self._known(answers), len(answers))
        for symbol in sorted(symbols - set(values.values) - set(abstraction.unknowns), key=str):
            values.values[symbol] = [self.world.constant(symbol)] * len(answers)
        for unknown in unknowns:
            values.values[unknown.symbol] = self._drawn(unknown, values)
        return read, unknowns, values

    def _known(self, answers: Sequence[Answer]) -> dict[Symbol, Row]:
        """What is drawn at the nodes; what counts as a number to the gradient has the same value."""
        values: dict[Symbol, Row] = {}
        for t in range(len(answers[0])):
            steps = [(self.node(y[:t]), y[t]) for y in answers]
            for who in (P, Q, M):
                values[_at(who, t)] = [node.probabilities[who][a] for node, a in steps]
            values[divergence_symbol(t)] = [node.divergence for node, _ in steps]
            values[reference_divergence_symbol(t)] = [node.reference_divergence for node, _ in steps]
            for symbol in (_at(P, t), divergence_symbol(t), reference_divergence_symbol(t)):
                values[_detached(symbol)] = values[symbol]
        return values

    def _drawn(self, unknown: Unknown, values: Rows) -> Row:
        """One number for one argument, on whichever answers it occurs; logarithms of probabilities too."""
        if unknown.kind == "root":
            raise CannotExpress("a root of a ratio, which a finite field may not have")
        return [self.world.constant((_name(unknown), unknown.degree, x)) for x in values.value(unknown.argument)]

    def _rate(self, unknown: Unknown, values: Rows) -> Row:
        """The slope of an unknown by its argument."""
        if unknown.kind == "exp":
            return values.values[unknown.symbol]
        argument = values.value(unknown.argument)
        if unknown.kind == "log":
            return powers(argument, -1)
        slope = {K.__name__: DK.__name__}.get(_name(unknown), f"{_name(unknown)}'")
        return [self.world.constant((slope, unknown.degree, x)) for x in argument]


def _name(unknown: Unknown) -> str:
    """Which function it is a value of."""
    return unknown.function or unknown.kind


@cache
def _tree(size: int, seed: int) -> _Tree:
    return _Tree(size, seed)


@cache
def _answers(size: int, length: int, horizon: int, variable: bool) -> list[Answer]:
    """Token 0 ends an answer, where they have various lengths."""
    every = product(range(size), repeat=length)
    if not variable:
        return list(every)
    return [y for y in every if _END not in y[:-1] and (y[-1] == _END or length == horizon)]


@cache
def _at(who: Symbol, t: int) -> Symbol:
    return Symbol(f"{who}{t}", positive=True)


@cache
def _detached(symbol: Symbol) -> Symbol:
    return Symbol(f"{symbol}_detached", **symbol.assumptions0)


@cache
def _written(length: int, horizon: int) -> dict[Symbol, Expr]:
    """What the symbols are on answers of a length; after the end L = 0, rho = 1 and the divergences are 0."""
    written: dict[Symbol, Expr] = {LENGTH: Integer(length)}
    for t in range(horizon):
        log_ratio, ratio = token_symbols(t)
        policy, forward, backward = log_policy_symbol(t), divergence_symbol(t), reference_divergence_symbol(t)
        if t >= length:
            values = dict.fromkeys((log_ratio, policy, forward, backward), Integer(0)) | {ratio: Integer(1)}
            written |= values | {_detached(s): x for s, x in values.items()}
            continue
        p, q, m = (_at(who, t) for who in (P, Q, M))
        for own, number in ((p, False), (_detached(p), True)):
            values = {log_ratio: log(own) - log(q), ratio: own / m, policy: log(own)}
            written |= {_detached(s): x for s, x in values.items()} if number else values
    return written


@cache
def _numbers(horizon: int) -> dict[Symbol, Symbol]:
    """The symbols that move, as numbers to the gradient."""
    of = (divergence_symbol, reference_divergence_symbol, log_policy_symbol)
    moving = [s for t in range(horizon) for s in (*token_symbols(t), *(symbol(t) for symbol in of))]
    return {s: _detached(s) for s in moving}


def _apart(value: Expr, horizon: int) -> Expr:
    """The value with symbols of their own in what is detached."""
    if not value.has(sg):
        return value
    return value.replace(sg, lambda x: x.xreplace(_numbers(horizon)))
