"""Philox: the authors' known answers, the same words on every array library, and Triton's numbers bit for bit."""

import json
import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import array_api_strict
import numpy as np
import pytest
import torch

from gpu_checks.philox import (
    MASK,
    double_uniforms,
    key_of,
    philox4x32,
    sampler_words,
    triton_rand,
    uniforms,
    uniforms_24_bits,
)

# Random123 (D. E. Shaw Research), tests/kat_vectors, the lines "philox4x32 10": counter and key, then the words
KNOWN = (
    ((0, 0, 0, 0, 0, 0), (0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8)),
    ((MASK,) * 6, (0x408F276D, 0x41C83B0E, 0xA20BC7C6, 0x6D5451FD)),
    (
        (0x243F6A88, 0x85A308D3, 0x13198A2E, 0x03707344, 0xA4093822, 0x299F31D0),
        (0xD16CFE09, 0x94FDCCEB, 0x5001E420, 0x24126EA1),
    ),
)
LIBRARIES = {"numpy": np.asarray, "torch": torch.asarray, "array-api-strict": array_api_strict.asarray}
libraries = pytest.mark.parametrize("make", LIBRARIES.values(), ids=LIBRARIES)


def plain(array: Any) -> np.ndarray[Any, Any]:
    return np.from_dlpack(array)


@libraries
@pytest.mark.parametrize(("given", "words"), KNOWN, ids=["zeros", "ones", "pi"])
def test_known_answers(make: Any, given: tuple[int, ...], words: tuple[int, ...]) -> None:
    out = philox4x32(*(make(np.array([v], dtype=np.int64)) for v in given))
    assert tuple(int(w[0]) for w in out) == words


def test_known_answers_of_plain_integers() -> None:
    assert all(philox4x32(*given) == words for given, words in KNOWN)


@libraries
def test_each_library_gives_the_same_numbers(make: Any) -> None:
    draws, seed = np.array([0, 1, 7, MASK], dtype=np.int64), 0xFEDCBA9876543210
    expected = sampler_words(draws, 1003, seed, row=5)
    words = sampler_words(make(draws), 1003, seed, row=5)
    assert np.array_equal(plain(words), expected)
    for convert in (uniforms, uniforms_24_bits):
        assert plain(convert(words)).dtype == np.float32
        assert np.array_equal(plain(convert(words)), convert(expected))
    assert np.array_equal(plain(double_uniforms(words, words)), double_uniforms(expected, expected))
    offsets = np.array([0, 1, 2**31, 2**33 + 5], dtype=np.int64)
    assert np.array_equal(plain(triton_rand(seed >> 1, make(offsets))), triton_rand(seed >> 1, offsets))


def test_the_counters_are_numbered_as_the_module_says() -> None:
    words = sampler_words(np.array([3], dtype=np.int64), 11, seed=(9 << 32) + 8, row=2)
    for token in range(11):
        assert words[0, token] == philox4x32(token // 4, 3, 2, 0, 8, 9)[token % 4]


def test_uniforms_are_exact_and_inside_the_unit_interval() -> None:
    words = np.array([0, 511, 512, 2**31, MASK - 512, MASK], dtype=np.int64)
    assert np.array_equal(uniforms(words).astype(np.float64), ((words >> 9) + 0.5) * 2.0**-23)
    assert uniforms(words).min() == 2.0**-24
    assert uniforms(words).max() == 1 - 2.0**-24
    bits = double_uniforms(words, words)
    assert (bits.min(), bits.max()) == (2.0**-53, 1 - 2.0**-53)


def test_with_24_bits_one_word_in_2_to_the_24_becomes_one() -> None:
    assert uniforms_24_bits(np.array([MASK], dtype=np.int64))[0] == 1.0
    assert uniforms_24_bits(np.array([MASK - 256], dtype=np.int64))[0] < 1.0


def test_what_no_counter_holds_is_refused() -> None:
    draws = np.array([0], dtype=np.int64)
    for seed in (-1, 2**64):
        with pytest.raises(ValueError, match="unsigned"):
            key_of(seed)
    with pytest.raises(ValueError, match="number of tokens"):
        sampler_words(draws, 0, 0)
    with pytest.raises(ValueError, match="row -1"):
        sampler_words(draws, 4, 0, row=-1)
    with pytest.raises(ValueError, match="a draw"):
        sampler_words(draws - 1, 4, 0)
    with pytest.raises(ValueError, match="extend its sign"):
        triton_rand(-1, draws)
    with pytest.raises(ValueError, match="negative"):
        triton_rand(0, draws - 1)


# in a process of its own: Triton reads TRITON_INTERPRET when it is first imported, and never again
TRITON = """
import json, sys, numpy as np, torch, triton, triton.language as tl

@triton.jit
def rand(out, offsets, seed, N: tl.constexpr):
    i = tl.arange(0, N)
    tl.store(out + i, tl.rand(seed, tl.load(offsets + i)))

answers = []
for seed, start, dtype in json.loads(sys.argv[1]):
    offsets = (torch.arange(256, dtype=torch.int64) + start).to(getattr(torch, dtype))
    out = torch.empty(256)
    rand[(1,)](out, offsets, seed, 256)
    answers.append(out.numpy().view(np.int32).tolist())
print(json.dumps(answers))
"""


@pytest.mark.skipif(find_spec("triton") is None, reason="Triton is not installed: pip install 'kl-oracle[triton]'")
def test_triton_is_replayed_bit_for_bit(tmp_path: Path) -> None:
    cases = [(0, 0, "int32"), (42, 0, "int32"), (2**40 + 3, 2**31 - 256, "int32"), (7, 2**35 + 1, "int64")]
    answers = json.loads(interpreted(tmp_path / "program.py", json.dumps(cases)))
    for (seed, start, _), bits in zip(cases, answers, strict=True):
        mine = triton_rand(seed, np.arange(256, dtype=np.int64) + start)
        assert mine.view(np.int32).tolist() == bits


def interpreted(path: Path, argument: str) -> str:
    """Run the program in Triton's interpreter and return what it printed; a kernel's source has to lie in a file."""
    path.write_text(TRITON, encoding="utf-8")
    run = subprocess.run(
        [sys.executable, str(path), argument],
        env={**os.environ, "TRITON_INTERPRET": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stderr
    return run.stdout
