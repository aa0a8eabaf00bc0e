"""value.bias: what the value of the KL part says of KL(policy||reference), beside what its gradient does."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import sympy as sp

from oracle.case import Case, Value
from oracle.checks.registry import Answer, check, passed, skipped
from oracle.enumeration import expected_value, instances, values
from oracle.probing.expectation import reverse_kl_of
from oracle.probing.instances import Instance, describe
from oracle.reading.atoms import Select, Unread
from oracle.reading.field import on_policy
from oracle.reading.reader import log_ratio, read
from oracle.subject.batch import mild


@check(
    "value.bias",
    question="Is the value an unbiased estimate of KL(policy||reference)?",
    severity="note",
    failure="the value is no unbiased estimate of KL(policy||reference)",
    remedy="report k1 or k3 for the value; a gradient may be right where the value is biased, and the other way round",
    theorems=("k-lambda-value",),
)
def value_bias(case: Case) -> Answer:
    """Exact means over answers of two tokens drawn from the policy; a closed form where the value was read."""
    if case.subject.kind == "loss" and case.aggregation is None:
        return skipped("how the loss weighs its tokens is not known, and so the scale of its value")
    drawn = instances(case.options.seed, 2, True, wide=True)
    means = np.array([v.mean for v in values(case)])
    exact = np.array([reverse_kl_of(i)[0] for i in drawn])
    if not (np.isfinite(means).all() and np.abs(means).max() > 0.0):
        return skipped("the value says nothing: it is 0 or not finite")
    if case.subject.kind == "loss" and not _second_order(case):
        return skipped("the loss is a surrogate: its value is no measure of a distance")
    formula = _formula(case)
    spread = _spread(values(case)[0], drawn[0])
    if float(np.abs(means - exact).max()) <= max(1e-6, case.tolerance) * float(exact.max()):
        lam = None if formula is None else _family(formula)
        name = {None: (), 0: ("k1-value",), 1: ("k3-value",)}.get(lam, ("k-lambda-value",))
        return passed(f"unbiased{spread}", "tested" if lam is None else "proved", name)
    numbers = ", ".join(f"{m / e - 1:+.1%} at KL = {e:.3g}" for m, e in zip(means, exact, strict=True))
    worst = int(np.abs(means / exact - 1).argmax())
    example = {
        **describe(drawn[worst]),
        "expected": float(f"{exact[worst]:.6g}"),
        "actual": float(f"{means[worst]:.6g}"),
    }
    closed = "" if formula is None else f"; E[value] - KL is the mean of {_closed(formula)} under the policy"
    return Answer("fail", f"{numbers} (drawn policies){closed}{spread}", "tested", example, theorems=())


def _second_order(case: Case) -> bool:
    """Whether the value vanishes at policy = reference as a divergence does, with the square of the distance."""
    instance = instances(case.options.seed, 2, True)[0]
    away = instance.reference_logits - instance.policy_logits
    home, half, full = (
        expected_value(case, replace(instance, reference_logits=instance.policy_logits + s * away)).mean
        for s in (0.0, 0.5, 1.0)
    )
    return abs(home) <= 1e-6 * abs(full) and 0.15 < half / full < 0.35


def _spread(value: Value, instance: Instance) -> str:
    """The standard deviation of one answer's value beside k1's, at one drawn policy."""
    if value.variance is None:
        return ""
    mean, plain = reverse_kl_of(instance)
    return (
        f"; standard deviation of one answer {value.variance**0.5:.3g}, of k1 {plain**0.5:.3g}, where KL = {mean:.3g}"
    )


def _formula(case: Case) -> sp.Expr | None:
    """The value of a token in L on-policy, where it was read and hears its own token alone."""
    from proofs.symbols import L

    if case.subject.kind != "penalty" or case.kl is None:
        return None
    try:
        reading = read(case.subject, "reward", mild(2, 2, seed=1 + case.options.seed))
    except Unread:
        return None
    if reading.full[0, 0].has(Select):
        return None
    value = on_policy(reading.mild[0, 0])
    own = log_ratio(0, 0)
    return sp.expand(value.xreplace({own: L})) if value.free_symbols <= {own} else None


def _family(formula: sp.Expr) -> sp.Expr | None:
    """lambda where the value is k1 + lambda (r - 1), r = exp(-L): unbiased for every lambda, since E r = 1."""
    from proofs.symbols import L

    rest = sp.expand(formula - L)
    lam = rest.coeff(sp.exp(-L))
    return lam if lam.is_number and sp.expand(rest - lam * (sp.exp(-L) - 1)) == 0 else None


def _closed(formula: sp.Expr) -> str:
    """value - k3, whose mean is the bias (E k3 = KL), with its first term in powers of L."""
    from proofs.symbols import L

    rest = sp.expand(formula - (sp.exp(-L) - 1 + L))
    if not rest.has(sp.sign, sp.Abs):
        for n in range(1, 5):
            slope = sp.diff(rest, L, n).xreplace({L: sp.Integer(0)}) / sp.factorial(n)
            if slope.is_number and slope != 0:
                return f"{rest} = {slope * L**n} + ..."
    return str(rest)
