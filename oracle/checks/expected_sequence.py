"""expected_gradient.sequence: a penalty that tokens earn with their returns must regularise whole answers."""

from __future__ import annotations

from oracle.case import Case
from oracle.checks.registry import Answer, check, passed, skipped


@check(
    "expected_gradient.sequence",
    question="Is the whole answer regularised: by the loss, or by the penalty with returns-to-go?",
    severity="note",
    failure="with returns-to-go the penalty has the gradient of no objective of whole answers",
    remedy="put k1 = log(policy/reference) in the reward; it is the only penalty that may sit there detached",
    theorems=("unique.in-reward",),
)
def expected_sequence(case: Case) -> Answer:
    """A token-level loss leaves the distribution of prefixes out by design: the question is then not asked."""
    if case.placement == "reward" and case.with_returns is not None:
        found = case.with_returns
        if found.objective == "zero":
            return skipped("the penalty moves nothing")
        if found.level == "sequence":
            return passed(f"with returns-to-go it is the gradient of {found.objective}", found.evidence, found.theorems)
        return Answer("fail", "each token's score is multiplied by the penalties of later tokens too", found.evidence)
    record = case.on_policy
    if record is not None and record.level == "sequence":
        return passed(f"the gradient of {record.objective} of whole answers", record.evidence, record.theorems)
    return skipped("token level: the distribution of prefixes is not differentiated")
