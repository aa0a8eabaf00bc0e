"""gumbel.cu on the CPU: Philox's known answers, and every draw replayed."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from gpu_checks.backends.host import open_gumbel, philox_words
from gpu_checks.formats import FORMATS
from gpu_checks.subject import Request

from .support import SCHEDULES, needs_compiler

pytestmark = needs_compiler

Array = np.ndarray[Any, Any]

# Random123 1.14, examples/kat_vectors: philox 4x32 10 rounds; counter, key, words.
KNOWN = (
    ([0, 0, 0, 0], [0, 0], [0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8]),
    ([0xFFFFFFFF] * 4, [0xFFFFFFFF] * 2, [0x408F276D, 0x41C83B0E, 0xA20BC7C6, 0x6D5451FD]),
    (
        [0x243F6A88, 0x85A308D3, 0x13198A2E, 0x03707344],
        [0xA4093822, 0x299F31D0],
        [0xD16CFE09, 0x94FDCCEB, 0x5001E420, 0x24126EA1],
    ),
)


def test_known_answers_of_random123() -> None:
    counters, keys, words = (np.array(column, dtype=np.uint32) for column in zip(*KNOWN, strict=True))
    assert (philox_words(counters, keys) == words).all()


def words_of(vocabulary: int, draws: int, row: int, seed: int) -> Array:
    """Philox in uint64, written here anew: the word of each [draw, token]."""
    low = np.uint64(0xFFFFFFFF)
    group, draw = np.meshgrid(np.arange((vocabulary + 3) // 4), np.arange(draws))
    c = [group.astype(np.uint64), draw.astype(np.uint64), np.full(group.shape, row, np.uint64)]
    c.append(np.zeros(group.shape, np.uint64))
    key = [np.uint64(seed % 2**32), np.uint64(seed >> 32)]
    for _ in range(10):
        a, b = c[0] * np.uint64(0xD2511F53), c[2] * np.uint64(0xCD9E8D57)
        c = [(b >> np.uint64(32)) ^ c[1] ^ key[0], b & low, (a >> np.uint64(32)) ^ c[3] ^ key[1], a & low]
        key = [(key[0] + np.uint64(0x9E3779B9)) & low, (key[1] + np.uint64(0xBB67AE85)) & low]
    return np.stack(c, axis=-1).reshape(draws, -1)[:, :vocabulary]


def replayed(logits: Array, draws: int, row: int, seed: int, temperature: float = 1.0) -> tuple[Array, Array]:
    """Tokens [draw] in float64, and the lead [draw] of each winner over the second."""
    u = ((words_of(len(logits), draws, row, seed) >> np.uint64(9)).astype(np.float64) + 0.5) * 2.0**-23
    scores = logits.astype(np.float64)[None, :] / temperature - np.log(-np.log(u))
    ranked = np.sort(scores, axis=1)
    lead = ranked[:, -1] - ranked[:, -2] if len(logits) > 1 else np.full(draws, np.inf)
    return scores.argmax(axis=1), lead


@pytest.mark.parametrize("dtype", FORMATS)
@pytest.mark.parametrize(("vocabulary", "draws"), [(1, 3), (5, 60), (255, 60), (257, 60), (4097, 20), (128_256, 2)])
def test_every_draw_is_the_replay(dtype: str, vocabulary: int, draws: int) -> None:
    random = np.random.default_rng([9, vocabulary])
    logits = FORMATS[dtype].store(random.standard_normal((2, vocabulary)))
    seed = 2**40 + 12345
    tokens = open_gumbel(Request(dtype, vocabulary))((logits, seed, draws))
    assert tokens.shape == (2, draws)
    for row in range(2):
        due, lead = replayed(logits[row], draws, row, seed)
        clear = lead > 1e-5
        assert clear.mean() > 0.9
        assert (tokens[row][clear] == due[clear]).all()


def test_temperature() -> None:
    logits = (np.random.default_rng(1).standard_normal((1, 257)) * 3).astype(np.float32)
    tokens = open_gumbel(Request("float32", 257, settings={"temperature": 0.5}))((logits, 7, 50))
    due, lead = replayed(logits[0], 50, 0, 7, 0.5)
    assert (tokens[0][lead > 1e-4] == due[lead > 1e-4]).all()


def test_every_schedule_draws_the_same() -> None:
    logits = np.random.default_rng(2).standard_normal((2, 1500)).astype(np.float32)
    drawn = [
        open_gumbel(Request("float32", 1500, settings={"schedule": s}))((logits, 3, 8)).tobytes() for s in SCHEDULES
    ]
    assert len(set(drawn)) == 1


def test_impossible_tokens_are_never_drawn() -> None:
    logits = np.full((3, 600), -np.inf, np.float32)
    logits[0, 401] = -50.0
    logits[2, :] = 0.0
    logits[2, 17] = np.nan
    tokens = open_gumbel(Request("float32", 600))((logits, 5, 4))
    assert tokens.tolist() == [[401] * 4, [-1] * 4, [-1] * 4]


@pytest.mark.parametrize("places", [(3, 4), (10, 270), (255, 256), (599, 40), (1, 577)])
def test_the_lowest_token_wins_a_tie(places: tuple[int, int]) -> None:
    logits = np.zeros((1, 600), np.float32)
    logits[0, list(places)] = np.inf
    for schedule in SCHEDULES[:3]:
        tokens = open_gumbel(Request("float32", 600, settings={"schedule": schedule}))((logits, 5, 4))
        assert (tokens == min(places)).all()


def test_no_noise_is_infinite() -> None:
    """With 24 bits a word of 0xffffff.. gives u = 1 and a token that always wins: a seed that has one, found here."""
    for seed in range(40):
        words = words_of(128_256, 8, 0, seed)
        draws, tokens = np.nonzero(words >> np.uint64(8) == 0xFFFFFF)
        if len(draws):
            break
    draw, token = int(draws[0]), int(tokens[0])
    logits = np.zeros((1, token + 1), np.float32)
    logits[0, token] = -30.0  # hopeless, but for infinite noise
    request = Request("float32", token + 1)
    faulty = (("(word >> 9)", "(word >> 8)"), ("1.1920928955078125e-7f", "5.9604644775390625e-8f"))
    assert open_gumbel(request)((logits, seed, draw + 1))[0, draw] != token
    broken = Request("float32", token + 1, faulty)
    assert open_gumbel(broken)((logits, seed, draw + 1))[0, draw] == token


def test_counts_follow_the_softmax() -> None:
    """A sanity check of what the replay replays: 20,000 draws of 6 tokens, 5 standard deviations."""
    logits = np.array([[0.0, 1.0, 2.0, -1.0, 0.5, -3.0]], np.float32)
    tokens = open_gumbel(Request("float32", 6, settings={"threads": 32}))((logits, 11, 20_000))
    p = np.exp(logits[0]) / np.exp(logits[0]).sum()
    counts = np.bincount(tokens[0], minlength=6)
    assert (np.abs(counts - 20_000 * p) < 5 * np.sqrt(20_000 * p * (1 - p))).all()
