"""The two languages: what is understood, and for all else a ClaimError with the column and a remedy."""

from __future__ import annotations

import math
import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from oracle.claims import parse_claim
from oracle.claims.claim import Weight
from oracle.errors import ClaimError

_FORMS = ["k1", "k2", "k3", "abs", "as loss", "in reward", ",", "weight", "detached", "differentiated", "token-mean"]
_NAMES = ["reverse_kl", "/token", "/sequence", "off-policy", "on-policy", "zero", "exp(-L)", "L**2", "(", ")", " ", "é"]
_CUTS = [
    "prefix",
    "sequence",
    "truncated at",
    "clipped to",
    "0.8..1.2",
    "2 x",
    "KL(policy||reference)",
    "returns-to-go",
]
_WORDS = st.sampled_from([*_FORMS, *_NAMES, *_CUTS, "9", "-", "sum", "1/0", "1e999", "\x1b[31m", "\udcff", "\n"])


@given(st.lists(_WORDS, max_size=9).map(" ".join) | st.text(max_size=40))
@settings(max_examples=400)
def test_only_a_claim_error_escapes(text: str) -> None:
    try:
        claim = parse_claim(text)
    except ClaimError as error:
        message = str(error)
    else:
        assert (claim.form is None) != (claim.objective is None)
        return
    assert "\n" not in message
    assert "\x1b" not in message
    assert "claim" in message
    column = re.search(r", column (\d+):", message)
    assert "empty claim" in message or (column is not None and 1 <= int(column[1]) <= len(text) + 1)


@pytest.mark.parametrize(
    ("text", "placement", "weight", "aggregation"),
    [
        ("k3 as loss", "loss", Weight(), None),
        ("k3 as loss, weight differentiated", "loss", Weight("differentiated"), None),
        ("k2 as loss, weight detached, seq-mean-token-mean", "loss", Weight("detached"), "seq-mean-token-mean"),
        ("  k1   in reward ", "reward", Weight(), None),
        ("low_var_kl as loss, token-mean", "loss", Weight(), "token-mean"),
        ("k3 as loss, no weight", "loss", Weight(), None),
        ("k2 as loss, weight truncated at 2", "loss", Weight("detached", high=2.0), None),
        ("k2 as loss, weight prefix detached truncated at 5/2", "loss", Weight("detached", "prefix", high=2.5), None),
        ("k3 as loss, sequence-level differentiated", "loss", Weight("differentiated", "sequence"), None),
        ("k1 in reward, weight clipped at 0.2", "reward", Weight("surrogate", low=0.8, high=1.2), None),
        ("k1 in reward, weight detached clipped to .5..2", "reward", Weight("detached", low=0.5, high=2.0), None),
        ("k2 as loss, weight geometric clipped at 0.25", "loss", Weight("detached", "geometric", 0.75, 1.25), None),
        ("clamp(k3, -10, 10) as loss, token-mean, weight detached", "loss", Weight("detached"), "token-mean"),
        ("k3 as loss and in reward", "both", Weight(), None),
    ],
)
def test_forms(text: str, placement: str, weight: Weight, aggregation: str | None) -> None:
    claim = parse_claim(text)
    assert claim.form is not None
    assert (claim.placement, claim.form.weight, claim.aggregation) == (placement, weight, aggregation)


@pytest.mark.parametrize(
    ("text", "objective", "level", "scale", "sides"),
    [
        ("reverse_kl", "reverse_kl", None, None, ("on-policy",)),
        ("reverse_kl/token off-policy", "reverse_kl", "token", None, ("off-policy",)),
        ("forward_kl/sequence on- and off-policy", "forward_kl", "sequence", None, ("on-policy", "off-policy")),
        ("zero", "zero", None, None, ("on-policy",)),
        ("2 x total_variation", "total_variation", None, 2.0, ("on-policy",)),
        ("1/2 x reverse_kl/token", "reverse_kl", "token", 0.5, ("on-policy",)),
        ("-1 x KL(reference||policy)", "forward_kl", None, -1.0, ("on-policy",)),
        ("1/2 chi2(policy||reference)", "chi2_half", None, None, ("on-policy",)),
        ("KL(policy||reference) + KL(reference||policy)/token", "jeffreys", "token", None, ("on-policy",)),
        ("reverse_kl/sequence in reward with returns-to-go", "reverse_kl", "sequence", None, ("with returns-to-go",)),
    ],
)
def test_objectives(text: str, objective: str, level: str | None, scale: float | None, sides: tuple[str, ...]) -> None:
    claim = parse_claim(text)
    assert (claim.objective, claim.level, claim.scale, claim.sides) == (objective, level, scale, sides)


@pytest.mark.parametrize(
    ("text", "column", "words"),
    [
        ("k2 as loss, weight detatched", 20, "did you mean 'detached'?"),
        ("k2 as loss,  weight  sequense detached", 22, "did you mean 'sequence'?"),
        ("k2 as loss, tokenmean", 13, "did you mean 'token-mean'?"),
        ("k2 as loss weight detached", 12, "a comma starts the next part"),
        ("k2 as loss,", 11, "after a comma comes"),
        ("k2 as loss, weight truncated 2", 20, "write truncated at C"),
        ("k2 as loss, weight truncated at -2", 33, "positive"),
        ("k2 as loss, weight clipped at 2", 31, "between 0 and 1"),
        ("k2 as loss, weight clipped to 2..1", 31, "the ends must rise"),
        ("k2 as loss, weight none truncated at 2", 13, "no weight has no level"),
        ("k2 as loss, sum, token-mean", 18, "already sum"),
        ("k2 as loss, weight detached, unweighted", 30, "already given"),
        ("k2 as loss, returns-to-go", 13, "in reward"),
        ("  k2 + k9 as loss", 8, "unknown name 'k9'"),
        ("3 as loss", 1, "depends on L"),
        ("k3", 1, "'k3 as loss' or 'k3 in reward'"),
        ("as loss", 1, "an estimator goes before"),
        ("revers_kl", 1, "did you mean 'reverse_kl'?"),
        ("KL(reference||polcy)", 1, "did you mean 'KL(reference||policy)'?"),
        ("reverse_kl/word", 12, "write OBJECTIVE[/token|/sequence]"),
        ("reverse_kl of-policy", 12, "did you mean 'off-policy'?"),
        ("zero/token", 1, "neither level nor scale"),
        ("0 x reverse_kl", 1, "'zero'"),
        ("1/0 x reverse_kl", 1, "denominator other than 0"),
    ],
)
def test_an_error_says_where_and_what_to_do(text: str, column: int, words: str) -> None:
    with pytest.raises(ClaimError) as error:
        parse_claim(text)
    assert f", column {column}: " in str(error.value)
    assert words in str(error.value)


def test_a_weight_without_thresholds_is_uncut() -> None:
    assert not Weight("detached").cut
    assert Weight("detached", high=2.0).thresholds == (2.0,)
    assert Weight("surrogate", low=0.8, high=math.inf).thresholds == (0.8,)
