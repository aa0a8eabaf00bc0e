"""Keep what failed: each failing finding gets its smallest witness, and is saved where a folder was given."""

from __future__ import annotations

import os
import platform
import shlex
import sys
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from msgspec import structs

from oracle.case import Case
from oracle.claims import Claim
from oracle.errors import OracleError
from oracle.escaping import plain
from oracle.probing.signal import once
from oracle.records import Finding
from oracle.replay import of_checks, of_claims
from oracle.replay.cases import CaseError, SavedCase, save
from oracle.replay.home import home
from oracle.replay.witness import Seen, Witness, described, hexed, run
from oracle.subject.binding import Binding, parse_value

_LIBRARIES = ("kl-oracle", "torch", "numpy", "sympy")


def kept(case: Case, findings: Sequence[Finding], claims: Sequence[Claim]) -> list[Finding]:
    """The findings, those that failed with a witness (``counterexample["smallest"]``), an id and a command."""
    said = iter(claims)
    unsteady = any(f.check == "determinism" and f.outcome == "fail" and f.counterexample is None for f in findings)
    out = []
    for finding in findings:
        claim = next(said, None) if finding.check == "claim" else None
        # a note says something of code that is right
        failed = finding.outcome == "fail" and finding.severity != "note"
        out.append(_kept(case, finding, claim, unsteady) if failed else finding)
    return out


_NEVER_AGAIN = "it comes out otherwise each time, so no case of it can be repeated bit for bit"


def _kept(case: Case, finding: Finding, claim: Claim | None, unsteady: bool) -> Finding:
    try:
        found = of_checks.find(case, finding) if claim is None else of_claims.find(case, claim)
        steady = not unsteady if found is None else _comes_again(case, *found)
    except OracleError:
        # a subject that cannot be called on small batches is judged by larger ones alone
        found, steady = None, not unsteady
    if not steady:
        return structs.replace(finding, message=f"{finding.message}; {_NEVER_AGAIN}")
    changes: dict[str, Any] = {}
    if found is not None:
        smallest = {"smallest": described(*found)}
        changes["counterexample"] = {**(finding.counterexample or {}), **smallest}
    folder = case.options.cases
    record = None if folder is None else saved_case(case, finding, claim, found)
    if folder is not None and record is not None:
        try:
            changes["id"] = save(record, Path(folder))
        except CaseError as error:
            print(f"kl-oracle: {error}", file=sys.stderr)
        else:
            where = "" if Path(folder) == home().absolute() else f" --cases {shlex.quote(folder)}"
            changes["replay"] = f"kl-oracle replay {changes['id']}{where}"
    return structs.replace(finding, **changes)


def _comes_again(case: Case, witness: Witness, seen: Seen) -> bool:
    """Whether the witness shows the same bits once more, after a call on another batch."""
    once(case.subject, case.placement, case.mild_batch)
    again = run(case, witness)
    return hexed(again.actual) == hexed(seen.actual) and (
        seen.expected is None or (again.expected is not None and hexed(again.expected) == hexed(seen.expected))
    )


def saved_case(
    case: Case, finding: Finding, claim: Claim | None, found: tuple[Witness, Seen] | None
) -> SavedCase | None:
    """The record of a failure; None where a setting or the target's name cannot be written down."""
    settings = settings_of(case.subject.binding)
    if settings is None or not all(map(_encodable, [case.subject.target.name, os.getcwd(), *settings])):
        return None
    witness, seen = found or (None, None)
    return SavedCase(
        check=finding.check,
        claim=None if claim is None else claim.text,
        message=plain(finding.message, 2000),
        severity=finding.severity,
        target=case.subject.target.name,
        folder=os.getcwd(),
        sha256=case.subject.target.sha256,
        placement=case.placement,
        asked=None if case.placement == "whole" else case.placement,
        roles=roles_of(case.subject.binding),
        settings=settings,
        seed=case.options.seed,
        max_examples=case.options.max_examples,
        witness=witness,
        expected=None if seen is None or seen.expected is None else hexed(seen.expected),
        actual=None if seen is None else hexed(seen.actual),
        versions=versions(),
    )


def _encodable(text: str) -> bool:
    """A name of a file in another encoding has halves of surrogate pairs, which no JSON brings back."""
    return text.isascii() or not any("\ud800" <= c <= "\udfff" for c in text)


def versions() -> dict[str, str]:
    """Python and the libraries that the numbers come from."""
    out = {"python": platform.python_version()}
    for name in _LIBRARIES:
        try:
            out[name] = version(name)
        except PackageNotFoundError:
            continue
    return out


def roles_of(binding: Binding) -> list[str]:
    """All roles as ``--role`` takes them, so that a replay does not depend on what names are recognised then."""
    return [f"{name}={role}" for role, name in binding.roles.items()] + [f"{n}={r}" for n, r in binding.also.items()]


def settings_of(binding: Binding) -> list[str] | None:
    """All settings as ``--set`` takes them; None where one is no literal."""
    out = []
    for name, value in binding.settings.items():
        text = repr(value)
        same = parse_value(text)
        if type(same) is not type(value) or same != value:
            return None
        out.append(f"{name}={text}")
    return out
