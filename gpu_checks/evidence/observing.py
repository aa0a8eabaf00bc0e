"""What is kept of a kernel's results: some numbers for inputs that the seed gives again.

A check's verdict cannot be repeated without the device; these numbers can be held against the oracle anywhere.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from gpu_checks.audit.cell import Plan
from gpu_checks.audit.inputs import REGIMES, Regime, draw_logits, sampled_batch, whole_batch
from gpu_checks.bounds.sampled import formula_of
from gpu_checks.evidence.records import Observation
from gpu_checks.formats import FORMATS, Array
from gpu_checks.subject import Request, Subject

OBSERVED = (REGIMES[0], REGIMES[2])
"""typical, and peaked."""
DRAWS = 24
_SPREAD = 12
"""Columns that are kept beside those of the rows' own tokens."""


def observe(plan: Plan) -> list[Observation]:
    """Run a subject on the inputs of its seed and keep some of what it returns: an observation for each regime.

    Raises Unavailable, and what the kernel raises.
    """
    subject = plan.subject
    settings = {**subject.configured(plan.claim), **plan.settings}
    runner = subject.backends[plan.backend](Request(plan.dtype, plan.vocabulary, plan.edits, settings))
    known: dict[str, Any] = {
        "subject": subject.name,
        "claim": plan.claim,
        "dtype": plan.dtype,
        "vocabulary": plan.vocabulary,
        "seed": plan.seed,
    }
    try:
        if subject.family == "sampler":
            tokens = np.asarray(runner((*_drawn(plan.dtype, plan.vocabulary, plan.seed), DRAWS)))
            return [Observation(**known, tokens=tokens.tolist())]
        return [Observation(**known, regime=regime.name, **_kept(subject, plan, regime, runner)) for regime in OBSERVED]
    finally:
        runner.close()


def batch_of(subject: Subject, observation: Observation) -> Any:
    """Return the inputs of an observation: a batch, or (logits, seed) of a sampler.

    Raises ValueError for a regime that is not observed.
    """
    if subject.family == "sampler":
        return _drawn(observation.dtype, observation.vocabulary, observation.seed)
    regime = next((regime for regime in OBSERVED if regime.name == observation.regime), None)
    if regime is None:
        raise ValueError(f"no regime {observation.regime!r}: one of {', '.join(r.name for r in OBSERVED)}")
    return _batch(subject, observation.claim, observation.dtype, observation.vocabulary, observation.seed, regime)


def _batch(subject: Subject, claim: str, dtype: str, vocabulary: int, seed: int, regime: Regime) -> Any:
    random = np.random.default_rng([seed, 800 + OBSERVED.index(regime)])
    form = FORMATS[dtype]
    if subject.family == "whole":
        return whole_batch(form, vocabulary, regime, subject.cost.inputs != "logits", random)
    return sampled_batch(form, vocabulary, regime, formula_of(claim).weighted, 1.0, random)


def _drawn(dtype: str, vocabulary: int, seed: int) -> tuple[Array, int]:
    random = np.random.default_rng([seed, 810])
    return draw_logits(FORMATS[dtype], 2, vocabulary, 2.0, random), int(random.integers(2**63))


def _kept(subject: Subject, plan: Plan, regime: Regime, runner: Callable[[Any], Any]) -> dict[str, Any]:
    batch = _batch(subject, plan.claim, plan.dtype, plan.vocabulary, plan.seed, regime)
    result = runner(batch)
    spread = np.linspace(0, plan.vocabulary - 1, _SPREAD).astype(np.int64)
    own = batch.tokens if subject.family == "sampled" else spread
    columns = np.unique(np.concatenate([spread, own]))
    found = {
        "columns": columns.tolist(),
        "values": list(_numbers(result.value)),
        "gradients": [list(_numbers(row[columns])) for row in result.gradient],
    }
    if result.log_probability is not None:
        found["log_probabilities"] = list(_numbers(result.log_probability))
    return found


def _numbers(array: Array) -> Iterator[float | None]:
    """Stored numbers as float64, which holds them exactly; JSON has no NaN and no infinity."""
    for number in np.asarray(array).astype(np.float64).tolist():
        yield number if np.isfinite(number) else None
