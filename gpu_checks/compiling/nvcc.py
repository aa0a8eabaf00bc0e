"""nvcc, where it is installed: registers and spills as ptxas reports them."""

from __future__ import annotations

import re
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from gpu_checks.backends.host_build import first_error
from gpu_checks.kernels.sources import Source
from gpu_checks.subject import Unavailable

_FUNCTION = re.compile(r"Compiling entry function '(\w+)' for '\w+'")
_FRAME = re.compile(r"(\d+) bytes stack frame, (\d+) bytes spill stores, (\d+) bytes spill loads")
_USED = re.compile(r"Used (\d+) registers")
_SHARED = re.compile(r"(\d+) bytes smem")


@dataclass(frozen=True)
class PtxasUsage:
    """What ptxas says of a kernel: registers of a thread; bytes of stack, spill stores and loads, shared memory."""

    registers: int
    stack: int
    spill_stores: int
    spill_loads: int
    shared: int


@dataclass(frozen=True)
class NvccOutput:
    """PTX text, and the usage of each kernel by its name."""

    ptx: str
    usage: dict[str, PtxasUsage]


def nvcc() -> str:
    """Return the path of nvcc; raises Unavailable where it is not on PATH."""
    path = shutil.which("nvcc")
    if path is None:
        raise Unavailable("nvcc is not on PATH: install the CUDA toolkit's compiler, or rely on NVRTC")
    return path


@cache
def version(path: str) -> str:
    """Return "nvcc 13.0.88"; raises Unavailable where nvcc does not say."""
    run = subprocess.run([path, "--version"], capture_output=True, text=True, check=False)
    found = re.search(r"V(\d+\.\d+\.\d+)", run.stdout)
    if found is None:
        raise Unavailable(f"nvcc cannot be run: {first_error(run.stderr)}")
    return f"nvcc {found[1]}"


def compile_source(source: Source, architecture: str) -> NvccOutput:
    """Compile a source for an architecture such as "sm_90"; raises Unavailable, RuntimeError with the first error."""
    path = nvcc()
    with tempfile.TemporaryDirectory(prefix="kl-oracle-nvcc-") as folder:
        for name, text in source.texts.items():
            (Path(folder) / name).write_text(text, encoding="utf-8")
        macros = [f"-D{name}={value}" for name, value in source.macros.items()]
        command = [path, f"-arch={architecture}", "-std=c++17", "-cubin", "-Xptxas", "-v", "--keep", *macros]
        run = subprocess.run(
            [*command, "-o", "built.cubin", source.main], cwd=folder, capture_output=True, text=True, check=False
        )
        if run.returncode != 0:
            said = first_error(run.stderr)
            raise RuntimeError(f"{source.main} does not compile for {architecture}: {said}")
        (ptx,) = Path(folder).glob("*.ptx")
        return NvccOutput(ptx.read_text(encoding="utf-8"), usage_of(run.stderr))


def usage_of(text: str) -> dict[str, PtxasUsage]:
    """Read what `ptxas -v` prints: a block of lines for each entry function."""
    pieces = _FUNCTION.split(text)
    found = {}
    for name, block in zip(pieces[1::2], pieces[2::2], strict=True):
        frame, used, shared = _FRAME.search(block), _USED.search(block), _SHARED.search(block)
        if frame is not None and used is not None:
            stack, stores, loads = map(int, frame.groups())
            found[name] = PtxasUsage(int(used[1]), stack, stores, loads, int(shared[1]) if shared else 0)
    return found
