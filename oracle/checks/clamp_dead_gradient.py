"""clamp.dead_gradient: a clamp must not switch the pull off where the policy has left the reference."""

from __future__ import annotations

import numpy as np

from oracle.case import Case
from oracle.checks.profile import Numbers, branch, coefficients, coupled
from oracle.checks.registry import Answer, check, passed, skipped

_REACH = 30.0
_STEP = 0.125
_FAR = (60.0, 1e3, 1e6)


@check(
    "clamp.dead_gradient",
    question="Is the gradient non-zero wherever the policy differs from the reference?",
    severity="warning",
    failure="the gradient is exactly 0 on an interval of L = log(policy/reference)",
    remedy="clamp the detached value only (value.detach() + (k2 - k2.detach())), or leave the value unclamped",
    theorems=("completeness",),
)
def clamp_dead_gradient(case: Case) -> Answer:
    """theory 9: a value clamp at 10 makes k3 dead below L = -2.611 and k2 dead beyond |L| = 4.472."""
    if case.placement == "reward":
        return skipped("a penalty in reward carries no gradient of its own")
    if case.subject.whole:
        return skipped("the whole vocabulary enters; the log-ratio of one token cannot be varied alone")
    if coupled(case):
        return skipped("sequences of a batch are coupled; one token cannot be varied alone")
    grid = np.arange(-_REACH, _REACH + _STEP, _STEP) + 0.003
    dead = coefficients(case, grid) == 0.0
    if dead.all():
        return skipped("there is no gradient anywhere")
    intervals = [i for i in _intervals(case, grid, dead) if _really_dead(case, i)]
    if not intervals:
        return passed(f"no interval of L in [-{_REACH:g}, {_REACH:g}] is without gradient")
    proved = case.kl is not None
    ends = tuple(_ends(case, low, high) for low, high in intervals)
    texts = [_text(low, high) for low, high in ends]
    low, high = ends[0]
    inside = high - 1.0 if np.isinf(low) else low + 1.0 if np.isinf(high) else (low + high) / 2
    example = {"L": round(inside, 6), "actual": 0.0, "intervals": texts}
    return Answer("fail", f"for {' and for '.join(texts)}", "proved" if proved else "tested", example, intervals=ends)


def _intervals(case: Case, grid: Numbers, dead: np.ndarray) -> list[tuple[float, float]]:
    """Dead stretches of the grid, their ends found by bisection to 1e-9."""
    edges = np.flatnonzero(dead[1:] != dead[:-1])
    ends = _bisect(case, grid[edges], grid[edges + 1], dead[edges])
    marks = ([grid[0]] if dead[0] else []) + list(ends) + ([grid[-1]] if dead[-1] else [])
    return [(float(a), float(b)) for a, b in zip(marks[::2], marks[1::2], strict=True) if b - a > 1e-6]


def _bisect(case: Case, low: Numbers, high: Numbers, dead_low: np.ndarray) -> Numbers:
    low, high = low.copy(), high.copy()
    for _ in range(40 if low.size else 0):  # no subject is asked about a batch of no sequences
        middle = (low + high) / 2
        same = (coefficients(case, middle) == 0.0) == dead_low
        low, high = np.where(same, middle, low), np.where(same, high, middle)
    out: Numbers = (low + high) / 2
    return out


def _really_dead(case: Case, interval: tuple[float, float]) -> bool:
    """Where a formula was read it must be 0 there, branch and all: else the zero is one of rounding."""
    if case.kl is None:
        # zeros of rounding are narrow near 0 and far out in the tails
        return interval[1] - interval[0] > 0.1 and min(abs(interval[0]), abs(interval[1])) < _REACH / 2
    middle = (interval[0] + interval[1]) / 2
    return branch(case, middle) == 0


def _ends(case: Case, low: float, high: float) -> tuple[float, float]:
    """The interval, open at infinity where it goes on beyond the grid."""
    below = low <= -_REACH + 1 and _dead_beyond(case, -1.0)
    above = high >= _REACH - 1 and _dead_beyond(case, 1.0)
    return (-np.inf if below else low), (np.inf if above else high)


def _text(low: float, high: float) -> str:
    if np.isinf(low):
        return f"L < {high:.7g}"
    return f"L > {low:.7g}" if np.isinf(high) else f"{low:.7g} < L < {high:.7g}"


def _dead_beyond(case: Case, side: float) -> bool:
    if case.kl is None:
        return bool((coefficients(case, side * np.array([40.0, 60.0])) == 0.0).all())
    return all(branch(case, side * far) == 0 for far in _FAR)
