"""Whole answers: the tree of two tokens and two positions, every branch written out.

A direction in parameter space moves the next-token distribution of one node: dp of the first token is
1, of the second -1, and the score is dp/p. Nodes move independently, so two gradients agree exactly if
they agree for each.
"""

from __future__ import annotations

from functools import cache, lru_cache
from itertools import product

import sympy as sp
from sympy import Expr, Integer, Symbol, log

from proofs.engines.abstraction import Abstraction
from proofs.engines.slopes import derivative
from proofs.engines.smt.goals import Goal, Problem, goal, replaced
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
SIZE = 2
HORIZON = 2
END = 0
"""The end token, where answers have various lengths."""
_NODES = [h for t in range(HORIZON) for h in product(range(SIZE), repeat=t)]


def sequence_problem(statement: SequenceGradient) -> Problem:
    """Return one goal for each node of the tree."""
    variable = statement.variable_length
    goals = []
    for node in _NODES:
        if variable and END in node:
            continue
        left = _gradient(statement.left, statement.left_drawn_from, node, variable)
        right = _gradient(statement.right, statement.right_drawn_from, node, variable)
        goals.append(_goal(left, right))
    return Problem(tuple(goals), _scope(variable), "moving any node moves left and right alike")


def sequence_value_problem(statement: SequenceValue) -> Problem:
    """Return the goal that both means are equal."""
    variable = statement.variable_length
    left = _mean(statement.left, statement.left_drawn_from, variable)
    right = _mean(statement.right, statement.right_drawn_from, variable)
    return Problem((_goal(left, right),), _scope(variable), "the means over all answers are equal")


def _scope(variable: bool) -> str:
    return f"T = 2, V = 2{' with an end token' if variable else ''}, any sampler"


@cache
def _probability(who: Symbol, prefix: Answer, token: int) -> Symbol:
    return Symbol(f"{who}_{''.join(map(str, prefix))}{token}", positive=True)


def _answers(variable: bool) -> list[Answer]:
    full = product(range(SIZE), repeat=HORIZON)
    return sorted({y[: y.index(END) + 1] if variable and END in y else y for y in full})


@cache
def _chance(who: Symbol, answer: Answer) -> Expr:
    return sp.Mul(*(_probability(who, answer[:t], token) for t, token in enumerate(answer)))


def _mean(surrogate: Surrogate, drawn_from: Symbol, variable: bool) -> Expr:
    value = undetached(sp.sympify(surrogate(HORIZON)))
    return sp.Add(*(_chance(drawn_from, y) * value.xreplace(_numbers(y)) for y in _answers(variable)))


def _gradient(surrogate: Surrogate, drawn_from: Symbol, node: Answer, variable: bool) -> Expr:
    """The expected gradient in the direction that moves this node's distribution by (1, -1)."""
    slope, forward, backward = _slopes(sp.sympify(surrogate(HORIZON)), len(node))
    moves = _divergence_moves(node)
    by_node = sp.Add(*(d * move for d, move in zip((forward, backward), moves, strict=True)))
    t, terms = len(node), []
    for answer in _answers(variable):
        if answer[:t] == node and len(answer) > t:
            score = (Integer(1) if answer[t] == 0 else Integer(-1)) / _probability(P, node, answer[t])
            moved = slope * score + by_node
            terms.append(_chance(drawn_from, answer) * moved.xreplace(_numbers(answer)))
    return sp.Add(*terms)


@lru_cache(maxsize=256)
def _slopes(value: Expr, t: int) -> tuple[Expr, Expr, Expr]:
    """By log policy of the token at a position, and by the two divergences there: the same at each of its nodes."""
    log_ratio, ratio = token_symbols(t)
    by_token = derivative(value, log_ratio) + derivative(value, log_policy_symbol(t))
    slopes = (
        by_token + ratio * derivative(value, ratio),
        derivative(value, divergence_symbol(t)),
        derivative(value, reference_divergence_symbol(t)),
    )
    return undetached(slopes[0]), undetached(slopes[1]), undetached(slopes[2])


@cache
def _divergence_moves(node: Answer) -> tuple[Expr, Expr]:
    """sum_a p_a log(p_a/q_a) and sum_a q_a log(q_a/p_a), differentiated in the direction (1, -1)."""
    (p, q), (r, s) = ((_probability(P, node, a), _probability(Q, node, a)) for a in range(SIZE))
    return log(p) - log(q) - log(r) + log(s), s / r - q / p


@cache
def _numbers(answer: Answer) -> dict[Symbol, Expr]:
    """What the symbols are on one answer; after its end L = 0, rho = 1 and the divergences are 0."""
    values: dict[Symbol, Expr] = {LENGTH: Integer(len(answer))}
    for t in range(HORIZON):
        log_ratio, ratio = token_symbols(t)
        if t >= len(answer):
            values |= {log_ratio: Integer(0), ratio: Integer(1), log_policy_symbol(t): Integer(0)}
            values |= {divergence_symbol(t): Integer(0), reference_divergence_symbol(t): Integer(0)}
            continue
        p, q, m = (_probability(who, answer[:t], answer[t]) for who in (P, Q, M))
        values |= {log_ratio: log(p) - log(q), ratio: p / m, log_policy_symbol(t): log(p)}
        rows = [(_probability(P, answer[:t], a), _probability(Q, answer[:t], a)) for a in range(SIZE)]
        values[divergence_symbol(t)] = sp.Add(*(a * (log(a) - log(b)) for a, b in rows))
        values[reference_divergence_symbol(t)] = sp.Add(*(b * (log(b) - log(a)) for a, b in rows))
    return values


def _goal(left: Expr, right: Expr) -> Goal:
    """Equality, the second probability of each node being what the first leaves."""
    last = {_probability(who, h, 1): 1 - _probability(who, h, 0) for who in (P, Q, M) for h in _NODES}
    abstraction = Abstraction()
    read = [e.xreplace(last) for e in abstraction.read(left, right)]
    used = (left - right).free_symbols
    domain = [value for symbol, value in last.items() if symbol in used]
    return goal(read[0], read[1], replaced(abstraction, last), (left - right).xreplace(last), domain)
