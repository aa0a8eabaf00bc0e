"""Batches for kernels of other projects, and what those have to return for them, in float64."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from gpu_checks.formats import FORMATS, Array
from gpu_checks.subject import SampledBatch, Subject, WholeBatch
from gpu_checks.subjects import formulas

SPREAD = 0.3
"""Standard deviation of reference minus policy, in nats."""


def sampled(dtype: str, vocabulary: int, rows: int = 4) -> SampledBatch:
    """Logits of standard deviation 2, references and samplers near the policy; the last token is scored too."""
    random = np.random.default_rng(vocabulary)
    logits = FORMATS[dtype].store(2 * random.standard_normal((rows, vocabulary)))
    tokens = random.integers(0, vocabulary, rows)
    tokens[-1] = vocabulary - 1
    policy = np.take_along_axis(formulas.log_softmax(logits), tokens[:, None], 1)[:, 0]
    shift = SPREAD * np.sign(random.standard_normal(rows)) * random.uniform(0.5, 1.5, rows)
    shift[:2] = SPREAD, -SPREAD
    sampler = (policy + SPREAD * random.standard_normal(rows)).astype(np.float32)
    return SampledBatch(logits, tokens, (policy + shift).astype(np.float32), upstream(rows), sampler)


def whole(dtype: str, vocabulary: int, inputs: str, rows: int = 4) -> WholeBatch:
    """Two near distributions a row, as logits or log-probabilities."""
    random = np.random.default_rng(vocabulary)
    logits = 2 * random.standard_normal((rows, vocabulary))
    other = logits + SPREAD * random.standard_normal((rows, vocabulary))
    store = FORMATS[dtype].store
    if inputs == "log-probabilities":
        logits, other = formulas.log_softmax(logits), formulas.log_softmax(other)
    return WholeBatch(store(logits), store(other), upstream(rows))


def upstream(rows: int) -> Array:
    """Derivatives of the scalar by each row's value: powers of two, so that multiplying by them rounds nothing."""
    return np.resize(np.array([1.0, 0.5, -2.0, 4.0], np.float32), rows)


def batch_for(subject: Subject, dtype: str, vocabulary: int, rows: int = 4) -> SampledBatch | WholeBatch:
    if subject.family == "sampled":
        return sampled(dtype, vocabulary, rows)
    return whole(dtype, vocabulary, subject.cost.inputs, rows)


def exact(subject: Subject, batch: Any, settings: Mapping[str, Any]) -> tuple[Array, Array]:
    """Values [row] and gradients [row, token] by the formulas that the adapters' pages state."""
    if isinstance(batch, SampledBatch):
        return _exact_sampled(subject, batch, settings.get("temperature", 1.0))
    formula = _formula(subject, settings)
    inputs = (batch.policy, batch.reference)
    if subject.name == "liger-tvd":
        inputs = tuple(np.exp(side.astype(np.float64)).astype(side.dtype) for side in inputs)
    rows = [formula(mine, theirs) for mine, theirs in zip(*inputs, strict=True)]
    return np.array([value for value, _ in rows]), np.stack(
        [w * gradient for w, (_, gradient) in zip(batch.upstream, rows, strict=True)]
    )


def _exact_sampled(subject: Subject, batch: SampledBatch, temperature: float) -> tuple[Array, Array]:
    policy = formulas.log_softmax(batch.logits, temperature)
    gradient = -np.exp(policy)
    values = np.zeros(len(policy))
    for row, token in enumerate(batch.tokens):
        a, b = float(policy[row, token]), float(batch.reference[row])
        if subject.name == "liger-grpo-corrected":
            assert batch.sampler is not None
            values[row], coefficient = formulas.weighted_k3(a, b, float(batch.sampler[row]))
        else:
            values[row], coefficient = formulas.k3(a, b)
        gradient[row, token] += 1
        gradient[row] *= float(batch.upstream[row]) * coefficient / temperature
    return values, gradient


BETAS = {"-forward": 0.0, "-reverse": 1.0}


def _formula(subject: Subject, settings: Mapping[str, Any]) -> formulas.Whole:
    if subject.name == "liger-tvd":
        return formulas.total_variation
    if "jsd" in subject.name:
        default = next((beta for end, beta in BETAS.items() if subject.name.endswith(end)), 0.5)
        formula = formulas.generalized_jsd(settings.get("beta", default))
    else:
        formula = formulas.generalized_jsd(0.0)
    logits = subject.cost.inputs == "logits"
    return formulas.by_logits(formula, settings.get("temperature", 1.0)) if logits else formula
