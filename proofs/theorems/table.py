"""The master table: what each estimator's gradient is, by placement, correction and sampler."""

from __future__ import annotations

from sympy import Expr, Integer, exp, log

from proofs.statements import K1, K2, K3, LOG_RATIO, RATIO, ExpectedGradient, Gradient, sg
from proofs.symbols import M, P, Q
from proofs.theorem import USUAL, Theorem

REVERSE_KL = P * log(P / Q)
"""Summand of KL(policy||reference)."""
FORWARD_KL = Q * log(Q / P)
"""Summand of KL(reference||policy)."""
SAMPLER_POLICY_KL = M * log(M / P)
"""Summand of KL(sampler||policy)."""
POLICY_SAMPLER_KL = P * log(P / M)
"""Summand of KL(policy||sampler)."""
MEAN_K2 = P * K2
"""Summand of E_policy[k2]."""

_FAMILY = "master table"
_SOURCE = "arXiv 2510.01555"
_ESTIMATORS = {"k1": K1, "k2": K2, "k3": K3}


def in_reward(k: Expr) -> Expr:
    """Return the surrogate whose gradient is k times the score: sg(k) log p."""
    return sg(k) * log(P)


def from_policy(surrogate: Expr, objective: Expr) -> ExpectedGradient:
    """Return: drawn from the policy, the surrogate's expected gradient is that of the objective."""
    return ExpectedGradient(Gradient(P, surrogate), Gradient(Integer(1), objective))


def from_sampler(surrogate: Expr, objective: Expr) -> ExpectedGradient:
    """Return: drawn from the sampler, the surrogate's expected gradient is that of the objective."""
    return ExpectedGradient(Gradient(M, surrogate), Gradient(Integer(1), objective))


def _loss(correction: str, k: Expr) -> Expr:
    return {"uncorrected": k, "detached": sg(RATIO) * k, "differentiated": RATIO * k}[correction]


def _reward(correction: str, k: Expr) -> Expr:
    differentiated = RATIO * sg(k)
    return {
        "uncorrected": in_reward(k),
        "detached": sg(RATIO) * in_reward(k),
        "differentiated": differentiated,
    }[correction]


_DRAWN = {
    "on-policy": "on-policy",
    "uncorrected": "off-policy without importance weight",
    "detached": "off-policy with the detached weight sg(rho)",
    "differentiated": "off-policy with the weight rho differentiated",
}

# (estimator, placement, correction): the summand of the objective, and the objective in words.
_CELLS: dict[tuple[str, str, str], tuple[Expr, str]] = {
    ("k1", "loss", "on-policy"): (Integer(0), "zero"),
    ("k1", "loss", "uncorrected"): (-SAMPLER_POLICY_KL, "that of -KL(sampler||policy): it un-learns the samples"),
    ("k1", "loss", "detached"): (Integer(0), "zero"),
    ("k1", "loss", "differentiated"): (REVERSE_KL, "that of KL(policy||reference)"),
    ("k2", "loss", "on-policy"): (REVERSE_KL, "that of KL(policy||reference)"),
    ("k2", "loss", "uncorrected"): (M * (log(Q / P)) ** 2 / 2, "that of E_sampler[L^2/2], no f-divergence"),
    ("k2", "loss", "detached"): (REVERSE_KL, "that of KL(policy||reference)"),
    ("k2", "loss", "differentiated"): (MEAN_K2, "that of E_policy[k2], not of KL(policy||reference)"),
    ("k3", "loss", "on-policy"): (FORWARD_KL, "that of KL(reference||policy)"),
    ("k3", "loss", "uncorrected"): (
        M * (Q / P - log(Q / P) - 1),
        "that of the sampler-weighted Itakura-Saito divergence of reference and policy",
    ),
    ("k3", "loss", "detached"): (FORWARD_KL, "that of KL(reference||policy)"),
    ("k3", "loss", "differentiated"): (REVERSE_KL, "that of KL(policy||reference)"),
    ("k1", "reward", "on-policy"): (REVERSE_KL, "that of KL(policy||reference)"),
    ("k1", "reward", "uncorrected"): (M * K2, "that of E_sampler[L^2/2], as of k2 as loss"),
    ("k1", "reward", "detached"): (REVERSE_KL, "that of KL(policy||reference)"),
    ("k1", "reward", "differentiated"): (REVERSE_KL, "that of KL(policy||reference)"),
    ("k2", "reward", "on-policy"): (MEAN_K2 - REVERSE_KL, "that of E_policy[k2] - KL(policy||reference)"),
    ("k2", "reward", "uncorrected"): (M * LOG_RATIO**3 / 6, "that of E_sampler[L^3/6]"),
    ("k2", "reward", "detached"): (MEAN_K2 - REVERSE_KL, "that of E_policy[k2] - KL(policy||reference)"),
    ("k2", "reward", "differentiated"): (MEAN_K2 - REVERSE_KL, "that of E_policy[k2] - KL(policy||reference)"),
    ("k3", "reward", "on-policy"): (REVERSE_KL - FORWARD_KL, "that of KL(policy||reference) - KL(reference||policy)"),
    ("k3", "reward", "uncorrected"): (
        M * (K2 - LOG_RATIO - exp(-LOG_RATIO)),
        "that of E_sampler[L^2/2 - L - exp(-L)]",
    ),
    ("k3", "reward", "detached"): (REVERSE_KL - FORWARD_KL, "that of KL(policy||reference) - KL(reference||policy)"),
    ("k3", "reward", "differentiated"): (
        REVERSE_KL - FORWARD_KL,
        "that of KL(policy||reference) - KL(reference||policy)",
    ),
}


def _cell(name: str, placement: str, correction: str, objective: Expr, words: str) -> Theorem:
    k = _ESTIMATORS[name]
    if correction == "on-policy":
        statement = from_policy(k if placement == "loss" else in_reward(k), objective)
    else:
        surrogate = _loss if placement == "loss" else _reward
        statement = from_sampler(surrogate(correction, k), objective)
    position = "as loss" if placement == "loss" else "in reward"
    return Theorem(
        f"{name}-{placement}.{correction}",
        f"{name} {position}, {_DRAWN[correction]}: the expected gradient is {words}.",
        statement,
        USUAL,
        _SOURCE,
        _FAMILY,
    )


_STALE = log(M / Q)
_STALE_WORDS = "k1 in reward with the log-ratio of rollout time, log(sampler/reference), "
_STALE_CELLS = (
    Theorem(
        "k1-stale-reward.uncorrected",
        _STALE_WORDS + "without importance weight: the coefficient is a constant of the token, and the expected "
        "gradient is that of E_sampler[log(sampler/reference) L].",
        from_sampler(in_reward(_STALE), M * log(M / Q) * LOG_RATIO),
        USUAL,
        _SOURCE,
        _FAMILY,
    ),
    Theorem(
        "k1-stale-reward.detached",
        _STALE_WORDS + "weight sg(rho): the expected gradient is that of KL(policy||reference) - KL(policy||sampler).",
        from_sampler(sg(RATIO) * in_reward(_STALE), REVERSE_KL - POLICY_SAMPLER_KL),
        USUAL,
        _SOURCE,
        _FAMILY,
    ),
    Theorem(
        "k1-stale-reward.differentiated",
        _STALE_WORDS + "in the surrogate rho sg(k) of PPO: the expected gradient is that of "
        "KL(policy||reference) - KL(policy||sampler), linear in the policy.",
        from_sampler(RATIO * sg(_STALE), REVERSE_KL - POLICY_SAMPLER_KL),
        USUAL,
        _SOURCE,
        _FAMILY,
    ),
)

THEOREMS = (*(_cell(*key, *cell) for key, cell in _CELLS.items()), *_STALE_CELLS)
