"""The records that commands print: one verdict a target and placement. Versioned; schemas/ has the JSON Schema."""

from __future__ import annotations

from typing import Any, Literal

import msgspec

from oracle.escaping import encodable, safe_json

Evidence = Literal["proved", "tested", "measured"]
Outcome = Literal["fail", "pass", "skip", "expected-fail", "inconclusive"]
Severity = Literal["error", "warning", "note"]
Level = Literal["token", "sequence"] | None


SAMPLER_KL = "kl_sampler_policy"
"""In a combination: KL(sampler||policy), which no reference enters (k1 as loss off-policy raises it)."""


class SubjectRecord(msgspec.Struct, frozen=True, kw_only=True):
    """What was judged. ``sha256`` is that of the file the callable stands in."""

    target: str
    kind: Literal["penalty", "loss"] | None
    placement: Literal["loss", "reward", "whole"] | None
    roles: dict[str, str]
    sha256: str | None
    settings: dict[str, Any] | msgspec.UnsetType = msgspec.UNSET


class Nearest(msgspec.Struct, frozen=True, kw_only=True):
    """The objective in the catalogue that comes closest: ||G - a * target|| / ||G|| at the best scale a."""

    objective: str
    level: Literal["token", "sequence"] | None
    relative_error: float


class Restriction(msgspec.Struct, frozen=True, kw_only=True):
    """An objective on the ``tokens`` likeliest tokens of ``chosen_by`` alone, and what is made of the others."""

    objective: str
    tokens: int
    chosen_by: Literal["reference", "policy", "sampler"]
    treatment: Literal["renormalised", "tail bucket", "cut off", "cut off, plus reference - policy"]
    scale: float


class ObjectiveRecord(msgspec.Struct, frozen=True, kw_only=True):
    """What the expected gradient is the gradient of; ``scale`` is relative to the aggregation, negative ascends."""

    objective: str
    level: Literal["token", "sequence"] | None
    scale: float | None
    evidence: Evidence
    formula: str | None
    nearest: Nearest | msgspec.UnsetType = msgspec.UNSET
    combination: dict[str, float] | msgspec.UnsetType = msgspec.UNSET
    prefixes: Literal["sampler", "policy"] | msgspec.UnsetType = msgspec.UNSET
    """Only where an unnamed field is the token-level ``combination`` with the policy's prefixes, not the sampler's."""
    restriction: Restriction | msgspec.UnsetType = msgspec.UNSET
    """Only where an unnamed gradient is that of an objective on part of the vocabulary."""
    theorems: list[str] = []
    """Ids of the theorems that the name rests on, the most specific first; empty where it rests on none."""


class WithReturns(msgspec.Struct, frozen=True, kw_only=True):
    """What a penalty in reward becomes when each token earns the sum of the penalties from it on."""

    objective: str
    level: Literal["token", "sequence"] | None
    scale: float | None
    evidence: Evidence
    theorems: list[str] = []


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """The answer of one check."""

    check: str
    outcome: Outcome
    severity: Severity
    message: str
    evidence: Evidence
    counterexample: dict[str, Any] | None = None
    remedy: str | msgspec.UnsetType = msgspec.UNSET
    theorems: list[str] | msgspec.UnsetType = msgspec.UNSET
    """Ids of the theorems that the answer relies on, where it relies on any."""
    intervals: list[tuple[float | None, float | None]] | msgspec.UnsetType = msgspec.UNSET
    """Where a failure happens, as open intervals of L = log(policy/reference); null is an end at infinity."""
    id: str | msgspec.UnsetType = msgspec.UNSET
    """Of the saved case of a failure."""
    replay: str | msgspec.UnsetType = msgspec.UNSET
    """The command that repeats it."""


class Verdict(msgspec.Struct, frozen=True, kw_only=True):
    """One target at one placement."""

    schema: Literal["kl-oracle/verdict/1"] = "kl-oracle/verdict/1"
    subject: SubjectRecord
    on_policy: ObjectiveRecord | None
    off_policy: ObjectiveRecord | None
    depends_on_reference: bool | None
    aggregation: Literal["sum", "token-mean", "seq-mean-token-mean", "seq-mean-token-sum", "constant"] | None
    findings: list[Finding]
    outcome: Literal["conforms", "violates", "described", "inconclusive"]
    with_returns: WithReturns | msgspec.UnsetType = msgspec.UNSET
    path: list[str] | msgspec.UnsetType = msgspec.UNSET
    """Conditions on the inputs under which the formulas were read, where the code branches on data."""
    unread: str | msgspec.UnsetType = msgspec.UNSET
    """Why no formula was read, where none was."""
    claims: list[str] | msgspec.UnsetType = msgspec.UNSET
    error: str | msgspec.UnsetType = msgspec.UNSET
    """Why the target could not be judged at all; everything else is then null."""

    def _repr_html_(self) -> str:
        from oracle.reporters.notebook import render  # a reporter imports the records

        return render(self)


def schema(of: Any = list[Verdict]) -> dict[str, Any]:
    """The JSON Schema of a record, by default of what ``identify --format json`` prints: an array of verdicts."""
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **msgspec.json.schema(of)}


def encode(verdicts: list[Verdict]) -> str:
    """The JSON text of an array of verdicts."""
    return as_json_text(verdicts)


def as_json_text(record: Any) -> str:
    """Indented JSON of any record; valid, and harmless to a terminal, whatever the texts in it are."""
    return safe_json(msgspec.json.format(msgspec.json.encode(encodable(record)), indent=2).decode())
