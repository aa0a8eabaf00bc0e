"""Measured expected gradients: right kernels, planted ones, the bound on rounding, and the exact targets."""

from __future__ import annotations

from dataclasses import replace
from itertools import product
from typing import Any

import numpy as np
import pytest

from gpu_checks import montecarlo
from gpu_checks.audit.context import Context
from gpu_checks.audit.measuring import check_measured
from gpu_checks.bounds.sampled import expected, formula_of
from gpu_checks.formats import FORMATS, Array
from gpu_checks.montecarlo import Question, ask, drawn, measure, sequence_gradient
from gpu_checks.statistics import Softmax, expected_gradient, g_test
from gpu_checks.subject import Request, Result, Runner, SampledBatch
from gpu_checks.subjects.arrays import SUBJECTS
from gpu_checks.subjects.functions import subjects_of
from gpu_checks.subjects.own import OWN_KL
from oracle.errors import ClaimError

from .kernels.support import needs_compiler

K3 = SUBJECTS[0]
FALSE_ALARM = 1e-4
"""Of each measurement here: with 16 right kernels measured, at most one set of seeds in 600 would alarm."""


class Changed:
    """A runner whose batches or results are changed."""

    def __init__(self, runner: Runner, before: Any = lambda b: b, after: Any = lambda r: r) -> None:
        self.runner, self.before, self.after = runner, before, after

    def __call__(self, batch: SampledBatch) -> Result:
        result: Result = self.after(self.runner(self.before(batch)))
        return result

    def close(self) -> None:
        self.runner.close()


def asked(claim: str, alternative: str, vocabulary: int, dtype: str = "float32", seed: int = 0) -> Question:
    return ask(claim, alternative, K3.cost, FORMATS[dtype], vocabulary, FALSE_ALARM, 1e-3, seed)


def opened(vocabulary: int, dtype: str = "float32", library: str = "numpy") -> Runner:
    return K3.backends[library](Request(dtype, vocabulary))


@pytest.mark.parametrize("dtype", ["float32", "bfloat16", "float16"])
@pytest.mark.parametrize("seed", range(3))
def test_a_right_kernel_does_not_alarm(dtype: str, seed: int) -> None:
    question = asked("k3 as loss", "k1 in reward", 2003, dtype, seed)
    found = measure(opened(2003, dtype), question)
    assert not found.alarm
    assert found.samples == found.promised == question.promised < 5000
    assert abs(found.estimate - found.target) <= question.mean.slack
    assert found.target == pytest.approx(float(expected_gradient_of(question, "k3 as loss") @ question.direction))


@pytest.mark.parametrize(("vocabulary", "seed"), [(2003, 0), (2003, 1), (2003, 2), (5003, 0)])
def test_k3_for_the_reverse_kl_alarms_within_the_promised_rows(vocabulary: int, seed: int) -> None:
    """A miss has a rate of 1e-3 each."""
    question = asked("k1 in reward", "k3 as loss", vocabulary, seed=seed)
    found = measure(opened(vocabulary), question)
    assert found.alarm
    assert found.samples <= found.promised
    assert found.statistic >= found.threshold == -np.log(FALSE_ALARM)


def test_the_larger_vocabulary() -> None:
    assert not measure(opened(5003), asked("k3 as loss", "k1 in reward", 5003)).alarm


@pytest.mark.parametrize("library", ["torch", "numpy"])
def test_a_token_id_that_is_off_by_one_alarms(library: str) -> None:
    def next_one(batch: SampledBatch) -> SampledBatch:
        return replace(batch, tokens=(batch.tokens + 1) % batch.logits.shape[1])

    found = measure(Changed(opened(2003, library=library), next_one), asked("k3 as loss", "k1 in reward", 2003))
    assert found.alarm
    assert found.samples <= found.promised


@pytest.mark.parametrize("fault", ["turned", "halved", "detached", "nan"])
def test_other_faults_alarm(fault: str) -> None:
    factor = {"turned": -1.0, "halved": 0.5, "detached": 0.0, "nan": np.nan}[fault]

    def after(result: Result) -> Result:
        return replace(result, gradient=result.gradient * np.float32(factor))

    found = measure(Changed(opened(2003), after=after), asked("k3 as loss", "k1 in reward", 2003))
    assert found.alarm
    assert fault != "nan" or found.reason == "a gradient is not finite"


@needs_compiler
def test_our_kernel_on_the_cpu_and_a_torch_function() -> None:
    question = ask("k3 as loss", "k1 in reward", OWN_KL.cost, FORMATS["float32"], 1009, FALSE_ALARM)
    assert not measure(OWN_KL.backends["host"](Request("float32", 1009)), question).alarm
    planted = OWN_KL.backends["host"](Request("float32", 1009, settings={"form": "k1 in reward"}))
    assert measure(planted, question).alarm
    (subject,) = subjects_of("tests/gpu_checks/audit/losses.py:k3_value_k2_gradient", "k3 as loss", (), ())
    runner = subject.backends["torch"](Request("float32", 1009))
    assert measure(runner, ask("k3 as loss", "k1 in reward", subject.cost, FORMATS["float32"], 1009)).alarm
    runner.close()


def test_a_weighted_form_is_given_the_sampler() -> None:
    seen: list[Array | None] = []

    def before(batch: SampledBatch) -> SampledBatch:
        seen.append(batch.sampler)
        return batch

    claim = "k3 as loss, weight detached"
    assert not measure(Changed(opened(2003), before), asked(claim, "k1 in reward", 2003)).alarm
    assert all(s is not None and s.dtype == np.float32 for s in seen)


def test_where_the_claims_own_gradient_is_the_noise_it_is_not_taken_away() -> None:
    question = asked("k1 in reward", "k2 in reward", 2003)
    assert not question.paired
    assert question.mean.mean == question.target
    found = measure(opened(2003), asked("k3 as loss", "k2 in reward", 2003))
    assert not found.alarm
    assert measure(opened(2003), replace(question, promised=20_000)).alarm


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        (("k1 in reward", "k2 as loss", 100), ValueError, "the candidates have one expected gradient"),
        (("reverse_kl", "k3 as loss", 100), ClaimError, "names an objective"),
        (("k3 as loss", "k9 as loss", 100), ClaimError, "k9"),
        (("k3 as loss", "k1 in reward", 1), ValueError, "vocabulary 1 leaves nothing to draw"),
    ],
)
def test_wrong_arguments(arguments: tuple[str, str, int], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message) as caught:
        asked(*arguments)
    assert "\n" not in str(caught.value)


def test_wrong_rates_rows_and_gradients(monkeypatch: pytest.MonkeyPatch) -> None:
    for rates, message in (((0.0, 1e-3), "false-alarm rate 0"), ((1e-4, 2.0), "miss rate 2")):
        with pytest.raises(ValueError, match=message) as caught:
            ask("k3 as loss", "k1 in reward", K3.cost, FORMATS["float32"], 100, *rates)
        assert "\n" not in str(caught.value)
    question = asked("k3 as loss", "k1 in reward", 100)
    with pytest.raises(ValueError, match="0 rows: a measurement needs at least 1"):
        measure(opened(100), question, rows=0)
    with pytest.raises(ValueError, match=r"the gradient is \[100, 99\] for logits \[100, 100\]"):
        measure(Changed(opened(100), after=lambda r: replace(r, gradient=r.gradient[:, 1:])), question, rows=100)
    monkeypatch.setattr(montecarlo, "MOST", 10)
    with pytest.raises(ValueError, match="more than 10: take other rates"):
        asked("k3 as loss", "k1 in reward", 100)
    monkeypatch.setattr(montecarlo, "RATIO_SPREAD", 1e-4)
    with pytest.raises(ValueError, match="k3 as loss and k1 in reward in bfloat16: no number of samples suffices"):
        asked("k3 as loss", "k1 in reward", 100, "bfloat16")


@pytest.mark.parametrize("dtype", ["float32", "bfloat16", "float16"])
def test_the_bound_on_rounding_holds_and_is_that_of_the_entries(dtype: str) -> None:
    form, formula = FORMATS[dtype], formula_of("k3 as loss")
    question = asked("k3 as loss", "k1 in reward", 509, dtype)
    tokens = np.arange(509)
    logits = np.repeat(question.logits[None, :], 509, axis=0)
    batch = SampledBatch(logits, tokens, question.reference, np.ones(509, np.float32))
    gradient = opened(509, dtype)(batch).gradient.astype(np.float64)
    bound = montecarlo._rounding(
        formula, question.logits.astype(np.float64), question.reference, None, question.direction, K3.cost, form
    )
    off = abs(gradient @ question.direction - question.control)
    assert (off <= bound).all()
    assert (off / bound).max() > 0.02
    for token in (0, 7, 508):
        entries = expected(formula, batch, token, K3.cost, form).gradient.error
        # `expected` allows for each operation's underflow as well
        assert bound[token] == pytest.approx(float(abs(question.direction) @ entries), rel=0.02)


def test_tokens_are_drawn_from_the_policy_the_same_each_time() -> None:
    question = asked("k3 as loss", "k1 in reward", 300)
    tokens = drawn(question, 50_000)
    assert not g_test(tokens, Softmax.of(question.log_policy), 1e-6).alarm
    assert np.array_equal(tokens[:100], drawn(question, 100))
    assert not np.array_equal(tokens[:100], drawn(replace(question, seed=1), 100))


def test_blocks_hold_64_mebibytes_at_most() -> None:
    seen: list[Array] = []

    class Recording:
        def __call__(self, batch: SampledBatch) -> Result:
            seen.append(batch.logits)
            return Result(batch.reference, np.zeros((len(batch.tokens), 1), np.float32).repeat(131_072, axis=1))

        def close(self) -> None:
            """Nothing was started."""

    question = asked("k3 as loss", "k1 in reward", 131_072)
    # nothing is taken away from gradients of 0, so that they do not alarm
    measure(Recording(), replace(question, control=np.zeros(131_072)), rows=65)
    assert [len(block) for block in seen] == [64, 1]
    assert max(block.nbytes for block in seen) == 2**25


def test_a_sequence_by_enumeration() -> None:
    random = np.random.default_rng(1)
    log_p, log_q = (log_softmax(random.standard_normal((3, 4))) for _ in range(2))
    gradient = np.zeros((3, 4))
    for tokens in product(range(4), repeat=3):
        at = np.arange(3), np.array(tokens)
        reward = float((log_p - log_q)[at].sum())
        score = -np.exp(log_p)
        score[at] += 1
        gradient += np.exp(log_p[at].sum()) * reward * score
    assert abs(sequence_gradient(log_p, log_q) - gradient).max() < 1e-15


def log_softmax(x: Array) -> Array:
    shifted: Array = x - np.log(np.exp(x).sum(axis=-1, keepdims=True))
    return shifted


def expected_gradient_of(question: Question, claim: str) -> Array:
    ratio = question.log_policy - question.reference
    coefficient = {"k3 as loss": -np.expm1(-ratio), "k1 in reward": ratio}[claim]
    return expected_gradient(question.log_policy, coefficient)


def context_of(backend: str, claim: str = "k3 as loss", dtype: str = "float32", vocabulary: int = 2003) -> Context:
    runner = opened(vocabulary, dtype)
    formula = formula_of(claim)
    return Context(K3, claim, backend, FORMATS[dtype], vocabulary, 0, runner, lambda _settings: runner, formula)


@pytest.mark.parametrize("backend", ["host", "numpy", "torch", "triton-interpreter"])
def test_the_check_is_skipped_on_a_cpu(backend: str) -> None:
    check = check_measured(context_of(backend))
    assert (check.check, check.outcome) == ("measured", "skip")
    assert check.message == "not needed: the expected gradient was assembled exactly; measured on a device"


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_the_check_on_a_device(dtype: str) -> None:
    right = check_measured(context_of("cuda", dtype=dtype))
    assert right.outcome == "pass"
    rows = right.measurements["samples"]
    assert right.message.startswith(f"measured: {rows} rows at V = 2003, ")
    assert "false-alarm rate 1e-06; a kernel that descends k1 in reward is missed at a rate of at most 0.001" in (
        right.message
    )
    wrong = check_measured(context_of("cuda", "k1 in reward", dtype))
    assert wrong.outcome == "fail"
    assert wrong.message.startswith("measured: the expected gradient is not that of k1 in reward (")
    assert wrong.remedy


def test_the_check_where_nothing_can_be_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(montecarlo, "RATIO_SPREAD", 1e-4)
    check = check_measured(context_of("cuda", dtype="bfloat16"))
    assert check.outcome == "skip"
    assert check.message.startswith("not measured: ")
