"""Samplers: the same tokens on every array library, the law that they draw from, and near-ties that are said to be."""

from typing import Any

import array_api_strict
import numpy as np
import pytest
import torch

from gpu_checks.philox import double_uniforms, philox4x32, sampler_words, uniforms, uniforms_24_bits
from gpu_checks.sampling import alias_table, gumbel_max, inverse_cdf, replay

LIBRARIES = {"numpy": np.asarray, "torch": torch.asarray, "array-api-strict": array_api_strict.asarray}
libraries = pytest.mark.parametrize("make", LIBRARIES.values(), ids=LIBRARIES)
DRAWS = np.arange(300, dtype=np.int64)


def logits(vocabulary: int, seed: int = 0) -> np.ndarray[Any, np.dtype[np.float32]]:
    return (2 * np.random.default_rng(seed).standard_normal(vocabulary)).astype(np.float32)


def softmax(x: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    e = np.exp(x.astype(np.float64) - x.max())
    return np.asarray(e / e.sum())


def plain(array: Any) -> np.ndarray[Any, Any]:
    return np.from_dlpack(array)


def far(counts: np.ndarray[Any, Any], p: np.ndarray[Any, Any]) -> float:
    """The largest deviation of counts, in standard deviations."""
    n = counts.sum()
    return float(np.max(np.abs(counts - n * p) / np.sqrt(n * p * (1 - p))))


def doubles(count: int, stream: int) -> np.ndarray[Any, Any]:
    high, low, _, _ = philox4x32(np.arange(count, dtype=np.int64), stream, 0, 0, 1, 2)
    return np.asarray(double_uniforms(high, low))


@libraries
def test_gumbel_max_draws_the_same_tokens_everywhere(make: Any) -> None:
    x = logits(1027)
    expected = gumbel_max(x, 7, DRAWS, row=3)
    told = replay(x, 7, DRAWS, row=3)
    mine = gumbel_max(make(x), 7, make(DRAWS), row=3)
    again = replay(make(x), 7, make(DRAWS), row=3)
    assert np.array_equal(plain(again.tokens), told.tokens)
    assert np.array_equal(plain(again.clear), told.clear)
    assert told.clear.all()
    assert np.array_equal(plain(mine), expected)
    assert np.array_equal(expected, told.tokens)


def test_a_batch_of_draws_is_its_draws_one_by_one() -> None:
    x = logits(2**19 + 3)  # two draws a piece
    draws = np.array([5, 2, 9], dtype=np.int64)
    one_by_one = [int(gumbel_max(x, 3, draws[i : i + 1])[0]) for i in range(3)]
    assert gumbel_max(x, 3, draws).tolist() == one_by_one == replay(x, 3, draws).tokens.tolist()


def test_no_draw_is_asked_for_and_none_comes() -> None:
    assert gumbel_max(logits(5), 0, DRAWS[:0]).shape == replay(logits(5), 0, DRAWS[:0]).clear.shape == (0,)


def test_gumbel_max_draws_from_the_softmax() -> None:
    x = logits(20)
    tokens = gumbel_max(x, 0, np.arange(50_000, dtype=np.int64))
    assert far(np.bincount(tokens, minlength=20), softmax(x)) < 4.5


def test_the_first_of_equal_scores_wins_and_is_a_near_tie() -> None:
    def same(words: Any) -> Any:
        return uniforms(words * 0 + 2**31)

    x = np.array([0.0, 1.0, 1.0, 0.5], dtype=np.float32)
    assert gumbel_max(x, 0, DRAWS[:1], uniform=same).tolist() == [1]
    told = replay(x, 0, DRAWS[:1], uniform=same)
    assert told.tokens.tolist() == [1]
    assert not told.clear[0]


def test_the_margin_holds_for_other_logarithms() -> None:
    """Scores with every error that the bound allows, at its extremes, name another token only where a tie is told."""
    x = logits(64)
    draws = np.arange(20_000, dtype=np.int64)
    loose = 4096.0  # ulps: enough for near-ties to occur
    told = replay(x, 1, draws, log_ulps=loose)
    u = uniforms(sampler_words(draws, 64, 1)).astype(np.float64)
    rng, c = np.random.default_rng(0), loose * 2.0**-23
    signs = rng.choice([-1.0, 1.0], size=(2, *u.shape))
    inner = -np.log(u) * (1 + c * signs[0])
    scores = (x - np.log(inner) * (1 + c * signs[1])).astype(np.float32)
    wrong = scores.argmax(axis=-1) != told.tokens
    assert wrong.any()
    assert not (wrong & told.clear).any()
    assert 0.9 < told.clear.mean() < 1


def test_near_ties_are_rare_at_the_bound_of_a_real_logarithm() -> None:
    assert replay(logits(64), 1, np.arange(20_000, dtype=np.int64)).clear.mean() > 0.999


def test_a_masked_token_is_never_drawn() -> None:
    x = logits(40)
    x[::2] = -np.inf
    told = replay(x, 0, DRAWS)
    assert (told.tokens % 2 == 1).all()
    assert told.clear.all()
    assert np.array_equal(gumbel_max(x, 0, DRAWS), told.tokens)


def test_a_single_live_token_leads_by_any_margin() -> None:
    told = replay(np.array([-np.inf, 0.0], dtype=np.float32), 0, DRAWS[:3])
    assert told.tokens.tolist() == [1, 1, 1]
    assert np.isinf(told.margin).all()


def test_uniforms_of_24_bits_let_an_unlikely_token_win() -> None:
    """The fault that `uniforms` avoids: u rounds to 1, the score is infinite, and the logit does not matter."""
    x = np.zeros(8, dtype=np.float32)
    x[2] = -100

    def ones(words: Any) -> Any:
        return uniforms_24_bits(np.where(np.arange(8) == 2, 2**32 - 1, words))

    told = replay(x, 0, DRAWS[:5], uniform=ones)
    assert told.tokens.tolist() == [2] * 5
    assert told.clear.all()
    doubly = replay(x, 0, DRAWS[:5], uniform=lambda words: uniforms_24_bits(words * 0 + 2**32 - 1))
    assert not doubly.clear.any()
    assert gumbel_max(x, 0, DRAWS[:5], uniform=ones).tolist() == [2] * 5


def test_a_temperature_scales_the_logits() -> None:
    x, half = logits(200), 0.7
    told = replay(x, 2, DRAWS, inverse_temperature=half)
    assert np.array_equal(told.tokens, gumbel_max(x, 2, DRAWS, inverse_temperature=half))
    assert np.array_equal(told.tokens, replay(x * np.float32(half), 2, DRAWS).tokens)
    assert not np.array_equal(told.tokens, replay(x, 2, DRAWS).tokens)
    assert (told.margin < replay(x * np.float32(half), 2, DRAWS).margin).mean() > 0.9  # the product's rounding
    for bad in (0.0, -1.0, np.nan, np.inf):
        with pytest.raises(ValueError, match="1 / T"):
            replay(x, 2, DRAWS, inverse_temperature=bad)


@libraries
def test_inverse_cdf_and_alias_draw_the_same_tokens_everywhere(make: Any) -> None:
    p = softmax(logits(501))
    u, v = doubles(1000, 0), doubles(1000, 1)
    table = alias_table(p)
    assert np.array_equal(plain(inverse_cdf(make(p), make(u))), inverse_cdf(p, u))
    assert np.array_equal(plain(table.draw(make(u), make(v))), table.draw(u, v))


def test_inverse_cdf_and_alias_draw_from_the_probabilities() -> None:
    p = softmax(logits(30))
    n = 100_000
    assert far(np.bincount(inverse_cdf(p, doubles(n, 2)), minlength=30), p) < 4.5
    assert far(np.bincount(alias_table(p).draw(doubles(n, 3), doubles(n, 4)), minlength=30), p) < 4.5


def test_inverse_cdf_at_the_edges() -> None:
    p = np.array([0.0, 0.25, 0.0, 0.75, 0.0])
    u = np.array([0.0, 0.25 - 2**-54, 0.25, 1 - 2**-53])
    assert inverse_cdf(p, u).tolist() == [1, 1, 3, 3]


@pytest.mark.parametrize("seed", range(5))
def test_the_table_holds_the_law_that_it_was_built_from(seed: int) -> None:
    p = softmax(3 * logits(4097, seed))
    p[::5] = 0
    law = alias_table(p).law()
    assert np.max(np.abs(law - p / p.sum())) < 1e-14  # a heavy column is subtracted from a thousand times
    assert not law[p == 0].any()


def test_the_table_of_equal_probabilities_keeps_every_column() -> None:
    assert (alias_table(np.full(7, 1 / 7)).keep > 1 - 1e-15).all()


def test_what_cannot_be_drawn_from_is_refused() -> None:
    for bad in (np.zeros((2, 2), np.float32), np.zeros(3), np.zeros(0, np.float32)):
        with pytest.raises(ValueError, match="one row of float32"):
            gumbel_max(bad, 0, DRAWS)
    for value in (np.nan, np.inf):
        with pytest.raises(ValueError, match="mend them"):
            replay(np.array([0, value], dtype=np.float32), 0, DRAWS)
    with pytest.raises(ValueError, match="mend them"):
        gumbel_max(np.array([-np.inf], dtype=np.float32), 0, DRAWS)
    with pytest.raises(ValueError, match="log_ulps"):
        replay(logits(3), 0, DRAWS, log_ulps=0)
    for p in (np.array([-1.0, 2.0]), np.array([np.nan, 1.0]), np.zeros(3), np.array([np.inf, 1.0])):
        with pytest.raises(ValueError, match="sums to 1"):
            inverse_cdf(p, np.array([0.5]))
        with pytest.raises(ValueError, match="sums to 1"):
            alias_table(p)
    for u in (1.0, -0.1, np.nan):
        with pytest.raises(ValueError, match="outside"):
            inverse_cdf(np.ones(2), np.array([u]))
        with pytest.raises(ValueError, match="outside"):
            alias_table(np.ones(2)).draw(np.array([0.5]), np.array([u]))
