"""Every check has planted faults that it must find, in code whose correct twin it leaves alone."""

from __future__ import annotations

import pytest

from oracle.checks import CHECKS
from oracle.selftest.catalogue import PAIRS
from oracle.selftest.record import Pair
from oracle.selftest.run import finds, judged, of_correct, of_mutant

PLANTED = {check: [p for p in PAIRS if p.found_by == check] for check in CHECKS}
"""No check is left out: each has a fault that can be planted in code of a few lines."""


@pytest.mark.parametrize("check", CHECKS)
def test_faults_are_planted_for_it(check: str) -> None:
    assert len(PLANTED[check]) >= 2


@pytest.mark.parametrize("check", CHECKS)
def test_it_finds_its_fault_and_clears_the_twin(check: str) -> None:
    pair = PLANTED[check][0]
    assert of_mutant(pair).wrong == []
    assert of_correct(pair.twin).wrong == []


@pytest.mark.parametrize(
    "pair", [p for p in PAIRS if p.found_by in CHECKS and CHECKS[p.found_by].severity == "note"], ids=lambda p: p.name
)
def test_a_note_that_finds_a_fault_is_not_said_of_its_twin(pair: Pair) -> None:
    assert not finds(judged(pair.twin.name, pair.twin.subject, pair.twin.placement), pair.found_by)


def test_a_note_is_not_enough_where_a_check_may_accuse() -> None:
    """A token-mean is noted by microbatch.invariance; that is no find."""
    pair = next(p for p in PAIRS if p.name == "own_micro_batches_averaged")
    twin = judged(pair.twin.name, pair.twin.subject, pair.twin.placement)
    (noted,) = (f for f in twin.findings if f.check == "microbatch.invariance")
    assert (noted.outcome, noted.severity) == ("fail", "note")
    assert not finds(twin, "microbatch.invariance")
