"""What a result on a device depends on: the kernels' sources, and every module of this package that has a part in it.

Modules are found by following imports, so none is forgotten. Formulas of `proofs` and `oracle` are not among them:
what is due by them is derived again, with today's, whenever evidence is held against the oracle.
"""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path

from gpu_checks.audit.cell import source_hashes
from gpu_checks.subject import Subject

_ROOT = Path(__file__).parents[2]
_PACKAGE = "gpu_checks"
_ROOTS = ("gpu_checks.evidence.collecting", "gpu_checks.backends.cuda", "gpu_checks.subjects.own")
_NO_PART = frozenset(
    {
        "gpu_checks/backends/host.py",
        "gpu_checks/backends/host_build.py",
        "gpu_checks/kernels/cuda_on_cpu.hpp",
        "gpu_checks/evidence/__init__.py",
        "gpu_checks/evidence/reading.py",
        "gpu_checks/evidence/rederiving.py",
    }
)
"""What is imported, or named among a subject's sources, and has no part in a device's results: the CPU, and readers."""
_KERNELS = ("gpu_checks/kernels/ulps.cu", "gpu_checks/kernels/storage.cuh")


def hashes(subjects: Iterable[Subject]) -> dict[str, str]:
    """Return the sha256 of all that results of these subjects on a device depend on, by path from the root."""
    sources = {_relative(source) for subject in subjects for source in subject.sources}
    named = {*_KERNELS, *_imported(), *(s for s in sources if not s.endswith(".py"))}
    modules = {s.removesuffix(".py").replace("/", ".") for s in sources if s.endswith(".py")}
    named |= {path for module in modules for path in _imported(module)}
    found = {}
    for name in sorted(named - _NO_PART):
        for digest in source_hashes((name,)).values():
            found[name] = digest
    return found


def changed(recorded: dict[str, str]) -> list[str]:
    """Return the names of recorded sources that are gone, or no longer have the recorded hash."""
    return [name for name, digest in recorded.items() if digest not in source_hashes((name,)).values()]


def _relative(name: str) -> str:
    path = Path(name)
    return path.relative_to(_ROOT).as_posix() if path.is_absolute() and path.is_relative_to(_ROOT) else name


@cache
def _imported(*modules: str) -> frozenset[str]:
    """The files of these modules (by default of a whole run on a device), and of all that they import, on and on."""
    waiting, found = list(modules or _ROOTS), set()
    while waiting:
        path = _file(waiting.pop())
        name = path.relative_to(_ROOT).as_posix() if path is not None else ""
        if path is None or name in found or name in _NO_PART:
            continue
        found.add(name)
        waiting += _imports(path)
    return frozenset(found)


def _imports(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def _file(module: str) -> Path | None:
    """The file of a module of this package, where it is one."""
    if module.partition(".")[0] != _PACKAGE:
        return None
    path = _ROOT.joinpath(*module.split("."))
    return next((file for file in (path.with_suffix(".py"), path / "__init__.py") if file.is_file()), None)
