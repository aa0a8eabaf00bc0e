"""detach.reward: what multiplies the policy's score as a reward is a number, not a function to differentiate."""

from __future__ import annotations

from typing import Any

import sympy as sp

from oracle.case import Case
from oracle.checks.registry import Answer, check, passed, skipped
from oracle.reading.atoms import Unread
from oracle.reading.mirror import Product
from oracle.reading.reader import read
from oracle.subject.batch import mild
from oracle.subject.roles import Role


@check(
    "detach.reward",
    question="Is the reward coefficient, with the penalty in it, free of gradient?",
    severity="warning",
    failure="gradient flows into the policy through the reward coefficient",
    remedy="detach the penalty before it joins the rewards or the advantages",
    theorems=("product-rule",),
)
def detach_reward(case: Case) -> Answer:
    """In each product of the forward pass, the factor that holds the advantages must carry no gradient where the other
    factor carries the policy's."""
    if case.placement != "whole":
        return skipped("a penalty in reward is detached by its caller")
    if not (case.subject.has(Role.ADVANTAGES) or case.subject.has(Role.REWARDS)):
        return skipped("no parameter plays the advantages or the rewards")
    try:
        reading = read(case.subject, case.placement, mild(2, 2, seed=1 + case.options.seed), symbolic_advantages=True)
    except Unread as error:
        return skipped(f"the products could not be read: {error}")
    found = [p for p in reading.products if _carries(p)]
    if not found:
        return passed("no factor that holds the advantages carries gradient", "proved")
    right = case.on_policy is not None and case.on_policy.objective == "reverse_kl"
    effect = (
        "by the product rule the expected gradient is still that of KL(policy||reference)"
        if right
        else "and changes the objective"
    )
    return Answer("fail", effect, "proved", None, "warning" if right else "error")


def _carries(product: Product) -> bool:
    sides = (
        (product.left, product.left_grad, product.right, product.right_grad),
        (product.right, product.right_grad, product.left, product.left_grad),
    )
    return any(
        own_grad and other_grad and _advantages(own) and not _advantages(other)
        for own, own_grad, other, other_grad in sides
    )


def _advantages(values: Any) -> bool:
    return any(
        isinstance(s, sp.Symbol) and s.name.startswith("A_")
        for e in values.flat
        for s in getattr(e, "free_symbols", ())
    )
