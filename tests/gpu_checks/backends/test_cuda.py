"""The backend `cuda`, but for the device: what is compiled, handed over and launched, against the backend `host`."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import ml_dtypes
import numpy as np
import pytest

from gpu_checks.backends import cuda
from gpu_checks.backends.device import device_state
from gpu_checks.backends.own_runners import Gumbel, TokenKl, WholeKl
from gpu_checks.compiling import nvrtc
from gpu_checks.kernels.sources import TOKEN_KL, source_of
from gpu_checks.subject import Request, SampledBatch, Unavailable
from gpu_checks.subjects.own import OWN_GUMBEL, OWN_KL, OWN_WHOLE_KL, SUBJECTS

from ..kernels.support import needs_compiler, sampled_batch, whole_batch
from .stand_in import DeviceArray, StandIn, install, module_of


@pytest.fixture
def device(monkeypatch: pytest.MonkeyPatch) -> StandIn:
    return install(monkeypatch)


def test_what_no_cpu_can_run_is_less_than_fifty_lines() -> None:
    package = Path(cuda.__file__).parents[1]
    assert len(Path(cuda.__file__).read_text(encoding="utf-8").splitlines()) < 50
    named = {path.relative_to(package).as_posix() for path in package.rglob("*.py") if _imports_cupy(path)}
    assert named == {"backends/cuda.py", "backends/device.py", "generated/cupy_forms.py"}


def _imports_cupy(path: Path) -> bool:
    return "import cupy" in path.read_text(encoding="utf-8")


@pytest.mark.parametrize("subject", SUBJECTS, ids=lambda s: s.name)
def test_without_a_device_the_reason_is_that_of_the_detection(subject: object, monkeypatch: pytest.MonkeyPatch) -> None:
    assert hasattr(subject, "backends")
    stand_in = module_of(StandIn())
    stand_in.cuda.runtime.getDeviceCount = lambda: 0
    monkeypatch.setitem(sys.modules, "cupy", stand_in)
    with pytest.raises(Unavailable) as caught:
        subject.backends["cuda"](Request("float32", 100))
    assert (
        str(caught.value) == device_state().reason == ("the CUDA driver sees no device: run it on a machine with a GPU")
    )
    monkeypatch.setitem(sys.modules, "cupy", None)
    with pytest.raises(Unavailable, match="CuPy is not installed"):
        subject.backends["cuda"](Request("float32", 100))


@pytest.mark.skipif(device_state().ready, reason="a device answers here")
def test_without_a_stand_in_the_reason_is_one_line() -> None:
    with pytest.raises(Unavailable) as caught:
        OWN_KL.backends["cuda"](Request("float32", 100))
    assert str(caught.value) == device_state().reason
    assert "\n" not in str(caught.value)


@needs_compiler
@pytest.mark.parametrize("dtype", ["float32", "bfloat16", "float16"])
def test_one_token_a_row(dtype: str, device: StandIn) -> None:
    batch = sampled_batch(dtype, 257)
    request = Request(dtype, 257, settings={"form": "k3 as loss", "weight": "detached", "threads": 64})
    runner = OWN_KL.backends["cuda"](request)
    result, due = runner(batch), OWN_KL.backends["host"](request)(batch)
    assert result.gradient.dtype == batch.logits.dtype
    for name in ("value", "gradient", "log_probability"):
        got, expected = getattr(result, name), getattr(due, name)
        assert type(got) is np.ndarray
        assert got.dtype == expected.dtype
        assert got.tobytes() == expected.tobytes()
    assert device.architectures == ["sm_90"]
    forward, backward = device.launches
    assert (forward.entry, backward.entry) == ("token_kl_forward", "token_kl_backward")
    assert (forward.grid, forward.block) == (backward.grid, backward.block) == ((3, 1, 1), (64, 1, 1))
    stored = np.dtype(np.uint16) if dtype == "bfloat16" else batch.logits.dtype
    f32, i64, i32 = np.dtype(np.float32), np.dtype(np.int64), np.dtype(np.int32)
    assert [a.dtype for a in forward.arguments] == [stored, i64, f32, f32, f32, f32, f32, i32, f32]
    assert [a.dtype for a in backward.arguments] == [stored, i64, f32, f32, f32, f32, stored, i32, f32]
    # logits, tokens, reference, sampler and the log-sum-exps cross once
    assert [a is b for a, b in zip(forward.arguments[:4], backward.arguments[:4], strict=True)] == [True] * 4
    assert forward.arguments[6] is backward.arguments[4]
    assert forward.arguments[-2:] == backward.arguments[-2:] == (257, 1.0)
    runner.close()


@needs_compiler
def test_a_sampler_that_the_kernel_does_not_take_is_a_null_pointer(device: StandIn) -> None:
    OWN_KL.backends["cuda"](Request("float32", 257))(sampled_batch("float32", 257))
    for launch in device.launches:
        assert type(launch.arguments[3]) is np.int64
        assert launch.arguments[3] == 0


@needs_compiler
@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_whole_rows(dtype: str, device: StandIn) -> None:
    batch = whole_batch(dtype, 301)
    request = Request(dtype, 301, settings={"form": "forward_kl", "temperature": 0.7})
    result = OWN_WHOLE_KL.backends["cuda"](request)(batch)
    due = OWN_WHOLE_KL.backends["host"](request)(batch)
    assert result.value.tobytes() == due.value.tobytes()
    assert result.gradient.tobytes() == due.gradient.tobytes()
    (launch,) = device.launches
    assert (launch.entry, launch.grid, launch.block) == ("whole_kl", (3, 1, 1), (256, 1, 1))
    assert launch.arguments[5:] == (301, np.float32(1 / 0.7))


@needs_compiler
def test_draws(device: StandIn) -> None:
    logits = np.random.default_rng(0).standard_normal((2, 300)).astype(np.float32)
    seed = 2**33 + 7
    tokens = OWN_GUMBEL.backends["cuda"](Request("float32", 300))((logits, seed, 5))
    assert np.array_equal(tokens, OWN_GUMBEL.backends["host"](Request("float32", 300))((logits, seed, 5)))
    (launch,) = device.launches
    assert (launch.entry, launch.grid) == ("gumbel", (5, 2, 1))
    assert launch.arguments[2:] == (7, 2, 300, 1.0)
    assert [type(a) for a in launch.arguments[2:]] == [np.uint32, np.uint32, np.int32, np.float32]


@needs_compiler
def test_nothing_is_launched_for_no_rows(device: StandIn) -> None:
    none = SampledBatch(np.zeros((0, 8), np.float32), *(np.zeros(0, np.int64), *(np.zeros(0, np.float32),) * 2))
    assert OWN_KL.backends["cuda"](Request("float32", 8))(none).gradient.shape == (0, 8)
    assert device.launches == []


@needs_compiler
@pytest.mark.parametrize("own", ["rows", "schedule"])
def test_what_only_the_cpu_can_choose_is_refused(own: str, device: StandIn) -> None:
    with pytest.raises(ValueError, match=f"token_kl has no setting '{own}'"):
        OWN_KL.backends["cuda"](Request("float32", 8, settings={own: [0] if own == "rows" else "reverse"}))


@needs_compiler
def test_results_that_no_kernel_writes_are_nan(device: StandIn, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(StandIn, "function", lambda *_: lambda *_: None)
    for dtype in ("float32", "bfloat16", "float16"):
        batch = replace(sampled_batch(dtype, 64), sampler=None)
        result = OWN_KL.backends["cuda"](Request(dtype, 64))(batch)
        assert np.isnan(result.gradient.astype(np.float32)).all()
        assert np.isnan(result.value).all()
    tokens = OWN_GUMBEL.backends["cuda"](Request("float32", 64))((np.zeros((1, 64), np.float32), 0, 3))
    assert (tokens < 0).all()


def test_a_cubin_of_nvrtc_is_what_is_loaded(monkeypatch: pytest.MonkeyPatch) -> None:
    try:
        nvrtc.header_folders()
        nvrtc.bindings()
    except Unavailable as absence:
        pytest.skip(str(absence))
    loaded: list[bytes] = []
    stand_in = module_of(StandIn(), version="80")
    stand_in.cuda.Module = lambda: SimpleNamespace(load=loaded.append)
    monkeypatch.setitem(sys.modules, "cupy", stand_in)
    cuda.Module(source_of(TOKEN_KL, "bfloat16", {}))
    assert loaded[0][:4] == b"\x7fELF"
    assert b"token_kl_backward" in loaded[0]


def test_time_and_properties(device: StandIn) -> None:
    done: list[int] = []
    assert 0 <= cuda.milliseconds(lambda: done.append(1)) < 1e4
    assert done == [1]
    found, driver, runtime = cuda.properties()
    assert (found["name"], driver, runtime) == (b"Stand-in 9000", 13010, 13000)


def test_array_subjects_cross_by_the_same_way(device: StandIn) -> None:
    from gpu_checks.subjects.arrays import SUBJECTS as ARRAYS

    batch = replace(sampled_batch("bfloat16", 65), sampler=None)
    assert batch.logits.dtype == ml_dtypes.bfloat16
    got = ARRAYS[0].backends["cuda"](Request("bfloat16", 65))(batch)
    due = ARRAYS[0].backends["numpy"](Request("bfloat16", 65))(batch)
    assert got.gradient.tobytes() == due.gradient.tobytes()
    assert not isinstance(got.value, DeviceArray)


def test_the_runners_are_those_of_the_cpu() -> None:
    for runner, subject in ((TokenKl, OWN_KL), (WholeKl, OWN_WHOLE_KL), (Gumbel, OWN_GUMBEL)):
        assert set(subject.backends) == {"host", "cuda"}
        assert runner.__module__ == "gpu_checks.backends.own_runners"


def test_the_real_cupy_has_what_is_called() -> None:
    """It imports without a driver; only calls need one."""
    cupy = pytest.importorskip("cupy")
    for name in ("asarray", "asnumpy", "cuda.Module", "cuda.Device", "cuda.Event", "cuda.get_elapsed_time"):
        assert callable(attribute(cupy, name))
    for name in (
        "Module.load",
        "Module.get_function",
        "Event.record",
        "Event.synchronize",
        "Device.compute_capability",
    ):
        assert attribute(cupy.cuda, name) is not None
    for name in ("getDeviceCount", "getDeviceProperties", "driverGetVersion", "runtimeGetVersion"):
        assert callable(attribute(cupy.cuda.runtime, name))


def attribute(of: object, path: str) -> object:
    for name in path.split("."):
        of = getattr(of, name)
    return of
