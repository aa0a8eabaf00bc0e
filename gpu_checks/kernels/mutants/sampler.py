"""Faults of gumbel.cu: noise, counters, temperature and the search for the winner."""

from __future__ import annotations

from typing import Any

from gpu_checks.kernels.mutants.record import ROUNDED, SHORT, Fault, Mutant, settings_of, without_barrier


def _sampler(name: str, old: str, new: str, fault: Fault, shows: str = "any draw", **more: Any) -> Mutant:
    return Mutant(name, "gumbel", "gumbel.cu", ((old, new),), fault, shows, **more)


SAMPLER: tuple[Mutant, ...] = (
    _sampler("same-word-for-four", "words.word[lane]", "words.word[0]", "random", "more than one token"),
    _sampler(
        "counters-exchanged", "philox(group, draw, row, 0u", "philox(group, row, draw, 0u", "random", "the second draw"
    ),
    _sampler("rows-share-noise", "philox(group, draw, row, 0u", "philox(group, draw, 0u, 0u", "random", "a second row"),
    _sampler("high-seed-ignored", "0u, seed_low, seed_high)", "0u, seed_low, 0u)", "random", "a seed of 2^32 or more"),
    _sampler(
        "no-temperature",
        "widen(own[token]) * inverse_temperature",
        "widen(own[token])",
        "scale",
        "a temperature that is not 1",
        settings=settings_of(temperature=0.7),
    ),
    Mutant(
        "uniform-reaches-1",
        "gumbel",
        "gumbel.cu",
        (("(word >> 9)", "(word >> 8)"), ("1.1920928955078125e-7f", "5.9604644775390625e-8f")),
        "random",
        "one token in 2^24 has infinite noise: one draw in 131 at 128,256 tokens; others have noise of other bits",
    ),
    _sampler("noise-sign", "logit - logf(", "logit + logf(", "sign"),
    _sampler("no-noise", "logit - logf(-logf(uniform(words.word[lane])))", "logit", "random"),
    _sampler("token-before-drawn", "winner = token;", "winner = token > 0 ? token - 1 : 0;", "token"),
    _sampler(
        "last-block-never-drawn",
        "group < (vocabulary + 3) / 4;",
        "group < vocabulary / (4 * KL_THREADS) * KL_THREADS;",
        "tail",
        "a vocabulary that is no multiple of 1024",
    ),
    _sampler(
        "last-tokens-never-drawn",
        "group < (vocabulary + 3) / 4;",
        "group < vocabulary / 4;",
        "tail",
        "a vocabulary that is no multiple of 4",
    ),
    _sampler(
        "scores-in-sixteen-bits",
        "logit - logf(-logf(uniform(words.word[lane])))",
        f"{ROUNDED}(logit - logf(-logf(uniform(words.word[lane])))))",
        "rounding",
        "many draws of nearly equal logits",
        dtypes=SHORT,
    ),
    _sampler(
        "last-wins-ties",
        "token < other_token",
        "token > other_token",
        "order",
        "two logits of +inf",
        neutral="equal scores are near-ties, of which a replay says nothing; two of +inf alone tell",
    ),
    without_barrier(
        "argmax-unwritten",
        "gumbel",
        "gumbel.cu",
        "argmax: written, before it is read by others",
        "a schedule in which warp 0 goes before warp 4",
    ),
    without_barrier(
        "argmax-one-level",
        "gumbel",
        "gumbel.cu",
        "argmax: one level, before the next",
        "a schedule in which warp 0 goes before warp 1",
    ),
)
"""Every mutant of gumbel.cu."""
