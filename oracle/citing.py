"""The theorems that a name rests on: what was read or enumerated, put to the catalogue (proofs.citation)."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import sympy as sp

from oracle.case import Case
from oracle.enumeration import factor
from oracle.errors import SubjectError
from oracle.probing.signal import once
from oracle.reading.field import on_policy
from oracle.subject.batch import Batch, mild
from oracle.subject.roles import Role

if TYPE_CHECKING:
    from proofs.citation import Worth
    from proofs.sequences import FieldNaming


def of_reading(case: Case, on: bool, named: FieldNaming) -> list[str]:
    """Ids for a name that formulas gave: the theorems on these very formulas."""
    from proofs.citation import Question, theorems_for

    field = case.on_field if on else case.field
    if field is None:
        return []
    g = tuple(on_policy(c) if on else c for c in field.coefficients)
    if case.placement == "reward" or field.coupled or field.raw:
        return list(theorems_for(Question(g, on, named, case.placement == "reward")))
    sampled, home = _worth(case, False), _worth(case, True)
    # a weight that only the gradient has (value.detach() + ...) makes the code no weighted estimator
    weighted = sampled is not None and home is not None and abs(sampled.value - home.value) > 1e-6 * abs(home.value)
    return list(theorems_for(Question(g, on, named, weighted=weighted, worth=home if on else sampled)))


def of_returns(to_go: list[sp.Expr], named: FieldNaming) -> list[str]:
    """Ids for a name that the formulas of the returns-to-go gave."""
    from proofs.citation import Question, theorems_for

    return list(theorems_for(Question(tuple(to_go), True, named, in_reward=True)))


def of_enumeration(objective: str) -> list[str]:
    """Ids for a name that enumeration alone gave: it compares with the gradient of the objective, and with no form."""
    from proofs.citation import of_objective

    return list(of_objective(objective))


def _worth(case: Case, on: bool) -> Worth | None:
    """The value of the KL part on a mild batch, in units of a token's weight; None where the subject does not run."""
    from proofs.citation import Worth

    batch = mild(2, 2, seed=1 + case.options.seed)
    if on:
        batch = replace(batch, sampler=batch.policy)
    try:
        value = _value(case, batch)
        if case.subject.has(Role.BETA):
            value -= _value(case, batch.with_beta(0.0))
    except SubjectError:
        return None
    rows = zip((batch.policy - batch.reference).tolist(), (batch.policy - batch.sampler).exp().tolist(), strict=True)
    return Worth(tuple((tuple(r), tuple(w)) for r, w in rows), value / float(factor(case, *batch.shape)))


def _value(case: Case, batch: Batch) -> float:
    value = once(case.subject, case.placement, batch).value.double()
    return float(value.sum() if case.subject.kind == "penalty" else value.mean())
