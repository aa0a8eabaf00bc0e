"""Faults of whole_kl.cu: a divergence of whole rows and its gradient."""

from __future__ import annotations

from typing import Any

from gpu_checks.kernels.mutants.record import Fault, Mutant, settings_of


def _whole(name: str, old: str, new: str, fault: Fault, shows: str = "any row", **more: Any) -> Mutant:
    return Mutant(name, "whole_kl", "whole_kl.cu", ((old, new),), fault, shows, **more)


_FORWARD = settings_of(form="forward_kl")
WHOLE: tuple[Mutant, ...] = (
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
"""Every mutant of whole_kl.cu."""
