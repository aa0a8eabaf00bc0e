"""Libraries: the KL functions of RLHF libraries that are installed, taken from their files and judged.

An adapter says how to call a function, never what it computes: everything in a row comes from the general mechanism.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from importlib.metadata import PackageNotFoundError, version
from typing import Literal

import msgspec

from oracle.case import Options
from oracle.errors import OracleError
from oracle.judge import judge_binding
from oracle.libraries import liger, openrlhf, trl, verl
from oracle.libraries.entry import Entry
from oracle.records import Verdict
from oracle.subject.binding import Binding, bind
from oracle.subject.lift import LiftedFile
from oracle.subject.target import Target

ENTRIES: tuple[Entry, ...] = (*verl.ENTRIES, *openrlhf.ENTRIES, *liger.ENTRIES, *trl.ENTRIES)


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """One line of the table; ``verdict`` or ``error`` is set."""

    library: str
    version: str
    file: str
    sha256: str | None
    function: str
    setting: str
    verdict: Verdict | None = None
    error: str | None = None


class Listing(msgspec.Struct, frozen=True, kw_only=True):
    """What ``libraries --format json`` prints."""

    schema: Literal["kl-oracle/libraries/1"] = "kl-oracle/libraries/1"
    rows: list[Row]
    not_installed: list[str]


def judge_installed(
    names: Sequence[str] = (), seed: int = 0, step: Callable[[str], None] = lambda _: None
) -> tuple[list[Row], list[str]]:
    """The rows of the libraries named (of all that are known), and the known ones that are not installed here.

    Raises OracleError where a name is not that of a library with an adapter.
    """
    known = list(dict.fromkeys(e.library for e in ENTRIES))
    strange = [n for n in names if n not in known]
    if strange:
        raise OracleError(f"there is no adapter for {strange[0]!r}; the libraries are {', '.join(known)}")
    wanted = [n for n in known if not names or n in names]
    rows: list[Row] = []
    absent: list[str] = []
    for name in wanted:
        try:
            release = version(name)
        except PackageNotFoundError:
            absent.append(name)
            continue
        for entry in (e for e in ENTRIES if e.library == name):
            step(f"{name} {entry.function} {entry.setting}")
            rows += _rows(entry, release, seed)
    return rows, absent


def _rows(entry: Entry, release: str, seed: int) -> list[Row]:
    digest: str | None = None

    def row(verdict: Verdict | None = None, error: str | None = None) -> Row:
        return Row(
            library=entry.library,
            version=release,
            file=entry.file,
            sha256=digest,
            function=entry.function,
            setting=entry.setting,
            verdict=verdict,
            error=error,
        )

    try:
        file = LiftedFile.of(entry.package, entry.file)
        digest = file.sha256
        function = entry.make(file)
        target = Target(f"{entry.library}:{entry.function}", function, digest)
        return [row(v) for v in judge_binding(target, _binding(entry, function), entry.placement, Options(seed=seed))]
    except OracleError as error:
        return [row(error=str(error))]


def _binding(entry: Entry, function: Callable[..., object]) -> Binding:
    roles = [f"{n}={r}" for n, r in entry.roles.items()]
    bound = bind(function, roles, [f"{n}=0" for n in entry.settings])
    return replace(bound, settings=dict(entry.settings))
