"""Every planted fault is found, and no twin and no correct loss is accused (expectations: oracle/selftest)."""

from __future__ import annotations

from functools import cache

import pytest

from oracle.claims import parse_claim
from oracle.records import Verdict
from oracle.selftest.correct import losses, penalties, weighted
from oracle.selftest.faults import (
    advantages,
    batches,
    directions,
    lost_references,
    masks,
    numerics,
    powers,
    ratios,
    rewards,
    straight_through,
    weights,
)
from oracle.selftest.record import Correct, Expect, Pair, Placement, Subject
from oracle.selftest.run import agrees, judged
from tests.oracle.judging import accused, failed, unknown_theorems

# the rest of the catalogue is judged in a sample here (tests/oracle/selftest), and in full by `kl-oracle selftest`
_FAMILIES = (
    directions, powers, lost_references, straight_through, rewards, weights, ratios, advantages, masks, batches,
    numerics,
)  # fmt: skip
PAIRS = [p for m in _FAMILIES for p in m.PAIRS]
CORRECT = [c for m in (penalties, losses, weighted) for c in m.CORRECT]


@cache
def held(subject: Subject, placement: Placement, claim: str | None) -> Verdict:
    """The verdict on a subject, held against a claim where it has one."""
    return judged("f", subject, placement, [parse_claim(claim)] if claim else [])


def of_twin(correct: Correct) -> Verdict:
    return held(correct.subject, correct.placement, correct.claim)


def of_fault(pair: Pair) -> Verdict:
    return held(pair.fault, pair.twin.placement, pair.twin.claim)


def as_due(v: Verdict, on: Expect, off: Expect) -> None:
    """Both sides as expected, and reading and probing agree."""
    assert v.outcome != "inconclusive", [f.message for f in v.findings if f.outcome == "inconclusive"]
    assert not unknown_theorems(v)
    assert agrees(v.on_policy, on), (v.on_policy, on)
    assert agrees(v.off_policy, off), (v.off_policy, off)


@pytest.mark.parametrize("pair", PAIRS, ids=lambda p: p.name)
def test_fault_is_found(pair: Pair) -> None:
    v = of_fault(pair)
    as_due(v, pair.on, pair.off)
    if pair.found_by == "objective":
        assert (pair.on, pair.off) != (pair.twin.on, pair.twin.off)
    else:
        assert pair.found_by in failed(v)


@pytest.mark.parametrize("pair", PAIRS, ids=lambda p: p.name)
def test_twin_is_cleared(pair: Pair) -> None:
    v = of_twin(pair.twin)
    as_due(v, pair.twin.on, pair.twin.off)
    assert not accused(v)


@pytest.mark.parametrize("correct", CORRECT, ids=lambda c: c.name)
def test_correct_is_cleared(correct: Correct) -> None:
    v = of_twin(correct)
    as_due(v, correct.on, correct.off)
    assert not accused(v)


@pytest.mark.parametrize("pair", [p for p in PAIRS if p.twin.claim], ids=lambda p: p.name)
def test_claim_holds_on_the_twin(pair: Pair) -> None:
    assert of_twin(pair.twin).outcome == "conforms"


@pytest.mark.parametrize("pair", [p for p in PAIRS if p.twin.claim and p.found_by == "objective"], ids=lambda p: p.name)
def test_claim_fails_on_the_fault(pair: Pair) -> None:
    v = of_fault(pair)
    assert v.outcome == "violates"
    assert "claim" in accused(v)


@pytest.mark.parametrize("correct", [c for c in CORRECT if c.claim], ids=lambda c: c.name)
def test_claim_holds_on_the_correct(correct: Correct) -> None:
    assert of_twin(correct).outcome == "conforms"
