"""Kernels of our own, broken on purpose: what an audit has to catch, as data.

Each mutant is one fault that fused kernels have had, as edits of the source. An audit that passes one of them, but for
those that are `neutral`, has no teeth there.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Literal

Fault = Literal[
    "tail",
    "overflow",
    "rescale",
    "sign",
    "form",
    "weight",
    "barrier",
    "order",
    "rounding",
    "token",
    "scale",
    "row",
    "index",
    "normaliser",
    "poison",
    "random",
]

_ALL = ("float32", "bfloat16", "float16")
_SHORT = ("bfloat16", "float16")


@dataclass(frozen=True)
class Mutant:
    """A kernel with one fault: `edits` are (old, new) texts, all in `file` of `kernel`.

    `settings` are those of a request under which it shows, `dtypes` the storage formats in which it does, `shows` what
    else that takes, in words. `neutral` says why a mutant that changes no result need not be caught.
    """

    name: str
    kernel: str
    file: str
    edits: tuple[tuple[str, str], ...]
    fault: Fault
    shows: str
    settings: Mapping[str, Any] = field(default_factory=dict)
    dtypes: tuple[str, ...] = _ALL
    neutral: str = ""


def _settings(**values: Any) -> Mapping[str, Any]:
    return MappingProxyType(values)


def _softmax(name: str, old: str, new: str, fault: Fault, shows: str, **more: Any) -> Mutant:
    return Mutant(name, "token_kl", "log_sum_exp.cuh", ((old, new),), fault, shows, **more)


def _token(name: str, old: str, new: str, fault: Fault, shows: str = "any row", **more: Any) -> Mutant:
    return Mutant(name, "token_kl", "token_kl.cu", ((old, new),), fault, shows, **more)


def _whole(name: str, old: str, new: str, fault: Fault, shows: str = "any row", **more: Any) -> Mutant:
    return Mutant(name, "whole_kl", "whole_kl.cu", ((old, new),), fault, shows, **more)


def _sampler(name: str, old: str, new: str, fault: Fault, shows: str = "any draw", **more: Any) -> Mutant:
    return Mutant(name, "gumbel", "gumbel.cu", ((old, new),), fault, shows, **more)


def _barrier(name: str, kernel: str, file: str, note: str, shows: str, **more: Any) -> Mutant:
    """A mutant without the barrier that has this note beside it; it shows under some schedules alone."""
    edits = ((f"__syncthreads();  // {note}", f"// no barrier: {note}"),)
    return Mutant(name, kernel, file, edits, "barrier", shows, **more)


_SUM = "sum += expf(widen(row[token]) * inverse_temperature - maximum);"
_SCALE = "upstream[row] * coefficient * inverse_temperature"
_STEP = "(KL_CHUNK * KL_THREADS)"
_UNEVEN = "a vocabulary that is no multiple of 4096"
_ROUNDED = "widen(narrow<Stored>"

_SOFTMAX = (
    _softmax(
        "tail-counts-as-zero",
        f"if (token < vocabulary) {_SUM}",
        "sum += expf((token < vocabulary ? widen(row[token]) * inverse_temperature : 0.0f) - maximum);",
        "tail",
        _UNEVEN,
    ),
    _softmax(
        "last-block-dropped",
        "first < vocabulary;",
        f"first < vocabulary / {_STEP} * {_STEP};",
        "tail",
        _UNEVEN,
    ),
    _softmax(
        "no-maximum",
        "if (token < vocabulary) larger = fmaxf(larger, widen(row[token]) * inverse_temperature);",
        "larger = 0.0f;",
        "overflow",
        "logits above 88, or all below -88",
    ),
    _softmax("no-rescaling", "sum *= expf(maximum - larger);", "", "rescale", "more than 4096 tokens"),
    _softmax(
        "rescaling-inverted",
        "sum *= expf(maximum - larger);",
        "sum *= expf(larger - maximum);",
        "rescale",
        "more than 4096 tokens: before, it is inf times 0, NaN",
    ),
    _softmax(
        "threads-not-rescaled",
        "block_sum(sum * expf(maximum - row_maximum), shared)",
        "block_sum(sum, shared)",
        "rescale",
        "more than one token",
    ),
    _softmax(
        "sum-in-sixteen-bits",
        _SUM,
        f"sum = {_ROUNDED}(sum + expf(widen(row[token]) * inverse_temperature - maximum)));",
        "rounding",
        "some thousand tokens",
        dtypes=_SHORT,
    ),
    _softmax(
        "log-of-the-mean",
        "row_maximum + logf(row_sum)",
        "row_maximum + logf(row_sum / vocabulary)",
        "normaliser",
        "more than one token",
    ),
)

_ORDER_OF_ARRIVAL = Mutant(
    "sum-in-order-of-arrival",
    "token_kl",
    "reduction.cuh",
    (
        (
            "if (threadIdx.x % 32 == 0) shared[threadIdx.x / 32] = number;",
            "if (threadIdx.x == 0) shared[0] = 0.0f;\n    __syncthreads();\n"
            "    if (threadIdx.x % 32 == 0) shared[0] += number;  // as an atomicAdd does",
        ),
        ("float result = shared[threadIdx.x % warps];", "float result = shared[0];"),
        ("for (int lanes = warps / 2; lanes > 0; lanes /= 2) result +=", "for (int lanes = 0; lanes > 0;) result +="),
    ),
    "order",
    "the same bits asked of two schedules",
    dtypes=("float32",),
)

_BARRIERS = (
    _barrier(
        "max-unwritten",
        "token_kl",
        "reduction.cuh",
        "max: written, before it is read by others",
        "other bits under another schedule: any maximum that all share serves, but it rounds otherwise",
        dtypes=("float32",),
    ),
    _barrier(
        "max-one-level",
        "token_kl",
        "reduction.cuh",
        "max: one level, before the next",
        "other bits under another schedule, or a maximum so low that exp overflows",
        dtypes=("float32",),
    ),
    _barrier(
        "max-read",
        "token_kl",
        "reduction.cuh",
        "max: read by all, before the caller writes again",
        "the schedule in which a warp writes its sum where another has not read the maximum yet",
    ),
    _barrier(
        "sum-unwritten",
        "token_kl",
        "reduction.cuh",
        "sum: written, before it is read by others",
        "any schedule: shared memory is poisoned, and then holds a maximum",
    ),
    _barrier(
        "sum-read",
        "whole_kl",
        "reduction.cuh",
        "sum: read by all, before the caller writes again",
        "the schedule in which a warp begins the second softmax while another reads the first sum",
    ),
    _barrier(
        "argmax-unwritten",
        "gumbel",
        "gumbel.cu",
        "argmax: written, before it is read by others",
        "a schedule in which warp 0 goes before warp 4",
    ),
    _barrier(
        "argmax-one-level",
        "gumbel",
        "gumbel.cu",
        "argmax: one level, before the next",
        "a schedule in which warp 0 goes before warp 1",
    ),
)

_TOKENS = (
    _token("ratio-inverted", "own - reference[row]", "reference[row] - own", "sign"),
    _token("gradient-sign", "(own_token - probability)", "(probability - own_token)", "sign"),
    _token("k2-gradient", "kl_oracle::KL_FORM(log_ratio);", "kl_oracle::k2_as_loss(log_ratio);", "form"),
    _token("k1-gradient", "kl_oracle::KL_FORM(log_ratio);", "kl_oracle::k1_as_loss(log_ratio);", "form"),
    _token("reward-gradient", "kl_oracle::KL_FORM(log_ratio);", "kl_oracle::k3_in_reward(log_ratio);", "form"),
    _token("k1-value", "kl_oracle::KL_ESTIMATOR(log_ratio);", "kl_oracle::k1(log_ratio);", "form"),
    _token("k2-value", "kl_oracle::KL_ESTIMATOR(log_ratio);", "kl_oracle::k2(log_ratio);", "form"),
    _token(
        "k3-cancels",
        "kl_oracle::KL_ESTIMATOR(log_ratio);",
        "log_ratio - 1.0f + expf(-log_ratio);",
        "rounding",
        "the value at log-ratios below 0.01",
    ),
    _token(
        "coefficient-overflows",
        "kl_oracle::KL_FORM(log_ratio);",
        "(expf(log_ratio) - 1.0f) / expf(log_ratio);",
        "overflow",
        "a log-ratio above 89, or the coefficient at log-ratios below 0.001",
    ),
    _token(
        "token-before",
        "widen(scores[tokens[row]])",
        "widen(scores[tokens[row] > 0 ? tokens[row] - 1 : 0])",
        "token",
    ),
    _token("token-after-in-gradient", "token == chosen ?", "token == chosen + 1 ?", "token"),
    _token("no-own-token", "token == chosen ? 1.0f : 0.0f", "0.0f", "token"),
    _token("no-upstream", _SCALE, "coefficient * inverse_temperature", "scale", "an upstream derivative that is not 1"),
    _token(
        "upstream-of-row-0", _SCALE, _SCALE.replace("upstream[row]", "upstream[0]"), "row", "rows of different upstream"
    ),
    _token(
        "no-temperature-in-gradient",
        _SCALE,
        "upstream[row] * coefficient",
        "scale",
        "a temperature that is not 1",
        settings=_settings(temperature=0.7),
    ),
    _token(
        "no-temperature-in-log-probability",
        "widen(scores[tokens[row]]) * inverse_temperature",
        "widen(scores[tokens[row]])",
        "scale",
        "a temperature that is not 1",
        settings=_settings(temperature=0.7),
    ),
    _token(
        "normaliser-of-row-0",
        "inverse_temperature - lse[row]);",
        "inverse_temperature - lse[0]);",
        "normaliser",
        "rows of different normalisers",
    ),
    _token(
        "gradient-tail-unwritten",
        "token < vocabulary; token += KL_THREADS",
        "token < vocabulary / KL_THREADS * KL_THREADS; token += KL_THREADS",
        "tail",
        "a vocabulary that is no multiple of 256, and results that hold NaN before the launch",
    ),
    _token(
        "probability-in-sixteen-bits",
        "own_token - probability",
        f"own_token - {_ROUNDED}(probability))",
        "rounding",
        "gradients that use most of their bound",
        dtypes=_SHORT,
    ),
    _token(
        "weight-inverted",
        "expf(log_probability - sampler[row])",
        "expf(sampler[row] - log_probability)",
        "weight",
        "a sampler that is not the policy",
        settings=_settings(weight="detached"),
    ),
    _token(
        "weight-differentiated",
        "kl_oracle::KL_FORM(log_ratio, rho)",
        "kl_oracle::k3_as_loss_differentiated(log_ratio, rho)",
        "weight",
        settings=_settings(weight="detached"),
    ),
    _token(
        "weight-detached",
        "kl_oracle::KL_FORM(log_ratio, rho)",
        "kl_oracle::k3_as_loss_detached(log_ratio, rho)",
        "weight",
        settings=_settings(weight="differentiated"),
    ),
    _token(
        "value-without-weight",
        "kl_oracle::KL_WITH_WEIGHT(KL_ESTIMATOR)(log_ratio, rho)",
        "kl_oracle::KL_ESTIMATOR(log_ratio)",
        "weight",
        "a sampler that is not the policy",
        settings=_settings(weight="detached"),
    ),
    _token(
        "gradient-without-weight",
        "kl_oracle::KL_FORM(log_ratio, rho)",
        "kl_oracle::k3_as_loss(log_ratio)",
        "weight",
        "a sampler that is not the policy",
        settings=_settings(weight="detached"),
    ),
)


def _storage(name: str, old: str, new: str, fault: Fault, shows: str, **more: Any) -> Mutant:
    return Mutant(name, "token_kl", "storage.cuh", ((old, new),), fault, shows, **more)


_OFFSET = "static_cast<long long>(row) * vocabulary"
_STORAGE = (
    _storage(
        "bfloat16-truncated",
        "__float2bfloat16_rn(number)",
        "__float2bfloat16_rz(number)",
        "rounding",
        "any gradient",
        dtypes=("bfloat16",),
    ),
    _storage(
        "float16-truncated",
        "__float2half_rn(number)",
        "__float2half_rz(number)",
        "rounding",
        "any gradient",
        dtypes=("float16",),
    ),
    _storage("row-one-short", _OFFSET, "static_cast<long long>(row) * (vocabulary - 1)", "row", "more than one row"),
    _storage(
        "index-of-32-bits",
        _OFFSET,
        "static_cast<int>(row) * vocabulary",
        "index",
        "a row beyond 2^31 elements; beyond 2^32 it reads other rows and not outside of the array",
    ),
    _storage("index-of-32-bits-unsigned", _OFFSET, "row * vocabulary", "index", "a row beyond 2^32 elements"),
)

_FORWARD = _settings(form="forward_kl")
_WHOLE = (
    _whole("centring-dropped", "p * (log_ratio - divergence)", "p * log_ratio", "form"),
    _whole("probability-of-reference", "p * (log_ratio - divergence)", "q * (log_ratio - divergence)", "form"),
    _whole("whole-ratio-inverted", "log_p - log_q", "log_q - log_p", "sign"),
    _whole("forward-gradient-sign", "return p - q;", "return q - p;", "sign", settings=_FORWARD),
    _whole("forward-gradient-without-reference", "return p - q;", "return p;", "form", settings=_FORWARD),
    _whole("normaliser-of-policy", "log_sum_exp(theirs,", "log_sum_exp(ours,", "normaliser"),
    _whole(
        "whole-no-upstream",
        "upstream[row] * inverse_temperature",
        "inverse_temperature",
        "scale",
        "an upstream derivative that is not 1",
    ),
    _whole(
        "impossible-token-nan",
        "p == 0.0f ? 0.0f : p * (log_ratio - divergence)",
        "p * (log_ratio - divergence)",
        "poison",
        "a logit -inf",
    ),
    _whole(
        "summand-overflows",
        "q * kl_oracle::reverse_kl_term(log_ratio)",
        "p * kl_oracle::reverse_kl_term_over_ratio(log_ratio)",
        "overflow",
        "a token that only the reference gives, at a log-ratio below -88",
    ),
    _whole(
        "whole-last-block-dropped",
        "token < vocabulary; token += KL_THREADS) {\n        const float log_p = widen(ours[token]) * "
        "inverse_temperature - our_lse;\n        const float log_q = widen(theirs[token]) * inverse_temperature - "
        "their_lse;\n        sum +=",
        "token < vocabulary / KL_THREADS * KL_THREADS; token += KL_THREADS) {\n        const float log_p = "
        "widen(ours[token]) * inverse_temperature - our_lse;\n        const float log_q = widen(theirs[token]) * "
        "inverse_temperature - their_lse;\n        sum +=",
        "tail",
        "a vocabulary that is no multiple of 256, and a last token that counts",
    ),
)

_SAMPLER = (
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
        settings=_settings(temperature=0.7),
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
        f"{_ROUNDED}(logit - logf(-logf(uniform(words.word[lane])))))",
        "rounding",
        "many draws of nearly equal logits",
        dtypes=_SHORT,
    ),
    _sampler(
        "last-wins-ties",
        "token < other_token",
        "token > other_token",
        "order",
        "two logits of +inf",
        neutral="equal scores are near-ties, of which a replay says nothing; two of +inf alone tell",
    ),
)

MUTANTS: tuple[Mutant, ...] = (
    *_SOFTMAX,
    _ORDER_OF_ARRIVAL,
    *_BARRIERS,
    *_TOKENS,
    *_STORAGE,
    *_WHOLE,
    *_SAMPLER,
)
"""Every mutant; names differ."""


def mutant(name: str) -> Mutant:
    """Return the mutant of a name; raises ValueError, with all names, for one that does not exist."""
    for candidate in MUTANTS:
        if candidate.name == name:
            return candidate
    raise ValueError(f"no mutant {name!r}: one of {', '.join(m.name for m in MUTANTS)}")
