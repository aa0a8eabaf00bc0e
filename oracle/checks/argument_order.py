"""argument.order: policy, reference and sampler must stand in the places that the formula means."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import sympy as sp

from oracle.case import Case
from oracle.checks.registry import Answer, check, passed, skipped
from oracle.enumeration import bench, expected_gradients, instances, values
from oracle.probing.exchange import exchanged, flows
from oracle.probing.expectation import reverse_kl_of
from oracle.probing.naming import Fit
from oracle.subject.roles import Role
from oracle.subject.subject import Subject


@check(
    "argument.order",
    question="Do policy, reference and sampler stand in the places that the formula means?",
    severity="warning",
    failure="two arguments look exchanged",
    remedy="pass the policy's log-probabilities where the policy stands; name the arguments at the call",
    no_theorem="the field is named as it is and with the arguments exchanged; the two names decide",
)
def argument_order(case: Case) -> Answer:
    """A fault only where the code as it stands is one (no gradient, ascent, a weight that names nothing) and the code
    with two arguments exchanged is none: an estimator that is another's mirror image is no fault by itself."""
    record = case.on_policy
    if record is None or case.subject.wide:
        return skipped("it is asked of per-token log-probabilities")
    if record.objective == "zero":
        return _without_gradient(case)
    sampler = _sampler(case)
    if sampler is not None:
        return sampler
    if _symmetric(case):
        return skipped("policy and reference exchanged give the same gradient; their order cannot be seen")
    found, best = _named(case, exchanged(case.subject, Role.REFERENCE), on=True)
    if record.scale is not None and record.scale < 0:
        if _descends(found, best):
            return Answer(
                "fail",
                f"as written ({record.formula}) {_ascends(case)}; with policy and reference exchanged "
                f"it descends {found}",
                record.evidence,
                {"formula": record.formula, "exchanged": found},
            )
        return skipped("it ascends, and does so with policy and reference exchanged too")
    if best is None or found == "unnamed" or record.scale is None:
        return skipped("exchanging policy and reference names nothing that could be meant")
    if found == record.objective and abs(best.scale - record.scale) <= 1e-4 * abs(record.scale):
        return skipped("policy and reference exchanged give the same gradient; their order cannot be seen")
    if _mirror_is_the_estimator(case):
        return Answer(
            "inconclusive",
            f"{record.formula} is what an unbiased estimator of KL(policy||reference) gives with "
            f"policy and reference exchanged (then {found}); it is also {record.objective}, which may be meant",
            "tested",
        )
    return passed(f"it descends {record.objective}; exchanged it would be {found}", record.evidence)


def _symmetric(case: Case) -> bool:
    """Whether the coefficient read is its own mirror image: k as loss k'(L) = -k'(-L), in reward c(L) = c(-L)."""
    from proofs.symbols import L

    c = case.coefficient
    if c is None or case.placement == "whole":
        return False
    mirror = c.xreplace({L: -L})
    return bool(sp.expand(c - mirror if case.placement == "reward" else c + mirror) == 0)


def _ascends(case: Case) -> str:
    return f"it ascends {case.on_policy.objective}" if case.on_policy is not None else "it ascends"


def _without_gradient(case: Case) -> Answer:
    """A helper that detaches one argument, called with the other."""
    if case.placement == "reward":
        return skipped("a value that names nothing has no order")
    flow = flows(case.subject, case.placement, case.mild_batch)
    if flow.policy <= case.noise < flow.reference:
        found, best = _named(case, exchanged(case.subject, Role.REFERENCE, reflected=False), on=True)
        if _descends(found, best):
            return Answer(
                "fail",
                f"gradient reaches the reference and none the policy; with the two exchanged it descends {found}",
                "tested",
                {"exchanged": found},
                "error",
            )
    return skipped("the gradient is that of nothing; no order can be seen")


def _sampler(case: Case) -> Answer | None:
    """An importance weight sampler/policy where policy/sampler would make the field an objective's."""
    record = case.off_policy
    if record is None or record.objective != "unnamed" or not _hears_the_sampler(case):
        return None
    for live in (True, False):  # a differentiated weight and a detached one
        found, best = _named(case, exchanged(case.subject, Role.SAMPLER, live=live), on=False)
        if _descends(found, best):
            break
    else:
        return None
    return Answer(
        "fail",
        f"off-policy the field ({record.formula}) is no objective's; with policy and sampler exchanged "
        f"in log(policy/sampler) it descends {found}",
        record.evidence,
        {"formula": record.formula, "exchanged": found},
    )


def _hears_the_sampler(case: Case) -> bool:
    if not case.subject.hears_sampler:
        return False
    from oracle.probing.signal import kl_part

    batch = case.mild_batch
    other = kl_part(case.subject, case.placement, replace(batch, sampler=batch.policy)).coefficient
    return not bool((other == case.mild_signal.coefficient).all())


def _named(case: Case, mirror: Subject, on: bool) -> tuple[str, Fit | None]:
    at = bench(case.options.seed, 2, on)
    gradients = expected_gradients(replace(case, subject=mirror, gradients={}, values=[]), at.instances)
    return at.name(gradients, case.tolerance) if all(np.isfinite(g).all() for g in gradients) else ("unnamed", None)


def _descends(found: str, best: Fit | None) -> bool:
    return found not in ("zero", "unnamed") and best is not None and best.scale > 0


def _mirror_is_the_estimator(case: Case) -> bool:
    """Whether the value is no estimate of KL(policy||reference), and is one with the two exchanged."""
    drawn = instances(case.options.seed, 2, True, wide=True)
    exact = np.array([reverse_kl_of(i)[0] for i in drawn])
    near = max(1e-6, case.tolerance) * exact.max()
    if np.abs([v.mean for v in values(case)] - exact).min() <= 1e3 * near:
        return False
    mirror = replace(case, subject=exchanged(case.subject, Role.REFERENCE), gradients={}, values=[])
    return bool(np.abs([v.mean for v in values(mirror)] - exact).max() <= near)
