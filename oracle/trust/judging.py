"""One program: judged by the tool, and held against what is known of it and what the definitions say."""

from __future__ import annotations

import math
import time
from dataclasses import asdict, dataclass, field
from typing import Any

import msgspec

from oracle.case import Options
from oracle.errors import OracleError
from oracle.judge import judge_binding
from oracle.records import ObjectiveRecord, Verdict, WithReturns
from oracle.subject.binding import bind
from oracle.subject.subject import open_subject
from oracle.subject.target import Target
from oracle.trust import definition
from oracle.trust.grammar import Program
from oracle.trust.known import Side

_HORIZON = 3


@dataclass
class Outcome:
    """What became of a program. ``wrong``: how the verdict differs from the one that is due."""

    seed: int
    index: int
    wrong: list[str] = field(default_factory=list)
    disagreements: list[str] = field(default_factory=list)
    known_is_wrong: list[str] = field(default_factory=list)
    """How the definitions differ from the verdict that is due: a fault of the grammar, not of the tool."""
    evidence: str = ""
    unread: str = ""
    traits: tuple[str, ...] = ()
    seconds: float = 0.0

    def encode(self) -> str:
        """One line of JSON."""
        return msgspec.json.encode(asdict(self)).decode()


def judged(program: Program, max_examples: int = 3) -> Outcome:
    """Judge a program and compare."""
    outcome = Outcome(program.seed, program.index, traits=program.traits)
    start = time.process_time()
    try:
        target, binding = loaded(program)
        outcome.known_is_wrong = by_definition(program, target)
        placement = program.known.placement
        asked = None if placement == "whole" else placement
        verdict = judge_binding(target, binding, asked, Options(max_examples=max_examples))[0]
        outcome.wrong = _differences(program, verdict)
        outcome.disagreements = [f.message for f in verdict.findings if f.check == "reading.probing"]
        outcome.evidence = "/".join(r.evidence for r in (verdict.on_policy, verdict.off_policy) if r is not None)
        outcome.unread = "" if isinstance(verdict.unread, msgspec.UnsetType) else verdict.unread
    except OracleError as error:
        outcome.wrong = [f"could not be judged: {error}"]
    outcome.seconds = round(time.process_time() - start, 3)
    return outcome


def loaded(program: Program) -> tuple[Target, Any]:
    """The function of a program, bound by the names of its parameters."""
    names: dict[str, Any] = {"__name__": f"trust_{program.seed}_{program.index}"}
    exec(compile(program.source, f"<program {program.index}>", "exec"), names)
    function = names[program.function]
    return Target(program.function, function, None), bind(function)


def by_definition(program: Program, target: Target) -> list[str]:
    """How the expected gradients by definition differ from what is known of the program."""
    known, out = program.known, []
    subject = open_subject(target, bind(target.function))
    rough = any("float32" in t or ".float()" in t for t in program.traits)
    for side, due, on in (("on-policy", known.on, True), ("off-policy", known.off, False)):
        seen = definition.found(subject, known.placement, on, _HORIZON, 1e-4 if rough else 1e-6)
        unit = _unit(program)
        scale = None if seen.scale is None else seen.scale / unit
        if not _same(Side(seen.objective, seen.level, scale), due, 1e-3):
            out.append(f"{side} by definition {seen.objective}/{seen.level} x {scale}, known {due}")
    return out


def _unit(program: Program) -> float:
    """What the definition's scale is at scale 1: how an aggregation weighs a token."""
    units = {
        "token-mean": 1 / _HORIZON,
        "seq-mean-token-mean": 1 / _HORIZON,
        "sum": float(definition.answers_of(_HORIZON)),
        "constant": 1 / program.known.constant,
    }
    return units.get(program.known.aggregation or "", 1.0)


def _same(seen: Side, due: Side, loose: float) -> bool:
    if (seen.objective, seen.level) != (due.objective, due.level):
        return False
    if due.scale is None:
        return True
    return seen.scale is not None and math.isclose(seen.scale, due.scale, rel_tol=loose)


def _differences(program: Program, verdict: Verdict) -> list[str]:
    known, out = program.known, []
    for side, record, due in (
        ("on-policy", verdict.on_policy, known.on),
        ("off-policy", verdict.off_policy, known.off),
        ("with returns", verdict.with_returns, known.returns),
    ):
        if due is None or not isinstance(record, ObjectiveRecord | WithReturns):
            continue
        if not _same(Side(record.objective, record.level, record.scale), due, 1e-3):
            out.append(f"{side} {record.objective}/{record.level} x {record.scale}, due {due}")
    if known.aggregation is not None and verdict.aggregation != known.aggregation:
        out.append(f"aggregation {verdict.aggregation}, due {known.aggregation}")
    failed = {f.check: f for f in verdict.findings if f.outcome == "fail"}
    allowed = known.fails | _open(program)
    out += [f"accused by {c}: {f.message}" for c, f in failed.items() if f.severity != "note" and c not in allowed]
    out += [f"not found: {c}" for c in sorted(known.fails - set(failed))]
    return out


def _open(program: Program) -> frozenset[str]:
    """Checks that may answer either way: no theorem says of an unnamed field which, and one failure brings another."""
    out: set[str] = set()
    if program.known.on.objective == "unnamed":
        out |= {"expected_gradient.on_policy", "sign"}
    if "sign" in program.known.fails:
        out |= {"argument.order"}
    return frozenset(out)
