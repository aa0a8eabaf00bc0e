"""Roles by name: the names that RLHF libraries give their parameters, and names that must not be taken for one."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from oracle.subject.roles import Role, role_of

NAMES = {
    Role.POLICY: "logp logprob log_probs per_token_logps policy_logprobs new_log_probs curr_logprobs actor_log_probs "
    "student_logps logprobs_policy pi_logprobs log_prob logp_theta model_logps",
    Role.REFERENCE: "ref_logp ref_log_prob reference_logprobs log_probs_base ref_per_token_logps logprobs_reference "
    "reference_policy_logprobs base_logps teacher_logps logp_ref sft_logprobs ref_policy_logprobs ref",
    Role.SAMPLER: "old_logp old_log_prob old_per_token_logps behavior_logp rollout_log_probs sampling_per_token_logps "
    "prev_logprobs generation_logprobs inference_logprobs old_policy_log_probs vllm_logps mu_logp logp_old old",
    Role.ADVANTAGES: "advantages adv advantage token_advantages",
    Role.REWARDS: "rewards reward scores token_level_scores reward_score token_level_rewards",
    Role.MASK: "mask response_mask completion_mask loss_mask attention_mask action_mask eos_mask",
    Role.TOKENS: "input_ids completion_ids token_ids labels",
    Role.VALUES: "values old_values",
    Role.LOGITS: "logits policy_logits student_logits logits_policy shift_logits new_logits",
    Role.REFERENCE_LOGITS: "ref_logits reference_logits teacher_logits logits_ref base_logits",
    Role.SAMPLER_LOGITS: "old_logits rollout_logits",
    Role.DISTRIBUTION: "full_logprobs policy_full_log_probs vocab_logps",
    Role.REFERENCE_DISTRIBUTION: "ref_full_logprobs teacher_vocab_log_probs",
    Role.HIDDEN: "hidden_states hidden last_hidden_state policy_hidden",
    Role.REFERENCE_HIDDEN: "ref_hidden_states teacher_hidden",
    Role.IMPORTANCE_WEIGHT: "importance_ratio importance_weights importance_sampling_weights is_ratio is_weights",
    Role.LOG_IMPORTANCE_WEIGHT: "log_importance_weights log_importance_ratio log_is_weight",
    Role.BETA: "beta kl_coef kl_coeff kl_ctl init_kl_coef kl_loss_coef kl_weight",
    None: "ref_free kl_penalty x epsilon cliprange log_q masked temperature "
    "loss_type config self ref_model beta1 log_ratio approx_kl "
    "ratio rho importance is_packed token_weights",
}


@pytest.mark.parametrize(("role", "name"), [(r, n) for r, names in NAMES.items() for n in names.split()])
def test_names(role: Role | None, name: str) -> None:
    assert role_of(name) is role


@given(st.text(max_size=30))
def test_any_text_is_a_role_or_none(name: str) -> None:
    assert role_of(name) is None or isinstance(role_of(name), Role)
