"""Targets: ``package.module:callable`` and ``path/file.py:callable``, with a glob or nothing after the colon."""

from __future__ import annotations

import contextlib
import fnmatch
import hashlib
import importlib
import importlib.util
import inspect
import os
import sys
import types
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from difflib import get_close_matches
from functools import partial
from pathlib import Path
from typing import Any

from oracle.errors import TargetError
from oracle.subject.construct import constructed
from oracle.subject.lift import lifted


class ImportFailed(TargetError):
    """The file or module is there, but importing it raised."""


@dataclass(frozen=True)
class Target:
    """One callable and where it came from; ``name`` is what the user typed, with the glob filled in."""

    name: str
    function: Callable[..., Any]
    sha256: str | None
    note: str = ""
    """What a user should know about how it was taken."""


@contextlib.contextmanager
def eager_compile() -> Iterator[None]:
    """Make ``torch.compile`` hand its function back, so that what is judged is the code and not its compilation."""
    import torch

    def plain(model: Any = None, **_: Any) -> Any:
        return model if model is not None else lambda function: function

    real, torch.compile = torch.compile, plain
    try:
        yield
    finally:
        torch.compile = real


def resolve(text: str) -> list[Target]:
    """All callables that one target text names, in the order of the file."""
    location, _, wanted = text.partition(":")
    if not location:
        raise TargetError(f"{text!r} names no file or module; write path/file.py:function or package.module:function")
    one = bool(wanted) and not any(c in wanted for c in "*?[")
    try:
        module = _load(location, text)
    except ImportFailed as error:
        # a package that needs what is not installed: the function alone, and what it uses, may do without
        taken = lifted(location, wanted) if one and isinstance(error.__cause__, ImportError) else None
        if taken is None:
            raise
        return [Target(text, *taken, note=f"{text} is taken from its file alone: {error.__cause__}")]
    functions = _callables(module)
    prefix = f"{location}:"
    if one:
        return [Target(text, _attribute(module, wanted, functions, text), _digest(module))]
    found = [n for n in functions if fnmatch.fnmatch(n, wanted or "*")]
    if not found:
        raise TargetError(f"{text}: no function here matches; {_known(functions)}")
    return [Target(prefix + n, functions[n], _digest(module)) for n in found]


def _known(functions: dict[str, Any]) -> str:
    names = list(functions)
    return (
        f"it has {', '.join(names[:12])}{', ...' if len(names) > 12 else ''}" if names else "it has no public function"
    )


def _callables(module: types.ModuleType) -> dict[str, Callable[..., Any]]:
    return {
        n: v
        for n, v in vars(module).items()
        if not n.startswith("_")
        and callable(v)
        and not inspect.isclass(v)
        and getattr(v.func if isinstance(v, partial) else v, "__module__", None) == module.__name__
    }


def _attribute(module: types.ModuleType, path: str, functions: dict[str, Any], text: str) -> Callable[..., Any]:
    value: Any = module
    owner: Any = None
    for part in path.split("."):
        owner, value = value, _looked_up(value, part, text)
        if value is _ABSENT:
            value = owner
            close = get_close_matches(part, list(functions) or dir(value), n=1)
            hint = f"did you mean {close[0]!r}?" if close else _known(functions)
            raise TargetError(f"{text}: there is no {part!r} in it; {hint}")
    value = getattr(value, "_torchdynamo_orig_callable", value)
    if inspect.isclass(value):
        return constructed(value, path)
    if inspect.isclass(owner) and inspect.isfunction(value):
        return constructed(owner, path, path.rpartition(".")[2])
    if not callable(value):
        raise TargetError(f"{text} is a {type(value).__name__}, not a function")
    return value  # type: ignore[no-any-return]


_ABSENT = object()


def _looked_up(value: Any, name: str, text: str) -> Any:
    """An attribute, or _ABSENT; a property or a module's ``__getattr__`` may raise anything."""
    try:
        return getattr(value, name)
    except AttributeError:
        return _ABSENT
    except Exception as error:
        said = f"{text} raised {type(error).__name__} when {name!r} was looked up: {_line(error)}"
        raise TargetError(f"{said}; name a function that is there without it") from error


def _load(location: str, text: str) -> types.ModuleType:
    from oracle.subject.guard import Interrupted, guarded, restored  # it loads torch

    is_file = location.endswith(".py") or "/" in location or "\\" in location or location.startswith(".")
    try:
        with restored(), guarded(imports=True), eager_compile():
            return _load_file(Path(location), text) if is_file else _load_module(location)
    except (TargetError, Interrupted):
        raise
    except SyntaxError as error:
        raise TargetError(f"{location}, line {error.lineno}: {error.msg}; it is not valid Python") from error
    except ModuleNotFoundError as error:
        raise ImportFailed(_missing_module(location, is_file, error)) from error
    except BaseException as error:  # SystemExit and KeyboardInterrupt too, where the module raises them
        raise ImportFailed(f"{location} raised {type(error).__name__} while it was imported: {_line(error)}") from error


def _line(error: BaseException) -> str:
    try:
        return " ".join(str(error).split())[:200] or "(no message)"
    except Exception:  # the module's own exception, whose __str__ may raise
        return "(a message that cannot be shown)"


def _missing_module(location: str, is_file: bool, error: ModuleNotFoundError) -> str:
    missing = error.name or ""
    if not is_file and (location == missing or location.startswith(missing + ".")):
        file = os.path.exists(location.replace(".", "/") + ".py")
        hint = "; for a file, write its path, ending in .py" if file else ""
        return f"no module named {missing!r} is installed here{hint or '; install it, or write path/file.py:function'}"
    return (
        f"{location} imports {missing!r}, which is not installed here; "
        "install it, or name one function that does without it"
    )


def _load_file(path: Path, text: str) -> types.ModuleType:
    if not os.path.exists(path):  # pathlib raises on a name too long for the system, or with a zero byte
        siblings = [str(p) for p in path.parent.glob("*.py")] if os.path.isdir(path.parent) else []
        close = get_close_matches(str(path), siblings, n=1)
        raise TargetError(f"{text}: there is no file {path}" + (f"; did you mean {close[0]}?" if close else ""))
    if path.is_dir():
        raise TargetError(f"{text}: {path} is a folder; name a .py file in it")
    path = path.resolve()
    # the content is part of the name: an edited file is another module
    name = f"_kl_oracle_subject_{hashlib.sha256(str(path).encode() + path.read_bytes()).hexdigest()[:12]}"
    if name in sys.modules:
        return sys.modules[name]
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise TargetError(f"{text}: {path.name} is not a Python file (its name must end in .py)")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    # what the file imports from its own folder is found as if it were run from there
    sys.path.insert(0, str(path.parent))
    try:
        spec.loader.exec_module(module)
    except BaseException:
        sys.modules.pop(name, None)
        raise
    finally:
        with contextlib.suppress(ValueError):  # the file may have taken it out itself
            sys.path.remove(str(path.parent))
    return module


def _load_module(name: str) -> types.ModuleType:
    if "" not in sys.path:
        sys.path.insert(0, "")
    return importlib.import_module(name)


def _digest(module: types.ModuleType) -> str | None:
    file = getattr(module, "__file__", None)
    return hashlib.sha256(Path(file).read_bytes()).hexdigest() if file and Path(file).is_file() else None
