"""coefficient: what multiplies the score, read off a tiny vocabulary at many log-ratios.

A kernel that scores one token has a gradient of rank one, upstream c(L, rho) (e_a - p): at V = 8 one row gives c, so
hundreds of log-ratios cost nothing, and no statistics are needed. Where the claim does not fit, the forms that do
are looked for.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache

import numpy as np

from gpu_checks.audit.comparing import Worst, as_returned, compare
from gpu_checks.audit.context import Context
from gpu_checks.audit.inputs import log_softmax
from gpu_checks.audit.records import Check
from gpu_checks.bounds.sampled import Formula, expected, formula_of
from gpu_checks.formats import Array
from gpu_checks.subject import Result, SampledBatch

_VOCABULARY = 8
_GRID = np.concatenate([s * np.array([1e-3, 1e-2, 0.05, 0.2, 0.5, 0.9, 1.5, 2.5, 4.0, 7.0]) for s in (1, -1)])
_LOG_WEIGHTS = np.array([0.0, 0.4, -0.7, 1.1])
_SPREADS = (0.0, 1.0)


def probe(context: Context, log_ratios: Array, log_weights: Array | None, spread: float = 0.0) -> SampledBatch:
    """Return rows of V = 8 at these log-ratios [n] and, for a weighted claim, log rho [n]."""
    random = context.random(1)
    n = len(log_ratios)
    logits = context.form.store(random.standard_normal((n, _VOCABULARY)) * spread)
    tokens = np.arange(n, dtype=np.int64) % _VOCABULARY
    own = log_softmax(logits)[np.arange(n), tokens]
    upstream = np.resize(np.array([1.0, -2.0, 0.5], np.float32), n)
    sampler = None if log_weights is None else (own - log_weights).astype(np.float32)
    return SampledBatch(logits, tokens, (own - log_ratios).astype(np.float32), upstream, sampler)


def grid(context: Context) -> tuple[Array, Array | None]:
    """Return the log-ratios [n] and log-weights [n] that are probed."""
    assert context.formula is not None
    if not context.formula.weighted:
        return _GRID, None
    ratios, weights = np.meshgrid(_GRID, _LOG_WEIGHTS, indexing="ij")
    return ratios.ravel(), weights.ravel()


def check_coefficient(context: Context) -> Check:
    """Hold the coefficient against the claim's at every log-ratio of the grid."""
    assert context.formula is not None
    runs = []
    for spread in _SPREADS:
        batch = probe(context, *grid(context), spread=spread)
        runs.append((batch, context.runner(batch)))
    worst, values = Worst(), Worst()
    for batch, result in runs:
        worst = worst.joined(_held(context, context.formula, batch, result))
        values = values.joined(_values(context, context.formula, batch, result))
    rows = sum(len(batch.tokens) for batch, _ in runs)
    measured = {"rows": rows, "log_ratios": [float(_GRID.min()), float(_GRID.max())]}
    if worst.holds and values.holds:
        return Check(
            check="coefficient",
            outcome="pass",
            message=f"the gradient is that of {context.claim} at {rows} log-ratios from {_GRID.min():g} to "
            f"{_GRID.max():g}; values too",
            ratio=max(worst.ratio, values.ratio),
            measurements=measured,
        )
    what, of = ("gradient", worst) if not worst.holds else ("value", values)
    fitting = _fitting(context, runs) if not worst.holds else []
    found = f"; it is that of {' or '.join(fitting)}" if fitting else ""
    return Check(
        check="coefficient",
        outcome="fail",
        message=f"the {what} is not that of {context.claim}{found}: {of.say()}",
        ratio=of.ratio,
        where=of.where,
        remedy=f"claim {fitting[0]!r} if that is meant, or mend the {what}" if fitting else f"mend the {what}",
        measurements={**measured, "fits": fitting},
    )


def _held(context: Context, formula: Formula, batch: SampledBatch, result: Result) -> Worst:
    worst = Worst()
    for row in range(len(batch.tokens)):
        worst = worst.joined(_row(context, formula, batch, result, row))
    return worst


def _row(
    context: Context, formula: Formula, batch: SampledBatch, result: Result, row: int, scale: float = 1.0
) -> Worst:
    due = expected(formula, batch, row, context.subject.cost, context.form)
    got = np.asarray(result.gradient[row], np.float64) / scale
    return compare(got, due.gradient, f"gradient at L = {due.log_ratio.value:.4g}")


def _fits(context: Context, formula: Formula, batch: SampledBatch, result: Result, scale: float) -> bool:
    """Whether every row is inside the bounds of another form; the first that is not ends it."""
    rows = range(len(batch.tokens))
    return all(_row(context, formula, batch, result, row, scale).holds for row in rows)


def _values(context: Context, formula: Formula, batch: SampledBatch, result: Result) -> Worst:
    worst = Worst()
    for row in range(len(batch.tokens)):
        due = expected(formula, batch, row, context.subject.cost, context.form)
        worst = worst.joined(
            compare(result.value[row], as_returned(due.value, result.value), f"value at L = {due.log_ratio.value:.4g}")
        )
    return worst


@lru_cache(maxsize=1)
def _known_forms() -> tuple[tuple[str, Formula], ...]:
    return tuple((name, formula_of(name)) for name in _names())


def _names() -> Iterator[str]:
    for estimator in ("k1", "k2", "k3", "abs"):
        for placement in ("as loss", "in reward"):
            yield f"{estimator} {placement}"
            yield f"{estimator} {placement}, weight detached"
        yield f"{estimator} as loss, weight differentiated"


def _fitting(context: Context, runs: list[tuple[SampledBatch, Result]]) -> list[str]:
    """Forms that the gradient is that of, as they are or with the sign turned; the one with fewest words first."""
    found = []
    for name, formula in _known_forms():
        if formula.weighted and runs[0][0].sampler is None:
            continue
        for scale, written in ((1.0, name), (-1.0, f"-1 x ({name})")):
            if all(_fits(context, formula, batch, result, scale) for batch, result in runs):
                found.append(written)
    return sorted(found, key=len)
