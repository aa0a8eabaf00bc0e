"""The expected gradient of a kernel that is given samples, measured: tokens drawn, gradients projected, a running test.

A kernel of the family `sampled` returns c_a (e_a - p) for the token a of a row. Tokens are drawn from the policy, and
each row's gradient is projected onto the direction in which the expected gradients of two candidates differ, the
claimed form's and an alternative's: a random direction would need some hundred times as many rows. The exact target is
known by enumeration of the vocabulary. Where that needs fewer rows, the claim's own gradient at the same token is taken
away from each sample (a control variate of exactly known mean). A `SequentialTest` may stop at any row.

    question = ask("k3 as loss", "k1 in reward", subject.cost, FORMATS["float32"], 131_072)
    measured = measure(runner, question)
    assert not measured.alarm, measured.reason

What the kernel's rounding may move is allowed for, by the bound that its cost model implies (`gpu_checks.bounds`).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import reduce

import numpy as np
from jaxtyping import Float64

from gpu_checks import arrays
from gpu_checks.bounds.cost import CostModel
from gpu_checks.bounds.expressions import evaluate
from gpu_checks.bounds.sampled import Formula, coefficient_at, formula_of
from gpu_checks.bounds.softmax import log_softmax
from gpu_checks.bounds.tracked import Arithmetic, Tracked
from gpu_checks.formats import SINGLE_UNIT, Array, Format
from gpu_checks.philox import double_uniforms, sampler_words
from gpu_checks.sampling import inverse_cdf
from gpu_checks.statistics import (
    Claim,
    Law,
    SequentialTest,
    difference_direction,
    expected_gradient,
    projections,
    sequential_samples,
)
from gpu_checks.statistics.directions import Row
from gpu_checks.subject import Runner, SampledBatch
from proofs.symbols import RHO, L

RATIO_SPREAD = 0.3
"""Standard deviation of the log-ratio of policy and reference, in nats: a divergence of 0.05 nats or so."""
LOGIT_SPREAD = 2.0
MOST = 200_000
"""Rows that a measurement may need: more are a sign that the question is a wrong one."""

_BYTES = 2**25
"""Of a block's logits; its gradients are as large, so 64 MiB at a time."""
_ROWS = 256
"""The most rows of a block: the test is looked at after each."""
_ROUNDINGS = 4
"""Products with the upstream derivative, a weight, 1/T and a scale, beside that of coefficient and score."""


@dataclass(frozen=True)
class Question:
    """A policy, a reference, two candidates, and what is known of them exactly.

    `logits` [token] in the storage format; `reference` and `sampler` [token] float32, log-probabilities as the kernel
    gets them; `control` [token] is taken away from a token's sample; `target` is the claimed gradient's projection onto
    `direction`; `planted` the law of the alternative's samples; `promised` the rows within which it alarms.
    """

    claim: str
    alternative: str
    logits: Array
    log_policy: Row
    reference: Array
    sampler: Array | None
    direction: Row
    control: Row
    target: float
    mean: Claim
    planted: Law
    promised: int
    false_alarm: float
    miss: float
    seed: int

    @property
    def paired(self) -> bool:
        """Whether samples are differences from the claim's on the same token."""
        return bool(self.control.any())


@dataclass(frozen=True)
class Measured:
    """What a measurement says.

    `alarm`: the expected gradient is not the claim's; a right kernel alarms at a rate of at most `false_alarm`. The
    alternative fails to alarm within `promised` rows at a rate of at most `miss`. `statistic` is compared with
    `threshold`, in nats of capital; `estimate` and `target` are the projected gradient, measured and exact.
    """

    alarm: bool
    samples: int
    statistic: float
    threshold: float
    false_alarm: float
    miss: float
    promised: int
    estimate: float
    target: float
    reason: str


def ask(
    claim: str,
    alternative: str,
    cost: CostModel,
    form: Format,
    vocabulary: int,
    false_alarm: float = 1e-6,
    miss: float = 1e-3,
    seed: int = 0,
) -> Question:
    """Draw a policy and a reference near it, and find the direction and the number of rows.

    Raises ClaimError for a claim or an alternative that is no form of one token; ValueError where the two have one
    expected gradient, where rounding hides the difference, for a wrong rate and for a vocabulary below 2.
    """
    if vocabulary < 2:
        raise ValueError(f"vocabulary {vocabulary} leaves nothing to draw: pass at least 2 tokens")
    random = np.random.default_rng([seed, 700])
    logits = form.store(LOGIT_SPREAD * random.standard_normal(vocabulary))
    log_p = np.asarray(arrays.log_softmax(logits.astype(np.float64)))
    log_q = arrays.log_softmax(log_p + RATIO_SPREAD * random.standard_normal(vocabulary))
    reference = log_q.astype(np.float32)
    formulas = formula_of(claim), formula_of(alternative)
    weighted = any(formula.weighted for formula in formulas)
    sampler = log_p.astype(np.float32) if weighted else None
    log_rho = np.zeros_like(log_p) if sampler is None else log_p - sampler
    claimed, planted = (coefficient_at(formula, log_p - reference, log_rho) for formula in formulas)
    direction = difference_direction(log_p, claimed, planted)
    inputs = logits.astype(np.float64), reference, sampler
    bounds = [_rounding(formula, *inputs, direction, cost, form) for formula in formulas]
    p = np.exp(log_p)
    slack = max(math.sqrt(float(p @ np.square(bound))) for bound in bounds)
    reach = max(float(bound[p > 0].max()) for bound in bounds)
    own, other = (projections(log_p, c, direction) for c in (claimed, planted))
    target = float(expected_gradient(log_p, claimed) @ direction)
    found = []
    for control, mean in ((own, 0.0), (np.zeros_like(own), target)):
        law, range_ = Law.of(log_p, other - control), Law.of(log_p, own - control)
        if control.any():  # the claim's difference is 0; the test of the mean looks as far as the alternative reaches
            range_ = Law(0.0, 0.0, min(0.0, law.lower), max(0.0, law.upper))
        try:
            held = Claim(mean, range_.lower - reach, range_.upper + reach, slack)
            found.append((sequential_samples(held, law, false_alarm, miss), control, held, law))
        except ValueError as error:
            reason = error
    if not found:
        raise ValueError(f"{claim} and {alternative} in {form.name}: {reason}")
    promised, control, held, law = min(found, key=lambda one: one[0])
    if promised > MOST:
        raise ValueError(
            f"to tell {claim} from {alternative} takes {promised} rows, more than {MOST}: take other rates"
        )
    return Question(
        claim=claim,
        alternative=alternative,
        logits=logits,
        log_policy=log_p,
        reference=reference,
        sampler=sampler,
        direction=direction,
        control=control,
        target=target,
        mean=held,
        planted=law,
        promised=promised,
        false_alarm=false_alarm,
        miss=miss,
        seed=seed,
    )


def measure(runner: Runner, question: Question, rows: int | None = None) -> Measured:
    """Run the kernel on drawn tokens until the test alarms, or for `rows`, by default the promised number.

    Raises ValueError for fewer rows than 1; what the kernel raises goes on up. A gradient that is not finite alarms.
    """
    count = question.promised if rows is None else rows
    if count < 1:
        raise ValueError(f"{count} rows: a measurement needs at least 1")
    tokens = drawn(question, count)
    test = SequentialTest(question.mean, question.false_alarm)
    vocabulary = len(question.logits)
    block = max(1, min(_ROWS, count, _BYTES // (vocabulary * question.logits.dtype.itemsize)))
    logits = np.repeat(question.logits[None, :], block, axis=0)
    total, alarm, statistic, reason = 0.0, False, -math.inf, ""
    for start in range(0, count, block):
        chosen = tokens[start : start + block]
        samples = _projected(runner, question, logits[: len(chosen)], chosen) - question.control[chosen]
        total += float(samples.sum())
        if not np.isfinite(samples).all():
            alarm, statistic, reason = True, math.inf, "a gradient is not finite"
        else:
            outcome = test.update(samples)
            alarm, statistic, reason = outcome.alarm, outcome.statistic, outcome.reason
        if alarm:
            break
    done = min(start + block, count)
    estimate = total / done + (question.target if question.paired else 0.0)
    return Measured(
        alarm=alarm,
        samples=done,
        statistic=statistic,
        threshold=-math.log(question.false_alarm),
        false_alarm=question.false_alarm,
        miss=question.miss,
        promised=question.promised,
        estimate=estimate,
        target=question.target,
        reason=reason,
    )


def drawn(question: Question, count: int) -> Array:
    """Return tokens [count] int64 of the policy, from counters: the same in every run, whoever is measured."""
    words = sampler_words(np.arange(count, dtype=np.int64), 2, question.seed)
    return np.asarray(inverse_cdf(np.exp(question.log_policy), double_uniforms(words[:, 0], words[:, 1])))


def sequence_gradient(
    log_policy: Float64[np.ndarray, "position token"], log_reference: Float64[np.ndarray, "position token"]
) -> Float64[np.ndarray, "position token"]:
    """Return E[R sum_t score_t] where positions are independent and R is the sum of their log-ratios: exactly.

    By the logits of position t only its own log-ratio counts, since a score has mean 0 and is independent of the
    others: E[R score_t] = p (d - KL_t), the gradient of KL_t. So a sequence's expected gradient costs L times V, not V
    to the power L, and a Monte Carlo estimate of it has an exact target.
    """
    ratio = log_policy - log_reference
    return np.asarray(arrays.expected_gradient(log_policy, ratio))


def _projected(runner: Runner, question: Question, logits: Array, tokens: Array) -> Array:
    """The projections [row] of a block's gradients, in float64; a row at a time, so that a block is not doubled."""
    batch = SampledBatch(
        logits,
        tokens,
        question.reference[tokens],
        np.ones(len(tokens), np.float32),
        None if question.sampler is None else question.sampler[tokens],
    )
    gradient = runner(batch).gradient
    if gradient.shape != logits.shape:
        raise ValueError(f"the gradient is {list(gradient.shape)} for logits {list(logits.shape)}")
    return np.array([float(row.astype(np.float64) @ question.direction) for row in gradient])


def _rounding(
    formula: Formula,
    logits: Array,
    reference: Array,
    sampler: Array | None,
    direction: Row,
    cost: CostModel,
    form: Format,
) -> Row:
    """How far rounding may move each token's projection [token]: sum_j |u_j| times the bound of the gradient's entry j.

    As `bounds.sampled.expected`, but for all tokens at once. Raises ValueError where a coefficient may overflow.
    """
    arithmetic = Arithmetic(cost)
    log_p = log_softmax(arithmetic, arithmetic.given(logits))
    values = {L: log_p - arithmetic.given(reference)}
    if formula.weighted:
        values[RHO] = arithmetic.exp(log_p - arithmetic.given(sampler))
    terms = [evaluate(term, values, arithmetic) for term in formula.terms]
    slope = reduce(Tracked.__add__, terms)
    size = np.broadcast_to(abs(slope.value), log_p.value.shape)
    error = np.broadcast_to(slope.error, log_p.value.shape)
    p, u = arithmetic.exp(log_p), abs(direction)
    others, moved = float(u @ p.value), float(u @ p.error)
    score = others + u * (1 - 2 * p.value)  # sum_j |u_j| |(e_a - p)_j|
    inexact = moved + SINGLE_UNIT * (score + moved)
    spread = size * inexact + error * (score + inexact)
    product = size * score
    spread = spread + (1 + _ROUNDINGS) * SINGLE_UNIT * (product + spread)
    stored = (1 + form.unit) * spread + form.unit * product
    # a result below the least normal number may be flushed, in each of a few operations on each entry
    flushed = float(u.sum()) * (form.tiny + 8 * 2.0**-126) * (1 + size + error)
    bound = (stored + flushed) * (1 + 2.0**-10)
    if not np.isfinite(bound).all():
        raise ValueError(f"a coefficient may overflow in {form.name}: the rounding of a sample has no bound")
    return np.asarray(bound)
