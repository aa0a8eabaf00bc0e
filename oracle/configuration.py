"""Configuration: the subjects of ``[tool.kl-oracle]`` in pyproject.toml, which ``kl-oracle check`` runs.

[[tool.kl-oracle.subjects]]
target = "src/losses.py:kl_penalty"
claims = ["k2 as loss"]
roles = {base = "reference"}
set = {kl_penalty = "k2"}
expected_failures = {"cancellation" = "float32 on purpose"}
"""

from __future__ import annotations

import sys
from collections.abc import Iterable
from difflib import get_close_matches
from pathlib import Path
from typing import Any, Literal

import msgspec

from oracle.errors import OracleError

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

_FILE = "pyproject.toml"
_EXAMPLE = '[[tool.kl-oracle.subjects]] with target = "path/file.py:function"'


class ConfigurationError(OracleError):
    """The configuration cannot be read, or says what cannot be understood."""


class Entry(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One subject; ``set`` fixes parameters, ``expected_failures`` maps the id of a check to the reason."""

    target: str
    claims: list[str] = []
    placement: Literal["loss", "reward"] | None = None
    roles: dict[str, str] = {}
    set: dict[str, str | bool | int | float | list[Any]] = {}
    expected_failures: dict[str, str] = {}


class Configuration(msgspec.Struct, frozen=True):
    """The file and its subjects; targets are relative to the file's folder."""

    path: Path
    subjects: list[Entry]


def find(start: Path) -> Path | None:
    """The nearest pyproject.toml, from a folder upward, that has a [tool.kl-oracle]. Raises ConfigurationError."""
    for folder in (start, *start.parents):
        path = folder / _FILE
        if path.is_file() and "kl-oracle" in _tools(path):
            return path
    return None


def load(path: Path, checks: Iterable[str]) -> Configuration:
    """Read and validate a configuration; ``checks`` are the ids that may be expected to fail.

    Raises ConfigurationError with the place, what is wrong there, and the nearest key where one is misspelt.
    """
    table = _tools(path).get("kl-oracle")
    if table is None:
        raise ConfigurationError(f"{path} has no [tool.kl-oracle]; add {_EXAMPLE}")
    where = f"{path}, [tool.kl-oracle]"
    if not isinstance(table, dict):
        raise ConfigurationError(f"{where} is no table; write {_EXAMPLE}")
    _known(table, ("subjects",), where)
    entries = table.get("subjects", [])
    if not isinstance(entries, list) or not entries:
        raise ConfigurationError(f"{where} names no subjects; add {_EXAMPLE}")
    ids = sorted({*checks, "claim"})
    return Configuration(path, [_entry(e, f"{where}, subject {i}", ids) for i, e in enumerate(entries, 1)])


def _tools(path: Path) -> dict[str, Any]:
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8")).get("tool", {})
    except OSError as error:
        raise ConfigurationError(f"{path} cannot be read: {error.strerror}; name another with --config") from error
    except (ValueError, RecursionError) as error:  # UnicodeDecodeError and TOMLDecodeError are ValueErrors
        text = " ".join(str(error).split())[:160]
        raise ConfigurationError(f"{path} is not valid TOML: {text}; mend it, or name another with --config") from error
    return table if isinstance(table, dict) else {}


def _entry(raw: Any, where: str, checks: list[str]) -> Entry:
    if not isinstance(raw, dict):
        raise ConfigurationError(f"{where} is no table; write {_EXAMPLE}")
    _known(raw, Entry.__struct_fields__, where)
    if not isinstance(raw.get("target"), str):
        raise ConfigurationError(f'{where} has no target; write target = "path/file.py:function"')
    where = f"{where} ({raw['target']})"
    if isinstance(raw.get("placement"), str):
        _member(raw["placement"], ("loss", "reward"), f"{where}: placement", "a placement")
    try:
        entry = msgspec.convert(raw, Entry, strict=True)
    except msgspec.ValidationError as error:
        problem, _, place = str(error).partition(" - at `$.")
        key = place.rstrip("`") or "it"
        shape = {"claims": '["k3 as loss"]', "roles": '{base = "reference"}', "set": '{kl_penalty = "k3"}'}
        name = key.partition("[")[0]
        example = shape.get(name, '{"sign" = "why"}' if name == "expected_failures" else '"..."')
        raise ConfigurationError(f"{where}: {key}: {problem}; write {name} = {example}") from error
    for check, reason in entry.expected_failures.items():
        _member(check, checks, f"{where}: expected_failures", "the id of a check")
        if not reason.strip():
            raise ConfigurationError(f'{where}: expected_failures: {check} has no reason; write "{check}" = "why"')
    return entry


def _known(table: dict[str, Any], keys: Iterable[str], where: str) -> None:
    for key in table:
        _member(key, keys, where, "a key here")


def _member(word: str, known: Iterable[str], where: str, what: str) -> None:
    names = list(known)
    if word in names:
        return
    close = get_close_matches(word.lower(), names, n=1)
    hint = f"did you mean {close[0]!r}?" if close else f"use one of {', '.join(names)}"
    raise ConfigurationError(f"{where}: {word!r} is not {what}; {hint}")


def settings_of(entry: Entry) -> list[str]:
    """The fixed parameters as ``NAME=VALUE`` texts; a string is quoted, so that "true" stays one."""
    return [f"{n}={v!r}" for n, v in entry.set.items()]
