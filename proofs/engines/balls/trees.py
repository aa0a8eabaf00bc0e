"""Both sides of a sequence statement at a rational tree: two tokens, two positions, every answer listed."""

from __future__ import annotations

import random
from collections.abc import Iterator
from itertools import product

import sympy as sp
from sympy import Expr, Integer, Rational, Symbol, log

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

Prefix = tuple[int, ...]
_TOKENS = (0, 1)
_HORIZON = 2
_END = 0
Tree = dict[Prefix, list[Rational]]


def sequence_sides(
    statement: SequenceGradient | SequenceValue, draw: random.Random
) -> Iterator[tuple[Expr, Expr, dict[str, str]]]:
    """Yield both means, or for each node both expected gradients by a logit of it; constants stay symbols."""
    nodes = [h for t in range(_HORIZON) for h in product(_TOKENS, repeat=t)]
    trees: dict[Symbol, Tree] = {who: {h: _pair(draw) for h in nodes} for who in (P, Q, M)}
    names = {P: "policy", Q: "reference", M: "sampler"}
    shown = {names[who]: ", ".join(f"{_name(h)}: {row[0]}" for h, row in tree.items()) for who, tree in trees.items()}
    variable = statement.variable_length
    drawn = ((statement.left, statement.left_drawn_from), (statement.right, statement.right_drawn_from))
    if isinstance(statement, SequenceValue):
        left, right = (_mean(surrogate, trees[who], trees, variable) for surrogate, who in drawn)
        yield left, right, shown
        return
    for node in nodes:
        if variable and _END in node:
            continue
        left, right = (_gradient(surrogate, trees[who], trees, node, variable) for surrogate, who in drawn)
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


def _mean(surrogate: Surrogate, drawn: Tree, trees: dict[Symbol, Tree], variable: bool) -> Expr:
    value = undetached(sp.sympify(surrogate(_HORIZON)))
    return sp.Add(*(_chance(drawn, y) * value.xreplace(_numbers(y, trees)) for y in _answers(variable)))


def _gradient(surrogate: Surrogate, drawn: Tree, trees: dict[Symbol, Tree], node: Prefix, variable: bool) -> Expr:
    """The expected gradient by the logit of the node's first token: s_a = delta_a0 - p_0."""
    t, value = len(node), sp.sympify(surrogate(_HORIZON))
    p, q = trees[P][node], trees[Q][node]
    scores = [Integer(a == 0) - p[0] for a in _TOKENS]
    log_ratio, ratio = token_symbols(t)
    by_token = sp.diff(value, log_ratio) + sp.diff(value, log_policy_symbol(t)) + ratio * sp.diff(value, ratio)
    by_node = sp.diff(value, divergence_symbol(t)) * sp.Add(
        *(p[a] * s * log(p[a] / q[a]) for a, s in enumerate(scores))
    ) - sp.diff(value, reference_divergence_symbol(t)) * sp.Add(*(q[a] * s for a, s in enumerate(scores)))
    total = Integer(0)
    for answer in _answers(variable):
        if len(answer) > t and answer[:t] == node:
            slope = undetached(by_token * scores[answer[t]] + by_node)
            total += _chance(drawn, answer) * slope.xreplace(_numbers(answer, trees))
    return total


def _numbers(answer: Prefix, trees: dict[Symbol, Tree]) -> dict[Symbol, Expr]:
    """What the symbols are on one answer; after its end L = 0, rho = 1 and the divergences are 0."""
    values: dict[Symbol, Expr] = {LENGTH: Integer(len(answer))}
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
