"""Triton kernels compiled without a device: registers and spills of the machine code, rounding facts of the PTX."""

from importlib.util import find_spec

import pytest

from gpu_checks import triton_compile
from gpu_checks.subject import State, Unavailable
from gpu_checks.triton_compile import CompiledKernel, compiled, instructions
from gpu_checks.triton_kernels import LAUNCHES

needs_liger = pytest.mark.skipif(
    find_spec("triton") is None or find_spec("liger_kernel") is None, reason="triton or liger_kernel is not installed"
)


@pytest.fixture(scope="module")
def kernels() -> dict[str, CompiledKernel]:
    return {k.kernel: k for k in compiled(("liger-grpo-backward", "liger-tvd"), (90,), ("bfloat16",))}


@needs_liger
def test_liger_grpo_stores_bfloat16_rounded_to_nearest(kernels: dict[str, CompiledKernel]) -> None:
    """Liger 0.8.5 with Triton 3.9: exp is ex2.approx, nothing is double, nothing spills."""
    kernel = kernels["liger-grpo-backward"]
    assert kernel.state is State.COMPILED_ONLY
    assert 0 < kernel.registers <= 64
    assert kernel.stack_bytes == kernel.local_bytes == kernel.float64 == kernel.bf16_truncated == 0
    assert kernel.exp2_approx > 0
    assert kernel.bf16_nearest > 0
    assert kernel.half_arithmetic == 0


@needs_liger
def test_liger_tvd_adds_in_sixteen_bits(kernels: dict[str, CompiledKernel]) -> None:
    """Why the interpreter refuses it in bfloat16: its sums are rounded to 16 bits as they go."""
    assert kernels["liger-tvd"].half_arithmetic > 0


def test_instructions_are_told_apart() -> None:
    ptx = """
    ex2.approx.ftz.f32 %f1, %f2; lg2.approx.f32 %f3, %f1; div.full.f32 %f4, %f3, %f1; div.approx.f32 %f4, %f3, %f1;
    cvt.rn.bf16.f32 %h1, %f4; cvt.rn.bf16x2.f32 %r1, %f4, %f3; cvt.rz.bf16.f32 %h2, %f4; cvt.f32.bf16 %f5, %h2;
    add.rn.bf16 %h3, %h1, %h2; fma.rn.bf16x2 %r2, %r1, %r1, %r1; add.f32 %f6, %f5, %f4; mul.f64 %d1, %d2, %d3;
    """
    assert instructions(ptx) == {
        "exp2_approx": 1,
        "log2_approx": 1,
        "divisions": ("div.approx.f32", "div.full.f32"),
        "bf16_nearest": 2,
        "bf16_truncated": 1,
        "half_arithmetic": 2,
        "float64": 1,
    }


def test_an_unknown_name_is_named() -> None:
    with pytest.raises(ValueError, match=r"^unknown: float8, nothing$"):
        compiled(("nothing",), dtypes=("float8",))


def test_absence_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(triton_compile, "find_spec", lambda name: None if name == "fla" else True)
    with pytest.raises(Unavailable, match=r"^fla-kl needs the package fla, which is not installed$"):
        compiled(("fla-kl",))
    monkeypatch.setattr(triton_compile, "find_spec", lambda _: None)
    with pytest.raises(Unavailable, match=r"^triton is not installed: pip install triton \(Linux only\)$"):
        compiled()


def test_short_names_are_unique() -> None:
    assert len({launch.name for launch in LAUNCHES}) == len(LAUNCHES)
