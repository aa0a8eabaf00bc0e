"""reference.dependence: a regulariser towards a reference must look at it."""

from __future__ import annotations

from oracle.case import Case
from oracle.checks.registry import Answer, check, passed
from oracle.probing.signal import once
from oracle.records import Evidence
from oracle.subject.roles import Role


@check(
    "reference.dependence",
    question="Does the gradient of the KL part depend on the reference?",
    severity="error",
    failure="the gradient does not depend on the reference",
    remedy="let gradient reach the policy through log(policy/reference): k1 in reward, k2 as loss, k3 times the ratio",
    theorems=("score-identity",),
)
def reference_dependence(case: Case) -> Answer:
    """theory: P3 (k1 as loss has zero expected gradient, whatever the reference)."""
    evidence: Evidence = "proved" if case.field is not None else "tested"
    if case.depends_on_reference:
        return passed("another reference changes the gradient", evidence)
    signal = case.mild_signal
    where = {"L": "any", "gradient": float(signal.coefficient[0, 0])}
    if case.placement == "reward":
        return Answer("fail", "the penalty's value is the same for every reference", evidence, where, theorems=())
    if not signal.connected:
        why = "the result carries no gradient to the policy (computed under no_grad, detached, or turned into a number)"
    elif not signal.coefficient.any():
        why = "the gradient is exactly 0 on every token"
        if _enters_the_value(case):
            why += ", though the value moves with the coefficient (the KL term is detached, or computed under no_grad)"
    else:
        why = (
            "each token is pushed alike whatever the reference says; in expectation nothing is regularised (k1 as loss)"
        )
    # only a coefficient that is one number is null by the score identity; without gradient there is nothing to prove
    alike = case.coefficient is not None and case.coefficient.is_number and case.coefficient != 0
    return Answer("fail", why, evidence, where, theorems=None if alike else ())


def _enters_the_value(case: Case) -> bool:
    if not case.subject.has(Role.BETA):
        return False
    at, without = (
        once(case.subject, case.placement, b).value for b in (case.mild_batch, case.mild_batch.with_beta(0.0))
    )
    return not bool((at == without).all())
