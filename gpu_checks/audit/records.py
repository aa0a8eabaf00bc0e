"""What an audit says: one cell for each subject, backend, storage format and vocabulary."""

from __future__ import annotations

from typing import Any, Literal

import msgspec

SCHEMA = "kl-oracle/audit/1"

Outcome = Literal["pass", "fail", "skip", "note"]
"""A note is what a user should know and nobody is accused of."""
CellOutcome = Literal["passes", "fails", "not run"]


class Check(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One question and its answer.

    `ratio` is the greatest error / bound, where the check has one; `where` says in which row and column; `message`
    is the answer in words, `remedy` what to do where it fails; `measurements` are numbers behind it.
    """

    check: str
    outcome: Outcome
    message: str
    ratio: float | None = None
    where: str | None = None
    remedy: str | None = None
    measurements: dict[str, Any] = {}


class Cell(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A subject on one backend, in one storage format, at one vocabulary."""

    subject: str
    title: str
    claim: str
    backend: str
    dtype: str
    vocabulary: int
    state: str
    outcome: CellOutcome
    checks: list[Check] = []
    reason: str | None = None
    """Why it did not run."""
    objective: str | None = None
    """What the assembled expected gradient descends."""
    seed: int = 0
    seconds: float = 0.0
    sources: dict[str, str] = {}
    """sha256 of the files that the result depends on."""
    versions: dict[str, str] = {}

    @property
    def worst(self) -> float | None:
        """The greatest error / bound of all checks."""
        ratios = [c.ratio for c in self.checks if c.ratio is not None]
        return max(ratios) if ratios else None

    @property
    def failures(self) -> list[Check]:
        """The checks that fail."""
        return [c for c in self.checks if c.outcome == "fail"]


class Tolerance(msgspec.Struct, frozen=True):
    """How a kernel is tested upstream: |got - due| <= atol + rtol |due|, of gradients too where it says so."""

    source: str
    atol: float
    rtol: float
    gradients: bool


class Fault(msgspec.Struct, frozen=True, kw_only=True):
    """What became of one planted fault. `passes` says for each upstream tolerance whether it lets the fault pass."""

    name: str
    subject: str
    claim: str
    dtype: str
    vocabulary: int
    outcome: Literal["caught", "missed", "neutral", "not run"]
    """neutral: the fault changes no result."""
    caught_by: str | None = None
    message: str | None = None
    passes: dict[str, bool] = {}


class Compiled(msgspec.Struct, frozen=True, kw_only=True):
    """A kernel as one compiler made it for one architecture."""

    kernel: str
    dtype: str
    architecture: str
    compiler: str
    compiles: bool = True
    registers: int | None = None
    spills: int | None = None
    """Bytes of registers that went to memory."""
    shared: int | None = None
    """Bytes of shared memory, static."""
    remarks: list[str] = []
    """What speaks against it: double arithmetic, a store that truncates, an error of the compiler."""


class Audit(msgspec.Struct, frozen=True, kw_only=True):
    """All cells of a run; planted faults and compilations, where they were asked for."""

    schema: str = SCHEMA
    version: str
    cells: list[Cell]
    faults: list[Fault] = []
    tolerances: dict[str, Tolerance] = {}
    compiled: list[Compiled] = []
    absent: list[str] = []
    """Tools that are not here, a line each."""


def as_json(audit: Audit) -> str:
    """Return the audit as indented JSON text; a ratio that is not finite is null."""
    return msgspec.json.format(msgspec.json.encode(audit), indent=2).decode()
