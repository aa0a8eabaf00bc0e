"""Roles that a parameter can play, recognised by the names that RLHF libraries use.

A name is split at underscores; words that only say "one value a token" are dropped; what remains decides.
So ``ref_per_token_logps``, ``log_probs_base`` and ``reference_logprobs`` are the reference, while ``ref_free`` is not.
"""

from __future__ import annotations

import re
from enum import Enum


class Role(str, Enum):
    """What a parameter stands for (design: "Words")."""

    POLICY = "policy"
    REFERENCE = "reference"
    SAMPLER = "sampler"
    ADVANTAGES = "advantages"
    REWARDS = "rewards"
    MASK = "mask"
    BETA = "beta"
    TOKENS = "tokens"

    def __str__(self) -> str:
        return self.value


ROLE_NAMES = tuple(role.value for role in Role)

_LOG = {"logp", "logps", "logprob", "logprobs", "lp", "lps", "logpi", "logpis", "ll", "loglik"}
_FILLER = {
    "per", "token", "tokens", "selected", "completion", "completions", "response", "responses", "action", "actions",
    "seq", "sequence", "all", "the", "chosen", "batch", "b", "model", "t", "log", "values", "tensor", "x", "p", "pi",
}  # fmt: skip
_POLICY = {
    "policy",
    "actor",
    "new",
    "current",
    "cur",
    "curr",
    "theta",
    "student",
    "train",
    "trainer",
    "active",
    "online",
}
_REFERENCE = {"ref", "refs", "reference", "base", "anchor", "frozen", "sft", "init", "initial", "prior", "teacher"}
_SAMPLER = {
    "old", "behavior", "behaviour", "behav", "rollout", "rollouts", "sampling", "sampler", "sampled", "mu", "prev",
    "previous", "inference", "infer", "vllm", "generator", "generation", "gen", "engine", "proximal", "prox",
}  # fmt: skip
_BETA = {
    "beta", "kl_coef", "kl_coeff", "kl_coefficient", "kl_ctl", "kl_weight", "kl_beta", "kl_penalty_coef", "kl_ratio",
    "kl_loss_coef", "kl_loss_weight", "kl_lambda", "kl_penalty_weight", "kl_scale", "beta_kl", "coef_kl", "kl_alpha",
    "init_kl_coef", "kl_coeff_loss", "kl_loss_coeff", "lambda_kl", "lam_kl", "kl_strength", "kl_term_coef", "klcoef",
}  # fmt: skip
_ADVANTAGES = {"advantage", "advantages", "adv", "advs", "a_hat"}
_REWARDS = {"reward", "rewards", "score", "scores", "returns", "r"}
_MASK = {"mask", "masks"}
_TOKENS = {"input_ids", "token_ids", "completion_ids", "response_ids", "selected_token_ids", "tokens", "labels", "ids"}


def role_of(name: str) -> Role | None:
    """The role that a parameter's name says, or None where it says none."""
    low = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).lower().strip("_")
    if low in _BETA:
        return Role.BETA
    words = [w for w in low.split("_") if w]
    if not words:
        return None
    if words[-1] in _MASK:
        return Role.MASK
    if low in _TOKENS:
        return Role.TOKENS
    if any(w in _REWARDS for w in words) and all(w in _REWARDS | _FILLER | {"level"} for w in words):
        return Role.REWARDS
    if any(w in _ADVANTAGES for w in words) and all(w in _ADVANTAGES | _FILLER for w in words):
        return Role.ADVANTAGES
    return _log_probability_role(words)


_BARE = {
    "ref": Role.REFERENCE, "reference": Role.REFERENCE, "base": Role.REFERENCE, "old": Role.SAMPLER, "mu": Role.SAMPLER,
    "sampler": Role.SAMPLER, "behavior": Role.SAMPLER, "behaviour": Role.SAMPLER, "rollout": Role.SAMPLER,
    "policy": Role.POLICY, "pi": Role.POLICY, "new": Role.POLICY, "cur": Role.POLICY, "current": Role.POLICY,
}  # fmt: skip


def _log_probability_role(words: list[str]) -> Role | None:
    joined = "_".join(words)
    if joined in _BARE:
        return _BARE[joined]
    if not (any(w in _LOG for w in words) or re.search(r"(^|_)log_(probs?|ps?|pi)(_|$)", joined)):
        return None
    rest = [w for w in words if w not in _LOG and w not in _FILLER and w not in {"prob", "probs", "ps"}]
    kinds = {
        Role.REFERENCE if w in _REFERENCE else Role.SAMPLER if w in _SAMPLER else Role.POLICY if w in _POLICY else None
        for w in rest
    }
    if None in kinds:
        return None
    # 'ref' decides before 'old' ("old_ref_logp" is a reference), 'old' before 'policy' ("old_policy_logp")
    for role in (Role.REFERENCE, Role.SAMPLER):
        if role in kinds:
            return role
    return Role.POLICY
