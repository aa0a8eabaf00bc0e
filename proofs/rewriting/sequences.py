"""Whole answers: both sides brought to one expectation, token by token, by named rules.

    chain rule over tokens    grad L_t = s_t, grad rho_t = rho_t s_t, grad log p_t = s_t, grad sg(x) = 0
    log-derivative            grad E_policy[X] = E_policy[X sum_t s_t + grad X]
    change of measure         E_policy[X] = E_sampler[c_t X] for X that depends on the first t tokens

and the rules of `proofs.rewriting.integration`. Every line is evaluated on a drawn tree
(`proofs.rewriting.trees`), gradients there by difference quotients, before it is shown. What is shown is
written for two tokens; the sides have to meet for three as well.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache

import sympy as sp
from sympy import Add, Basic, Expr, Integer, Mul, Symbol

from proofs.engines.base import CannotExpress
from proofs.rewriting.derivatives import partial, value_of
from proofs.rewriting.integration import integrated, opened, reach
from proofs.rewriting.trail import BrokenStep, Trail, shortest
from proofs.rewriting.trees import ANSWER, score_symbol, value_of_line
from proofs.statements import MeanGradient, SequenceGradient, SequenceValue, Surrogate
from proofs.steps import Expectation, Nabla, Step
from proofs.symbols import (
    LENGTH,
    M,
    P,
    divergence_symbol,
    log_policy_symbol,
    reference_divergence_symbol,
    token_symbols,
)

SHOWN = 2
"""The horizon at which the steps are written out."""
_HORIZONS = (2, 3)
_SCOPE = "any vocabulary, T = 2, 3"
_TOLERANCE = 1e-15
_CHAIN = "grad L_t = s_t, grad rho_t = rho_t s_t, grad log p_t = s_t; what is detached is a number"


def present_answers(statement: SequenceGradient | SequenceValue) -> Trail:
    """Return the steps for the horizon that is shown; they alone prove nothing for others."""
    return rewrite_answers(statement, (SHOWN,))


def rewrite_answers(statement: SequenceGradient | SequenceValue, horizons: tuple[int, ...] = _HORIZONS) -> Trail:
    """Bring both sides to one sum under one measure."""
    steps: tuple[Step, ...] = ()
    closed = True
    for horizon in horizons:
        left_steps, left, left_drawn = _side(statement, True, horizon)
        right_steps, right, right_drawn = _side(statement, False, horizon)
        if left_drawn != right_drawn:
            if left_drawn == P:
                left = _to_sampler(left, horizon, left_steps)
            else:
                right = _to_sampler(right, horizon, right_steps)
        closed = closed and (left == right or opened(left - right) == 0)
        if horizon == SHOWN:
            steps = (*left_steps, *right_steps)
    _audit(steps, statement.variable_length)
    return Trail(steps, closed, proves=horizons == _HORIZONS, scope=_SCOPE)


def worked_out(statement: SequenceGradient | SequenceValue, left: bool, horizon: int) -> Basic:
    """Return one side as an expectation with every gradient worked out, by the first steps alone."""
    surrogate, drawn = _taken(statement, left)
    if isinstance(statement, SequenceValue):
        return _mean(drawn, value_of(_written(surrogate, horizon, statement.variable_length)))
    field = _field(_written(surrogate, horizon, statement.variable_length), horizon)
    if isinstance(surrogate, MeanGradient) and drawn == P:
        field = _log_derivative(surrogate, horizon, statement.variable_length)
    return _mean(drawn, field)


def _taken(statement: SequenceGradient | SequenceValue, left: bool) -> tuple[Surrogate, Symbol]:
    if left:
        return statement.left, statement.left_drawn_from
    return statement.right, statement.right_drawn_from


def _mean(drawn: Symbol, body: Expr) -> Basic:
    return Integer(0) if body == 0 else Expectation(sp.Tuple(ANSWER, drawn), body)


def _written(surrogate: Callable[[int], Expr], horizon: int, variable_length: bool) -> Expr:
    expr = sp.sympify(surrogate(horizon))
    return expr if variable_length else expr.xreplace({LENGTH: Integer(horizon)})  # answers of fixed length have N = T


def _field(expr: Expr, horizon: int) -> Expr:
    """The gradient of a surrogate, a multiple of each direction."""
    parts = []
    for t in range(horizon):
        log_ratio, rho = token_symbols(t)
        slope = partial(expr, log_ratio) + partial(expr, log_policy_symbol(t)) + rho * partial(expr, rho)
        parts.append(_valued(slope, horizon) * score_symbol(t))
        for name in (divergence_symbol(t), reference_divergence_symbol(t)):
            parts.append(_valued(partial(expr, name), horizon) * Nabla(name))
    return Add(*parts)


def _valued(expr: Expr, horizon: int) -> Expr:
    if expr == 0:
        return expr
    value = value_of(expr)
    if value.free_symbols & {log_policy_symbol(t) for t in range(horizon)}:
        raise CannotExpress("the value of log policy itself, not of a ratio, has no rule")
    return _shortest(value) if horizon == SHOWN else value


@lru_cache(maxsize=4096)
def _shortest(expr: Expr) -> Expr:
    if not expr.has(Add):  # one term, with nothing to multiply out or to cancel
        return expr
    expanded = sp.expand(expr)
    return shortest(expr, expanded, sp.factor_terms(expanded))


def _scores(horizon: int) -> Expr:
    return Add(*(score_symbol(t) for t in range(horizon)))


def _log_derivative(surrogate: MeanGradient, horizon: int, variable_length: bool) -> Expr:
    value = _written(surrogate.value, horizon, variable_length)
    return _tidy(opened(_valued(value, horizon) * _scores(horizon) + _field(value, horizon)), horizon)


def _side(statement: SequenceGradient | SequenceValue, left: bool, horizon: int) -> tuple[list[Step], Expr, Symbol]:
    """The steps of one side, the sum they end with, and the distribution it is drawn from."""
    surrogate, drawn = _taken(statement, left)
    variable = statement.variable_length
    written = _written(surrogate, horizon, variable)
    steps: list[Step] = []
    if isinstance(statement, SequenceValue):
        body = _valued(written, horizon)
        before: Basic | None = _mean(drawn, written)
    elif isinstance(surrogate, MeanGradient) and drawn == P:
        value = _written(surrogate.value, horizon, variable)
        steps.append(
            Step(
                "log-derivative",
                _mean(drawn, value * _scores(horizon) + Nabla(value)),
                "grad E_policy[X] = E_policy[X sum_t s_t + grad X]: the drawing is differentiated too",
                Nabla(_mean(drawn, value)),
            )
        )
        body, before = _log_derivative(surrogate, horizon, variable), None
        if value.free_symbols - {LENGTH}:
            steps.append(Step("chain rule over tokens", _mean(drawn, body), _CHAIN))
    elif written == 0:
        return [], Integer(0), drawn
    else:
        body, before = _field(written, horizon), _mean(drawn, Nabla(written))
        steps.append(Step("chain rule over tokens", _mean(drawn, body), _CHAIN, before))
        before = None
    for name, note, after in integrated(body, drawn, horizon):
        steps.append(Step(name, _mean(drawn, _tidy(after, horizon)), note, before))
        body, before = after, None
    return steps, opened(body), drawn


def _to_sampler(body: Expr, horizon: int, steps: list[Step]) -> Expr:
    """Weight each term with the ratio of the tokens that it depends on."""
    weighted = opened(
        Add(
            *(
                term * Mul(*(token_symbols(t)[1] for t in range(reach(term, horizon) + 1)))
                for term in Add.make_args(opened(body))
            )
        )
    )
    if weighted != 0:
        note = "E_policy[X] = E_sampler[c_t X], c_t the product of rho up to the last token that X depends on"
        before = None if steps else _mean(P, body)
        steps.append(Step("change of measure", _mean(M, _tidy(weighted, horizon)), note, before))
    return weighted


def _tidy(expr: Expr, horizon: int) -> Expr:
    """An open sum as a sum of directions, each with one coefficient, if it is to be shown."""
    if horizon != SHOWN:
        return expr
    names = [name(t) for t in range(horizon) for name in (divergence_symbol, reference_divergence_symbol)]
    directions = [*(score_symbol(t) for t in range(horizon)), *(Nabla(name) for name in names)]
    coefficients: dict[Expr, list[Expr]] = {direction: [] for direction in directions}
    others = []
    for term in Add.make_args(expr):
        factors = Mul.make_args(term)
        direction = next((direction for direction in directions if direction in factors), None)
        if direction is None:
            others.append(term)
        else:
            coefficients[direction].append(Mul(*(factor for factor in factors if factor != direction)))
    tidied = (_shortest(Add(*parts)) * direction for direction, parts in coefficients.items())
    return Add(*tidied, *others)


def _audit(steps: tuple[Step, ...], ends: bool) -> None:
    """Evaluate every line on the drawn tree. Raises BrokenStep where one differs from the line before it."""
    above = None
    for step in steps:
        if step.before is not None:
            above = value_of_line(step.before, SHOWN, ends)
        value = value_of_line(step.after, SHOWN, ends)
        if above is None or abs(value - above) > _TOLERANCE * (1 + abs(above)):
            raise BrokenStep(f"{step.rule}: {step.after} is not what the line before it is")
        above = value
