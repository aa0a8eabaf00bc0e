"""CUDA C++ compiled for the CPU by g++ into a cache, one shared object for each source, macros and compiler."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from functools import cache
from pathlib import Path

from gpu_checks.kernels.sources import Source, text_of
from gpu_checks.subject import Unavailable

FLAGS = (
    "-std=c++17",
    "-O2",
    "-ffp-contract=off",  # no fma where the source has none: the same bits on every machine
    "-fwrapv",  # an index that overflows wraps, as it does on the device
    "-fvisibility=hidden",  # the libraries of two kernels share nothing
    "-U_FORTIFY_SOURCE",  # its check of longjmp takes a change of fibers for an error
    "-fPIC",
    "-shared",
)
"""How kernels are compiled. No -ffast-math: NaN and inf are what they are."""

SHIM = "cuda_on_cpu.hpp"


def compiler() -> str:
    """Return the path of g++; raises Unavailable where there is none, or where the system is not Linux."""
    if not sys.platform.startswith("linux"):
        raise Unavailable("kernels run on the CPU under Linux alone: use Linux, or a container")
    path = shutil.which("g++")
    if path is None:
        raise Unavailable(
            "g++ is not installed: kernels on the CPU are compiled by it; install it (Debian: apt-get install g++)"
        )
    return path


@cache
def compiler_version(path: str) -> str:
    """Return the compiler's first line about itself; raises Unavailable where it cannot be run."""
    try:
        run = subprocess.run([path, "--version"], capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError) as error:
        raise Unavailable(f"g++ cannot be run: {error}") from error
    return run.stdout.partition("\n")[0]


def cache_folder() -> Path:
    """Return the folder of built kernels: below $XDG_CACHE_HOME or ~/.cache, or one of this process's own."""
    root = os.environ.get("XDG_CACHE_HOME")
    folder = (Path(root) if root else Path.home() / ".cache") / "kl-oracle" / "kernels"
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        with tempfile.TemporaryFile(dir=folder):
            return folder
    except OSError:
        return _private_folder()


@cache
def _private_folder() -> Path:
    return Path(tempfile.mkdtemp(prefix="kl-oracle-kernels-"))


def build(source: Source, flags: tuple[str, ...] = FLAGS) -> Path:
    """Return the shared object of a source, compiled now or before.

    Two processes may build the same at once: each writes a folder of its own, and the last to finish replaces the
    other's file by the same. Raises Unavailable without g++, RuntimeError with the compiler's first error.
    """
    path = compiler()
    texts = {**source.texts, SHIM: text_of(SHIM)}
    identity = json.dumps([compiler_version(path), flags, source.main, texts, dict(source.macros)], sort_keys=True)
    folder = cache_folder()
    target = folder / f"{Path(source.main).stem}-{hashlib.sha256(identity.encode()).hexdigest()[:32]}.so"
    if target.is_file():
        os.utime(target)
        return target
    with tempfile.TemporaryDirectory(dir=folder) as scratch:
        for name, text in texts.items():
            (Path(scratch) / name).write_text(text, encoding="utf-8")
        command = [path, "-x", "c++", *flags, "-DKL_ON_CPU", *(f"-D{k}={v}" for k, v in source.macros.items())]
        output = Path(scratch) / "built.so"
        run = subprocess.run(
            [*command, "-o", str(output), source.main], cwd=scratch, capture_output=True, text=True, check=False
        )
        if run.returncode != 0:
            raise RuntimeError(f"{source.main} does not compile: {first_error(run.stderr)}")
        os.replace(output, target)
    forget_unused(folder)
    return target


def forget_unused(folder: Path, days: float = 30.0) -> None:
    """Delete built kernels that nobody has asked for in so many days: a changed source leaves its old ones behind."""
    oldest = time.time() - days * 86_400
    for path in folder.glob("*.so"):
        try:
            if path.stat().st_mtime < oldest:
                path.unlink()
        except FileNotFoundError:  # another process has
            continue


def first_error(text: str) -> str:
    """Return the first line of a compiler's output that states an error, or its first line."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return next((line for line in lines if "error" in line), lines[0] if lines else "the compiler said nothing")
