"""NVRTC through cuda-bindings: PTX and cubin of a source, for an architecture that need not be here."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from gpu_checks.backends.host_build import first_error
from gpu_checks.kernels.sources import Source
from gpu_checks.subject import Unavailable

INSTALL = "pip install 'kl-oracle[nvrtc]' (Linux)"


@dataclass(frozen=True)
class Compiled:
    """What NVRTC made: PTX text and the cubin's bytes, none for a virtual architecture (compute_90)."""

    ptx: str
    cubin: bytes


@cache
def bindings() -> Any:
    """Return cuda.bindings.nvrtc; raises Unavailable where it, or the library that it calls, is missing."""
    try:
        module = import_module("cuda.bindings.nvrtc")
    except ImportError as error:
        raise Unavailable(f"cuda-bindings is not installed: {INSTALL}") from error
    try:
        module.nvrtcVersion()
    except RuntimeError as error:  # also what cuda-pathfinder raises where it finds no library
        raise Unavailable(f"NVRTC's library is not installed: {INSTALL}") from error
    return module


def version() -> str:
    """Return NVRTC's version, as "nvrtc 13.0"; raises Unavailable."""
    _, major, minor = bindings().nvrtcVersion()
    return f"nvrtc {major}.{minor}"


@cache
def header_folders() -> tuple[Path, ...]:
    """Return the include folders of the pip packages nvidia-cuda-runtime and nvidia-cuda-cccl.

    Raises Unavailable where no installed package has cuda_fp16.h.
    """
    spec = find_spec("nvidia")
    roots = list(spec.submodule_search_locations or ()) if spec else []
    for root in roots:
        for header in sorted(Path(root).glob("*/include/cuda_fp16.h")):
            folder = header.parent
            standard = folder / "cccl"
            return (folder, standard) if standard.is_dir() else (folder,)
    raise Unavailable(f"CUDA's headers are not installed: {INSTALL}")


def compile_source(source: Source, architecture: str) -> Compiled:
    """Compile a source for an architecture such as "sm_90".

    Raises Unavailable without NVRTC or headers, RuntimeError with the first error for a source that does not compile
    and for an architecture that this NVRTC does not know.
    """
    nvrtc = bindings()
    options = [
        f"--gpu-architecture={architecture}",
        "--std=c++17",
        *(f"-I{folder}" for folder in header_folders()),
        *(f"-D{name}={value}" for name, value in source.macros.items()),
    ]
    headers = [name for name in source.texts if name != source.main]
    program = _checked(
        nvrtc.nvrtcCreateProgram(
            source.texts[source.main].encode(),
            source.main.encode(),
            len(headers),
            [source.texts[name].encode() for name in headers],
            [name.encode() for name in headers],
        )
    )
    try:
        (result,) = nvrtc.nvrtcCompileProgram(program, len(options), [option.encode() for option in options])
        if int(result) != 0:
            log = _bytes(program, nvrtc.nvrtcGetProgramLogSize, nvrtc.nvrtcGetProgramLog).rstrip(b"\0").decode()
            raise RuntimeError(f"{source.main} does not compile for {architecture}: {first_error(log)}")
        ptx = _bytes(program, nvrtc.nvrtcGetPTXSize, nvrtc.nvrtcGetPTX).rstrip(b"\0").decode()
        if architecture.startswith("compute_"):
            return Compiled(ptx, b"")
        return Compiled(ptx, _bytes(program, nvrtc.nvrtcGetCUBINSize, nvrtc.nvrtcGetCUBIN))
    finally:
        nvrtc.nvrtcDestroyProgram(program)


def _checked(answer: tuple[Any, ...]) -> Any:
    """Return what a call of NVRTC returned beside its status; raises RuntimeError where that is an error."""
    status, *rest = answer
    if int(status) != 0:
        raise RuntimeError(f"NVRTC: {status.name}")
    return rest[0] if rest else None


def _bytes(program: Any, size: Any, get: Any) -> bytes:
    """Read a text or a file that a program holds."""
    buffer = bytearray(_checked(size(program)))
    _checked(get(program, buffer))
    return bytes(buffer)
