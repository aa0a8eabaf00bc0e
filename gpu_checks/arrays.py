"""Exact values and gradients of every form over the whole vocabulary: one code for NumPy, PyTorch and CuPy.

Written in the array API standard (array-api-compat), so it runs in the library, the type and on the device of what it
is given: in float64 it is the oracle, in float32 a subject like any other. Rows are taken one at a time (in several
threads for NumPy), so that a row stays in the cache and memory grows with V alone.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
from array_api_compat import array_namespace, is_numpy_array
from jaxtyping import Float, Int

from gpu_checks.elementwise import coefficient, summands

FloatArray = Any
"""An array of float64 or float32 of any library of the standard."""

_CHUNK = 32_768
"""Columns that are worked on at a time: 256 KiB of float64, a quarter of a core's cache."""


def log_softmax(logits: Float[FloatArray, "*row token"]) -> Float[FloatArray, "*row token"]:
    """Return log-probabilities over the last axis, in nats."""
    xp = array_namespace(logits)
    shifted = logits - xp.max(logits, axis=-1, keepdims=True)
    return shifted - xp.log(xp.sum(xp.exp(shifted), axis=-1, keepdims=True))


def expected_gradient(
    log_policy: Float[FloatArray, "*row token"], coefficients: Float[FloatArray, "*row token"]
) -> Float[FloatArray, "*row token"]:
    """Return E_policy[c s] by the logits, p_i (c_i - sum_j p_j c_j) (the master lemma; Williams 1992)."""
    xp = array_namespace(log_policy, coefficients)
    p = xp.exp(log_policy)
    # a token of probability 0 has no part in it, whatever its coefficient
    c = xp.where(p > 0, coefficients, p)
    return p * (c - xp.sum(p * c, axis=-1, keepdims=True))


def divergence(
    objective: str, policy: Float[FloatArray, "row token"], reference: Float[FloatArray, "row token"]
) -> tuple[Float[FloatArray, " row"], Float[FloatArray, "row token"]]:
    """Return a named objective between softmax(policy) and softmax(reference) for each row, in nats, and its gradient.

    The gradient is by the policy's logits. Raises KeyError for a name that `proofs.divergences.OBJECTIVES` lacks.
    """
    xp = array_namespace(policy, reference)
    value, gradient = xp.zeros_like(policy[:, 0]), xp.empty_like(policy)
    one = _reverse_kl if objective == "reverse_kl" else _any(objective, xp)
    # a coefficient of 1 - e^-L overflows where p - q does not
    one = _forward_kl(one) if objective == "forward_kl" else one

    def work(row: int) -> None:
        value[row] = one(policy[row, :], reference[row, :], gradient[row, :])

    _rows(work, policy)
    return value, gradient


def scored(
    terms: tuple[Callable[[Any, Any], Any], Callable[[Any, Any], Any]],
    logits: Float[FloatArray, "row token"],
    tokens: Int[Any, " row"],
    reference: Float[FloatArray, " row"],
    upstream: Float[FloatArray, " row"],
    sampler: Float[FloatArray, " row"] | None = None,
) -> tuple[Float[FloatArray, " row"], Float[FloatArray, "row token"], Float[FloatArray, " row"]]:
    """Return value, gradient by the logits and log-probability where one token a row is scored.

    `terms` are the value and the coefficient as functions of (L, log rho): value w k, gradient
    upstream c (e_token - p). Log-probabilities in nats.
    """
    xp = array_namespace(logits)
    value, gradient = xp.zeros_like(reference), xp.empty_like(logits)
    own = xp.zeros_like(reference)
    columns = xp.arange(logits.shape[-1])

    def work(row: int) -> None:
        log_p = log_softmax(logits[row, :])
        at = int(tokens[row])
        own[row] = log_p[at]
        ratio = log_p[at] - reference[row]
        weight = ratio * 0.0 if sampler is None else log_p[at] - sampler[row]
        value[row] = terms[0](ratio, weight)
        factor = upstream[row] * terms[1](ratio, weight)
        one_hot = xp.astype(columns == at, log_p.dtype)
        gradient[row, :] = factor * (one_hot - xp.exp(log_p))

    _rows(work, logits)
    return value, gradient, own


def _rows(work: Callable[[int], None], like: Any) -> None:
    """Run every row; NumPy lets go of the interpreter's lock inside, so there rows share the cores."""
    rows = range(like.shape[0])
    if not is_numpy_array(like) or cores() == 1 or like.shape[0] * like.shape[1] < 2 * _CHUNK:
        for row in rows:
            work(row)
        return
    with ThreadPoolExecutor(cores()) as pool:
        for _ in pool.map(work, rows):
            pass


def cores() -> int:
    """Return how many threads can run at a time."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _any(objective: str, xp: Any) -> Callable[[Any, Any, Any], Any]:
    below, above = summands(objective, xp)
    slope = coefficient(objective, xp)

    def row(policy: Any, reference: Any, out: Any) -> Any:
        log_p, log_q = log_softmax(policy), log_softmax(reference)
        with np.errstate(invalid="ignore"):
            ratio = xp.where(log_p == log_q, xp.zeros_like(log_p), log_p - log_q)  # -inf - -inf
            out[...] = expected_gradient(log_p, slope(ratio))
        nothing = ratio * 0.0
        over = ratio > 0
        weight = xp.exp(xp.where(over, log_p, log_q))
        return xp.sum(
            weight * xp.where(over, above(xp.where(over, ratio, nothing)), below(xp.where(over, nothing, ratio)))
        )

    return row


def _forward_kl(general: Callable[[Any, Any, Any], Any]) -> Callable[[Any, Any, Any], Any]:
    def row(policy: Any, reference: Any, out: Any) -> Any:
        value = general(policy, reference, out)
        xp = array_namespace(policy)
        out[...] = xp.exp(log_softmax(policy)) - xp.exp(log_softmax(reference))
        return value

    return row


def _reverse_kl(policy: Any, reference: Any, out: Any) -> Any:
    """KL(policy||reference) = sum p (x - y) - (lse x - lse y), in two passes; the gradient p (d - KL) goes to `out`."""
    xp = array_namespace(policy)
    top, other_top = xp.max(policy), xp.max(reference)
    total = other_total = moment = 0.0 * top
    pieces = [slice(at, min(at + _CHUNK, policy.shape[0])) for at in range(0, policy.shape[0], _CHUNK)]
    for piece in pieces:
        x, y = policy[piece] - top, reference[piece] - other_top
        weight = xp.exp(x)
        out[piece] = weight
        total = total + xp.sum(weight)
        with np.errstate(invalid="ignore"):  # -inf - -inf, where the weight is 0
            x -= y
        moment = moment + xp.vecdot(weight, xp.where(weight > 0, x, 0.0 * weight))
        other_total = other_total + xp.sum(xp.exp(y))
    mean = moment / total
    value = mean - (xp.log(total) - xp.log(other_total))
    for piece in pieces:
        x = policy[piece] - (top - other_top + mean)
        with np.errstate(invalid="ignore"):
            x -= reference[piece]
        weight = out[piece]
        out[piece] = xp.where(weight > 0, x, 0.0 * weight) * weight / total
    return value
