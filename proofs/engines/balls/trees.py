"""Both sides of a sequence statement at a rational tree: two tokens, two positions, every answer listed."""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping
from functools import lru_cache
from itertools import product

import sympy as sp
from sympy import Expr, Integer, Rational, Symbol, log

from proofs.engines.slopes import derivative
from proofs.statements import SequenceGradient, SequenceValue, Surrogate
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

Prefix = tuple[int, ...]
_TOKENS = (0, 1)
_HORIZON = 2
_END = 0
Tree = dict[Prefix, list[Rational]]
Numbers = dict[Symbol, Expr]
"""What symbols are on one answer."""
Terms = list[tuple[Expr, Expr, Numbers]]
"""Numbers, each times an expression at one answer."""


def sequence_sides(
    statement: SequenceGradient | SequenceValue, draw: random.Random
) -> Iterator[tuple[Terms, Terms, dict[str, str]]]:
    """Yield both means, or for each node both expected gradients by a logit of it; constants stay symbols."""
    nodes = [h for t in range(_HORIZON) for h in product(_TOKENS, repeat=t)]
    trees: dict[Symbol, Tree] = {who: {h: _pair(draw) for h in nodes} for who in (P, Q, M)}
    names = {P: "policy", Q: "reference", M: "sampler"}
    shown = {names[who]: ", ".join(f"{_name(h)}: {row[0]}" for h, row in tree.items()) for who, tree in trees.items()}
    variable = statement.variable_length
    answers = {y: _numbers(y, trees) for y in _answers(variable)}
    drawn = ((statement.left, statement.left_drawn_from), (statement.right, statement.right_drawn_from))
    if isinstance(statement, SequenceValue):
        left, right = (_mean(surrogate, trees[who], answers) for surrogate, who in drawn)
        yield left, right, shown
        return
    for node in nodes:
        if variable and _END in node:
            continue
        left, right = (_gradient(surrogate, trees[who], trees, node, answers) for surrogate, who in drawn)
        yield left, right, {**shown, "node": _name(node)}


def _pair(draw: random.Random) -> list[Rational]:
    first = Rational(draw.randint(1, 52), 53)
    return [first, 1 - first]


def _name(prefix: Prefix) -> str:
    return "a after " + "".join("ab"[token] for token in prefix) if prefix else "a first"


def _answers(variable_length: bool) -> list[Prefix]:
    full = product(_TOKENS, repeat=_HORIZON)
    return sorted({y[: y.index(_END) + 1] if variable_length and _END in y else y for y in full})


def _chance(tree: Tree, answer: Prefix) -> Expr:
    return sp.Mul(*(tree[answer[:i]][a] for i, a in enumerate(answer)))


def _mean(surrogate: Surrogate, drawn: Tree, answers: Mapping[Prefix, Numbers]) -> Terms:
    value = sp.sympify(surrogate(_HORIZON))
    return [(_chance(drawn, y), value, numbers) for y, numbers in answers.items()]


def _gradient(
    surrogate: Surrogate, drawn: Tree, trees: dict[Symbol, Tree], node: Prefix, answers: Mapping[Prefix, Numbers]
) -> Terms:
    """The expected gradient by the logit of the node's first token: s_a = delta_a0 - p_0."""
    t = len(node)
    by_token, forward, backward = _slopes(sp.sympify(surrogate(_HORIZON)), t)
    p, q = trees[P][node], trees[Q][node]
    scores = [Integer(a == 0) - p[0] for a in _TOKENS]
    moved = sp.Add(*(p[a] * s * log(p[a] / q[a]) for a, s in enumerate(scores)))
    by_node = forward * moved - backward * sp.Add(*(q[a] * s for a, s in enumerate(scores)))
    terms = []
    for answer, numbers in answers.items():
        if len(answer) > t and answer[:t] == node:
            chance = _chance(drawn, answer)
            terms += [(chance * scores[answer[t]], by_token, numbers), (chance, by_node, numbers)]
    return terms


@lru_cache(maxsize=256)
def _slopes(value: Expr, t: int) -> tuple[Expr, Expr, Expr]:
    """By log policy of the token at a position, and by the two divergences there."""
    log_ratio, ratio = token_symbols(t)
    by_token = derivative(value, log_ratio) + derivative(value, log_policy_symbol(t))
    return (
        by_token + ratio * derivative(value, ratio),
        derivative(value, divergence_symbol(t)),
        derivative(value, reference_divergence_symbol(t)),
    )


def _numbers(answer: Prefix, trees: dict[Symbol, Tree]) -> Numbers:
    """What the symbols are on one answer; after its end L = 0, rho = 1 and the divergences are 0."""
    values: Numbers = {LENGTH: Integer(len(answer))}
    for t in range(_HORIZON):
        log_ratio, ratio = token_symbols(t)
        policy, forward, backward = log_policy_symbol(t), divergence_symbol(t), reference_divergence_symbol(t)
        if t >= len(answer):
            values |= dict.fromkeys((log_ratio, policy, forward, backward), Integer(0)) | {ratio: Integer(1)}
            continue
        a = answer[t]
        p, q, m = (trees[who][answer[:t]] for who in (P, Q, M))
        values |= {log_ratio: log(p[a] / q[a]), ratio: p[a] / m[a], policy: log(p[a])}
        values[forward] = sp.Add(*(x * log(x / y) for x, y in zip(p, q, strict=True)))
        values[backward] = sp.Add(*(y * log(y / x) for x, y in zip(p, q, strict=True)))
    return values
