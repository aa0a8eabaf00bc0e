"""A library's module with edits: read, changed in memory, and imported from a temporary file under another name.

Triton reads a kernel's source from its file, so the changed text has to lie in one. Nothing is ever written into
site-packages or the repository.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib import import_module
from importlib.util import find_spec, module_from_spec, spec_from_file_location
from itertools import count
from pathlib import Path
from tempfile import TemporaryDirectory
from types import ModuleType
from typing import Any

from gpu_checks.subject import Unavailable

Edits = Sequence[tuple[str, str]]

_numbers = count(1)
_folder: TemporaryDirectory[str] | None = None


def modules_with(names: Sequence[str], edits: Edits) -> dict[str, ModuleType]:
    """Import modules by their names, the edits applied; a module that no edit touches is the installed one.

    Each edit goes to the first module whose text has it, at every place where it stands there. Raises ValueError for
    an old text that occurs in none, Unavailable for a module that is not installed.
    """
    texts = {name: source_of(name).read_text() for name in names} if edits else {}
    changed = edited(texts, edits)
    return {name: _imported(name, changed[name]) if name in changed else import_module(name) for name in names}


def edited(texts: dict[str, str], edits: Edits) -> dict[str, str]:
    """Return the texts that the edits change, changed. Raises ValueError for an old text that occurs in none."""
    changed: dict[str, str] = {}
    for old, new in edits:
        home = next((name for name in texts if old in changed.get(name, texts[name])), None)
        if not old or home is None:
            raise ValueError(f"the edit's old text does not occur in {', '.join(texts)}: {old!r}")
        changed[home] = changed.get(home, texts[home]).replace(old, new)
    return changed


def source_of(name: str) -> Path:
    """Return the file of an installed module; its parent packages are imported. Raises Unavailable."""
    try:
        spec = find_spec(name)
    except ModuleNotFoundError:
        spec = None
    if spec is None or spec.origin is None:
        raise Unavailable(f"{name} is not installed")
    return Path(spec.origin)


def _imported(name: str, text: str) -> ModuleType:
    """Import a text as a module of its own, from a file that lives as long as this process."""
    global _folder
    _folder = _folder or TemporaryDirectory(prefix="kl-oracle-edited-")
    alias = f"{name.rpartition('.')[2]}_edited_{next(_numbers)}"
    path = Path(_folder.name) / f"{alias}.py"
    path.write_text(text)
    spec = spec_from_file_location(alias, path)
    if spec is None or spec.loader is None:
        raise ImportError(f"no loader for {path}")
    module = module_from_spec(spec)
    sys.modules[alias] = module
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[alias]
        raise
    return module


@contextmanager
def swapped(module: ModuleType, **values: Any) -> Iterator[None]:
    """Give a module's globals other values inside the block: a launcher is to take the kernel of an edited module."""
    before = {name: getattr(module, name) for name in values}
    vars(module).update(values)
    try:
        yield
    finally:
        vars(module).update(before)
