"""Subjects on logits, distributions of the vocabulary and hidden states: faults are found, and their twins cleared."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import cache
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from oracle.api import identify_callable
from oracle.case import Case, Options
from oracle.checks import CHECKS
from oracle.errors import RoleError, SubjectError
from oracle.examine import _depends_on_reference
from oracle.probing.aggregation import aggregation_of
from oracle.records import Verdict
from oracle.subject.binding import bind
from oracle.subject.opening import open_any
from oracle.subject.roles import Role
from oracle.subject.subject import Subject
from oracle.subject.target import Target
from tests.oracle.judging import failed, is_set, said

from .wide_programs import (
    PAIRS,
    Pair,
    full_reverse,
    live_reference,
    shifted,
    top_two,
    top_two_and_tail,
    top_two_cut_off,
)

BY_RUNS = ("logits.alignment", "logits.shift", "mask.leak", "padding.invariance")
"""Checks that need neither a reading nor a name."""
GRAVE = ("error", "warning")


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    """Small tensors run slower on many threads."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@cache
def judged(function: Callable[..., Any]) -> Verdict:
    """The verdict as a loss or as a whole; each program is judged once."""
    return next(v for v in identify_callable(function, max_examples=1) if v.subject.placement in ("loss", "whole"))


def accused(v: Verdict) -> set[str]:
    """The checks that fail as errors or warnings."""
    return {f.check for f in v.findings if f.outcome == "fail" and f.severity in GRAVE}


def opened(function: Callable[..., Any]) -> Subject:
    """The subject as it is opened."""
    return open_any(Target("f", function, None), bind(function))


def unexamined(function: Callable[..., Any]) -> Case:
    """A case of which nothing is known but how the subject runs."""
    subject = opened(function)
    return Case(subject, "whole", Options(), aggregation=aggregation_of(subject))


@pytest.mark.parametrize("pair", PAIRS.values(), ids=PAIRS)
def test_fault_is_found(pair: Pair) -> None:
    if pair.found_by in BY_RUNS:
        assert CHECKS[pair.found_by](unexamined(pair.fault)).outcome == "fail"
        assert CHECKS[pair.found_by](unexamined(pair.twin)).outcome == "pass"
        return
    v = judged(pair.fault)
    assert v.outcome == "described"
    if pair.found_by == "objective":
        assert v.on_policy is not None
        assert v.on_policy.objective != pair.twin_on
    else:
        assert pair.found_by in failed(v)


@pytest.mark.parametrize("pair", {p.twin: p for p in PAIRS.values()}.values(), ids=lambda p: p.twin.__name__)
def test_twin_is_cleared(pair: Pair) -> None:
    v = judged(pair.twin)
    assert v.outcome == "described"
    assert not accused(v)
    level = None if pair.twin_on == "unnamed" else "token"
    assert said(v.on_policy) == (pair.twin_on, level, 1.0 if level else None)
    assert v.off_policy is not None
    assert v.off_policy.objective == pair.twin_off


def test_sampled_tokens_on_logits_are_proved_and_a_whole_vocabulary_is_tested() -> None:
    one, all_of_it = judged(shifted), judged(full_reverse)
    assert one.on_policy is not None
    assert all_of_it.on_policy is not None
    assert (one.on_policy.evidence, one.on_policy.formula) == ("proved", "L")
    assert (all_of_it.on_policy.evidence, all_of_it.on_policy.formula) == ("tested", None)
    assert any("at the next one" in line for line in one.path)


def test_reference_logits_that_are_not_detached_are_said() -> None:
    """The caller may have run the reference without gradient, so it is no fault; but it is not passed over."""
    texts = [CHECKS["detach.reference"](unexamined(f)).message for f in (live_reference, shifted)]
    assert "a reference that asks for one gets it too" in texts[0]
    assert texts[1] == "no gradient reaches the reference"


@pytest.mark.parametrize(
    ("function", "objective", "treatment"),
    [
        (top_two, "reverse_kl", "renormalised"),
        (top_two_cut_off, "reverse_kl", "cut off"),
        (top_two_and_tail, "forward_kl", "tail bucket"),
    ],
)
def test_the_likeliest_tokens_are_no_whole_vocabulary(
    function: Callable[..., Any], objective: str, treatment: str
) -> None:
    """On three tokens two and a bucket are all of them: only a larger vocabulary tells."""
    v = judged(function)
    for record in (v.on_policy, v.off_policy):
        assert record is not None
        assert record.objective == "unnamed"
        assert is_set(record.restriction)
        part = record.restriction
        assert (part.objective, part.tokens, part.chosen_by, part.treatment) == (objective, 2, "reference", treatment)
        assert part.scale == pytest.approx(1.0, rel=1e-5)


def test_each_layout_is_found() -> None:
    def aligned(logits: Tensor, ref_logps: Tensor, labels: Tensor) -> Tensor:
        return 0.5 * (logits.log_softmax(-1).gather(-1, labels[..., None])[..., 0] - ref_logps) ** 2

    def extra(logits: Tensor, ref_logps: Tensor, input_ids: Tensor) -> Tensor:
        return 0.5 * (logits[:, :-1].log_softmax(-1).gather(-1, input_ids[..., None])[..., 0] - ref_logps) ** 2

    def cut(logits: Tensor, ref_logps: Tensor, input_ids: Tensor, response_length: int) -> Tensor:
        of = slice(-response_length - 1, -1)
        logp = logits[:, of].log_softmax(-1).gather(-1, input_ids[:, -response_length:, None])[..., 0]
        return 0.5 * (logp - ref_logps) ** 2

    def flat(logits: Tensor, ref_logps: Tensor, labels: Tensor) -> Tensor:
        assert logits.dim() == 2
        return 0.5 * (-F.cross_entropy(logits, labels, reduction="none") - ref_logps.flatten()).square()

    layouts = {aligned: ("aligned", False), extra: ("extra", False), cut: ("shifted", False), flat: ("aligned", True)}
    for function, expected in layouts.items():
        subject = opened(function)
        frame = subject.convention.frame
        assert frame is not None
        assert (frame.layout, frame.flat) == expected
        assert subject.kind == "penalty"
        assert not subject.whole


def test_labels_of_minus_100_are_a_mask() -> None:
    def loss(logits: Tensor, ref_logits: Tensor, labels: Tensor) -> Tensor:
        shift, ids = logits[:, :-1], labels[:, 1:]
        mask = ids != -100
        at = ids.clamp(min=0).unsqueeze(-1)
        logp, ref = (x.log_softmax(-1).gather(-1, at)[..., 0] for x in (shift, ref_logits[:, :-1]))
        return (0.5 * (logp - ref.detach()) ** 2 * mask).sum() / mask.sum()

    def unheard(logits: Tensor, ref_logits: Tensor, labels: Tensor) -> Tensor:
        at = labels[:, 1:].clamp(min=0).unsqueeze(-1)
        logp, ref = (x[:, :-1].log_softmax(-1).gather(-1, at)[..., 0] for x in (logits, ref_logits))
        return (0.5 * (logp - ref.detach()) ** 2).mean()

    def by_default(logits: Tensor, ref_logits: Tensor, labels: Tensor) -> Tensor:
        ce = [F.cross_entropy(x.transpose(1, 2), labels, reduction="none") for x in (logits, ref_logits.detach())]
        return (0.5 * (ce[0] - ce[1]) ** 2).mean()

    assert opened(loss).has(Role.MASK)
    assert not opened(by_default).has(Role.MASK)
    assert not opened(unheard).has(Role.MASK)
    case = unexamined(loss)
    assert case.aggregation is not None
    assert case.aggregation.name == "token-mean"
    assert [CHECKS[c](case).outcome for c in ("mask.leak", "padding.invariance")] == ["pass", "pass"]


def test_log_probabilities_may_be_those_of_the_whole_vocabulary() -> None:
    """The names say either; code that weighs by the probability and sums over the last axis means the vocabulary."""

    def whole(log_probs: Tensor, ref_log_probs: Tensor) -> Tensor:
        return (log_probs.exp() * (log_probs - ref_log_probs)).sum(-1)

    def summed(log_probs: Tensor, ref_log_probs: Tensor) -> Tensor:
        return (0.5 * (log_probs - ref_log_probs) ** 2).sum(-1)

    assert opened(whole).whole
    assert not opened(summed).wide
    v = judged(whole)
    assert said(v.on_policy) == said(v.off_policy) == ("reverse_kl", "token", 1.0)


def test_the_weight_of_a_mixture_is_no_coefficient() -> None:
    def mixed(student_logits: Tensor, teacher_logits: Tensor, beta: float = 0.5) -> Tensor:
        p, q = student_logits.softmax(-1), teacher_logits.softmax(-1)
        m = beta * q + (1 - beta) * p
        return (beta * q * (q / m).log() + (1 - beta) * p * (p / m).log()).sum(-1).mean()

    def unsaid(student_logits: Tensor, teacher_logits: Tensor, beta: float) -> Tensor:
        return mixed(student_logits, teacher_logits, beta)

    v = judged(mixed)
    assert said(v.on_policy) == ("jensen_shannon", "token", 1.0)
    assert any("no coefficient" in line for line in v.path)
    with pytest.raises(SubjectError, match="--set beta="):
        opened(unsaid)


def test_hidden_states_need_their_matrix() -> None:
    def loss(hidden_states: Tensor, ref_logps: Tensor, labels: Tensor) -> None: ...

    with pytest.raises(RoleError, match="the matrix that makes logits"):
        bind(loss)


def test_too_many_tokens_are_said() -> None:
    def top(student_logits: Tensor, teacher_logits: Tensor) -> Tensor:
        return student_logits.topk(50, dim=-1).values.sum() - teacher_logits.sum()

    with pytest.raises(SubjectError, match="--set k=2"):
        opened(top)


def test_no_gradient_is_no_agreement() -> None:
    def blind(logits: Tensor, ref_logits: Tensor, labels: Tensor) -> Tensor:
        with torch.no_grad():
            d = logits.log_softmax(-1) - ref_logits.log_softmax(-1)
            return d.gather(-1, labels[..., None])[..., 0].square()

    subject = opened(blind)
    case = Case(subject, "loss", Options())
    case.depends_on_reference = _depends_on_reference(case)
    assert CHECKS["reference.dependence"](case).outcome == "fail"
    assert CHECKS["logits.alignment"](case).outcome == "skip"
