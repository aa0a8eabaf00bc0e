"""Take a function from an installed file without importing its package.

The file is parsed, and only what the function needs is executed: the definitions and constants of the file that it
names, and theirs. An import from the same package is lifted from that package's file in turn; other imports are done
for real, and one that fails matters only if the name is used. Decorators that register, compile or deprecate are
dropped; those of torch's gradient modes and of Python stay, because they change what the function computes.
"""

from __future__ import annotations

import ast
import builtins
import copy
import hashlib
import importlib
import importlib.util
import types
from collections.abc import Callable
from functools import cached_property
from pathlib import Path
from typing import Any

from oracle.errors import OracleError, TargetError
from oracle.subject.construct import constructed

_KEPT = (
    "staticmethod",
    "classmethod",
    "property",
    "dataclass",
    "dataclasses.dataclass",
    "torch.no_grad",
    "torch.enable_grad",
)


def lifted(location: str, function: str) -> tuple[Callable[..., Any], str] | None:
    """A function of a file or module that cannot be imported, with the file's sha256; None where it cannot be taken."""
    try:
        path = Path(location)
        if not path.is_file():
            top = package_folder(location.split(".")[0])
            path = _module_file(top.parent, location) or path
        file = LiftedFile.at(path.resolve())
        name, _, method = function.partition(".")
        found = file.get(name)
        if isinstance(found, type):
            found = constructed(found, function, method or None)
    except (OracleError, OSError, SyntaxError, ValueError, NameError):
        return None
    return (found, file.sha256) if callable(found) else None


def package_folder(name: str) -> Path:
    """The folder of an installed package, found without importing it. Raises TargetError."""
    spec = importlib.util.find_spec(name)
    if spec is None or not spec.submodule_search_locations:
        raise TargetError(f"the package {name!r} is not installed here")
    return Path(next(iter(spec.submodule_search_locations)))


class LiftedFile:
    """One file of a package, from which names are taken on demand (``file.get("kl_penalty")``)."""

    _open: dict[Path, LiftedFile] = {}  # noqa: RUF012 - a cache shared on purpose

    def __init__(self, base: Path, path: Path) -> None:
        self.base, self.path = base, path
        self.globals: dict[str, Any] = {"__name__": f"lifted.{path.stem}", "__builtins__": builtins}
        self._pending: set[str] = set()  # being executed, so that functions may name each other

    @classmethod
    def of(cls, root: str, relative: str) -> LiftedFile:
        """The file ``relative`` (from the package's parent folder) of package ``root``. Raises TargetError."""
        base = package_folder(root).parent
        path = base / relative
        if not path.is_file():
            raise TargetError(f"{relative} is not in the installed {root}; this release has another layout")
        return cls._open.setdefault(path, cls(base, path))

    @classmethod
    def at(cls, path: Path) -> LiftedFile:
        """A file by its path; the packages it stands in are those with an ``__init__.py`` above it."""
        base = path.parent
        while (base / "__init__.py").is_file():
            base = base.parent
        return cls._open.setdefault(path, cls(base, path))

    @cached_property
    def source(self) -> bytes:
        """The bytes of the file."""
        return self.path.read_bytes()

    @property
    def sha256(self) -> str:
        """Of the bytes of the file."""
        return hashlib.sha256(self.source).hexdigest()

    @cached_property
    def _tree(self) -> ast.Module:
        return ast.parse(self.source)

    @cached_property
    def _definitions(self) -> dict[str, ast.stmt]:
        """Name to the top-level statement that gives it its value (the last one wins, as in Python)."""
        found: dict[str, ast.stmt] = {}
        for node in _statements(self._tree.body):
            for name in _names_bound(node):
                found[name] = node
        return found

    def get(self, path: str) -> Any:
        """A function, class or constant, or ``Class.method`` (a method as a plain function). Raises TargetError."""
        name, _, method = path.partition(".")
        if not method:
            self._need(name)
            if name not in self.globals:
                raise TargetError(f"{self.path.name} has no {path}; this release has another layout")
            return self.globals[name]
        node = self._definitions.get(name)
        for item in node.body if isinstance(node, ast.ClassDef) else []:
            if isinstance(item, ast.FunctionDef) and item.name == method:
                plain = copy.copy(item)
                plain.decorator_list = []
                self._execute(plain)
                return self.globals[method]
        raise TargetError(f"{self.path.name} has no {path}; this release has another layout")

    def _need(self, name: str) -> None:
        if name in self.globals or name in self._pending or name not in self._definitions:
            return
        self._pending.add(name)
        node = self._definitions[name]
        if isinstance(node, (ast.Import, ast.ImportFrom)):
            self._import(node, name)
        else:
            self._execute(node)

    def _execute(self, node: ast.stmt) -> None:
        if isinstance(node, (ast.FunctionDef, ast.ClassDef)):
            _drop_decorators(node)
        future = ast.parse("from __future__ import annotations").body
        for name in sorted(_names_used(node) - set(_names_bound(node))):
            self._need(name)
        exec(compile(ast.Module([*future, node], []), str(self.path), "exec"), self.globals)

    def _import(self, node: ast.Import | ast.ImportFrom, name: str) -> None:
        for alias in node.names:
            bound = alias.asname or alias.name.split(".")[0]
            if bound != name:
                continue
            value = self._imported(node, alias)
            if value is not None:
                self.globals[name] = value

    def _imported(self, node: ast.Import | ast.ImportFrom, alias: ast.alias) -> Any:
        module = alias.name if isinstance(node, ast.Import) else self._absolute(node)
        if module.split(".")[0] == self.path.relative_to(self.base).with_suffix("").parts[0]:
            if isinstance(node, ast.Import):
                return _Lazy(self.base, module)
            inner = _module_file(self.base, f"{module}.{alias.name}")
            return _Lazy(self.base, f"{module}.{alias.name}") if inner else _Lazy(self.base, module).get(alias.name)
        try:
            loaded = importlib.import_module(module)
            if isinstance(node, ast.ImportFrom):
                return getattr(loaded, alias.name)
            return loaded if alias.asname else importlib.import_module(module.split(".")[0])
        except Exception:  # a heavy dependency that is absent or broken; only its use would matter
            return None

    def _absolute(self, node: ast.ImportFrom) -> str:
        if not node.level:
            return node.module or ""
        inside = self.path.relative_to(self.base).with_suffix("").parts
        return ".".join([*inside[: len(inside) - node.level], *([node.module] if node.module else [])])


class _Lazy(types.SimpleNamespace):
    """A module of the same package, whose names are lifted as they are used."""

    def __init__(self, base: Path, module: str) -> None:
        super().__init__(_base=base, _module=module)

    def get(self, name: str) -> Any:
        """A name of the module; None where it cannot be lifted."""
        path = _module_file(self._base, self._module)
        if path is None:
            return None
        file = LiftedFile._open.setdefault(path, LiftedFile(self._base, path))
        file._need(name)
        return file.globals.get(name)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__") or (value := self.get(name)) is None:
            raise AttributeError(f"{self._module} has no {name} that can be taken from its file")
        return value


def _module_file(base: Path, module: str) -> Path | None:
    """The file of a module below ``base``."""
    place = base.joinpath(*module.split("."))
    return next((p for p in (place.parent / f"{place.name}.py", place / "__init__.py") if p.is_file()), None)


def _statements(body: list[ast.stmt]) -> list[ast.stmt]:
    """Top-level statements, those under if and try included."""
    out: list[ast.stmt] = []
    for node in body:
        out.append(node)
        for field in ("body", "orelse", "finalbody"):
            if isinstance(node, (ast.If, ast.Try)):
                out += _statements(getattr(node, field, []))
    return out


def _names_bound(node: ast.stmt) -> list[str]:
    if isinstance(node, (ast.FunctionDef, ast.ClassDef)):
        return [node.name]
    if isinstance(node, (ast.Import, ast.ImportFrom)):
        return [a.asname or a.name.split(".")[0] for a in node.names]
    if isinstance(node, ast.Assign):
        return [t.id for t in node.targets if isinstance(t, ast.Name)]
    if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name) and node.value is not None:
        return [node.target.id]
    return []


def _names_used(node: ast.AST) -> set[str]:
    """The names a statement loads; annotations are never evaluated, so what they name is not needed."""
    if isinstance(node, ast.Name):
        return {node.id} if isinstance(node.ctx, ast.Load) else set()
    out: set[str] = set()
    for field, value in ast.iter_fields(node):
        if field in ("annotation", "returns"):
            continue
        for child in value if isinstance(value, list) else [value]:
            if isinstance(child, ast.AST):
                out |= _names_used(child)
    return out


def _drop_decorators(node: ast.FunctionDef | ast.ClassDef) -> None:
    def kept(decorator: ast.expr) -> bool:
        called = decorator.func if isinstance(decorator, ast.Call) else decorator
        return ast.unparse(called) in _KEPT

    for inner in ast.walk(node):
        if isinstance(inner, (ast.FunctionDef, ast.ClassDef)):
            inner.decorator_list = [d for d in inner.decorator_list if kept(d)]


def method_of(file: LiftedFile, path: str) -> Callable[..., Any]:
    """``Class.method`` as a plain function."""
    found = file.get(path)
    if not callable(found):
        raise TargetError(f"{path} of {file.path.name} is not a function")
    return found  # type: ignore[no-any-return]
