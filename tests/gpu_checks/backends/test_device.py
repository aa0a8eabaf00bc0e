"""Whether a device is here: one word, and one line that says what is missing; nothing is raised."""

from __future__ import annotations

import sys
import types

import pytest

from gpu_checks.backends.device import device_state


def stand_in(count: object) -> types.ModuleType:
    """A module that answers as CuPy does; `count` is returned, or raised."""

    def answer() -> object:
        if isinstance(count, Exception):
            raise count
        return count

    module = types.ModuleType("cupy")
    module.cuda = types.SimpleNamespace(  # type: ignore[attr-defined]
        runtime=types.SimpleNamespace(getDeviceCount=answer),
        Device=lambda: types.SimpleNamespace(compute_capability="90"),
    )
    return module


def test_without_cupy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "cupy", None)
    state = device_state()
    assert (state.word, state.ready) == ("no CuPy", False)
    assert state.reason.startswith("CuPy is not installed")
    assert "pip install 'kl-oracle[cuda]'" in state.reason


@pytest.mark.parametrize(
    ("count", "word", "said"),
    [
        (RuntimeError("cudaErrorInsufficientDriver: too old\nmore"), "no driver", "cudaErrorInsufficientDriver"),
        (0, "no device", "the CUDA driver sees no device"),
    ],
)
def test_without_a_driver_or_a_device(monkeypatch: pytest.MonkeyPatch, count: object, word: str, said: str) -> None:
    monkeypatch.setitem(sys.modules, "cupy", stand_in(count))
    state = device_state()
    assert (state.word, state.ready) == (word, False)
    assert said in state.reason
    assert "\n" not in state.reason
    assert "run it on a machine with a GPU" in state.reason


def test_with_a_device(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "cupy", stand_in(2))
    state = device_state()
    assert (state.word, state.ready) == ("gpu", True)
    assert state.reason == "2 device(s), compute capability 90"
