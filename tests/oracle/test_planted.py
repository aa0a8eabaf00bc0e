"""Every planted fault is found, and no twin and no correct loss is accused (expectations: oracle/selftest)."""

from __future__ import annotations

import pytest

from oracle.case import Options
from oracle.claims import parse_claim
from oracle.judge import judge_binding
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
from oracle.selftest.record import Correct, Expect, Pair, Subject
from oracle.selftest.run import agrees
from oracle.subject.binding import bind
from oracle.subject.target import Target
from tests.oracle.judging import accused, failed, unknown_theorems, verdict

# the rest of the catalogue is judged in a sample here (tests/oracle/selftest), and in full by `kl-oracle selftest`
_FAMILIES = (
    directions, powers, lost_references, straight_through, rewards, weights, ratios, advantages, masks, batches,
    numerics,
)  # fmt: skip
PAIRS = [p for m in _FAMILIES for p in m.PAIRS]
CORRECT = [c for m in (penalties, losses, weighted) for c in m.CORRECT]


def holds(v: Verdict, on: Expect, off: Expect) -> None:
    """Both sides as expected, and reading and probing agree."""
    assert v.outcome == "described", [f.message for f in v.findings if f.outcome == "inconclusive"]
    assert not unknown_theorems(v)
    assert agrees(v.on_policy, on), (v.on_policy, on)
    assert agrees(v.off_policy, off), (v.off_policy, off)


@pytest.mark.parametrize("pair", PAIRS, ids=lambda p: p.name)
def test_fault_is_found(pair: Pair) -> None:
    v = verdict(pair.fault, pair.twin.placement)
    holds(v, pair.on, pair.off)
    if pair.found_by == "objective":
        assert (pair.on, pair.off) != (pair.twin.on, pair.twin.off)
    else:
        assert pair.found_by in failed(v)


@pytest.mark.parametrize("pair", PAIRS, ids=lambda p: p.name)
def test_twin_is_cleared(pair: Pair) -> None:
    v = verdict(pair.twin.subject, pair.twin.placement)
    holds(v, pair.twin.on, pair.twin.off)
    assert not accused(v)


@pytest.mark.parametrize("subject", CORRECT, ids=lambda c: c.name)
def test_correct_is_cleared(subject: Correct) -> None:
    v = verdict(subject.subject, subject.placement)
    holds(v, subject.on, subject.off)
    assert not accused(v)


def outcomes(function: Subject, claim: str, placement: str) -> set[str]:
    """What ``check --claim`` would say."""
    target = Target("f", function, None)
    at = "reward" if placement == "reward" else None
    found = judge_binding(target, bind(function), at, Options(max_examples=2), [parse_claim(claim)])
    return {v.outcome for v in found}


@pytest.mark.parametrize("pair", [p for p in PAIRS if p.twin.claim], ids=lambda p: p.name)
def test_claim_holds_on_the_twin(pair: Pair) -> None:
    assert pair.twin.claim is not None
    assert outcomes(pair.twin.subject, pair.twin.claim, pair.twin.placement) == {"conforms"}


@pytest.mark.parametrize("pair", [p for p in PAIRS if p.twin.claim and p.found_by == "objective"], ids=lambda p: p.name)
def test_claim_fails_on_the_fault(pair: Pair) -> None:
    assert pair.twin.claim is not None
    assert outcomes(pair.fault, pair.twin.claim, pair.twin.placement) == {"violates"}


@pytest.mark.parametrize("subject", [c for c in CORRECT if c.claim], ids=lambda c: c.name)
def test_claim_holds_on_the_correct(subject: Correct) -> None:
    assert subject.claim is not None
    assert outcomes(subject.subject, subject.claim, subject.placement) == {"conforms"}
