"""expected_gradient: what the kernel descends, assembled over the whole vocabulary from what it returned.

The coefficient is measured at Chebyshev points of the interval in which the row's log-ratios lie, interpolated
(Berrut and Trefethen, Barycentric Lagrange Interpolation, SIAM Review 2004), and put into
E[c s]_i = p_i (c_i - sum_j p_j c_j). No formula of the kernel enters, and no token is sampled. What the interpolation
misses is measured at points of its own.
"""

from __future__ import annotations

import numpy as np
from scipy.interpolate import BarycentricInterpolator

from gpu_checks.audit.coefficient import probe
from gpu_checks.audit.context import Context
from gpu_checks.audit.inputs import draw_logits, log_softmax
from gpu_checks.audit.records import Check
from gpu_checks.formats import FORMATS, Array
from gpu_checks.subject import SampledBatch
from proofs.divergences import OBJECTIVES
from proofs.lowering import coefficient_function

_NODES = 24
_CHECKED = 16
_RATIO_SPREAD = 0.3


def check_expected_gradient(context: Context) -> Check:
    """Name the objective of the assembled gradient; it has to be that of the claim's coefficient."""
    assert context.formula is not None
    random = context.random(4)
    logits = draw_logits(FORMATS["float32"], 1, context.vocabulary, 2.0, random)[0].astype(np.float64)
    log_p = log_softmax(logits)
    log_q = log_softmax(logits + _RATIO_SPREAD * random.standard_normal(context.vocabulary))
    ratios = log_p - log_q
    low, high = float(ratios.min()), float(ratios.max())
    nodes = (low + high) / 2 + (high - low) / 2 * np.cos(np.pi * np.arange(_NODES) / (_NODES - 1))
    at, measured = _measured(context, nodes)
    curve = BarycentricInterpolator(at, measured)
    there, again = _measured(context, random.uniform(low, high, _CHECKED))
    missed = float(abs(curve(there) - again).max()) + _unit(context)
    due = _claimed(context, at)
    far = float(abs(measured - due).max())
    gradient = _assembled(log_p, np.asarray(curve(ratios)))
    size = float(np.linalg.norm(gradient))
    tolerance = 4 * missed * float(np.linalg.norm(np.exp(log_p))) / max(size, 1e-300)
    distances = _distances(log_p, log_q, gradient)
    nearest = min(distances, key=lambda name: distances[name])
    numbers = {"relative_error": distances[nearest], "tolerance": tolerance, "coefficient_error": missed}
    wanted = _objective_of_claim(context)
    if size <= 4 * missed * float(np.linalg.norm(np.exp(log_p))):
        nearest, named = "zero", True
    else:
        named = distances[nearest] <= tolerance
    found = nearest if named else f"unnamed, nearest {nearest} at relative error {distances[nearest]:.2g}"
    if wanted is None or (named and nearest == wanted):
        return Check(
            check="expected_gradient",
            outcome="pass",
            message=f"assembled over {context.vocabulary} tokens: {_spelled(nearest) if named else found}",
            measurements={**numbers, "objective": nearest if named else "unnamed"},
        )
    return Check(
        check="expected_gradient",
        outcome="fail",
        message=f"assembled over {context.vocabulary} tokens it descends {found}, where {context.claim} descends "
        f"{wanted}; the coefficient is off by {far:.2g}",
        remedy="see the check `coefficient` for the form that fits",
        measurements={**numbers, "objective": nearest if named else "unnamed"},
    )


def _measured(context: Context, log_ratios: Array) -> tuple[Array, Array]:
    """Return the log-ratios as the kernel was given them, and its coefficient there; V = 8, on-policy."""
    weights = np.zeros_like(log_ratios) if context.formula is not None and context.formula.weighted else None
    batch: SampledBatch = probe(context, log_ratios, weights)
    result = context.runner(batch)
    n = np.arange(len(batch.tokens))
    own = log_softmax(batch.logits)[n, batch.tokens]
    gradient = np.asarray(result.gradient, np.float64)[n, batch.tokens]
    return own - batch.reference.astype(np.float64), gradient / (batch.upstream * -np.expm1(own))


def _unit(context: Context) -> float:
    return context.form.unit


def _claimed(context: Context, log_ratios: Array) -> Array:
    from gpu_checks.bounds.sampled import coefficient_at

    assert context.formula is not None
    return coefficient_at(context.formula, log_ratios, np.zeros_like(log_ratios))


def _assembled(log_p: Array, coefficient: Array) -> Array:
    p = np.exp(log_p)
    out: Array = p * (coefficient - (p @ coefficient))
    return out


def _distances(log_p: Array, log_q: Array, gradient: Array) -> dict[str, float]:
    """How far the gradient is from each named objective's, scale 1, relative to the larger."""
    found = {}
    for name in OBJECTIVES:
        other = _assembled(log_p, coefficient_function(name)(log_p - log_q))
        larger = max(float(np.linalg.norm(other)), float(np.linalg.norm(gradient)), 1e-300)
        found[name] = float(np.linalg.norm(gradient - other)) / larger
    return found


def _objective_of_claim(context: Context) -> str | None:
    """The objective that `proofs` names for the claim on-policy; None where it has no name at scale 1."""
    from proofs.divergences import name_coefficient
    from proofs.symbols import RHO

    assert context.formula is not None
    naming = name_coefficient(context.formula.coefficient.subs(RHO, 1))
    if naming.objective == "zero":
        return "zero"
    return naming.objective if naming.objective in OBJECTIVES and naming.scale == 1 else None


def _spelled(objective: str) -> str:
    return "no gradient at all" if objective == "zero" else f"the gradient of {OBJECTIVES[objective].display}"
