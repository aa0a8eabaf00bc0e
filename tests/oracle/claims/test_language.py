"""Claims: whatever the text, an answer or a ClaimError with a remedy."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from oracle.claims import parse_claim
from oracle.errors import ClaimError

_FORMS = ["k1", "k2", "k3", "abs", "as loss", "in reward", ",", "weight", "detached", "differentiated", "token-mean"]
_NAMES = ["reverse_kl", "/token", "/sequence", "off-policy", "on-policy", "zero", "exp(-L)", "L**2", "(", ")", " ", "é"]
_WORDS = st.sampled_from([*_FORMS, *_NAMES, "9", "-", "sum"])


@given(st.lists(_WORDS, max_size=8).map(" ".join) | st.text(max_size=40))
@settings(max_examples=300)
def test_only_a_claim_error_escapes(text: str) -> None:
    try:
        claim = parse_claim(text)
    except ClaimError as error:
        message = str(error)
    else:
        assert (claim.form is None) != (claim.objective is None)
        return
    assert "\n" not in message
    assert "claim" in message


@pytest.mark.parametrize(
    ("text", "placement", "correction", "aggregation"),
    [
        ("k3 as loss", "loss", "none", None),
        ("k3 as loss, weight differentiated", "loss", "differentiated", None),
        ("k2 as loss, weight detached, seq-mean-token-mean", "loss", "detached", "seq-mean-token-mean"),
        ("  k1   in reward ", "reward", "none", None),
        ("low_var_kl as loss, token-mean", "loss", "none", "token-mean"),
    ],
)
def test_forms(text: str, placement: str, correction: str, aggregation: str | None) -> None:
    claim = parse_claim(text)
    assert (claim.placement, claim.form.correction.value, claim.aggregation) == (placement, correction, aggregation)


@pytest.mark.parametrize(
    ("text", "objective", "level", "sides"),
    [
        ("reverse_kl", "reverse_kl", None, ("on-policy",)),
        ("reverse_kl/token off-policy", "reverse_kl", "token", ("off-policy",)),
        ("forward_kl/sequence on- and off-policy", "forward_kl", "sequence", ("on-policy", "off-policy")),
        ("zero", "zero", None, ("on-policy",)),
    ],
)
def test_objectives(text: str, objective: str, level: str | None, sides: tuple[str, ...]) -> None:
    claim = parse_claim(text)
    assert (claim.objective, claim.level, claim.sides) == (objective, level, sides)
