"""beta.linearity: the KL coefficient must scale the KL part, and scale it in proportion."""

from __future__ import annotations

import sympy as sp

from oracle.case import Case
from oracle.checks.registry import Answer, check, passed, skipped
from oracle.probing.signal import once
from oracle.reading.atoms import Unread
from oracle.reading.field import read_kl
from oracle.subject.batch import mild
from oracle.subject.roles import Role

_BETAS = (0.5, 2.0, 3.0)


@check(
    "beta.linearity",
    question="Is the KL part proportional to its coefficient?",
    severity="error",
    failure="the KL part is not proportional to its coefficient",
    remedy="multiply the KL term by the coefficient once, on every path",
    no_theorem="proportionality is asked of the code: every divergence may be scaled",
)
def beta_linearity(case: Case) -> Answer:
    """G(b) - G(0) = b (G(1) - G(0)) at b = .5, 2 and 3; by formula at b = 2 where one was read."""
    if case.subject.idle is not None:
        return Answer(
            "fail",
            f"{case.subject.idle} changes nothing: the KL part is the same whatever it is",
            "tested",
            {"beta": 0.0},
            # a penalty may be scaled by its caller, and take the coefficient for the sake of a common signature
            severity="warning" if case.subject.kind == "penalty" else None,
        )
    if not case.subject.has(Role.BETA):
        return skipped("no parameter plays the KL coefficient")
    signals = {b: once(case.subject, case.placement, case.mild_batch.with_beta(b)) for b in (0.0, 1.0, *_BETAS)}
    base = signals[0.0].coefficient
    unit = signals[1.0].coefficient - base
    size = float(unit.abs().max())
    if size <= case.noise:
        moved = max(float((signals[b].coefficient - base).abs().max()) for b in _BETAS)
        if not signals[1.0].connected:
            return skipped("no gradient reaches the policy at all")
        if moved <= case.noise and not float(base.abs().max()) > case.noise:
            return skipped("there is no gradient on mild inputs, whatever the coefficient")
        return Answer(
            "fail", f"at coefficient 1 it changes nothing, at 2 by {moved:.3g}", "tested", {"beta": 1.0, "change": 0.0}
        )
    for b in _BETAS:
        part = signals[b].coefficient - base
        error = float((part - b * unit).abs().max()) / (b * size)
        if not error <= max(1e-7, 10 * case.tolerance):
            ratio = float((part * unit).sum() / (unit * unit).sum())
            return Answer(
                "fail",
                f"at coefficient {b} the KL part is {ratio:.4g} times that at 1",
                "tested",
                {"beta": b, "expected": b, "actual": ratio},
            )
    return passed("G(b) - G(0) = b (G(1) - G(0)) at b = .5, 2, 3", "proved" if _by_formula(case) else "tested")


def _by_formula(case: Case) -> bool:
    if case.kl is None:
        return False
    batch = mild(2, 2, seed=1 + case.options.seed)
    try:
        twice = read_kl(case.subject, case.placement, batch.with_beta(2.0))
    except Unread:
        return False
    return all(sp.expand(x - 2 * y) == 0 for x, y in zip(twice.mild.flat, case.kl.mild.flat, strict=True))
