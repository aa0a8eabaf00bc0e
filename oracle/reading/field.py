"""Fields: the formulas of a reading, freed from batch and normaliser, as proofs names them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import sympy as sp

from oracle.reading.atoms import Array, Unread, causes
from oracle.reading.mirror import Escape
from oracle.reading.reader import Reading, base, log_ratio, log_weight, point_of, read
from oracle.reading.regimes import Regime
from oracle.subject.batch import Batch
from oracle.subject.roles import Role
from oracle.subject.subject import Placement, Subject


@dataclass(frozen=True)
class KlReading:
    """The KL part as formulas [b, t]: ``mild`` at the regime of the batch, ``full`` with all selections."""

    full: Array
    mild: Array
    reading: Reading
    escapes: tuple[Escape, ...]

    @property
    def connected(self) -> bool:
        """Whether a gradient reached the policy at all."""
        return self.reading.connected


@dataclass(frozen=True)
class Field:
    """One sequence's coefficients, in token symbols L0, rho0, L1, ...; ``coupled`` where other sequences enter."""

    coefficients: tuple[sp.Expr, ...]
    coupled: bool
    raw: bool
    """The policy's own log-probability enters beside its ratios: a gradient flows where none should."""
    rows: tuple[tuple[sp.Expr, ...], ...] = ()
    """The coefficients of every sequence of the batch, each in token symbols of its own."""


def read_kl(subject: Subject, placement: Placement, batch: Batch, unrounded: bool = False) -> KlReading:
    """Read the KL part: at the batch's beta, less the reading at 0 where the subject has one. Raises Unread."""
    at = read(subject, placement, batch, unrounded=unrounded)
    if not subject.has(Role.BETA):
        return KlReading(at.full, at.mild, at, at.escapes)
    rest = read(subject, placement, batch.with_beta(0.0), unrounded=unrounded)
    return KlReading(at.full - rest.full, at.mild - rest.mild, at, at.escapes + rest.escapes)


def unknown_in(expressions: Array) -> str | None:
    """The first cause of what is unknown in formulas, if anything is."""
    for e in expressions.flat:
        found = causes(e)
        if found:
            return found[0]
    return None


def own_tokens(e: sp.Expr, row: int, horizon: int) -> sp.Expr:
    """Rename the symbols of one sequence to token symbols: L_b_t to Lt, exp(R_b_t) to rhot."""
    from proofs.symbols import token_symbols

    change: dict[sp.Symbol, sp.Expr] = {}
    for t in range(horizon):
        ratio, weight = token_symbols(t)
        change[log_ratio(row, t)] = ratio
        change[log_weight(row, t)] = sp.log(weight)
    return e.xreplace(change).replace(sp.exp, sp.exp)  # rebuild, so that exp(log(rho)) closes


def field_of(kl: KlReading, factor: sp.Expr) -> Field:
    """The field of one sequence, divided by the aggregation's ``factor``; all sequences must have the same.

    Raises Unread where they do not (a batch whose rows are treated differently).
    """
    rows, horizon = kl.mild.shape
    fields = [[sp.expand(own_tokens(kl.mild[b, t], b, horizon) / factor) for t in range(horizon)] for b in range(rows)]
    foreign = [{s for e in fields[b] for s in e.free_symbols if _sequence(s) not in (None, b)} for b in range(rows)]
    raw = [{base(b, t) for t in range(horizon)} & {s for e in fields[b] for s in e.free_symbols} for b in range(rows)]
    coupled = any(f - set().union(*raw) for f in foreign)
    if not coupled and not any(raw):
        for b in range(1, rows):
            if any(sp.expand(x - y) != 0 for x, y in zip(fields[0], fields[b], strict=True)):
                raise Unread("sequences of the same batch are treated differently")
    return Field(tuple(fields[0]), coupled, any(map(bool, raw)), tuple(map(tuple, fields)))


def _sequence(s: sp.Symbol) -> int | None:
    """The sequence a symbol belongs to; None for token symbols."""
    parts = s.name.split("_")
    return int(parts[1]) if len(parts) == 3 and parts[1].isdigit() else None


def on_policy(e: sp.Expr) -> sp.Expr:
    """The expression at policy = sampler."""
    return e.xreplace(
        {s: sp.Integer(1) for s in e.free_symbols if s.name.startswith("rho")}
        | {s: sp.Integer(0) for s in e.free_symbols if s.name.startswith("R_")}
    )


def at_point(kl: KlReading, batch: Batch) -> np.ndarray:
    """The full formulas evaluated at another batch of the same shape, selections resolved there."""
    regime = Regime(point_of(batch), strict=False)
    out = np.empty(kl.full.shape, dtype=np.float64)
    for index in np.ndindex(*kl.full.shape):
        out[index] = float(regime.value(kl.full[index]))
    return out
