"""The catalogue: large enough, named once, its expectations true by definition, and a sample of it judged."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest

from oracle.checks import CHECKS
from oracle.selftest.catalogue import CORRECT, PAIRS
from oracle.selftest.correct import styles
from oracle.selftest.faults import (
    accumulation,
    caps,
    chance,
    coefficients,
    corrections,
    detaching,
    estimates,
    estimators,
    exchanges,
    formats,
    logits,
    padding_values,
    pipelines,
    reductions,
)
from oracle.selftest.record import Correct, Expect, Pair, Placement, Subject
from oracle.selftest.run import of_correct, of_mutant, subjects
from oracle.subject.binding import bind
from oracle.subject.subject import open_subject
from oracle.subject.target import Target
from oracle.trust import definition

_ANSWERS = 36
"""How many answers of two tokens the batch of a world lists."""
_SCALES = (1.0, 1 / 2, _ANSWERS, _ANSWERS / (_ANSWERS - 1))
"""What scale 1 is by definition: sums over answers, means over two tokens, a sum over the batch, and a baseline of the
others where the batch holds every answer."""
_FAMILIES = (
    estimators, pipelines, reductions, coefficients, corrections, chance, caps, exchanges, detaching, padding_values,
    accumulation, formats, estimates, logits,
)  # fmt: skip
NEW = [p for m in _FAMILIES for p in m.PAIRS]
_UNDEFINED = ("determinism", "logits.shift")
"""What the definitions cannot show: a loss that is another at each call, and logits that are not normalised (those of a
world are log-probabilities)."""


def test_it_is_as_large_as_it_says() -> None:
    names = [p.name for p in PAIRS] + [c.name for c in CORRECT]
    assert len(names) == len(set(names))
    assert len(PAIRS) >= 150
    assert len(CORRECT) >= 60
    assert len(subjects()[1]) > len(CORRECT)


def test_every_mutant_has_something_that_finds_it() -> None:
    for p in PAIRS:
        if p.found_by == "objective":
            assert (p.on, p.off) != (p.twin.on, p.twin.off), p.name
        else:
            assert p.found_by in CHECKS, p.name


def by_definition(subject: Subject, placement: Placement, on: Expect, off: Expect) -> list[str]:
    """How the definitions contradict what is expected of a subject."""
    opened = open_subject(Target("f", subject, None), bind(subject))
    wrong = []
    for due, on_policy in ((on, True), (off, False)):
        # a factor that is a statistic of the batch is one number in one world
        worlds = 1 if due.scale is None and due.objective not in ("zero", "unnamed") else 3
        seen = definition.found(opened, placement, on_policy, horizon=2, tolerance=1e-4, worlds=worlds)
        if worlds == 1:
            same = seen.nearest == due.objective
        else:
            same = (seen.objective, seen.level) == (due.objective, due.level)
            if same and due.scale is not None and seen.scale is not None:
                same = any(math.isclose(seen.scale, due.scale * unit, rel_tol=1e-3) for unit in _SCALES)
        if not same:
            wrong.append(f"{'on' if on_policy else 'off'}-policy {seen}, expected {due}")
    return wrong


@pytest.mark.parametrize("pair", [p for p in NEW if p.found_by not in _UNDEFINED], ids=lambda p: p.name)
def test_mutants_are_what_they_are_called(pair: Pair) -> None:
    assert not by_definition(pair.fault, pair.twin.placement, pair.on, pair.off)


@pytest.mark.parametrize("correct", [*subjects()[1]], ids=lambda c: c.name)
def test_correct_losses_are_what_they_are_called(correct: Correct) -> None:
    assert not by_definition(correct.subject, correct.placement, correct.on, correct.off)


# the second: others' numbers move a rank only where they are far larger or smaller
@pytest.mark.parametrize("pair", [*NEW[::16], *(p for p in NEW if p.name == "ranked_rows")], ids=lambda p: p.name)
def test_mutants_are_killed(pair: Pair) -> None:
    assert of_mutant(pair).wrong == []


@pytest.mark.parametrize("correct", styles.CORRECT[::7], ids=lambda c: c.name)
def test_correct_losses_are_cleared(correct: Correct) -> None:
    assert of_correct(correct).wrong == []


def test_a_fault_that_is_called_correct_is_an_accusation_and_a_twin_called_faulty_survives() -> None:
    pair = estimators.PAIRS[7]
    assert pair.name == "bits_for_nats"
    as_correct = replace(pair.twin, subject=pair.fault)
    assert "due ('reverse_kl', 'token', 1.0)" in of_correct(as_correct).wrong[0]
    turned = replace(pair, fault=pair.twin.subject)
    assert any("survives" in text for text in of_mutant(turned).wrong)
