"""A saved failure comes again bit for bit on the code it is about, and is gone on the twin."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest
import torch

from oracle.replay.rerun import rerun
from oracle.replay.witness import Array as Numbers
from oracle.replay.witness import Call, Witness, unhex
from tests.oracle.replay.conftest import Judged, judge_planted
from tests.oracle.replay.faults import PLANTED, Planted

EACH = pytest.mark.parametrize("planted", [p for p in PLANTED if p.rule], ids=lambda p: p.name)


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
    assert found.word == "reproduced"
    assert not found.code_changed


@EACH
def test_it_is_gone_on_the_twin(judged: Judged, planted: Planted, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(judged.twins)
    found = rerun(judged.saved(planted))
    assert found.word == "gone"
    assert found.code_changed


@EACH
def test_the_correct_twin_has_no_case(judged: Judged, planted: Planted, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(judged.twins)
    before = len(list(judged.cases.iterdir()))
    found = next(f for f in judge_planted(planted, judged.cases).findings if f.check == planted.check)
    assert found.outcome in ("pass", "skip", "inconclusive")
    assert len(list(judged.cases.iterdir())) == before


def test_what_comes_out_otherwise_each_time_has_no_case(judged: Judged) -> None:
    for planted in PLANTED:
        if planted.rule is None:
            found = judged.finding(planted)
            assert found.outcome == "fail"
            assert found.message.endswith(
                "it comes out otherwise each time, so no case of it can be repeated bit for bit"
            )
            assert not found.id
            assert not found.replay


@EACH
def test_the_smallest_case_is_small(judged: Judged, planted: Planted) -> None:
    example = judged.finding(planted).counterexample
    assert example is not None
    smallest = example["smallest"]
    assert {"policy", "reference", "sampler", "expected", "actual"} <= set(smallest)
    assert len(str(smallest)) < 640
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


def shown(judged: Judged, name: str) -> tuple[Witness, Numbers, Numbers]:
    saved = judged.saved(next(p for p in PLANTED if p.name == name))
    assert saved.witness is not None
    assert saved.expected is not None
    assert saved.actual is not None
    return saved.witness, unhex(saved.expected), unhex(saved.actual)


def ratios(call: Call) -> Numbers:
    out: Numbers = unhex(call.policy) - unhex(call.reference)
    return out


def distributions(witness: Witness) -> tuple[Numbers, Numbers, Numbers]:
    assert witness.tabular is not None
    t = witness.tabular
    policy, reference, sampler = (np.array(x[0]) / np.sum(x[0]) for x in (t.policy, t.reference, t.sampler))
    return policy, reference, sampler


@pytest.mark.parametrize(
    ("name", "expected", "actual"),
    [
        # the product rule adds 1, the derivative of k1, to the penalty L
        ("live_reward", lambda r: r, lambda r: r + 1),
        ("Estimator", lambda r: r, lambda r: 1.5 * r**2),
        ("Forms.second", lambda r: r, lambda r: 2 * r),
        ("flattened", lambda r: r, lambda r: 4 * r),
        ("from_hidden", lambda r: r, lambda r: 2 * r),
    ],
)
def test_coefficients_are_those_of_theory(
    judged: Judged, name: str, expected: Callable[[Numbers], Numbers], actual: Callable[[Numbers], Numbers]
) -> None:
    witness, due, seen = shown(judged, name)
    (call,) = witness.calls
    assert due.shape == (1, 1)
    np.testing.assert_allclose(due, expected(ratios(call)), rtol=1e-10)
    np.testing.assert_allclose(seen, actual(ratios(call)), rtol=1e-10)


@pytest.mark.parametrize("name", ["coarse", "coarser"])
def test_lost_digits_are_those_of_16_bits(judged: Judged, name: str) -> None:
    witness, due, seen = shown(judged, name)
    (call,) = witness.calls
    chosen = np.ones((1, 1), dtype=bool) if witness.where is None else np.array(witness.where, dtype=bool)
    np.testing.assert_allclose(due, ratios(call)[chosen][None], rtol=1e-6)
    policy, reference = (torch.from_numpy(unhex(x)).bfloat16() for x in (call.policy, call.reference))
    rounded = (policy.double() - reference.double()).bfloat16().double().numpy()
    np.testing.assert_allclose(seen, rounded[chosen][None], rtol=1e-6)


@pytest.mark.parametrize("name", ["swapped", "upside_down", "whole", "distributions"])
def test_expected_gradients_are_those_of_theory(judged: Judged, name: str) -> None:
    # theory, section 2: the gradient of KL(policy||reference) is p (L - KL), of KL(reference||policy) p - q
    witness, due, seen = shown(judged, name)
    p, q, m = distributions(witness)
    ratio = np.log(p / q)
    reverse = p * (ratio - p @ ratio)
    np.testing.assert_allclose(due[0], reverse, rtol=1e-10)
    twice_off = m * m / p * ratio  # drawn from m, and weighted by m/p where p/m is due
    actual = {
        "swapped": -reverse,
        "upside_down": twice_off - p * twice_off.sum(),
        "whole": p - q,
        "distributions": p - q,
    }[name]
    np.testing.assert_allclose(seen[0], actual, rtol=1e-6, atol=1e-12)


def test_weights_of_tokens_are_those_of_theory(judged: Judged) -> None:
    witness, due, seen = shown(judged, "by_root")
    slope = 2 * math.log(1.25)
    masks = [unhex(call.mask) for call in witness.calls]
    expected = [slope * m / np.sqrt(m.sum(1, keepdims=True)) / len(m) for m in masks]
    np.testing.assert_allclose(seen, np.concatenate([x.ravel() for x in expected])[None], rtol=1e-10)
    assert np.abs(due - seen).max() > 1e-2
    # a token-mean of each part instead of the tokens of the whole
    witness, due, seen = shown(judged, "told")
    whole, *parts = witness.calls
    tokens = unhex(whole.mask).sum()
    assert whole.fixed == parts[0].fixed == {"num_tokens": int(tokens)}
    np.testing.assert_allclose(due, 2 * ratios(whole) * unhex(whole.mask) / tokens, rtol=1e-10)
    each = [2 * ratios(c) * unhex(c.mask) / unhex(c.mask).sum() for c in parts]
    np.testing.assert_allclose(seen, np.concatenate(each), rtol=1e-10)


def test_what_reaches_the_logits_is_that_of_theory(judged: Judged) -> None:
    # each row that was expected is a multiple of the score of one token, 1 at it and less than 0 elsewhere
    _, due, seen = shown(judged, "late")
    rows, wrong = due.reshape(-1, 5), seen.reshape(-1, 5)
    np.testing.assert_allclose(rows.sum(1), 0.0, atol=1e-12)
    assert all((np.sign(r) == np.sign(r).max()).sum() in (1, 4) for r in rows if r.any())
    np.testing.assert_allclose((rows * (wrong - rows)).sum(1), 0.0, atol=1e-12)
    witness, due, seen = shown(judged, "overwritten")
    (call,) = witness.calls
    np.testing.assert_array_equal(due, unhex(call.reference))
    np.testing.assert_allclose(seen, unhex(call.reference) - unhex(call.policy), rtol=1e-12)


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
