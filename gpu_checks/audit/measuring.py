"""measured: the expected gradient of a kernel on a device, from gradients of tokens that are drawn.

On a CPU the check `expected_gradient` assembles it exactly, which needs no statistics. A device computes many rows at
the full vocabulary in parallel, and there a fault may depend on the row or on the run: so its rows are measured, with
both error rates stated.
"""

from __future__ import annotations

from dataclasses import asdict

from gpu_checks.audit.context import Context
from gpu_checks.audit.records import Check
from gpu_checks.montecarlo import Question, ask, measure

_FALSE_ALARM, _MISS = 1e-6, 1e-3
_ALTERNATIVES = ("k1 in reward", "k3 as loss")
"""The gradients of the two KL divergences: whichever the claim is not, it has to be told from."""


def check_measured(context: Context) -> Check:
    """Measure the expected gradient against the claim's, as far as the nearest alternative is away."""
    if context.backend != "cuda":
        return Check(
            check="measured",
            outcome="skip",
            message="not needed: the expected gradient was assembled exactly; measured on a device",
        )
    question = _question(context)
    if isinstance(question, str):
        return Check(check="measured", outcome="skip", message=f"not measured: {question}")
    found = measure(context.runner, question)
    told = (
        f"{found.samples} rows at V = {context.vocabulary}, {found.estimate:.6g} along the difference from "
        f"{question.alternative}, {found.target:.6g} due; false-alarm rate {_FALSE_ALARM:g}"
    )
    numbers = {name: value for name, value in asdict(found).items() if name != "reason"}
    numbers |= {"alternative": question.alternative, "paired": question.paired, "vocabulary": context.vocabulary}
    if not found.alarm:
        return Check(
            check="measured",
            outcome="pass",
            message=f"measured: {told}; a kernel that descends {question.alternative} is missed at a rate of at most "
            f"{_MISS:g}",
            measurements=numbers,
        )
    return Check(
        check="measured",
        outcome="fail",
        message=f"measured: the expected gradient is not that of {context.claim} ({told}): {found.reason}",
        remedy="see `coefficient` and `columns`; where they pass, look for a fault of many rows at once",
        measurements=numbers,
    )


def _question(context: Context) -> Question | str:
    """The first alternative that the claim can be told from, or why there is none."""
    reason = ""
    for alternative in _ALTERNATIVES:
        cost, form = context.subject.cost, context.form
        try:
            return ask(context.claim, alternative, cost, form, context.vocabulary, _FALSE_ALARM, _MISS, context.seed)
        except ValueError as error:
            reason = str(error)
    return reason
