"""detach.reference: gradient belongs to the policy, never to the reference alone."""

from __future__ import annotations

from oracle.case import Case
from oracle.checks.registry import Answer, check, passed, skipped
from oracle.probing.exchange import flows


@check(
    "detach.reference",
    question="Does the gradient reach the policy rather than the reference?",
    severity="error",
    failure="gradient reaches the reference and none the policy",
    remedy="detach the reference's log-probabilities, and leave the policy's attached",
    no_theorem="the reference is frozen; which tensor is detached is a matter of the code",
)
def detach_reference(case: Case) -> Answer:
    """The KL part with all log-probabilities asking for a gradient."""
    if case.placement == "reward":
        return skipped("a penalty in reward carries no gradient of its own")
    flow = flows(case.subject, case.placement, case.mild_batch)
    if flow.policy <= case.noise:
        if flow.reference <= case.noise:
            return skipped("no gradient reaches the policy or the reference")
        example = {"policy": 0.0, "reference": flow.reference}
        return Answer("fail", f"the largest at a token is {flow.reference:.3g} and 0", "tested", example)
    if flow.reference <= case.noise:
        return passed("no gradient reaches the reference")
    return passed("the policy gets its gradient; a reference that asks for one gets it too, so the caller detaches it")
