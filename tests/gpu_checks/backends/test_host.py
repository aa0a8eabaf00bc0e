"""The backend `host`: what it refuses, what it says where g++ is missing, and its cache."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from gpu_checks.backends import host_build
from gpu_checks.backends.host import open_gumbel, open_token_kl, open_whole_kl, sparse_zeros
from gpu_checks.kernels.sources import Source
from gpu_checks.subject import Request, SampledBatch, Unavailable, WholeBatch
from gpu_checks.subjects.own import SUBJECTS

from ..kernels.support import needs_compiler, sampled_batch, whole_batch

TRIVIAL = Source(
    "trivial.cu",
    {
        "trivial.cu": '#include "cuda_on_cpu.hpp"\n'
        'extern "C" __global__ void trivial(float* out) { out[threadIdx.x] = KL_NUMBER; }\n'
        "CUDA_ON_CPU_ENTRY(trivial)\n"
    },
    {"KL_NUMBER": "2.0f"},
)


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    return tmp_path / "kl-oracle" / "kernels"


def test_without_a_compiler_one_line_says_what_to_install(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    for subject in SUBJECTS:
        with pytest.raises(Unavailable) as caught:
            subject.backends["host"](Request("float32", 100))
        assert str(caught.value) == (
            "g++ is not installed: kernels on the CPU are compiled by it; install it (Debian: apt-get install g++)"
        )


def test_without_linux(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.platform", "darwin")
    with pytest.raises(Unavailable, match="under Linux alone"):
        open_token_kl(Request("float32", 100))


def test_a_compiler_that_cannot_run(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    fake = tmp_path / "g++"
    fake.write_text("#!/bin/sh\nexit 3\n")
    fake.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    with pytest.raises(Unavailable, match=r"g\+\+ cannot be run"):
        host_build.build(TRIVIAL)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"form": "k4 as loss"}, "no form 'k4 as loss': one of k1, k2, k3, then 'as loss' or 'in reward'"),
        ({"form": "k3"}, "no form 'k3'"),
        ({"weight": "truncated"}, "no weight 'truncated': one of none, detached, differentiated"),
        ({"colour": 1}, "token_kl has no setting 'colour': it has form, weight, temperature, threads"),
        ({"temperature": 0}, "a temperature is above 0, not 0"),
        ({"threads": 100}, "not 100"),
        ({"schedule": "sideways"}, "no schedule 'sideways'"),
    ],
)
def test_settings_that_do_not_exist(settings: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        open_token_kl(Request("float32", 100, settings=settings))


def test_other_requests_that_cannot_be_served() -> None:
    with pytest.raises(ValueError, match="no storage format 'float8'"):
        open_token_kl(Request("float8", 100))
    with pytest.raises(ValueError, match="no form 'sideways_kl': one of reverse_kl, forward_kl"):
        open_whole_kl(Request("float32", 100, settings={"form": "sideways_kl"}))


@pytest.mark.parametrize("opener", [open_token_kl, open_whole_kl, open_gumbel])
@pytest.mark.parametrize("old", ["this text is nowhere", ""])
def test_an_edit_whose_text_is_missing(opener: object, old: str) -> None:
    assert callable(opener)
    with pytest.raises(ValueError, match="an edit's old text is not in ") as caught:
        opener(Request("float32", 100, ((old, "x"),)))
    assert repr(old) in str(caught.value)


@needs_compiler
def test_an_edit_that_does_not_compile() -> None:
    with pytest.raises(RuntimeError, match=r"token_kl.cu does not compile: .*error.*nonsense"):
        open_token_kl(Request("float32", 100, (("value[row] = ", "nonsense[row] = "),)))


@needs_compiler
def test_batches_that_do_not_fit() -> None:
    run = open_token_kl(Request("float32", 257))
    batch = sampled_batch("float32", 257)
    with pytest.raises(ValueError, match=r"logits is bfloat16 \[3, 257\], not float32 \[row, token\]"):
        run(sampled_batch("bfloat16", 257))
    with pytest.raises(ValueError, match="tokens lie from 0 to 256"):
        run(replace(batch, tokens=np.array([0, 257, 1])))
    with pytest.raises(ValueError, match=r"reference is \[2\], not a number for each of 3 rows"):
        run(replace(batch, reference=np.zeros(2, np.float32)))
    with pytest.raises(ValueError, match="logits has 0 tokens"):
        run(replace(batch, logits=np.zeros((3, 0), np.float32)))
    weighted = open_token_kl(Request("float32", 257, settings={"weight": "detached"}))
    with pytest.raises(ValueError, match="a weighted form takes the sampler's log-probabilities"):
        weighted(replace(batch, sampler=None))
    pair = whole_batch("float32", 257)
    with pytest.raises(ValueError, match="policy is"):
        open_whole_kl(Request("float32", 257))(WholeBatch(pair.policy, pair.reference[:2], pair.upstream))


@needs_compiler
def test_a_runner_takes_any_number_of_columns_and_rows() -> None:
    run = open_token_kl(Request("float32", 257))
    assert run(sampled_batch("float32", 8)).gradient.shape == (3, 8)
    none = SampledBatch(np.zeros((0, 8), np.float32), *(np.zeros(0, np.int64), *(np.zeros(0, np.float32),) * 2))
    assert run(none).gradient.shape == (0, 8)
    run.close()


@needs_compiler
def test_a_batch_that_is_not_contiguous() -> None:
    run = open_token_kl(Request("float32", 257))
    batch = sampled_batch("float32", 257)
    turned = replace(batch, logits=np.asfortranarray(batch.logits), upstream=np.repeat(batch.upstream, 2)[::2])
    assert np.array_equal(run(turned).gradient, run(batch).gradient)


@needs_compiler
def test_results_hold_nan_where_a_kernel_writes_nothing() -> None:
    skipping = (("for (int token = threadIdx.x; token < vocabulary", "for (int token = 100; token < 200"),)
    result = open_token_kl(Request("float32", 257, skipping))(sampled_batch("float32", 257))
    written = np.isfinite(result.gradient)
    assert written[:, 100:200:256].all()
    assert np.isnan(result.gradient[:, :100]).all()


@needs_compiler
def test_only_the_rows_asked_for() -> None:
    batch = sampled_batch("float32", 257, rows=6)
    whole = open_token_kl(Request("float32", 257))(batch)
    some = open_token_kl(Request("float32", 257, settings={"rows": [4, 1]}))(batch)
    assert np.array_equal(some.value, whole.value[[4, 1]])
    assert np.array_equal(some.gradient, whole.gradient[[4, 1]])
    logits = np.random.default_rng(0).standard_normal((3, 300)).astype(np.float32)
    tokens = open_gumbel(Request("float32", 300))((logits, 1, 5))
    assert np.array_equal(
        open_gumbel(Request("float32", 300, settings={"rows": [2]}))((logits, 1, 5)),
        tokens[[2]],
    )


@needs_compiler
def test_a_row_that_does_not_exist() -> None:
    with pytest.raises(ValueError, match="logits has 3 rows, and no row 9"):
        open_token_kl(Request("float32", 257, settings={"rows": [1, 9]}))(sampled_batch("float32", 257))


@needs_compiler
def test_threads_of_python_share_a_library() -> None:
    run = open_token_kl(Request("float32", 257))
    batches = [sampled_batch("float32", 257, seed=seed) for seed in range(6)]
    with ThreadPoolExecutor(3) as pool:
        together = list(pool.map(run, batches))
    assert all(np.array_equal(a.gradient, run(b).gradient) for a, b in zip(together, batches, strict=True))


@needs_compiler
def test_a_source_is_built_once_and_again_when_it_changes(cache: Path) -> None:
    first = host_build.build(TRIVIAL)
    stamp = first.stat().st_ino
    assert host_build.build(TRIVIAL) == first
    assert first.stat().st_ino == stamp
    other = host_build.build(replace(TRIVIAL, macros={"KL_NUMBER": "3.0f"}))
    assert other != first
    assert sorted(cache.iterdir()) == sorted([first, other])


@needs_compiler
def test_builds_at_once_do_not_disturb_each_other(cache: Path) -> None:
    with ThreadPoolExecutor(3) as pool:
        paths = set(pool.map(lambda _: host_build.build(TRIVIAL), range(3)))
    assert len(paths) == 1
    assert list(cache.iterdir()) == list(paths)


@needs_compiler
def test_what_nobody_uses_is_forgotten(cache: Path) -> None:
    cache.mkdir(parents=True)
    old, young = cache / "old.so", cache / "young.so"
    for path, age in ((old, 31), (young, 29)):
        path.write_bytes(b"")
        os.utime(path, (path.stat().st_atime, path.stat().st_mtime - age * 86_400))
    host_build.forget_unused(cache)
    assert list(cache.iterdir()) == [young]


def test_a_cache_that_cannot_be_written_is_replaced_by_one_of_this_process(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("no folder")
    monkeypatch.setenv("XDG_CACHE_HOME", str(blocked))
    folder = host_build.cache_folder()
    assert folder.is_dir()
    assert folder == host_build.cache_folder()


def test_the_first_error_of_a_compiler() -> None:
    assert host_build.first_error("In file x:\n  a.cu:3: error: what\n  more error\n") == "a.cu:3: error: what"
    assert host_build.first_error("fatal\n") == "fatal"
    assert host_build.first_error("\n") == "the compiler said nothing"


def test_sparse_zeros_are_zeros_that_can_be_written() -> None:
    array = sparse_zeros((3, 4), np.dtype(np.float32))
    assert (array == 0).all()
    array[1, 2] = 5
    assert array.sum() == 5


def test_the_subjects_name_files_that_exist() -> None:
    root = Path(__file__).parents[3]
    for subject in SUBJECTS:
        assert [source for source in subject.sources if not (root / source).is_file()] == []
        assert subject.cost.chain(128_256) == 501 + 8
    assert SUBJECTS[0].cost.rescalings(128_256) == 32 + 1
