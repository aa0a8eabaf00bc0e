"""Evidence files: writing, reading, and whether what they are evidence of is still what is here."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import msgspec

from gpu_checks.evidence.dependencies import changed
from gpu_checks.evidence.records import SCHEMA, Evidence
from gpu_checks.subject import State

FOLDER = Path(__file__).parent
"""Where evidence is committed."""


class EvidenceError(ValueError):
    """A file is no evidence that this version can read; the message is one line."""


def evidence_files(folder: Path = FOLDER) -> list[Path]:
    """Return the evidence in a folder, by default what is committed; none: nothing has run on a device."""
    return sorted(folder.glob("*.json"))


def read(path: Path) -> Evidence:
    """Return the evidence in a file; raises EvidenceError for one that is broken, foreign or cannot be read."""
    try:
        data = path.read_bytes()
        given: Any = msgspec.json.decode(data)
    except OSError as error:
        raise EvidenceError(f"{path}: cannot be read: {error.strerror}") from error
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise EvidenceError(f"{path}: is no JSON: {error}") from error
    schema = given.get("schema") if isinstance(given, dict) else None
    if schema != SCHEMA:
        raise EvidenceError(f"{path}: its schema is {schema!r}, this version reads {SCHEMA!r}: collect it again")
    try:
        return msgspec.json.decode(data, type=Evidence)
    except msgspec.ValidationError as error:
        raise EvidenceError(f"{path}: does not follow {SCHEMA}: {error}") from error


def write(evidence: Evidence, folder: Path = FOLDER) -> Path:
    """Write `<device>-<date>.json` and return its path; raises OSError where the folder cannot be written."""
    device = re.sub(r"[^a-z0-9]+", "-", evidence.device.name.lower()).strip("-")
    path = folder / f"{device}-{evidence.date}.json"
    path.write_bytes(msgspec.json.format(msgspec.json.encode(evidence), indent=1) + b"\n")
    return path


def said(folder: Path = FOLDER) -> list[str]:
    """Return a line for each file of evidence, led by its state: NOT_RUN where there is none, or none that holds today.

    Raises EvidenceError as `read`.
    """
    lines = []
    for path in evidence_files(folder):
        found = read(path)
        gone = stale(found)
        passing = sum(cell.outcome == "passes" for cell in found.cells)
        what = f"{found.device.name}, {found.date}: {passing} of {len(found.cells)} cells pass"
        since = (
            f"; since then {len(gone)} of {len(found.sources)} sources have changed, {gone[0]} first" if gone else ""
        )
        lines.append(f"{(State.NOT_RUN if gone else State.EXECUTED_GPU).value}: {what}{since}")
    return lines or [f"{State.NOT_RUN.value}: no evidence of a device; python -m gpu_checks.on_device makes it, on one"]


def stale(evidence: Evidence) -> list[str]:
    """Return the sources that are no longer those of the evidence: changed, or gone."""
    return changed(evidence.sources)
