"""reference.zero_at_reference: a policy that is the reference must not be pulled away from it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import sympy as sp

from oracle.case import Case
from oracle.checks.registry import Answer, check, passed, skipped
from oracle.enumeration import at_bench, expected_gradients, instances
from oracle.probing.instances import Instance, Table, describe


@check(
    "reference.zero_at_reference",
    question="Does the expected gradient vanish at policy = reference?",
    severity="error",
    failure="the expected gradient does not vanish at policy = reference",
    remedy="compare the same tokens under the same temperature and shift, and let no other term share the coefficient",
    no_theorem="every divergence has its minimum at policy = reference; the code's field is measured there",
)
def reference_zero(case: Case) -> Answer:
    """On-policy, at the policies that were named. A constant coefficient is no pull: the score has mean zero."""
    if not case.depends_on_reference or case.on_policy is None or case.on_policy.objective == "zero":
        return skipped("there is no expected gradient that a reference could stop")
    home = [replace(i, reference_logits=i.policy_logits) for i in instances(case.options.seed, 2, True)[:2]]
    size = _norm(at_bench(case, True)[:2])
    pulls = expected_gradients(case, home)
    pull = _norm(pulls)
    if not size > 0.0:
        return skipped("there is no gradient near policy = reference to compare with")
    if not pull <= max(1e-6, 10 * case.tolerance) * size:
        worst = int(np.argmax([np.nan_to_num(np.abs(g), nan=np.inf).max() for g in pulls]))
        what = (
            f"it is {pull / size:.2g} of its size where they are a few tenths apart"
            if np.isfinite(pull)
            else "it is not finite there, where training starts"
        )
        return Answer("fail", what, "tested", _shown(home[worst], pulls[worst]))
    off = instances(case.options.seed, 2, False)[:1]
    left = _norm(expected_gradients(case, [replace(i, reference_logits=i.policy_logits) for i in off]))
    message = "no expected pull at policy = reference"
    if not left <= max(1e-6, 10 * case.tolerance) * size:
        message += f"; off-policy, where nothing corrects it, {left / size:.2g} of its usual size is left"
    return passed(message, "proved" if _constant_at_home(case) else "tested", ["score-identity"])


def _norm(gradients: list[Table]) -> float:
    return float(np.linalg.norm(np.concatenate([g.ravel() for g in gradients])))


def _constant_at_home(case: Case) -> bool:
    """Whether every coefficient read is one and the same number at L = 0."""
    if case.on_field is None or case.on_field.raw or case.on_field.coupled:
        return False
    values = set()
    for c in case.on_field.coefficients:
        values.add(c.xreplace({s: sp.Integer(1 if s.name.startswith("rho") else 0) for s in c.free_symbols}))
    return len(values) == 1 and next(iter(values)).is_finite is True


def _shown(instance: Instance, gradient: Table) -> dict[str, object]:
    about = describe(instance)
    return {
        "policy": about["policy"],
        "reference": about["policy"],
        "expected": 0.0,
        "actual": [[float(f"{x:.4g}") for x in row] for row in gradient.tolist()],
    }
