"""ulps.cu on the CPU: glibc's functions are within an ulp, coarse ones are caught, and mpmath says the same."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest

from gpu_checks.backends.host import HostLauncher
from gpu_checks.compiling import nvrtc
from gpu_checks.compiling.cubin import usage_of
from gpu_checks.evidence import ulps
from gpu_checks.subject import Unavailable

from ..kernels.support import needs_compiler

SAMPLE = {"step": 42_949, "count": 100_001}
"""Over all bit patterns: both signs, subnormal numbers, and NaN."""


@cache
def launcher(edits: tuple[tuple[str, str], ...] = ()) -> HostLauncher:
    return HostLauncher.load(ulps.source(edits))


def bits(x: float) -> int:
    return int(np.float32(x).view(np.uint32))


@needs_compiler
@pytest.mark.parametrize("function", ulps.FUNCTIONS)
def test_the_c_library_is_within_an_ulp(function: str) -> None:
    found = ulps.worst(launcher(), function, **SAMPLE)
    assert 0.5 <= found.error <= 1
    assert (found.function, found.inputs, found.promised) == (function, 100_001, 1.0 if function == "logf" else 2.0)
    assert ulps.exact_error(function, found.input, found.value) == pytest.approx(found.error, abs=1e-6)
    assert ulps.problems(found) == []


@needs_compiler
@pytest.mark.parametrize("function", ulps.FUNCTIONS)
@pytest.mark.parametrize(
    "first",
    [
        bits(np.inf) - 8,
        bits(-np.inf) - 8,
        bits(0.0),
        bits(-0.0),
        bits(1.0) - 8,
        bits(88.72284),
        bits(-103.97),
        bits(-126.0),
    ],
    ids=hex,
)
def test_at_the_edges(function: str, first: int) -> None:
    """Infinities and NaN, zeros and subnormal numbers, overflow, results that are subnormal or vanish."""
    found = ulps.worst(launcher(), function, first, 1, 64, blocks=1)
    assert found.error <= 1
    assert ulps.exact_error(function, found.input, found.value) == pytest.approx(found.error, abs=1e-6)


@needs_compiler
@pytest.mark.parametrize(
    "coarse",
    [
        {
            "expf": "exp2f(x * 1.4426950408889634f)",
            "logf": "logf(x) * 1.0000004f",
            "exp2f": "exp2f(x) + 1e-7f",
        },
        {
            "expf": "x > 88.5f ? __int_as_float(0x7f800000) : expf(x)",
            "logf": "x < 0.0f ? 0.0f : logf(x)",
            "exp2f": "x < -126.0f ? 0.0f : exp2f(x)",
        },
        {"expf": "x != x ? 0.0f : expf(x)"},
    ],
    ids=["inexact", "wrong at an end", "wrong of NaN"],
)
def test_a_coarse_function_is_caught(coarse: dict[str, str]) -> None:
    edits = tuple((f"return {name}(x);", f"return {text};") for name, text in coarse.items())
    for function in ulps.FUNCTIONS:
        found = ulps.worst(launcher(edits), function, **SAMPLE)
        again = ulps.exact_error(function, found.input, found.value)
        assert again == pytest.approx(found.error, rel=1e-6, abs=1e-6)
        if function in coarse:
            assert found.error > 2
            assert any("where the bounds take" in problem for problem in ulps.problems(found))
        else:
            assert found.error <= 1
            assert ulps.problems(found) == []


@needs_compiler
def test_every_input_counts_once() -> None:
    """One wrong input among 2^12, at the ends and across threads and blocks."""
    wrong = bits(1.5)
    edit = ("return expf(x);", f"return x == __int_as_float({wrong}) ? 0.0f : expf(x);")
    for place in (0, 1, 255, 256, 767, 768, 4095):
        found = ulps.worst(launcher((edit,)), "expf", wrong - place, 1, 4096, blocks=3)
        assert found.input == wrong
        assert found.error > 1e6
        assert ulps.worst(launcher((edit,)), "expf", wrong - 2 * place, 2, 4096).error > 1e6
    assert ulps.worst(launcher((edit,)), "expf", wrong - 4096, 1, 4096).error <= 1


def test_the_error_in_ulps() -> None:
    assert ulps.exact_error("expf", bits(0.0), bits(1.0)) == 0
    assert ulps.exact_error("expf", bits(0.0), bits(1.0) + 1) == 1
    assert ulps.exact_error("expf", bits(-np.inf), bits(0.0)) == 0
    assert ulps.exact_error("expf", bits(-np.inf), bits(2.0**-149)) == 1
    assert ulps.exact_error("expf", bits(100.0), bits(np.inf)) == 0
    assert ulps.exact_error("expf", bits(100.0), bits(np.finfo(np.float32).max)) == 1
    assert ulps.exact_error("expf", bits(np.nan), bits(np.nan)) == 0
    assert ulps.exact_error("expf", bits(np.nan), bits(0.0)) == 1e300
    assert ulps.exact_error("exp2f", bits(-149.0), bits(0.0)) == 1
    assert ulps.exact_error("exp2f", bits(3.0), bits(8.0) - 1) == 0.5  # below a power of two, places are half as far
    assert ulps.exact_error("logf", bits(0.0), bits(-np.inf)) == 0
    assert ulps.exact_error("logf", bits(-0.0), bits(-np.inf)) == 0
    assert ulps.exact_error("logf", bits(-1.0), bits(np.nan)) == 0
    assert ulps.exact_error("logf", bits(-1.0), bits(0.0)) == 1e300
    assert ulps.exact_error("logf", bits(np.inf), bits(np.inf)) == 0


@needs_compiler
def test_a_recorded_error_that_is_not_so_is_named() -> None:
    from msgspec.structs import replace

    found = ulps.worst(launcher(), "logf", **SAMPLE)
    (problem,) = ulps.problems(replace(found, error=found.error / 2))
    assert problem.startswith(f"logf({found.input:#010x}): off by 0.3")
    assert ulps.problems(replace(found, function="sinf")) == ["sinf: no function that is measured"]
    assert len(ulps.problems(replace(found, value=found.value + 5))) == 2


@needs_compiler
def test_what_is_refused() -> None:
    for function, count in (("sinf", 5), ("expf", 0), ("expf", 2**32 + 1)):
        with pytest.raises(ValueError, match=f"{function} over {count} inputs: pass one of expf, logf, exp2f"):
            ulps.worst(launcher(), function, count=count)
    with pytest.raises(ValueError, match="an edit's old text is not in"):
        ulps.source((("nowhere", "x"),))


def test_blocks_that_nothing_came_back_from() -> None:
    class Idle:
        def take(self, array: object) -> object:
            return array

        def give(self, handle: object) -> object:
            return handle

        def launch(self, *_arguments: object) -> None:
            """Launches nothing."""

    with pytest.raises(RuntimeError, match=r"ulps.cu left 4 of 4 blocks unwritten"):
        ulps.worst(Idle(), "expf", count=1000)  # type: ignore[arg-type]


@pytest.mark.parametrize("architecture", ["sm_80", "sm_90", "sm_120"])
def test_it_compiles_for_devices(architecture: str) -> None:
    try:
        nvrtc.header_folders()
        nvrtc.bindings()
    except Unavailable as absence:
        pytest.skip(str(absence))
    made = nvrtc.compile_source(ulps.source(), architecture)
    assert usage_of(made.cubin)["ulps"].stack == 0
