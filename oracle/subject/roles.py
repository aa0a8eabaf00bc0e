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
    VALUES = "values"
    LOG_RATIO = "log_ratio"
    """log(policy/reference), in the place of both."""
    IMPORTANCE_WEIGHT = "importance_weight"
    """policy/sampler; its gradient is the policy's."""
    LOG_IMPORTANCE_WEIGHT = "log_importance_weight"
    LOGITS = "logits"
    REFERENCE_LOGITS = "reference_logits"
    SAMPLER_LOGITS = "sampler_logits"
    DISTRIBUTION = "distribution"
    """Log-probabilities of the whole vocabulary under the policy, [B, T, V]."""
    REFERENCE_DISTRIBUTION = "reference_distribution"
    SAMPLER_DISTRIBUTION = "sampler_distribution"
    PROBABILITIES = "probabilities"
    """The same as probabilities, [B, T, V]; a reference may be given both ways."""
    REFERENCE_PROBABILITIES = "reference_probabilities"
    HIDDEN = "hidden"
    REFERENCE_HIDDEN = "reference_hidden"
    SAMPLER_HIDDEN = "sampler_hidden"
    WEIGHT = "weight"
    """The matrix [V, H] that makes logits of hidden states."""
    REFERENCE_WEIGHT = "reference_weight"
    SAMPLER_WEIGHT = "sampler_weight"
    BIAS = "bias"
    COMPLETION_LENGTH = "completion_length"
    PROMPT_LENGTH = "prompt_length"

    def __str__(self) -> str:
        return self.value


ROLE_NAMES = tuple(role.value for role in Role)

POLICY_FORMS = (Role.POLICY, Role.LOGITS, Role.DISTRIBUTION, Role.PROBABILITIES, Role.HIDDEN)
"""The forms in which a callable may take the policy, the plainest first."""
HEARS_SAMPLER = (Role.SAMPLER, Role.IMPORTANCE_WEIGHT, Role.LOG_IMPORTANCE_WEIGHT)
"""The narrow forms in which a callable hears of the sampler."""
REFERENCE_FORMS = (
    Role.REFERENCE,
    Role.REFERENCE_LOGITS,
    Role.REFERENCE_DISTRIBUTION,
    Role.REFERENCE_PROBABILITIES,
    Role.REFERENCE_HIDDEN,
)
SAMPLER_FORMS = (Role.SAMPLER, Role.SAMPLER_LOGITS, Role.SAMPLER_DISTRIBUTION, Role.SAMPLER_HIDDEN)
WEIGHTS = {
    Role.HIDDEN: Role.WEIGHT,
    Role.REFERENCE_HIDDEN: Role.REFERENCE_WEIGHT,
    Role.SAMPLER_HIDDEN: Role.SAMPLER_WEIGHT,
}
"""The matrix that belongs to each hidden state; the policy's stands in where another has none of its own."""

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
_WIDE_TOKENS = {
    "label", "true_labels", "target", "targets", "target_ids", "index", "indices", "actions", "action", "action_ids",
    "responses", "response", "shift_labels", "shift_ids", "shifted_labels", "shifted_ids", "output_ids", "sequences",
    "sequence_ids", "completions", "completion", "next_tokens", "sampled_ids", "sampled_tokens", "full_ids", "y",
    "response_tokens", "completion_tokens", "all_ids", "seq", "prompt_completion_ids", "token_id", "chosen_ids",
}  # fmt: skip
_OF_TOKENS = {"support", "vocab", "vocabulary", "topk", "allowed", "grammar"}
"""A mask over these leaves out tokens of the vocabulary, not positions."""
_VALUES = {"values", "old_values", "value", "vpreds", "value_preds"}
_COMPLETION_LENGTH = {
    "logits_to_keep", "num_logits_to_keep", "response_length", "response_len", "completion_length", "completion_len",
    "num_actions", "gen_len", "gen_length", "num_completion_tokens", "num_response_tokens", "max_response_length",
}  # fmt: skip
_PROMPT_LENGTH = {
    "prompt_length", "prompt_len", "num_prompt_tokens", "context_length", "context_len", "prompt_size", "query_length",
    "query_len", "prompt_width", "max_prompt_length", "start",
}  # fmt: skip
_WHOLE = {"full", "vocab", "vocabulary", "dist", "distribution", "distributions"}
_HEAD = {"lm", "head", "lin", "linear", "proj", "projection", "out", "output", "unembed", "unembedding", "vocab"}


def role_of(name: str) -> Role | None:
    """The role that a parameter's name says, or None where it says none."""
    low = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).lower().strip("_")
    if low in _BETA:
        return Role.BETA
    words = [w for w in low.split("_") if w]
    if not words:
        return None
    if words[-1] in _MASK and not _OF_TOKENS & set(words):
        return Role.MASK
    if low in _TOKENS:
        return Role.TOKENS
    if low in _VALUES:
        return Role.VALUES
    if any(w in _REWARDS for w in words) and all(w in _REWARDS | _FILLER | {"level"} for w in words):
        return Role.REWARDS
    if any(w in _ADVANTAGES for w in words) and all(w in _ADVANTAGES | _FILLER for w in words):
        return Role.ADVANTAGES
    return _importance_role(words) or _wide_role(words) or _log_probability_role(words)


def role_beside_logits(name: str) -> Role | None:
    """The role of a parameter of a callable that takes logits or hidden states: there more names say one."""
    low = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).lower().strip("_")
    words = [w for w in low.split("_") if w]
    if low in _WIDE_TOKENS:
        return Role.TOKENS
    if low in _COMPLETION_LENGTH:
        return Role.COMPLETION_LENGTH
    if low in _PROMPT_LENGTH:
        return Role.PROMPT_LENGTH
    for last, roles in (
        ({"input", "x", "h"}, (Role.HIDDEN, Role.REFERENCE_HIDDEN, Role.SAMPLER_HIDDEN)),
        ({"weight", "weights", "w", "head", "unembedding"}, (Role.WEIGHT, Role.REFERENCE_WEIGHT, Role.SAMPLER_WEIGHT)),
        ({"bias"}, (Role.BIAS, Role.BIAS, Role.BIAS)),
    ):
        if words and words[-1] in last:
            return _whose([w for w in words[:-1] if w not in _HEAD], roles)
    if words and words[-1] in ("probs", "probabilities") and "log" not in words and _REFERENCE & set(words[:-1]):
        return Role.REFERENCE_PROBABILITIES
    return role_of(name)


def _whose(words: list[str], roles: tuple[Role, Role, Role]) -> Role | None:
    """Of the roles of policy, reference and sampler the one that the other words of a name say."""
    rest = [w for w in words if w not in _FILLER]
    if any(w not in _REFERENCE | _SAMPLER | _POLICY for w in rest):
        return None
    if any(w in _REFERENCE for w in rest):
        return roles[1]
    return roles[2] if any(w in _SAMPLER for w in rest) else roles[0]


def _wide_role(words: list[str]) -> Role | None:
    """Logits, hidden states, or log-probabilities of the whole vocabulary."""
    if words[-1] in ("logits", "logit") or words[0] in ("logits", "logit"):
        rest = [w for w in words if w not in ("logits", "logit", "shift", "shifted", "raw")]
        return _whose(rest, (Role.LOGITS, Role.REFERENCE_LOGITS, Role.SAMPLER_LOGITS))
    if "hidden" in words or "hiddens" in words:
        rest = [w for w in words if w not in ("hidden", "hiddens", "state", "states", "last", "final")]
        return _whose(rest, (Role.HIDDEN, Role.REFERENCE_HIDDEN, Role.SAMPLER_HIDDEN))
    if any(w in _WHOLE for w in words) and _log_probability_role([w for w in words if w not in _WHOLE]) is not None:
        rest = [w for w in words if w not in _WHOLE | _LOG | {"prob", "probs", "ps"}]
        return _whose(rest, (Role.DISTRIBUTION, Role.REFERENCE_DISTRIBUTION, Role.SAMPLER_DISTRIBUTION))
    return None


def _importance_role(words: list[str]) -> Role | None:
    """An importance weight, where it is called one; a bare ``ratio`` or ``log_ratio`` may be of anything."""
    rest = [w for w in words if w not in _FILLER | {"sampling", "log"}]
    if not (rest[:1] in (["importance"], ["is"]) and rest[1:] in (["weight"], ["weights"], ["ratio"], ["ratios"])):
        return None
    return Role.LOG_IMPORTANCE_WEIGHT if "log" in words else Role.IMPORTANCE_WEIGHT


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
