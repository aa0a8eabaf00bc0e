"""Each gap of Triton's interpreter: the stock behaviour is wrong, and with the shim it is right or refused.

The same kernels run in two processes, one of them with the shim; the truth is PyTorch's bfloat16 on the CPU.
"""

import json
import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from gpu_checks.backends.triton_shim import _internals
from gpu_checks.subject import Unavailable

KERNELS = Path(__file__).with_name("triton_gap_kernels.py")
ROOT = KERNELS.parents[3]


def run(mode: str) -> dict[str, object]:
    pytest.importorskip("triton", reason="Triton is for Linux only: pip install triton")
    environment = {**os.environ, "TRITON_INTERPRET": "1", "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-W", "ignore", str(KERNELS), mode]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stderr
    results: dict[str, object] = json.loads(done.stdout)
    return results


@pytest.fixture(scope="module")
def stock() -> dict[str, object]:
    return run("stock")


@pytest.fixture(scope="module")
def shim() -> dict[str, object]:
    return run("shim")


def truths() -> dict[str, torch.Tensor]:
    from tests.gpu_checks.backends.triton_inputs import N, inputs

    x, y = inputs()
    low, other = x.bfloat16(), y.bfloat16()
    low[3], other[3] = 1.0, 2.0
    i = torch.arange(16)
    square = (16 * i[:, None] + i[None, :]) % N
    return {
        "cast": x.bfloat16(),
        "add": low + other,
        "multiply": low * other,
        "negate": -low,
        "less": (low < other).float(),
        "largest index": (-low.abs()).argmax()[None],
        "maximum": low.max()[None],
        "dot": (low[square].double() @ other[square].double()).reshape(-1),
        "scalar mask": torch.ones(N),
        "tanh": torch.tanh(x),
    }


WRONG_IN_STOCK = {"cast", "add", "multiply", "negate", "less", "largest index", "dot", "scalar mask", "tanh"}


def agrees(found: object, true: torch.Tensor) -> bool:
    return isinstance(found, list) and torch.allclose(
        torch.tensor(found, dtype=torch.float64), true.double(), rtol=1e-6, atol=0, equal_nan=True
    )


@pytest.mark.parametrize("name", sorted(WRONG_IN_STOCK | {"maximum"}))
def test_the_shim_agrees_with_pytorch(shim: dict[str, object], name: str) -> None:
    assert agrees(shim[name], truths()[name]), shim[name]


@pytest.mark.parametrize("name", sorted(WRONG_IN_STOCK))
def test_the_stock_interpreter_does_not(stock: dict[str, object], name: str) -> None:
    assert not agrees(stock[name], truths()[name])


def test_a_cast_that_asks_for_truncation_truncates(shim: dict[str, object], stock: dict[str, object]) -> None:
    """fp_downcast_rounding="rtz", what the stock interpreter does to every cast."""
    assert shim["truncating cast"] == stock["cast"] != shim["cast"]


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("sum", "a 16-bit reduction (sum_combine)"),
        ("float16 sum", "a 16-bit reduction (sum_combine)"),
        ("running sum", "a 16-bit scan"),
        ("bessel", "libdevice.j0"),
        ("double cast", "a cast of float64 to bfloat16"),
    ],
)
def test_what_cannot_be_faithful_is_refused_by_name(shim: dict[str, object], name: str, words: str) -> None:
    assert str(shim[name]).startswith(f"Refused: Triton's interpreter cannot run {words} as compiled code does")


def test_the_stock_interpreter_sums_bit_patterns(stock: dict[str, object]) -> None:
    """Silently: it gives a number, far from the sum."""
    from tests.gpu_checks.backends.triton_inputs import inputs

    low = inputs()[0].bfloat16()
    low[3] = 1.0
    (total,) = stock["sum"]  # type: ignore[misc]
    assert not abs(total - float(low.double().sum())) < 1


def test_a_python_float_is_a_float32_scalar(stock: dict[str, object], shim: dict[str, object]) -> None:
    assert "'float' object has no attribute 'to'" in str(stock["scalar"])
    assert shim["scalar"] == [float(torch.tensor(0.1) * 3)]


def test_autotuning_takes_the_first_configuration_and_says_so(
    stock: dict[str, object], shim: dict[str, object]
) -> None:
    assert isinstance(stock["autotune"], str)
    assert shim["autotune"] == [16.0]
    assert "BLOCK: 16" in str(shim["configurations"])
    assert "the first of 2" in str(shim["configurations"])


def test_chosen_programs_run_alone(shim: dict[str, object]) -> None:
    assert shim["programs"] == [0.0, 2.0, 0.0, 4.0]


def test_outside_the_interpreter_the_shim_is_unavailable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TRITON_INTERPRET", raising=False)
    with pytest.raises(Unavailable, match="needs TRITON_INTERPRET=1 before triton is first imported"):
        _internals.load()


def test_without_triton_one_line_says_what_brings_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRITON_INTERPRET", "1")
    monkeypatch.setitem(sys.modules, "triton", None)
    with pytest.raises(Unavailable, match=r"^triton is not installed: pip install triton \(Linux only\)$"):
        _internals.load()


def test_a_part_that_another_version_lacks_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRITON_INTERPRET", "1")
    monkeypatch.setitem(sys.modules, "triton", SimpleNamespace(__version__="9.9"))
    monkeypatch.setattr(_internals, "NEEDED", {"gpu_checks.formats": ("FORMATS", "Format.of_tomorrow")})
    with pytest.raises(Unavailable) as caught:
        _internals.load()
    assert str(caught.value) == (
        "the interpreter of Triton 9.9 has no gpu_checks.formats.Format.of_tomorrow, which the shim replaces: "
        "use triton 3.9"
    )
