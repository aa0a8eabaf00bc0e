"""The array code: every objective and form, the same on NumPy, PyTorch and a strict library of the standard."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import array_api_strict
import numpy as np
import pytest
import torch
from mpmath import mp

from gpu_checks import arrays, elementwise, exact
from proofs.divergences import OBJECTIVES

ROOT = Path(__file__).parents[2]
LIBRARIES: dict[str, Any] = {"numpy": np.asarray, "torch": torch.tensor, "strict": array_api_strict.asarray}


def rows(vocabulary: int, seed: int, spread: float = 2.0, apart: float = 0.3) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(seed)
    x = random.standard_normal((3, vocabulary)) * spread + random.uniform(-5, 5, (3, 1))
    return x, x + apart * random.standard_normal(x.shape) + 1.0


def by_hand(objective: str, x: np.ndarray, y: np.ndarray) -> tuple[float, np.ndarray]:
    """Value and gradient of one row from the definition, with 40 digits: sum q f(p/q), and differences of it."""
    from sympy import lambdify

    from proofs.symbols import U

    f = lambdify([U], OBJECTIVES[objective].generator, "mpmath")
    with mp.workdps(40):

        def value(logits: list[Any]) -> Any:
            p, q = ([mp.exp(v) for v in side] for side in (logits, [mp.mpf(float(v)) for v in y]))
            p, q = [v / sum(p) for v in p], [v / sum(q) for v in q]
            return sum(b * f(a / b) for a, b in zip(p, q, strict=True))

        at = [mp.mpf(float(v)) for v in x]
        step = mp.mpf(10) ** -12
        slope = []
        for k in range(len(at)):
            up, down = ([v + s * step * (i == k) for i, v in enumerate(at)] for s in (1, -1))
            slope.append(float((value(up) - value(down)) / (2 * step)))
        return float(value(at)), np.array(slope)


@pytest.mark.parametrize("objective", OBJECTIVES)
def test_values_and_gradients_are_those_of_the_definition(objective: str) -> None:
    x, y = rows(5, 1, 1.0)
    value, gradient = arrays.divergence(objective, x, y)
    for row in range(3):
        due, slope = by_hand(objective, x[row], y[row])
        assert value[row] == pytest.approx(due, rel=1e-12)
        assert gradient[row] == pytest.approx(slope, abs=1e-11)


@pytest.mark.parametrize("library", LIBRARIES)
@pytest.mark.parametrize("objective", OBJECTIVES)
def test_every_library_gives_the_same_numbers(library: str, objective: str) -> None:
    x, y = rows(4_097, 2)
    value, gradient = arrays.divergence(objective, x, y)
    take = LIBRARIES[library]
    other, slope = arrays.divergence(objective, take(x), take(y))
    assert np.asarray(other) == pytest.approx(value, rel=1e-12)
    assert np.abs(np.asarray(slope) - gradient).max() < 1e-15


@pytest.mark.parametrize("library", LIBRARIES)
def test_scored_tokens_on_every_library(library: str) -> None:
    x, _ = rows(999, 3)
    tokens = np.array([0, 998, 17])
    log_p = x - np.log(np.exp(x).sum(1, keepdims=True))
    own = log_p[np.arange(3), tokens]
    reference, upstream = own - 0.3, np.array([1.0, -2.0, 0.5])
    take = LIBRARIES[library]
    terms = (lambda r, _w: 0.5 * r * r), (lambda r, _w: r)
    value, gradient, kept = arrays.scored(terms, take(x), take(tokens), take(reference), take(upstream))
    due = -np.exp(log_p) * 0.3 * upstream[:, None]
    due[np.arange(3), tokens] += 0.3 * upstream
    assert np.asarray(value) == pytest.approx(np.full(3, 0.045), rel=1e-9)
    assert np.abs(np.asarray(gradient) - due).max() < 1e-14
    assert np.asarray(kept) == pytest.approx(own, rel=1e-12)


@pytest.mark.parametrize("objective", OBJECTIVES)
def test_a_token_of_probability_0_has_no_part_in_it(objective: str) -> None:
    x, y = rows(40, 4)
    x[:, 5] = y[:, 5] = -np.inf
    value, gradient = arrays.divergence(objective, x, y)
    without = [np.delete(side, 5, axis=1) for side in (x, y)]
    due, slope = arrays.divergence(objective, *without)
    assert value == pytest.approx(due, rel=1e-12)
    assert (gradient[:, 5] == 0).all()
    assert np.delete(gradient, 5, axis=1) == pytest.approx(slope, abs=1e-15)


@pytest.fixture(params=["compiled", "by PyTorch"])
def fast(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Both ways of the fast gradient."""
    if request.param == "by PyTorch":
        monkeypatch.setattr(exact, "_compiled", lambda: None)
    elif exact._compiled() is None:
        pytest.skip("g++ is not installed")


@pytest.mark.usefixtures("fast")
@pytest.mark.parametrize("shift", [0.0, 500.0, -700.0])
@pytest.mark.parametrize("vocabulary", [5, 1_025, 32_768, 70_001])
def test_the_fast_gradient_is_the_same(shift: float, vocabulary: int) -> None:
    x, y = rows(vocabulary, 5)
    x, y = x + shift, y - shift
    value, gradient = exact.reverse_kl(x, y)
    due, slope = arrays.divergence("reverse_kl", x, y)
    # logits of 700 are spaced by 1e-13, and so are their differences
    assert value == pytest.approx(due, rel=1e-9)
    assert np.abs(gradient - slope).max() < 1e-12 * np.abs(slope).max() + 4e-13 * (shift != 0)


@pytest.mark.usefixtures("fast")
def test_the_fast_gradient_writes_where_it_is_told_and_refuses_other_shapes() -> None:
    x, y = rows(50, 6)
    out = np.full(x.shape, np.nan)
    _, gradient = exact.reverse_kl(x, y, out)
    assert gradient is out
    assert np.isfinite(out).all()
    assert out.sum(axis=1) == pytest.approx(np.zeros(3), abs=1e-15)  # a gradient by logits sums to 0
    with pytest.raises(ValueError, match=r"out \(3, 49\).*alike"):
        exact.reverse_kl(x, y, np.empty((3, 49)))
    with pytest.raises(ValueError, match="have to be"):
        exact.reverse_kl(x[0], y[0])
    with pytest.raises(ValueError, match="has to be contiguous float64"):
        exact.reverse_kl(x, y, np.empty((50, 3)).T)


@pytest.mark.usefixtures("fast")
def test_a_read_only_array_is_taken_as_it_is() -> None:
    x, y = rows(50, 7)
    x.flags.writeable = False
    value, _ = exact.reverse_kl(x, y)
    assert value == pytest.approx(arrays.divergence("reverse_kl", x, y)[0], rel=1e-9)


def test_compiled_code_leaves_subnormal_numbers_to_everybody() -> None:
    """A library that is linked with -ffast-math sets the processor to flush them when it is loaded."""
    program = (
        "import numpy as np\n"
        "from gpu_checks import exact\n"
        "exact.reverse_kl(np.zeros((2, 9)), np.ones((2, 9)))\n"
        "print(exact._compiled() is not None, float(np.float64(5e-324) * 1.0), np.float32(1e-45) * np.float32(1))"
    )
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, cwd=ROOT)
    compiled, double, single = run.stdout.split()
    assert compiled == str(exact._compiled() is not None)
    assert float(double) == 5e-324
    assert float(single) > 0


@pytest.mark.usefixtures("fast")
def test_no_rows_have_no_gradient() -> None:
    value, gradient = exact.reverse_kl(np.empty((0, 7)), np.empty((0, 7)))
    assert (value.shape, gradient.shape) == ((0,), (0, 7))


@pytest.mark.parametrize("objective", OBJECTIVES)
def test_formulas_of_a_library_without_generated_code_keep_their_digits_near_0(objective: str) -> None:
    near = np.array([1e-9, -1e-6, 1e-3, 0.5, -3.0])
    mine = np.asarray(elementwise.coefficient(objective, array_api_strict)(array_api_strict.asarray(near)))
    due = elementwise.coefficient(objective, np)(near)
    assert mine == pytest.approx(due, rel=1e-6)
