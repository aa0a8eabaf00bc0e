"""Triton kernels of other projects, compiled for a device that is not there: what the machine code says of itself.

`compiled` starts a process without TRITON_INTERPRET, since one process either interprets or compiles. No driver is
needed: the target is explicit, and ptxas and cuobjdump come with Triton. The state of all of it is COMPILED_ONLY.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from gpu_checks.subject import State, Unavailable
from gpu_checks.triton_kernels import LAUNCHES, STORAGE, KernelLaunch

ARCHITECTURES = (80, 90, 100)
"""A100, H100 and B200, as compute capability times 10."""

TYPES = {"float32": "fp32", "bfloat16": "bf16", "float16": "fp16"}

COMPILE_SECONDS = 600.0

ROOT = Path(__file__).resolve().parents[1]


@dataclass(frozen=True)
class CompiledKernel:
    """One kernel for one architecture (`sm_90`: 90) and one storage format.

    `registers` a thread, `stack_bytes` and `local_bytes` a thread (0: nothing spilled), `shared_bytes` a block. The
    rest counts instructions of the PTX: `exp2_approx` and `log2_approx`; `divisions` by their kind (`div.full.f32`);
    `bf16_nearest` and `bf16_truncated` conversions from float32 to bfloat16; `half_arithmetic`, additions, products and
    fma in 16 bits; `float64`, anything in double precision.
    """

    kernel: str
    architecture: int
    dtype: str
    registers: int
    stack_bytes: int
    local_bytes: int
    shared_bytes: int
    exp2_approx: int
    log2_approx: int
    divisions: tuple[str, ...]
    bf16_nearest: int
    bf16_truncated: int
    half_arithmetic: int
    float64: int
    triton: str
    state: State = State.COMPILED_ONLY


def compiled(
    names: Sequence[str] = (), architectures: Sequence[int] = ARCHITECTURES, dtypes: Sequence[str] = ("bfloat16",)
) -> list[CompiledKernel]:
    """Compile kernels of `LAUNCHES` by name (none given: all whose library is installed), in another process.

    Raises ValueError for an unknown name or format, Unavailable where Triton or a named kernel's library is absent,
    RuntimeError with the process's last line where it fails.
    """
    if unknown := {*names} - {launch.name for launch in LAUNCHES} | {*dtypes} - {*TYPES}:
        raise ValueError(f"unknown: {', '.join(sorted(unknown))}")
    if find_spec("triton") is None:
        raise Unavailable("triton is not installed: pip install triton (Linux only)")
    chosen = [launch for launch in LAUNCHES if launch.name in names] or [
        launch for launch in LAUNCHES if find_spec(launch.package)
    ]
    for launch in chosen:
        if find_spec(launch.package) is None:
            raise Unavailable(f"{launch.name} needs the package {launch.package}, which is not installed")
    work = json.dumps([[launch.name for launch in chosen], list(architectures), list(dtypes)])
    run = subprocess.run(
        [sys.executable, "-W", "ignore", "-m", "gpu_checks.triton_compile", work],
        capture_output=True,
        text=True,
        check=False,
        timeout=COMPILE_SECONDS,
        env={
            **{name: value for name, value in os.environ.items() if name != "TRITON_INTERPRET"},
            "PYTHONPATH": os.pathsep.join([str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])]),
        },
    )
    if run.returncode != 0:
        raise RuntimeError(f"Triton did not compile: {(run.stderr.strip().splitlines() or ['no word'])[-1]}")
    return [
        CompiledKernel(**{**facts, "divisions": tuple(facts["divisions"]), "state": State(facts["state"])})
        for facts in json.loads(run.stdout.splitlines()[-1])
    ]


def compile_here(launch: KernelLaunch, architecture: int, dtype: str) -> CompiledKernel:
    """Compile one kernel in this process, which must not interpret."""
    triton: Any = import_module("triton")
    compiler: Any = import_module("triton.compiler")
    target: Any = import_module("triton.backends.compiler").GPUTarget("cuda", architecture, 32)
    function: Any = getattr(import_module(launch.module), launch.attribute)
    while not hasattr(function, "params"):
        function = function.fn
    types, constants, attributes = {}, {}, {}
    for index, name in enumerate(function.arg_names):
        if name in launch.constants:
            types[name], constants[(index,)] = "constexpr", launch.constants[name]
            continue
        types[name] = f"*{TYPES[dtype]}" if launch.types[name] == STORAGE else launch.types[name]
        if types[name] != "fp32":
            attributes[(index,)] = [["tt.divisibility", 16]]
    source = compiler.ASTSource(fn=function, signature=types, constexprs=constants, attrs=attributes)
    kernel = triton.compile(source, target=target, options={"num_warps": launch.warps, "num_stages": launch.stages})
    usage = resource_usage(kernel.asm["cubin"])
    return CompiledKernel(
        launch.name,
        architecture,
        dtype,
        registers=usage["REG"],
        stack_bytes=usage["STACK"],
        local_bytes=usage["LOCAL"],
        shared_bytes=int(kernel.metadata.shared),
        triton=str(triton.__version__),
        **instructions(kernel.asm["ptx"]),
    )


def resource_usage(cubin: bytes) -> dict[str, int]:
    """Return what cuobjdump reports of a cubin's function: REG, STACK, SHARED, LOCAL."""
    tools: Any = import_module("triton.backends.nvidia")
    with TemporaryDirectory(prefix="kl-oracle-cubin-") as folder:
        path = Path(folder) / "kernel.cubin"
        path.write_bytes(cubin)
        tool = Path(next(iter(tools.__path__))) / "bin" / "cuobjdump"
        command = [str(tool), "--dump-resource-usage", str(path)]
        text = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    usage = {name: int(number) for name, number in re.findall(r"\b(REG|STACK|SHARED|LOCAL):(\d+)", text)}
    if "REG" not in usage:
        raise RuntimeError("cuobjdump reports no registers")
    return usage


def instructions(ptx: str) -> dict[str, Any]:
    """Count the instructions of a PTX text that decide about rounding."""

    def count(pattern: str) -> int:
        return len(re.findall(pattern, ptx))

    return {
        "exp2_approx": count(r"\bex2\.approx"),
        "log2_approx": count(r"\blg2\.approx"),
        "divisions": tuple(sorted(set(re.findall(r"\bdiv\.[a-z]+(?:\.ftz)?\.f\d+", ptx)))),
        "bf16_nearest": count(r"\bcvt\.rn(?:\.\w+)*\.bf16(?:x2)?\.f32"),
        "bf16_truncated": count(r"\bcvt\.rz(?:\.\w+)*\.bf16(?:x2)?\.f32"),
        "half_arithmetic": count(r"\b(?:add|sub|mul|fma)(?:\.rn)?(?:\.ftz)?\.(?:bf16|f16)"),
        "float64": count(r"\b\w+(?:\.\w+)*\.f64\b"),
    }


def main(work: str) -> None:
    """Print one JSON line: the kernels that `work` names, compiled."""
    names, architectures, dtypes = json.loads(work)
    facts = [
        asdict(compile_here(launch, architecture, dtype))
        for launch in LAUNCHES
        if launch.name in names
        for architecture in architectures
        for dtype in dtypes
    ]
    print(json.dumps(facts))


if __name__ == "__main__":
    main(sys.argv[1])
