"""Saved cases: one failure with all that it takes to see it again, as versioned JSON under a short content id.

A file is written beside its place and moved there, so that nobody ever reads half of one.
"""

from __future__ import annotations

import hashlib
import os
import tempfile
from difflib import get_close_matches
from pathlib import Path
from typing import Any, Literal

import msgspec

from oracle.errors import OracleError
from oracle.replay.witness import Rows, Witness

_LENGTH = 10


class CaseError(OracleError):
    """A case that is not there, or cannot be read or written."""


class SavedCase(msgspec.Struct, frozen=True, kw_only=True):
    """One failed check or claim of one target.

    ``witness`` is None where the check has none: then it is asked again. ``expected`` and ``actual`` are what the
    witness showed, in hexadecimal floats; ``message`` is what the report said.
    """

    schema: Literal["kl-oracle/case/1"] = "kl-oracle/case/1"
    check: str
    claim: str | None = None
    message: str
    severity: str
    target: str
    folder: str
    sha256: str | None
    placement: Literal["loss", "reward", "whole"]
    asked: Literal["loss", "reward"] | None = None
    roles: list[str]
    settings: list[str]
    seed: int
    max_examples: int
    witness: Witness | None = None
    expected: Rows | None = None
    actual: Rows | None = None
    versions: dict[str, str] = {}

    @property
    def id(self) -> str:
        """Of the content; where it was run and under which versions is no part of it."""
        content: dict[str, Any] = msgspec.to_builtins(self)
        for name in ("folder", "versions"):
            content.pop(name, None)
        return hashlib.sha256(msgspec.json.encode(content, order="sorted")).hexdigest()[:_LENGTH]


def save(case: SavedCase, folder: Path) -> str:
    """Write a case, atomically; answer its id. Raises CaseError where the folder cannot be written."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        place = folder / f"{case.id}.json"
        handle, temporary = tempfile.mkstemp(dir=folder, prefix=".", suffix=".part")
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(msgspec.json.format(msgspec.json.encode(case), indent=2) + b"\n")
            os.replace(temporary, place)
        except BaseException:
            os.unlink(temporary)
            raise
    except OSError as error:
        raise CaseError(
            f"the case cannot be saved in {folder}: {error.strerror}; name another folder with --cases, or --no-save"
        ) from error
    return case.id


def known(folder: Path) -> list[str]:
    """The ids of all cases in a folder, the newest first."""
    try:
        files = [p for p in folder.glob("*.json") if not p.name.startswith(".")]
        return [p.stem for p in sorted(files, key=lambda p: p.stat().st_mtime, reverse=True)]
    except OSError:
        return []


def load(wanted: str, folder: Path) -> SavedCase:
    """A case by its id, or by the beginning of it where only one begins so. Raises CaseError."""
    ids = known(folder)
    matching = [i for i in ids if i == wanted] or [i for i in ids if len(wanted) >= 4 and i.startswith(wanted)]
    if len(matching) != 1:
        raise CaseError(_missing(wanted, folder, ids, matching))
    path = folder / f"{matching[0]}.json"
    try:
        return msgspec.json.decode(path.read_bytes(), type=SavedCase)
    except (OSError, msgspec.DecodeError) as error:
        why = " ".join(str(error).split())[:160]
        raise CaseError(f"{path} is not a case that this release can read: {why}; run the check again") from error


def _missing(wanted: str, folder: Path, ids: list[str], matching: list[str]) -> str:
    shown = wanted if len(wanted) <= 40 else wanted[:37] + "..."
    if matching:
        return f"{shown!r} begins more than one case: {', '.join(matching[:4])}; write more of the id"
    if not ids:
        return f"there is no case {shown!r}: {folder} holds none; say where they are with --cases or KL_ORACLE_HOME"
    close = get_close_matches(wanted, ids, n=3, cutoff=0.5)
    hint = f"did you mean {' or '.join(close)}?" if close else f"the newest is {ids[0]}; kl-oracle replay lists them"
    return f"there is no case {shown!r} in {folder}; {hint}"
