"""tail.finite: in float32 the gradient must be finite wherever its exact value is."""

from __future__ import annotations

import numpy as np
import sympy as sp
import torch

from oracle.case import Case
from oracle.checks.profile import Numbers, branch, coefficients, coupled, regime_at
from oracle.checks.registry import Answer, check, passed, skipped

_GRID = np.array(
    [0.0, 1.0, 2.5, 2.7, 4.5, 7.0, 11.0, 15.0, 20.5, 30.0, 45.0, 60.0, 80.0, 87.0, 89.5, 95.0, 100.0, 120.0, 200.0]
)
_LARGEST = float(torch.finfo(torch.float32).max)
_MODERATE = 1e4
_ROUNDING = 2.0**-24


@check(
    "tail.finite",
    question="Is the gradient finite in float32 wherever its exact value can be represented?",
    severity="error",
    failure="the gradient is not finite in the tails",
    remedy="clamp the log-ratio before exp, not the result after it (0 * inf is NaN in the backward pass)",
    no_theorem="a matter of float32: the formula itself is finite there",
)
def tail_finite(case: Case) -> Answer:
    """|L| up to 200. An honest exp overflows beyond 88.7; only what the formula says is finite must be.

    A warning, no error, where a step of the formula is too large for float32 and its value moderate: 1/exp(L) for
    exp(-L). Where both are large an honest exp overflows a little before the value does; and a sum whose terms cancel,
    as those of a live weight on k3, has lost its digits long before they overflow.
    """
    if case.subject.whole:
        return skipped("the whole vocabulary enters; the log-ratio of one token cannot be varied alone")
    if coupled(case):
        return skipped("sequences of a batch are coupled; one token cannot be varied alone")
    ratios = np.concatenate([-_GRID[:0:-1], _GRID])
    seen = coefficients(case, ratios, torch.float32)
    if bool(np.isnan(seen[len(_GRID) - 1])):
        return skipped("the gradient is not finite at policy = reference")
    bad = [float(r) for r, g in zip(ratios, seen, strict=True) if not np.isfinite(g)]
    found = [(r, exact) for r in bad if (exact := _exact(case, r)) is not None]
    held = [(r, exact) for r, exact in found if _steps_fit(case, r)]
    wrong = held or [(r, exact) for r, exact in found if abs(exact) <= _MODERATE and not _cancels(case, r)]
    if wrong:
        r, exact = min(wrong, key=lambda w: abs(w[0]))
        actual = float(seen[list(ratios).index(r)])
        return Answer(
            "fail",
            f"{actual} at L = {r:g} in float32, where the exact value is {exact:.4g}",
            "tested",
            {"L": r, "expected": exact, "actual": str(actual), "dtype": "float32"},
            severity=None if held else "warning",
            intervals=_intervals(case, ratios, {w[0] for w in wrong}),
        )
    if bad:
        low, high = [r for r in bad if r < 0], [r for r in bad if r > 0]
        where = " and ".join([*([f"L <= {max(low):g}"] if low else []), *([f"L >= {min(high):g}"] if high else [])])
        return passed(f"finite wherever float32 can hold the exact value; it overflows with the formula at {where}")
    return passed("finite for |L| up to 200 in float32")


def _intervals(case: Case, ratios: Numbers, wrong: set[float]) -> tuple[tuple[float, float], ...]:
    """Stretches of L where the gradient is wrongly not finite, their ends found by bisection to 1e-6; a stretch that
    reaches the end of the grid is said to go on."""
    marks = [float(r) in wrong for r in ratios]
    out: list[tuple[float, float]] = []
    for i, bad in enumerate(marks):
        if bad and (i == 0 or not marks[i - 1]):
            out.append((-np.inf if i == 0 else _edge(case, ratios[i], ratios[i - 1]), np.inf))
        if bad and i + 1 < len(marks) and not marks[i + 1]:
            out[-1] = (out[-1][0], _edge(case, ratios[i], ratios[i + 1]))
    return tuple(out)


def _edge(case: Case, bad: float, good: float) -> float:
    """Where between a bad and a good ratio the gradient becomes finite."""
    for _ in range(30):
        middle = (bad + good) / 2
        if np.isfinite(coefficients(case, np.array([middle]), torch.float32)[0]):
            good = middle
        else:
            bad = middle
    return float(f"{(bad + good) / 2:.7g}")


def _exact(case: Case, ratio: float) -> float | None:
    """The exact coefficient, where float32 can hold it; else None."""
    if case.kl is None:
        # without a formula an honest overflow cannot be told from a faulty one
        return 0.0 if abs(ratio) <= 80 else None
    formula, regime = branch(case, ratio), regime_at(case, ratio)
    if formula is None or regime is None:
        return None
    value = float(regime.value(formula))
    return value if abs(value) < _LARGEST else None


def _steps_fit(case: Case, ratio: float) -> bool:
    """Whether float32 can hold every step of the formula on the way."""
    formula, regime = branch(case, ratio), regime_at(case, ratio)
    if formula is None or regime is None:
        return True
    return all(abs(regime.value(e)) < _LARGEST for e in sp.preorder_traversal(formula))


def _cancels(case: Case, ratio: float) -> bool:
    """Whether some sum of the formula is smaller than the rounding of its largest term in float32."""
    formula, regime = branch(case, ratio), regime_at(case, ratio)
    if formula is None or regime is None:
        return False
    return any(
        abs(regime.value(e)) <= max(abs(regime.value(a)) for a in e.args) * _ROUNDING for e in formula.atoms(sp.Add)
    )
