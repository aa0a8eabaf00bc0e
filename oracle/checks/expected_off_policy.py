"""expected_gradient.off_policy: the objective named on-policy must hold for a policy that has left its sampler."""

from __future__ import annotations

from oracle.case import Case
from oracle.checks.registry import Answer, check, passed, skipped
from oracle.records import Nearest


@check(
    "expected_gradient.off_policy",
    question="Is the expected gradient off-policy that of the objective it has on-policy?",
    severity="note",
    failure="off-policy the expected gradient is another",
    remedy="weigh the KL term by policy/sampler: differentiated for k1 and k3, detached for k2",
    theorems=("detached-weight-is-on-policy",),
)
def expected_off_policy(case: Case) -> Answer:
    """Asked where the sampler is at hand; code without it cannot do better, and the verdict says what it does."""
    on, off = case.on_policy, case.off_policy
    if on is None or off is None or on.objective in ("zero", "unnamed"):
        return skipped("on-policy there is no objective to keep")
    if case.placement == "reward":
        return skipped("a penalty in reward is weighed by its caller")
    if not case.subject.hears_sampler:
        return skipped("no parameter plays the sampler")
    if (on.objective, on.level) == (off.objective, off.level):
        return passed(f"it is that of {off.objective} as on-policy", off.evidence, off.theorems)
    near = off.nearest
    what = f"that of {off.objective}"
    if off.objective == "unnamed":
        what = "that of no objective"
        if isinstance(near, Nearest):
            what += f" ({near.relative_error:.0%} off that of {near.objective})"
    return Answer(
        "fail",
        f"{on.objective} on-policy, off-policy it is {what}",
        off.evidence,
        {"formula": off.formula},
        theorems=tuple(off.theorems),
    )
