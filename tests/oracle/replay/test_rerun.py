"""A saved failure comes again bit for bit on the code it is about, and is gone on the twin."""

from __future__ import annotations

import math

import numpy as np
import pytest

from oracle.replay.rerun import rerun
from oracle.replay.witness import unhex
from tests.oracle.replay.conftest import Judged, judge_planted
from tests.oracle.replay.faults import PLANTED, Planted

EACH = pytest.mark.parametrize("planted", PLANTED, ids=lambda p: p.name)


@EACH
def test_the_failure_is_saved_with_its_command(judged: Judged, planted: Planted) -> None:
    found = judged.finding(planted)
    assert found.outcome == "fail"
    assert str(found.replay).startswith(f"kl-oracle replay {found.id}")
    saved = judged.saved(planted)
    assert (saved.check, saved.claim, saved.id) == (planted.check, planted.claim, found.id)
    assert (saved.witness.rule if saved.witness else None) == planted.rule


@EACH
def test_it_is_reproduced_bit_for_bit(judged: Judged, planted: Planted, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(judged.faults)
    found = rerun(judged.saved(planted))
    # a fault that counts its calls fails in other numbers each time
    assert found.word == ("changed" if planted.name == "counting" else "reproduced")
    assert not found.code_changed


@EACH
def test_it_is_gone_on_the_twin(judged: Judged, planted: Planted, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(judged.twins)
    found = rerun(judged.saved(planted))
    assert found.word == "gone"
    assert found.code_changed


@pytest.mark.parametrize("planted", [p for p in PLANTED if p.rule], ids=lambda p: p.name)
def test_the_smallest_case_is_small(judged: Judged, planted: Planted) -> None:
    example = judged.finding(planted).counterexample
    assert example is not None
    smallest = example["smallest"]
    assert {"policy", "reference", "sampler", "expected", "actual"} <= set(smallest)
    assert len(str(smallest)) < 420
    assert str(smallest["expected"]) != str(smallest["actual"])


def test_expected_and_actual_are_those_of_theory(judged: Judged) -> None:
    # theory, section 2: k2 as loss has the coefficient L, k3 as loss 1 - exp(-L); here L = log(5/4)
    saved = judged.saved(next(p for p in PLANTED if p.name == "form"))
    assert saved.expected is not None
    assert saved.actual is not None
    assert unhex(saved.expected)[0, 0] == pytest.approx(math.log(1.25), rel=1e-12)
    assert unhex(saved.actual)[0, 0] == pytest.approx(1 - 0.8, rel=1e-12)
    # no weight off-policy: the expected gradient of KL(policy||reference) at p = (1/3, 1/3, 1/3) is p (L - KL), where
    # tokens are drawn from the sampler and weighted by policy/sampler
    saved = judged.saved(next(p for p in PLANTED if p.name == "off_policy"))
    assert saved.witness is not None
    assert saved.witness.tabular is not None
    assert saved.expected is not None
    policy, reference = (
        np.array(t[0], dtype=float) / np.sum(t[0])
        for t in (saved.witness.tabular.policy, saved.witness.tabular.reference)
    )
    ratio = np.log(policy / reference)
    np.testing.assert_allclose(unhex(saved.expected)[0], policy * (ratio - policy @ ratio), rtol=1e-12)


def test_a_case_is_the_same_however_often_it_is_saved(judged: Judged, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(judged.faults)
    planted = next(p for p in PLANTED if p.name == "upward")
    before = sorted(p.name for p in judged.cases.iterdir())
    judge_planted(planted, judged.cases)
    assert sorted(p.name for p in judged.cases.iterdir()) == before


def test_nothing_is_saved_without_a_folder_or_a_failure(judged: Judged, monkeypatch: pytest.MonkeyPatch) -> None:
    planted = next(p for p in PLANTED if p.name == "form")
    monkeypatch.chdir(judged.faults)
    before = len(list(judged.cases.iterdir()))
    found = next(f for f in judge_planted(planted, None).findings if f.check == "claim")
    assert found.counterexample is not None
    assert "smallest" in found.counterexample
    assert not found.id
    monkeypatch.chdir(judged.twins)
    judge_planted(planted, judged.cases)
    assert len(list(judged.cases.iterdir())) == before
