"""The kernels compiled for devices that are not here, and what the audit says where a compiler is missing."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
import tempfile
from importlib.util import find_spec
from pathlib import Path

import pytest

from gpu_checks import compile_audit
from gpu_checks.compile_audit import ARCHITECTURES, Compilation, Unit, audit, default_units, other_units
from gpu_checks.compiling import nvcc, nvrtc
from gpu_checks.compiling.cubin import usage_of
from gpu_checks.compiling.ptx import facts_of
from gpu_checks.kernels.sources import KERNELS, STORAGE, TOKEN_KL, Source, source_of
from gpu_checks.subject import State, Unavailable


def absence_of_nvrtc() -> str:
    try:
        nvrtc.header_folders()
        nvrtc.bindings()
    except Unavailable as absence:
        return str(absence)
    return ""


needs_nvrtc = pytest.mark.skipif(bool(absence_of_nvrtc()), reason=absence_of_nvrtc() or "NVRTC is here")


@needs_nvrtc
@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_every_kernel_compiles_for_every_architecture(architecture: str) -> None:
    units = [u for k in KERNELS.values() for u in default_units(k) if u.architecture == architecture]
    if architecture != "sm_90":
        units = [u for u in units if u.dtype == "bfloat16"]
    report = audit(("nvrtc",), units)
    assert report.absences == ()
    assert report.state is State.COMPILED_ONLY
    assert [(r.entry, r.problems()) for r in report.failing] == []
    assert len(report.records) == sum(len(KERNELS[u.kernel].entries) for u in units)
    for record in report.records:
        assert record.registers is not None
        assert 8 <= record.registers <= 64
        assert record.stack == 0
        assert record.doubles == 0
    by_entry = {(r.entry, r.dtype): r for r in report.records}
    backward = by_entry["token_kl_backward", "bfloat16"]
    assert backward.stores == ("cvt.rn.bf16.f32",)
    assert by_entry["token_kl_forward", "bfloat16"].shared == 1024
    assert by_entry["gumbel", "bfloat16"].shared == 2048
    assert all(e.startswith("ex2.approx") for e in backward.exponentials)
    assert by_entry["gumbel", "bfloat16"].logarithms == ()  # logf without fast math is a polynomial


@needs_nvrtc
def test_a_weighted_form_compiles() -> None:
    unit = Unit("token_kl", "k3 as loss", "detached", "float16", "sm_90")
    report = audit(("nvrtc",), [unit])
    assert report.failing == ()
    assert report.records[1].stores == ("cvt.rn.f16.f32",)


@needs_nvrtc
@pytest.mark.parametrize(
    ("edit", "problem"),
    [
        (
            ("const float own_token = token == chosen ? 1.0f", "const double own_token = token == chosen ? 1.0"),
            "float64",
        ),
        (("__float2bfloat16_rn(number)", "__float2bfloat16_rz(number)"), "cvt.rz.bf16.f32 does not round to nearest"),
        (("value[row] = ", "nonsense[row] = "), 'does not compile: token_kl.cu.*error: identifier "nonsense"'),
    ],
)
def test_a_fault_is_a_problem(edit: tuple[str, str], problem: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(kernel: object, dtype: str, settings: dict[str, str]) -> Source:
        return source_of(TOKEN_KL, dtype, settings, (edit,))

    monkeypatch.setattr(compile_audit, "source_of", broken)
    report = audit(("nvrtc",), [Unit("token_kl", "k3 as loss", "none", "bfloat16", "sm_90")])
    said = "\n".join(p for r in report.failing for p in r.problems())
    assert re.search(problem, said), said


@needs_nvrtc
def test_an_architecture_that_does_not_exist() -> None:
    report = audit(("nvrtc",), [Unit("gumbel", "", "", "float32", "sm_9999")])
    assert report.state is State.NOT_RUN
    assert all("sm_9999" in r.error for r in report.records)


@needs_nvrtc
def test_registers_and_stack_are_those_that_cuobjdump_reads() -> None:
    tool = shutil.which("cuobjdump")
    spec = find_spec("triton")
    if tool is None and spec is not None and spec.submodule_search_locations:
        found = Path(spec.submodule_search_locations[0]) / "backends/nvidia/bin/cuobjdump"
        tool = str(found) if found.is_file() else None
    if tool is None:
        pytest.skip("needs cuobjdump (of the CUDA toolkit, or in triton)")
    for kernel in KERNELS.values():
        cubin = nvrtc.compile_source(source_of(kernel, "bfloat16", {}), "sm_90").cubin
        printed = run_tool(tool, cubin)
        pattern = r"Function (\w+):\s+REG:(\d+) STACK:(\d+)"
        due = {name: (int(registers), int(stack)) for name, registers, stack in re.findall(pattern, printed)}
        assert {name: (u.registers, u.stack) for name, u in usage_of(cubin).items()} == due
        assert set(due) == set(kernel.entries)


def run_tool(tool: str, cubin: bytes) -> str:
    with tempfile.NamedTemporaryFile(suffix=".cubin") as file:
        file.write(cubin)
        file.flush()
        return subprocess.run(
            [tool, "--dump-resource-usage", file.name], capture_output=True, text=True, check=True
        ).stdout


@pytest.mark.skipif(shutil.which("nvcc") is None, reason="needs nvcc (of the CUDA toolkit)")
def test_nvcc_finds_nothing_wrong_either() -> None:
    report = audit(("nvcc",), [Unit("token_kl", "k3 as loss", "none", "bfloat16", "sm_90")])
    assert report.failing == ()
    backward = report.records[1]
    assert backward.compiler.startswith("nvcc ")
    assert (backward.spill_stores, backward.spill_loads) == (0, 0)
    assert backward.stores == ("cvt.rn.bf16.f32",)


def test_without_compilers_each_has_a_line_and_nothing_ran(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    nvrtc.bindings.cache_clear()
    nvrtc.header_folders.cache_clear()
    monkeypatch.setitem(sys.modules, "cuda.bindings.nvrtc", None)
    try:
        report = audit()
    finally:
        monkeypatch.undo()
        nvrtc.bindings.cache_clear()
    assert report.records == ()
    assert report.state is State.NOT_RUN
    assert [line.partition(":")[0] for line in report.absences] in (
        ["cuda-bindings is not installed", "nvcc is not on PATH"],
        ["CUDA's headers are not installed", "nvcc is not on PATH"],
    )
    assert all("\n" not in line for line in report.absences)


def test_without_headers(monkeypatch: pytest.MonkeyPatch) -> None:
    nvrtc.header_folders.cache_clear()
    monkeypatch.setattr(nvrtc, "find_spec", lambda _name: None)
    with pytest.raises(Unavailable, match=r"CUDA's headers are not installed: pip install 'kl-oracle\[nvrtc\]'"):
        nvrtc.header_folders()
    monkeypatch.undo()
    nvrtc.header_folders.cache_clear()


def test_a_compiler_that_does_not_exist() -> None:
    with pytest.raises(ValueError, match="no compiler 'hipcc': one of nvrtc, nvcc"):
        audit(("hipcc",))


def test_every_form_is_among_the_units_once() -> None:
    units = [*(u for k in KERNELS.values() for u in default_units(k)), *other_units()]
    assert len(units) == len(set(units))
    assert {u.architecture for u in units} == set(ARCHITECTURES)
    forms = {(u.form, u.weight) for u in units if u.kernel == "token_kl"}
    assert len(forms) == 3 * 2 * 3
    assert {u.dtype for u in default_units(TOKEN_KL)} == set(STORAGE)


def record(**known: object) -> Compilation:
    base = {"kernel": "token_kl", "entry": "token_kl_backward", "form": "k3 as loss", "weight": "none"}
    rest = {"dtype": "bfloat16", "architecture": "sm_90", "compiler": "nvrtc 13.0", "state": "COMPILED_ONLY"}
    return Compilation(**{**base, **rest, "stores": ("cvt.rn.bf16.f32",), **known})  # type: ignore[arg-type]


def test_problems_and_json() -> None:
    assert record().problems() == ()
    assert record(doubles=3).problems() == ("3 instructions in float64, where all arithmetic is to be float32",)
    assert record(stack=16).problems() == ("16 bytes of stack in local memory: registers are spilled",)
    assert record(stores=()).problems() == ("no conversion to bfloat16: its stores were not found",)
    written = json.loads(json.dumps(record(doubles=3).as_json()))
    assert written["state"] == "COMPILED_ONLY"
    assert written["problems"] == list(record(doubles=3).problems())


def test_ptx_is_read_by_entry() -> None:
    text = """
.visible .entry one(
	.param .u64 one_param_0
)
{
	.shared .align 4 .b8 shared_one[1024];
	.shared .align 8 .u64 flag;
	ex2.approx.ftz.f32 	%f1, %f2;
	@%p1 mul.rn.f64 	%fd1, %fd2, %fd3;
	cvt.f64.f32 	%fd4, %f1;
	cvt.rn.bf16.f32 	%rs1, %f1;
	lg2.approx.f32 %f1, %f2;
}
.visible .entry two()
{
	.reg .f64 %fd<3>;
	ret;
}
"""
    facts = facts_of(text)
    one = facts["one"]
    assert (one.shared, one.doubles) == (1032, 2)
    assert (one.stores, one.exponentials) == (("cvt.rn.bf16.f32",), ("ex2.approx.ftz.f32",))
    assert one.logarithms == ("lg2.approx.f32",)
    assert (facts["two"].shared, facts["two"].doubles) == (0, 0)


@pytest.mark.parametrize("text", [b"", b"\x7fELF\x02\x01", b"no ELF file at all, but of some length" * 10])
def test_what_is_no_cubin(text: bytes) -> None:
    with pytest.raises(ValueError, match="no cubin"):
        usage_of(text)


def test_what_ptxas_prints() -> None:
    text = """ptxas info    : 0 bytes gmem
ptxas info    : Compiling entry function 'one' for 'sm_90'
ptxas info    : Function properties for one
    8 bytes stack frame, 4 bytes spill stores, 12 bytes spill loads
ptxas info    : Used 26 registers, used 1 barriers, 1024 bytes smem
ptxas info    : Compiling entry function 'two' for 'sm_90'
ptxas info    : Function properties for two
    0 bytes stack frame, 0 bytes spill stores, 0 bytes spill loads
ptxas info    : Used 16 registers, used 0 barriers
"""
    assert nvcc.usage_of(text) == {
        "one": nvcc.PtxasUsage(26, 8, 4, 12, 1024),
        "two": nvcc.PtxasUsage(16, 0, 0, 0, 0),
    }
