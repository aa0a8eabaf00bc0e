"""`python -m gpu_checks.on_device`: what it says without a device, and which machine it finds with one."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

import gpu_checks.on_device as module
from gpu_checks.backends import cuda
from gpu_checks.backends.device import device_state
from gpu_checks.compiling import nvrtc
from gpu_checks.evidence import read, rederive, stale, this_machine
from gpu_checks.evidence.reading import FOLDER
from gpu_checks.subject import Unavailable
from gpu_checks.subjects import bundled

from .backends.stand_in import install
from .kernels.support import needs_compiler

ROOT = Path(__file__).parents[2]


@pytest.mark.skipif(device_state().ready, reason="a device answers here")
def test_without_a_device_one_line_says_why_not() -> None:
    before = sorted(FOLDER.iterdir())
    run = subprocess.run(
        [sys.executable, "-m", "gpu_checks.on_device"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert run.returncode == 2
    assert run.stderr == ""
    assert run.stdout == f"NOT_RUN: {device_state().reason}\n"
    assert sorted(FOLDER.iterdir()) == before


def test_without_cupy(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setitem(sys.modules, "cupy", None)
    result = CliRunner().invoke(module.main, ["--folder", str(tmp_path / "none")])
    assert result.exit_code == 2
    assert result.output.startswith("NOT_RUN: CuPy is not installed (")
    assert len(result.output.splitlines()) == 1
    assert list(tmp_path.iterdir()) == []


def test_with_a_device_but_nothing_to_compile_with(monkeypatch: pytest.MonkeyPatch) -> None:
    install(monkeypatch)

    def absent() -> str:
        raise Unavailable(f"cuda-bindings is not installed: {nvrtc.INSTALL}")

    monkeypatch.setattr(nvrtc, "version", absent)
    result = CliRunner().invoke(module.main)
    assert (result.exit_code, result.output) == (2, f"NOT_RUN: cuda-bindings is not installed: {nvrtc.INSTALL}\n")


@needs_compiler
def test_the_whole_run_with_a_stand_in_for_the_device(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """All of a device's run but the device: the glue of `cuda`, over a CuPy whose modules run on the CPU."""
    install(monkeypatch)
    monkeypatch.setattr(nvrtc, "version", lambda: "nvrtc 13.0")
    monkeypatch.setattr(nvrtc, "header_folders", lambda: ())
    machine = this_machine()
    assert (machine.backend, machine.load, machine.clock) == ("cuda", cuda.Module, cuda.milliseconds)
    assert (machine.device.name, machine.device.compute_capability) == ("Stand-in 9000", "9.0")
    monkeypatch.setattr("gpu_checks.audit.drawing._DRAWS", {"cuda": 1000})  # a million are for a device
    arguments = ["--vocab", "97", "--dtype", "float16", "--inputs", "5000", "--rows", "2", "--folder", str(tmp_path)]
    result = CliRunner().invoke(module.main, arguments)
    assert "Stand-in 9000, compute capability 9.0, CUDA 13000, driver 13010" in result.output
    (path,) = tmp_path.iterdir()
    assert path.name.startswith("stand-in-9000-")
    evidence = read(path)
    assert {c.subject: c.state for c in evidence.cells} == {
        s.name: "EXECUTED_GPU" for s in bundled().values() if "cuda" in s.backends
    }
    assert {c.outcome for c in evidence.cells} == {"passes"}, result.output
    assert result.exit_code == 0, result.output
    assert rederive(evidence).problems == []
    assert stale(evidence) == []
