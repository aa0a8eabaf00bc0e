"""The token-level field on trees of two binary tokens, in exact numbers: what it is not.

The tree has three choices of two tokens: the first one, and the second after each first. An odds a of
a choice is exp of its logit, so that the gradient by the logit is a d/da.
"""

from __future__ import annotations

from sympy import Add, Expr, Integer, Rational, Symbol, diff, log

from proofs.statements import Instance
from proofs.theorem import Theorem

_FAMILY = "token-level field"
_CONDITIONS = ("the instance given: two tokens, each of a vocabulary of two",)
_DERIVED = "the project's own derivation"
_FIRST, _SECOND = Symbol("a"), Symbol("b")
"""Odds of the first choice, and of the second choice after the first token."""


def _row(odds: Expr) -> tuple[Expr, Expr]:
    return odds / (1 + odds), 1 / (1 + odds)


def _divergence(policy: tuple[Expr, Expr], reference: tuple[Expr, Expr]) -> Expr:
    """KL(policy||reference) of one choice, written out."""
    return Add(*(p * log(p / q) for p, q in zip(policy, reference, strict=True)))


def _by_logit(expr: Expr, odds: Symbol) -> Expr:
    return odds * diff(expr, odds)


def curl(odds: tuple[int, int], reference: tuple[int, int]) -> Expr:
    """Return the asymmetry of the Jacobian: the second choice's component by the first logit, less the reverse."""
    first, second = _row(_FIRST), _row(_SECOND)
    frozen = tuple(map(_row, map(Integer, reference)))
    by_first = _by_logit(_divergence(first, frozen[0]), _FIRST)
    by_second = first[0] * _by_logit(_divergence(second, frozen[1]), _SECOND)
    asymmetry = _by_logit(by_second, _FIRST) - _by_logit(by_first, _SECOND)
    return asymmetry.subs({_FIRST: odds[0], _SECOND: odds[1]})


_HALVES = (Rational(1, 2), Rational(1, 2))
Tree = tuple[tuple[int, int], tuple[int, int]]


def root_forces(weights: Tree, future: bool) -> tuple[Expr, Expr]:
    """Return the expected ascent's coefficient of each first token at the Boltzmann policy, beta = 1.

    The reference is uniform and the reward log(weight). With `future` the return counts the later
    penalty (sequence level), without it only the penalty of the first token (token level).
    """
    rows = [Integer(sum(row)) for row in weights]
    forces = []
    for row, mass in zip(weights, rows, strict=True):
        policy = [Integer(w) / mass for w in row]
        value = Add(*(p * log(Integer(w)) for p, w in zip(policy, row, strict=True)))
        penalty = log(2 * mass / Add(*rows))
        later = _divergence((policy[0], policy[1]), _HALVES) if future else Integer(0)
        forces.append(value - penalty - later)
    return forces[0], forces[1]


def directions(first: Rational, after: tuple[Rational, Rational]) -> tuple[Expr, Expr]:
    """Return the first logit's gradient of token level and sequence level, reference uniform.

    `first` is the probability of the first token, `after` those of the second choice after each.
    """
    own = [log(2 * p) for p in (first, 1 - first)]
    later = [_divergence((p, 1 - p), _HALVES) for p in after]
    slope = first * (1 - first)
    return slope * (own[0] - own[1]), slope * (own[0] + later[0] - own[1] - later[1])


_WEIGHTS: Tree = ((1, 4), (2, 2))
_TOKEN_FORCE = root_forces(_WEIGHTS, future=False)
_TOKEN, _SEQUENCE = directions(Rational(3, 5), (Rational(1, 2), Rational(99, 100)))

THEOREMS = (
    Theorem(
        "token-level.no-gradient",
        "The token-level field, sum_t grad KL(policy||reference)_t with the prefixes held fixed, is the gradient of no "
        "function: here its Jacobian is not symmetric.",
        Instance(
            curl((2, 3), (1, 1)),
            {"policy's odds of the two choices": "2, 3", "reference's odds of the two choices": "1, 1"},
        ),
        _CONDITIONS,
        _DERIVED,
        _FAMILY,
        refutes="the token sum of k2 descends an objective",
    ),
    Theorem(
        "token-level.boltzmann-no-fixed-point",
        "The Boltzmann policy, the optimum of E[R] - beta KL(policy||reference)_seq, is no fixed point of the "
        "token-level field: the first token's coefficient R - beta L_0, in expectation, is not the same for both "
        "tokens.",
        Instance(
            _TOKEN_FORCE[0] - _TOKEN_FORCE[1],
            {"reference": "uniform", "exp(R/beta)": str(_WEIGHTS), "policy": "Boltzmann"},
        ),
        _CONDITIONS,
        _DERIVED,
        _FAMILY,
        refutes="with a terminal reward the token sum of k2 has the fixed point of KL(policy||reference)_seq",
    ),
    Theorem(
        "token-level.wrong-direction",
        "The token-level field moves the first token's logit the opposite way from the gradient of "
        "KL(policy||reference)_seq.",
        Instance(
            -_TOKEN * _SEQUENCE,
            {"reference": "uniform", "policy, first choice": "3/5", "policy, second choices": "1/2, 99/100"},
        ),
        _CONDITIONS,
        _DERIVED,
        _FAMILY,
        refutes="the token sum of k2 points to the side of the gradient of KL(policy||reference)_seq",
    ),
)
