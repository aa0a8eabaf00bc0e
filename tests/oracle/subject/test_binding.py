"""Binding: parameters take roles by name, several may share one, and what is unclear is asked for."""

from __future__ import annotations

from functools import partial
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from oracle.errors import RoleError
from oracle.subject.binding import bind, parse_role, parse_value
from oracle.subject.roles import Role


def test_defaults_and_numbers() -> None:
    def loss(
        log_probs: Tensor, ref_log_probs: Tensor, old_log_probs: Any = None, beta: float = 0.0, width: int = 8
    ) -> None: ...

    bound = bind(loss)
    assert bound.roles == {
        Role.POLICY: "log_probs",
        Role.REFERENCE: "ref_log_probs",
        Role.SAMPLER: "old_log_probs",
        Role.BETA: "beta",
    }
    assert bound.numbers == {"width": 8.0}


def test_several_samplers_and_masks_share_their_numbers() -> None:
    def loss(
        curr_logprobs: Tensor,
        reference_policy_logprobs: Tensor,
        prev_logprobs: Tensor,
        generation_logprobs: Tensor,
        mask: Tensor,
        full_mask: Tensor,
    ) -> None: ...

    bound = bind(loss)
    assert bound.roles[Role.SAMPLER] == "prev_logprobs"
    assert dict(bound.also) == {"generation_logprobs": Role.SAMPLER, "full_mask": Role.MASK}


def test_explicit_roles_go_first() -> None:
    def penalty(log_p: Tensor, log_q: Tensor) -> None: ...

    assert bind(penalty, ["log_p=reference", "log_q=policy"]).roles == {Role.REFERENCE: "log_p", Role.POLICY: "log_q"}
    assert bind(penalty, ["log_q=reference"]).roles == {Role.REFERENCE: "log_q", Role.POLICY: "log_p"}
    with pytest.raises(RoleError, match="two parameters are given the role policy"):
        bind(penalty, ["log_p=policy", "log_q=policy"])


def test_a_partial_keeps_what_it_fixed() -> None:
    def penalty(logp: Tensor, ref_logp: Tensor, kind: str) -> None: ...

    with pytest.raises(RoleError, match="--set kind=VALUE"):
        bind(penalty)
    assert bind(partial(penalty, kind="k3")).roles.keys() == {Role.POLICY, Role.REFERENCE}
    assert bind(penalty, settings=["kind=k3"]).settings == {"kind": "k3"}


def test_a_flag_that_sounds_like_a_role_is_none() -> None:
    def loss(logp: Tensor, ref_logp: Tensor, reference_free: bool = False, old_logp: bool = True) -> None: ...

    assert bind(loss).roles.keys() == {Role.POLICY, Role.REFERENCE}


@given(st.text(max_size=30))
def test_any_role_text_is_parsed_or_refused(text: str) -> None:
    try:
        name, role = parse_role(text)
    except RoleError as error:
        message = str(error)
    else:
        assert isinstance(role, Role)
        assert name
        return
    assert message.startswith("--role")


@given(st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=20))
def test_a_literal_is_its_value(value: Any) -> None:
    assert parse_value(repr(value)) == value


@pytest.mark.parametrize(("text", "value"), [("true", True), ("None", None), ("3", 3), ("1e-3", 1e-3), ("k3", "k3")])
def test_values(text: str, value: Any) -> None:
    assert parse_value(text) == value
