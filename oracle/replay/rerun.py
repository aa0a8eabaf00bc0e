"""Run a saved case again, and say whether its failure is still there."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from oracle.case import Case, Options
from oracle.claims import parse_claim
from oracle.escaping import plain
from oracle.judge import judge_binding, quiet
from oracle.probing.aggregation import aggregation_of
from oracle.records import Finding
from oracle.replay.cases import CaseError, SavedCase
from oracle.replay.witness import Seen, hexed, run
from oracle.subject.binding import Binding, bind
from oracle.subject.subject import open_subject
from oracle.subject.target import Target, resolve

Word = Literal["reproduced", "changed", "gone"]


@dataclass(frozen=True)
class Replayed:
    """``reproduced``: the same failure in the same bits; ``changed``: a failure in other numbers or words; ``gone``.

    ``code_changed`` where the file is not the one that was judged.
    """

    word: Word
    code_changed: bool
    seen: Seen | None
    finding: Finding | None


def rerun(saved: SavedCase) -> Replayed:
    """Judge a saved case anew. Raises OracleError where the target cannot be loaded, bound or called."""
    with at_home(saved):
        target, binding = opened(saved)
        changed = saved.sha256 is not None and target.sha256 != saved.sha256
        if saved.witness is None:
            finding = _asked(saved, target, binding)
            return Replayed(_compared(saved, finding), changed, None, finding)
        with quiet():
            seen = run(case_of(saved, target, binding), saved.witness)
    word: Word = "gone"
    if not seen.holds:
        same = hexed(seen.actual) == saved.actual and (
            saved.expected is None or (seen.expected is not None and hexed(seen.expected) == saved.expected)
        )
        word = "reproduced" if same else "changed"
    return Replayed(word, changed, seen, None)


@contextlib.contextmanager
def at_home(saved: SavedCase) -> Iterator[None]:
    """Work where the target is: here, or where the case was saved if a file it names is only there."""
    location = saved.target.partition(":")[0]
    here = Path.cwd()
    # a file, or the first part of a module that was imported from the working directory
    top = location.split(".")[0]
    names = [location] if location.endswith(".py") or "/" in location else [f"{top}.py", top]
    there, away = (any((p / n).exists() for n in names) for p in (here, Path(saved.folder)))
    if there or not away:
        yield
        return
    os.chdir(saved.folder)
    try:
        yield
    finally:
        os.chdir(here)


def opened(saved: SavedCase) -> tuple[Target, Binding]:
    """The target with the roles and settings of the case."""
    found = resolve(saved.target)
    if len(found) != 1:
        raise CaseError(f"{saved.target} names {len(found)} functions now; run the check again")
    return found[0], bind(found[0].function, saved.roles, saved.settings)


def case_of(saved: SavedCase, target: Target, binding: Binding) -> Case:
    """What a witness needs of a case: the subject, opened anew, and how it aggregates."""
    subject = open_subject(target, binding)
    if saved.placement not in subject.placements:
        raise CaseError(
            f"{saved.target} is a {subject.kind} now, and the case is about it "
            f"{'as a whole loss' if saved.placement == 'whole' else f'as a penalty, {saved.placement}'}; "
            "run the check again"
        )
    options = Options(saved.seed, saved.max_examples)
    return Case(subject, saved.placement, options, aggregation=aggregation_of(subject))


def _asked(saved: SavedCase, target: Target, binding: Binding) -> Finding:
    """The finding of the same check or claim, all else judged as it was then."""
    claims = [parse_claim(saved.claim)] if saved.claim is not None else []
    options = Options(saved.seed, saved.max_examples)
    for verdict in judge_binding(target, binding, saved.asked, options, claims):
        for finding in verdict.findings:
            if finding.check == saved.check and verdict.subject.placement == saved.placement:
                return finding
    raise CaseError(f"there is no check {saved.check!r} any more; run the check again")


def _compared(saved: SavedCase, finding: Finding) -> Word:
    if finding.outcome != "fail":
        return "gone"
    return "reproduced" if plain(finding.message, 2000) == saved.message else "changed"
