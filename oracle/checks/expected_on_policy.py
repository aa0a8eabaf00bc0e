"""expected_gradient.on_policy: what is descended on-policy must be a divergence from the reference."""

from __future__ import annotations

import numpy as np
import sympy as sp

from oracle.case import Case
from oracle.checks.registry import Answer, check, passed, skipped
from oracle.reading.atoms import Select

_REACH, _MILD = 8.0, 0.35


@check(
    "expected_gradient.on_policy",
    question="Is the expected gradient on-policy that of a divergence from the reference?",
    severity="warning",
    failure="on-policy the expected gradient is that of no divergence",
    remedy="use k1 in reward, k2 as loss, or k1 or k3 as loss with a differentiated weight",
    theorems=("convexity.criterion",),
)
def expected_on_policy(case: Case) -> Answer:
    """A coefficient belongs to a true f-divergence exactly if it never decreases (theory 3); where it falls, the policy
    is pushed further away."""
    record = case.on_policy
    if record is None or record.objective == "zero":
        return skipped("the expected gradient is zero")
    if record.objective != "unnamed":
        return passed(f"it is that of {record.objective}", record.evidence, record.theorems)
    c = case.coefficient
    if c is None or case.kl is None or not c.free_symbols:
        return skipped("it has no name, and no coefficient of its own token that could be judged")
    reach = _MILD if any(e.has(Select) for e in case.kl.full.flat) else _REACH
    down = falls(c, reach)
    if down is None:
        return passed(
            f"an f-divergence without a name here: its coefficient {record.formula} never decreases",
            "tested",
            ["convexity.criterion"],
        )
    low, high = down
    # beyond the grid a formula without branches goes on as it does at its end
    ends = (-np.inf if low == -_REACH else low, np.inf if high == _REACH else high)
    where = (
        f"L < {high:.3g}"
        if np.isinf(ends[0])
        else f"L > {low:.3g}"
        if np.isinf(ends[1])
        else f"{low:.3g} < L < {high:.3g}"
    )
    return Answer(
        "fail",
        f"the coefficient {record.formula} falls for {where}, where it drives the policy away from the reference",
        "tested",
        {"L": [low, high]},
        intervals=(ends,),
    )


def falls(c: sp.Expr, reach: float = _REACH) -> tuple[float, float] | None:
    """The first stretch of a grid of |L| <= ``reach`` on which a coefficient decreases; None where it never does."""
    from proofs.lowering import compile_numpy
    from proofs.symbols import L

    grid = np.linspace(-reach, reach, 641)
    values = np.broadcast_to(compile_numpy(c, [L])(grid), grid.shape)
    down = np.diff(values) < -1e-9 * (1e-12 + np.abs(values[1:]))
    if not down.any():
        return None
    first = int(down.argmax())
    after = np.flatnonzero(~down[first:])
    last = first + (int(after[0]) if after.size else len(down) - first)
    return float(f"{grid[first]:.4g}"), float(f"{grid[last]:.4g}")
