"""Forms, held sample by sample: on each token the signal must be the form's, up to the weight of the aggregation.

With the rules of ``proofs.calculus`` (D L = s, D rho = rho s, a detached number has none) the coefficient of the score
of token j in sum_t w_t k_t is

    detached weight         w_j k'_j
    differentiated weight   w_j k'_j + sum over t of k_t D_j w_t

where w_t is rho_t, the product of the prefix, of the sequence, or its geometric mean, cut to [low, high]; D_j w_t is
w_t inside the cut where token j is one of its factors (w_t / T for the geometric mean), else 0.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from jaxtyping import Float64

from oracle.claims.claim import Claim, Form, Weight
from oracle.records import Evidence, Finding

if TYPE_CHECKING:
    from oracle.case import Case
    from oracle.subject.batch import Batch

Numbers = Float64[np.ndarray, "b t"]


def coefficients(form: Form, log_ratio: Numbers, log_weight: Numbers) -> Numbers:
    """What multiplies the score of each token, shape [b, t], at L = ``log_ratio`` and log rho = ``log_weight``."""
    from proofs.calculus import score_derivative
    from proofs.lowering import compile_numpy
    from proofs.symbols import L

    value = compile_numpy(form.estimator.value, [L])(log_ratio)
    slope = compile_numpy(score_derivative(form.estimator.value), [L])(log_ratio)
    out: Numbers = _combined(form, value, slope, np.exp(log_weight), True)
    return out


def symbolic(form: Form, horizon: int) -> list[Any]:
    """The same as expressions in the token symbols of one sequence, where no threshold of the weight is met."""
    from proofs.calculus import score_derivative
    from proofs.symbols import L, token_symbols

    pairs = [token_symbols(t) for t in range(horizon)]
    value, slope = (
        np.array([[e.xreplace({L: ratio}) for ratio, _ in pairs]], dtype=object)
        for e in (form.estimator.value, score_derivative(form.estimator.value))
    )
    rho = np.array([[weight for _, weight in pairs]], dtype=object)
    return list(_combined(form, value, slope, rho, False)[0])


def _combined(form: Form, value: Any, slope: Any, rho: Any, cut: bool) -> Any:
    """The coefficients from k, k' and rho, each [b, t]: numbers, or expressions (then without ``cut``)."""
    weight = form.weight
    w = _weights(weight, rho)
    held = np.clip(w, weight.low, weight.high) if cut else w
    inside = (w > weight.low) & (w < weight.high) if cut else np.ones(w.shape, dtype=bool)
    total = 0 * slope
    if form.placement != "reward":
        total = total + (slope if weight.kind == "none" else held * slope)
        if weight.kind == "differentiated":
            total = total + _spread(weight, np.where(inside, w, 0) * value)
    if form.placement != "loss":
        k = _to_go(value) if form.returns else value
        if weight.kind == "none":
            total = total + k
        elif weight.kind == "detached":
            total = total + held * k
        else:
            live = inside
            if weight.kind == "surrogate" and cut:
                # max(w k, clip(w) k): the clip wins where the policy has already gone the way that k pushes it
                live = ~(((k > 0) & (w < weight.low)) | ((k < 0) & (w > weight.high)))
            total = total + _spread(weight, np.where(live, w, 0) * k)
    return total


def _weights(weight: Weight, rho: Any) -> Any:
    if weight.level == "token":
        return rho
    if weight.level == "prefix":
        return np.cumprod(rho, axis=1)
    whole = np.cumprod(rho, axis=1)[:, -1:]
    if weight.level == "geometric":
        from sympy import Rational

        t = rho.shape[1]
        whole = whole ** (Rational(1, t) if rho.dtype == object else 1.0 / t)
    return np.repeat(whole, rho.shape[1], axis=1)


def _spread(weight: Weight, terms: Any) -> Any:
    """sum over t of terms_t D_j log w_t, for each token j."""
    if weight.level == "token":
        return terms
    if weight.level == "prefix":
        return _to_go(terms)
    whole = np.repeat(np.cumsum(terms, axis=1)[:, -1:], terms.shape[1], axis=1)
    return whole / terms.shape[1] if weight.level == "geometric" else whole


def _to_go(terms: Any) -> Any:
    return np.flip(np.cumsum(np.flip(terms, 1), axis=1), 1)


def batches(form: Form, case: Case) -> list[tuple[Batch, Numbers]]:
    """The batches that a form is held on with what the subject gives there: a mild one, and for a weight with
    thresholds one that crosses each of them from both sides, with either sign of L."""
    out = [(case.mild_batch, case.mild_signal.coefficient.numpy())]
    if form.weight.cut and form.weight.kind != "none":
        from oracle.probing.signal import kl_part

        across = crossing(form.weight, *case.mild_batch.shape, seed=case.options.seed)
        out.append((across, kl_part(case.subject, case.placement, across).coefficient.numpy()))
    return out


def crossing(weight: Weight, sequences: int, tokens: int, seed: int) -> Batch:
    """Mild in L; in each row one token takes its weight past a threshold or up to it, the others leave it there."""
    from oracle.subject.batch import from_log_ratios

    steps = [
        (math.log(c) * (tokens if weight.level == "geometric" else 1) + d, sign)
        for c in weight.thresholds
        for d in (-0.7, -0.08, 0.08, 0.7)
        for sign in (-1.0, 1.0)
    ]
    rows = -(-len(steps) // sequences) * sequences
    g = torch.Generator().manual_seed(seed + 17)
    size = (rows, tokens)
    policy = -0.4 - 2.2 * torch.rand(size, generator=g, dtype=torch.float64)
    ratio = 0.05 + 0.3 * torch.rand(size, generator=g, dtype=torch.float64)
    drift = 0.004 * (2 * torch.rand(size, generator=g, dtype=torch.float64) - 1)
    for row in range(rows):
        log_weight, sign = steps[row % len(steps)]
        drift[row, row % tokens] = log_weight
        ratio[row] *= sign
    return from_log_ratios(policy, ratio, drift)


def hold_form(claim: Claim, case: Case) -> Finding:
    """Hold a claimed form against a case: first the aggregation, then the coefficient of each token."""
    from oracle.claims.nearest import what_holds

    assert claim.form is not None
    if claim.aggregation is not None and (case.aggregation is None or case.aggregation.name != claim.aggregation):
        name = case.aggregation.name if case.aggregation else None
        return finding(claim, False, f"claimed {claim.aggregation}, but the aggregation is {name}", "tested")
    if case.subject.whole and case.placement != "reward":
        what = "the whole vocabulary enters the gradient, and not the sampled tokens alone"
        message = f"claimed {claim.text!r}, but {what}; claim an objective{what_holds(claim, case)}"
        return finding(claim, False, message, "tested")
    for batch, signal in batches(claim.form, case):
        example = mismatch(claim.form, case, batch, signal)
        if example is None:
            continue
        formula = case.off_policy.formula if case.off_policy else None
        read = f"the coefficient read is {formula}" if formula else "the coefficient of a token is another"
        message = f"claimed {claim.text!r}, but {read}; see the counterexample{what_holds(claim, case)}"
        return finding(claim, False, message, "tested", example, rule(claim))
    return finding(claim, True, f"{claim.text!r} holds on every token", evidence_of(claim, case), theorems=rule(claim))


def mismatch(form: Form, case: Case, batch: Batch, signal: Numbers) -> dict[str, Any] | None:
    """The token that strays the most from the form, where one strays too far."""
    ratio, weight = (batch.policy - batch.reference).numpy(), (batch.policy - batch.sampler).numpy()
    expected = scale_of(case, batch.shape) * coefficients(form, ratio, weight)
    error = np.abs(signal - expected)
    # beside the largest coefficient; where all that is expected is 0, beside any gradient at all
    slack = tolerance_of(case) * max(float(np.abs(expected).max()), 1e-12 * scale_of(case, batch.shape))
    if float(error.max()) <= slack:
        return None
    b, t = np.unravel_index(int(np.nan_to_num(error, nan=np.inf).argmax()), error.shape)
    return {
        "L": round(float(ratio[b, t]), 6),
        "rho": round(float(np.exp(weight[b, t])), 6),
        "expected": float(f"{expected[b, t]:.6g}"),
        "actual": float(f"{signal[b, t]:.6g}"),
    }


def tolerance_of(case: Case) -> float:
    """How far a token may stray, relative to the largest coefficient of the batch."""
    return max(1e-7, 10 * case.tolerance)


def scale_of(case: Case, shape: tuple[int, int]) -> float:
    """The weight that the aggregation gives a token of a full batch."""
    from oracle.enumeration import factor

    return float(factor(case, *shape))


def rule(claim: Claim) -> tuple[str, ...]:
    """Why the claimed form has the gradient that it is held against: k as loss is k' in reward, on every sample."""
    assert claim.form is not None
    as_loss = claim.form.placement == "loss" and claim.form.weight.kind != "differentiated"
    return ("any-loss-is-a-reward.sample",) if as_loss else ()


def evidence_of(claim: Claim, case: Case) -> Evidence:
    """Proved where the formula read is the form's, for all real inputs; a threshold is only tested."""
    import sympy as sp

    assert claim.form is not None
    field = case.field
    if field is None or field.coupled or field.raw or claim.form.weight.cut:
        return "tested"
    for seen, own in zip(field.coefficients, symbolic(claim.form, len(field.coefficients)), strict=True):
        difference = sp.expand(sp.expand(seen, power_exp=True) - sp.expand(own, power_exp=True))
        # a normaliser such as n + 1e-8 leaves dust in exact arithmetic
        if difference != 0 and any(abs(float(a)) > 1e-6 for a in difference.as_coefficients_dict().values()):
            return "tested"
    return "proved"


def finding(
    claim: Claim,
    holds: bool,
    message: str,
    evidence: Evidence,
    example: dict[str, Any] | None = None,
    theorems: Sequence[str] = (),
) -> Finding:
    """The answer of one claim."""
    extra: dict[str, Any] = {"theorems": list(theorems)} if theorems else {}
    return Finding(
        check="claim",
        outcome="pass" if holds else "fail",
        severity="note" if holds else "error",
        message=message,
        evidence=evidence,
        counterexample=example,
        **extra,
    )
