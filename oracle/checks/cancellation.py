"""cancellation: near policy = reference the gradient must survive the precision the code works in."""

from __future__ import annotations

import numpy as np
import torch

from oracle.case import Case
from oracle.checks.profile import coefficients, coupled
from oracle.checks.registry import Answer, check, passed, skipped

RATIO = 0.02
LIMIT = 0.05


@check(
    "cancellation",
    question="Does the gradient near policy = reference keep its digits?",
    severity="error",
    failure="the gradient near policy = reference is lost to rounding",
    remedy="keep log-probabilities in float32 until they are subtracted; use expm1(-L) + L for k3",
    no_theorem="a matter of rounding: the formula itself is smooth there",
)
def cancellation(case: Case) -> Answer:
    """At L = .02 and log-probabilities a little apart, an exact gradient is one number; rounding scatters it.

    Code in float32 scatters by about 1e-5, a cast to 16 bits by a tenth and more; the limit is 5%.
    """
    if case.subject.whole:
        return skipped("the whole vocabulary enters; the log-ratio of one token cannot be varied alone")
    if coupled(case):
        return skipped("sequences of a batch are coupled; one token cannot be varied alone")
    worst, at = 0.0, 0.0
    for centre in (-0.7, -2.3, -6.1):
        policy = centre + np.linspace(-0.02, 0.02, 41)
        away, home = (coefficients(case, np.full(41, r), torch.float32, policy) for r in (RATIO, 0.0))
        pull = away - home
        size = float(np.abs(pull).mean())
        if not size > 1e-7:
            continue
        # a smooth dependence on the log-probability is no rounding: second differences leave it out
        scatter = float(np.abs(np.diff(pull, 2)).mean() / size)
        if scatter > worst:
            worst, at = scatter, centre
    if worst == 0.0:
        return skipped("the gradient does not turn with L near policy = reference")
    if worst > LIMIT:
        example = {"L": RATIO, "logp": at, "scatter": round(worst, 4)}
        return Answer(
            "fail", f"at L = {RATIO:g} and log-probabilities near {at:g} it scatters by {worst:.0%}", "tested", example
        )
    return passed(f"at L = {RATIO:g} it scatters by {worst:.1g} in float32")
