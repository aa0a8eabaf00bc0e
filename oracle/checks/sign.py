"""sign: minimising the loss must bring the policy nearer to the reference."""

from __future__ import annotations

import numpy as np

from oracle.case import Case
from oracle.checks.registry import Answer, check, passed, skipped
from oracle.enumeration import bench, expected_gradients


@check(
    "sign",
    question="Does descending the loss reduce the divergence it names?",
    severity="error",
    failure="the loss ascends its divergence",
    remedy="flip the sign of the KL term (a loss adds it, a reward subtracts it), or the ratio inside the estimator",
    theorems=("gradient.reverse_kl",),
)
def sign(case: Case) -> Answer:
    """A negative scale ascends; a field that names nothing is compared with the gradient of KL(policy||reference)."""
    record = case.on_policy
    if record is None or record.objective == "zero":
        return skipped("the expected gradient is zero")
    if record.scale is not None:
        if record.scale < 0:
            return Answer(
                "fail",
                f"scale {record.scale:.4g} times the gradient of {record.objective}",
                record.evidence,
                {"scale": record.scale},
                theorems=tuple(record.theorems),
            )
        return passed(f"scale {record.scale:.4g}", record.evidence, record.theorems)
    cosine = _cosine(case)
    if cosine is None or abs(cosine) < 0.3:
        return skipped("the gradient has no clear direction along that of KL(policy||reference)")
    if cosine < 0:
        return Answer(
            "fail",
            f"cosine {cosine:.3f} with the gradient of KL(policy||reference)",
            "tested",
            {"cosine": round(cosine, 4)},
        )
    return passed(f"cosine {cosine:.3f} with the gradient of KL(policy||reference)", theorems=["gradient.reverse_kl"])


def _cosine(case: Case) -> float | None:
    at = bench(case.options.seed, 2, True)
    g = np.concatenate([x.ravel() for x in expected_gradients(case, at.instances)])
    size = float(np.linalg.norm(g))
    if not np.isfinite(size) or size <= 1e-12 * at.size:
        return None
    return float(g @ at.targets[0] / size / at.size)
