"""The worker process of Triton's interpreter: what it returns, and one clear line for all that can go wrong."""

import json.decoder
from importlib.util import find_spec
from pathlib import Path

import ml_dtypes
import numpy as np
import pytest

from gpu_checks.backends import triton_interpreter, triton_process
from gpu_checks.backends.triton_adapter import to_numpy, to_torch
from gpu_checks.backends.triton_interpreter import TritonRunner
from gpu_checks.backends.triton_process import KernelFailed, WorkerLost, shared_worker
from gpu_checks.backends.triton_source import edited, modules_with
from gpu_checks.subject import Request, Unavailable
from gpu_checks.subjects.third_party import BACKEND, SUBJECTS
from tests.gpu_checks.subjects.third_party_batches import sampled

ADAPTERS = "tests.gpu_checks.backends.triton_test_adapters"
REQUEST = Request("float32", 64)
GRPO = next(subject for subject in SUBJECTS if subject.name == "liger-grpo")

needs_triton = pytest.mark.skipif(find_spec("triton") is None, reason="triton is not installed (Linux only)")
needs_liger = pytest.mark.skipif(find_spec("liger_kernel") is None, reason="liger_kernel is not installed")


@pytest.mark.parametrize("dtype", [np.float32, np.float16, ml_dtypes.bfloat16, np.int64])
def test_arrays_come_back_bit_for_bit(dtype: type) -> None:
    array = np.array([[1, -2], [0.5, 300]]).astype(dtype)
    again = to_numpy(to_torch(array))
    assert again.dtype == array.dtype
    assert again.tobytes() == array.tobytes()


@needs_triton
def test_memory_that_nobody_wrote_is_nan() -> None:
    result = TritonRunner(f"{ADAPTERS}:UNWRITTEN", REQUEST)(None)
    assert np.isnan(result.value).all()
    assert np.isnan(result.gradient.astype(np.float32)).all()
    assert result.gradient.dtype == ml_dtypes.bfloat16


@needs_triton
@needs_liger
def test_a_dropped_block_cannot_pass_on_an_earlier_answer() -> None:
    """The same batch right before, so that stale memory would hold the right gradient."""
    batch = sampled("float32", 4096 + 37)
    right = GRPO.backends[BACKEND](Request("float32", 4133))(batch).gradient
    edits = (("tl.range(0, N, BLOCK_N)", "tl.range(0, N - BLOCK_N + 1, BLOCK_N)"),)
    dropped = GRPO.backends[BACKEND](Request("float32", 4133, edits))(batch).gradient
    assert np.array_equal(dropped[:, :4096], right[:, :4096])
    assert np.isnan(dropped[:, 4096:]).all()


@needs_triton
@needs_liger
def test_chosen_programs_alone_are_run() -> None:
    """Program (sequence 1, position 0) is row 2 of 4; the other rows stay unwritten."""
    batch = sampled("float32", 2048 + 37)
    everything = GRPO.backends[BACKEND](Request("float32", 2085))(batch)
    request = Request("float32", 2085, settings={"programs": ((1, 0, 0),)})
    alone = GRPO.backends[BACKEND](request)(batch)
    assert np.array_equal(alone.gradient[2], everything.gradient[2])
    assert np.isnan(alone.gradient[[0, 1, 3]]).all()
    assert alone.value[2] == everything.value[2]


@needs_triton
@needs_liger
def test_edits_leave_the_installed_source_alone() -> None:
    spec = find_spec("liger_kernel.ops.grpo_loss")
    assert spec is not None
    assert spec.origin is not None
    before = Path(spec.origin).read_bytes()
    runner = GRPO.backends[BACKEND](Request("float32", 64, (("dlogp * dloss", "dlogp * dloss * 3"),)))
    mutated = runner(sampled("float32", 64)).gradient
    runner.close()
    clean = GRPO.backends[BACKEND](Request("float32", 64))(sampled("float32", 64)).gradient
    assert np.allclose(mutated, 3 * clean, rtol=1e-6)
    assert Path(spec.origin).read_bytes() == before


@needs_triton
def test_an_old_text_that_does_not_occur_is_named() -> None:
    request = Request("float32", 64, (("not in there", ""),))
    with pytest.raises(
        ValueError, match=r"^the edit's old text does not occur in json\.decoder, json\.encoder: 'not in there'$"
    ):
        TritonRunner(f"{ADAPTERS}:FAIL", request)


@needs_triton
def test_an_unknown_setting_is_named() -> None:
    with pytest.raises(ValueError, match=r"^unknown setting bta: known are beta$"):
        TritonRunner(f"{ADAPTERS}:FAIL", Request("float32", 64, settings={"bta": 2}))


@needs_triton
def test_an_error_of_the_kernel_is_one_line() -> None:
    with pytest.raises(KernelFailed, match=r"^KeyError: 'no such thing'$"):
        TritonRunner(f"{ADAPTERS}:FAIL", REQUEST)(None)


@needs_triton
def test_a_closed_runner_says_so() -> None:
    runner = TritonRunner(f"{ADAPTERS}:UNWRITTEN", REQUEST)
    runner.close()
    runner.close()
    with pytest.raises(RuntimeError, match=r"UNWRITTEN \(float32, V = 64\) is closed"):
        runner(None)


@needs_triton
def test_a_crash_is_one_line_with_the_last_words_and_the_next_runner_works() -> None:
    first = shared_worker()
    runner = TritonRunner(f"{ADAPTERS}:CRASH", REQUEST)
    with pytest.raises(
        WorkerLost, match=r"^Triton's worker ended with status 3 while running CRASH \(.*\): the last words$"
    ):
        runner(None)
    runner.close()
    assert not first.alive
    again = TritonRunner(f"{ADAPTERS}:HANG", REQUEST, seconds=0.5)
    with pytest.raises(WorkerLost, match=r"did not answer within 0\.5 s while running HANG .*; it was ended$"):
        again(None)
    with pytest.raises(WorkerLost, match=r"was ended before running HANG .*; open the runner anew$"):
        again(None)


def test_without_triton_one_line_says_what_brings_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(triton_process, "find_spec", lambda _: None)
    monkeypatch.setattr(triton_interpreter, "find_spec", lambda _: None)
    line = r"^triton is not installed: pip install triton \(Linux only\)$"
    with pytest.raises(Unavailable, match=line):
        triton_process.Worker()
    with pytest.raises(Unavailable, match=line):
        GRPO.backends[BACKEND](REQUEST)


def test_each_edit_goes_to_the_first_module_that_has_its_text() -> None:
    texts = {"a": "one two", "b": "two three two"}
    assert edited(texts, [("three", "3"), ("two 3", "x")]) == {"b": "x two"}
    assert edited(texts, [("two", "2")]) == {"a": "one 2"}


def test_an_edited_module_is_another_one() -> None:
    modules = modules_with(["json.decoder"], [("class JSONDecoder(", "class J(")])
    assert hasattr(modules["json.decoder"], "J")
    assert not hasattr(json.decoder, "J")
    assert modules_with(["json.decoder"], [])["json.decoder"] is json.decoder
