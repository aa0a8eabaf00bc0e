"""Tokens integrated out of an expectation over whole answers, one named rule after another.

With everything before a token held fixed (h), and nothing after it or beside it depending on it:

    score identity          E_policy[s | h] = 0
    normalisation           E_policy[exp(-L) | h] = 1, E_policy[1/rho | h] = 1: reference and sampler sum to 1
    definition of KL        E_policy[L | h] = KL(policy||reference)
                            -E_policy[L exp(-L) | h] = KL(reference||policy)
    gradient of KL          E_policy[L s | h] = grad KL(policy||reference)
                            -E_policy[exp(-L) s | h] = grad KL(reference||policy)

Under the sampler each has the factor rho, and E_sampler[rho | h] = 1 besides. A position after the end
of an answer obeys all of them: there rho = 1, L = 0, s = 0.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache, lru_cache
from itertools import product
from typing import TypeAlias

import sympy as sp
from sympy import Add, Expr, Integer, Mul, Symbol, exp

from proofs.rewriting.trees import score_symbol
from proofs.steps import Nabla
from proofs.symbols import LENGTH, P, divergence_symbol, reference_divergence_symbol, token_symbols

Moment: TypeAlias = "Callable[[int], tuple[Expr, Expr]]"
"""From a position to a function of its token, and its mean under the policy with the prefix fixed."""


@dataclass(frozen=True)
class Rule:
    """A rule, as a reader sees it under the policy and under the sampler, and as terms are rewritten."""

    name: str
    policy: str
    sampler: str
    moment: Moment

    def note(self, drawn: Symbol) -> str:
        """Return the rule for draws from policy or sampler."""
        return self.policy if drawn == P else self.sampler


def _kl(t: int) -> tuple[Expr, Expr]:
    return token_symbols(t)[0], divergence_symbol(t)


def _reference_kl(t: int) -> tuple[Expr, Expr]:
    x = token_symbols(t)[0]
    return x * exp(-x), -reference_divergence_symbol(t)


def _kl_gradient(t: int) -> tuple[Expr, Expr]:
    return token_symbols(t)[0] * score_symbol(t), Nabla(divergence_symbol(t))


def _reference_kl_gradient(t: int) -> tuple[Expr, Expr]:
    return exp(-token_symbols(t)[0]) * score_symbol(t), -Nabla(reference_divergence_symbol(t))


RULES = (
    Rule(
        "score identity",
        "E_policy[s_t | tokens before t] = 0",
        "E_sampler[rho_t s_t | tokens before t] = 0",
        lambda t: (score_symbol(t), Integer(0)),
    ),
    Rule(
        "normalisation",
        "the policy sums to 1",
        "E_sampler[rho_t | tokens before t] = 1: the policy sums to 1",
        lambda _: (Integer(1), Integer(1)),
    ),
    Rule(
        "normalisation",
        "E_policy[exp(-L_t) | tokens before t] = 1: the reference sums to 1",
        "E_sampler[rho_t exp(-L_t) | tokens before t] = 1: the reference sums to 1",
        lambda t: (exp(-token_symbols(t)[0]), Integer(1)),
    ),
    Rule(
        "normalisation",
        "E_policy[1/rho_t | tokens before t] = 1: the sampler sums to 1",
        "the sampler sums to 1",
        lambda t: (1 / token_symbols(t)[1], Integer(1)),
    ),
    Rule(
        "definition of KL",
        "E_policy[L_t | tokens before t] = KL(policy||reference)_t",
        "E_sampler[rho_t L_t | tokens before t] = KL(policy||reference)_t",
        _kl,
    ),
    Rule(
        "definition of KL",
        "-E_policy[L_t exp(-L_t) | tokens before t] = KL(reference||policy)_t",
        "-E_sampler[rho_t L_t exp(-L_t) | tokens before t] = KL(reference||policy)_t",
        _reference_kl,
    ),
    Rule(
        "gradient of KL",
        "E_policy[L_t s_t | tokens before t] = grad KL(policy||reference)_t",
        "E_sampler[rho_t L_t s_t | tokens before t] = grad KL(policy||reference)_t",
        _kl_gradient,
    ),
    Rule(
        "gradient of KL",
        "-E_policy[exp(-L_t) s_t | tokens before t] = grad KL(reference||policy)_t",
        "-E_sampler[rho_t exp(-L_t) s_t | tokens before t] = grad KL(reference||policy)_t",
        _reference_kl_gradient,
    ),
)


@lru_cache(maxsize=4096)
def opened(expr: Expr) -> Expr:
    """Return a sum of single terms."""
    if expr.is_Add:
        return Add(*(opened(part) for part in expr.args))
    if expr.is_Mul and not any(_is_power_of_sum(factor) for factor in expr.args):
        factors = (Add.make_args(opened(factor)) for factor in expr.args)
        return Add(*(Mul(*term) for term in product(*factors)))
    return sp.expand(expr)


def _is_power_of_sum(factor: Expr) -> bool:
    """Whether it may be a denominator, or become one factor with another."""
    return bool(factor.is_Pow and factor.base.is_Add)


def integrated(expr: Expr, drawn: Symbol, horizon: int) -> Iterator[tuple[str, str, Expr]]:
    """Yield name and note of each rule that applies, and the sum after it, until none applies."""
    current = opened(expr)
    changed = True
    while changed:
        changed = False
        for name in dict.fromkeys(rule.name for rule in RULES):
            rules = tuple(rule for rule in RULES if rule.name == name)
            after, used = _applied(current, rules, drawn, horizon)
            if used:
                changed, current = True, after
                yield name, "; ".join(rule.note(drawn) for rule in rules if rule in used), after


def _applied(expr: Expr, rules: tuple[Rule, ...], drawn: Symbol, horizon: int) -> tuple[Expr, set[Rule]]:
    terms: list[Expr] = []
    used: set[Rule] = set()
    for term in Add.make_args(expr):
        after, by = _integrated_term(term, rules, drawn, horizon)
        terms.append(after)
        used |= by
    # A mean is a single term, so what is summed here is open.
    return (Add(*terms), used) if used else (expr, used)


@lru_cache(maxsize=16384)
def _integrated_term(term: Expr, rules: tuple[Rule, ...], drawn: Symbol, horizon: int) -> tuple[Expr, frozenset[Rule]]:
    """One term and the rules that apply to it, the last token first."""
    current, used, m = term, set(), horizon - 1
    while m >= 0:
        found = _at(current, m, rules, drawn, horizon)
        if found is None:
            m -= 1
        else:
            current = found[0]
            used.add(found[1])
    return current, frozenset(used)


def _at(term: Expr, m: int, rules: tuple[Rule, ...], drawn: Symbol, horizon: int) -> tuple[Expr, Rule] | None:
    """Apply a rule to the token at m of one term."""
    own, rest = [], []
    for factor in Mul.make_args(term):
        if _belongs(factor, m):
            own.append(factor)
        else:
            rest.append(factor)
    if not own or max((reach(factor, horizon) for factor in rest), default=-1) >= m:
        return None
    function = Mul(*own)
    for rule in rules:
        moment, mean = _moment(rule, m, drawn)
        if function == moment:
            return Mul(*rest) * mean, rule
    return None


@lru_cache(maxsize=16384)
def _belongs(factor: Expr, m: int) -> bool:
    """Whether the factor depends on the token at m and on nothing else."""
    symbols = factor.free_symbols
    return bool(symbols) and symbols <= {*token_symbols(m), score_symbol(m)}


@lru_cache(maxsize=256)
def _moment(rule: Rule, m: int, drawn: Symbol) -> tuple[Expr, Expr]:
    """What the rule integrates at position m, weighted for draws from the sampler, and its mean."""
    function, mean = rule.moment(m)
    return (function if drawn == P else token_symbols(m)[1] * function), mean


@lru_cache(maxsize=16384)
def reach(expr: Expr, horizon: int) -> int:
    """Return the last token that the expression depends on, or -1."""
    last = _last_tokens(horizon)
    return max((last.get(symbol, -1) for symbol in expr.free_symbols), default=-1)


@cache
def _last_tokens(horizon: int) -> dict[Symbol, int]:
    last = {LENGTH: horizon - 1}
    for t in range(horizon):
        last |= dict.fromkeys((*token_symbols(t), score_symbol(t)), t)
        last |= dict.fromkeys((divergence_symbol(t), reference_divergence_symbol(t)), t - 1)
    return last
