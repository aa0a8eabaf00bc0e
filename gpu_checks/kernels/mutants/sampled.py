"""Faults of token_kl.cu: forms, signs, tokens, weights and scales of a KL estimator on one token."""

from __future__ import annotations

from typing import Any

from gpu_checks.kernels.mutants.record import ROUNDED, SHORT, Fault, Mutant, settings_of


def _token(name: str, old: str, new: str, fault: Fault, shows: str = "any row", **more: Any) -> Mutant:
    return Mutant(name, "token_kl", "token_kl.cu", ((old, new),), fault, shows, **more)


_SCALE = "upstream[row] * coefficient * inverse_temperature"

TOKEN: tuple[Mutant, ...] = (
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
        settings=settings_of(temperature=0.7),
    ),
    _token(
        "no-temperature-in-log-probability",
        "widen(scores[tokens[row]]) * inverse_temperature",
        "widen(scores[tokens[row]])",
        "scale",
        "a temperature that is not 1",
        settings=settings_of(temperature=0.7),
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
        f"own_token - {ROUNDED}(probability))",
        "rounding",
        "gradients that use most of their bound",
        dtypes=SHORT,
    ),
    _token(
        "weight-inverted",
        "expf(log_probability - sampler[row])",
        "expf(sampler[row] - log_probability)",
        "weight",
        "a sampler that is not the policy",
        settings=settings_of(weight="detached"),
    ),
    _token(
        "weight-differentiated",
        "kl_oracle::KL_FORM(log_ratio, rho)",
        "kl_oracle::k3_as_loss_differentiated(log_ratio, rho)",
        "weight",
        settings=settings_of(weight="detached"),
    ),
    _token(
        "weight-detached",
        "kl_oracle::KL_FORM(log_ratio, rho)",
        "kl_oracle::k3_as_loss_detached(log_ratio, rho)",
        "weight",
        settings=settings_of(weight="differentiated"),
    ),
    _token(
        "value-without-weight",
        "kl_oracle::KL_WITH_WEIGHT(KL_ESTIMATOR)(log_ratio, rho)",
        "kl_oracle::KL_ESTIMATOR(log_ratio)",
        "weight",
        "a sampler that is not the policy",
        settings=settings_of(weight="detached"),
    ),
    _token(
        "gradient-without-weight",
        "kl_oracle::KL_FORM(log_ratio, rho)",
        "kl_oracle::k3_as_loss(log_ratio)",
        "weight",
        "a sampler that is not the policy",
        settings=settings_of(weight="detached"),
    ),
)
"""Every mutant of token_kl.cu."""
