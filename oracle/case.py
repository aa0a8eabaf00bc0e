"""A case: one subject at one placement, with all that reading and probing found; the checks work on it."""

from __future__ import annotations

import dataclasses
from functools import cached_property

import sympy as sp
import torch

from oracle.probing.aggregation import Aggregation
from oracle.probing.instances import Table
from oracle.probing.precision import working_dtype
from oracle.probing.signal import Signal, kl_part
from oracle.reading.field import Field, KlReading
from oracle.records import Finding, ObjectiveRecord, WithReturns
from oracle.subject.batch import Batch, mild, ragged
from oracle.subject.subject import Placement, Subject


@dataclasses.dataclass(frozen=True)
class Options:
    """How much is drawn, and from which seed."""

    seed: int = 0
    max_examples: int = 20
    cases: str | None = None
    """The folder in which failures are saved, to be replayed; None saves nothing."""


@dataclasses.dataclass(frozen=True)
class Value:
    """The mean of the KL part's value over answers (the sum over an answer's tokens), and its variance over single
    answers; None where one number is given for the whole batch."""

    mean: float
    variance: float | None


@dataclasses.dataclass
class Case:
    """Filled step by step by ``examine``; read by the checks and the reporters."""

    subject: Subject
    placement: Placement
    options: Options
    aggregation: Aggregation | None = None
    kl: KlReading | None = None
    field: Field | None = None
    on_field: Field | None = None
    """The field read at policy = sampler, where that is a kink of its own (min(rho, 1)); else the same as ``field``."""
    unread: str | None = None
    on_policy: ObjectiveRecord | None = None
    off_policy: ObjectiveRecord | None = None
    with_returns: WithReturns | None = None
    depends_on_reference: bool = True
    path: list[str] = dataclasses.field(default_factory=list)
    disagreements: list[str] = dataclasses.field(default_factory=list)
    findings: list[Finding] = dataclasses.field(default_factory=list)
    gradients: dict[bool, list[Table]] = dataclasses.field(default_factory=dict, repr=False)
    """Expected gradients at the naming instances, on-policy (True) and off-policy."""
    values: list[Value] = dataclasses.field(default_factory=list, repr=False)
    """The value at each of the wide instances, on-policy."""

    @cached_property
    def mild_signal(self) -> Signal:
        """The KL part on a mild batch of 3 x 4 tokens."""
        return kl_part(self.subject, self.placement, self.mild_batch)

    @cached_property
    def mild_batch(self) -> Batch:
        """The batch of ``mild_signal``."""
        return mild(3, 4, seed=self.options.seed + 11)

    @cached_property
    def ragged_signal(self) -> Signal:
        """The KL part on a batch of sequences of 4, 2 and 1 tokens, padded to 4."""
        return kl_part(self.subject, self.placement, self.ragged_batch)

    @cached_property
    def ragged_batch(self) -> Batch:
        """The batch of ``ragged_signal``."""
        return ragged((4, 2, 1), 4, seed=self.options.seed + 21)

    @cached_property
    def tolerance(self) -> float:
        """Relative error that still counts as equal: it follows the coarsest dtype that the code works in."""
        dtype = working_dtype(self.subject, self.placement, self.mild_batch)
        return {torch.float64: 1e-8, torch.float32: 1e-4}.get(dtype, 1e-2)

    @property
    def noise(self) -> float:
        """What rounding leaves of a gradient that is 0: terms of order 1 that cancel."""
        return 1e-4 * self.tolerance

    @property
    def coefficient(self) -> sp.Expr | None:
        """The on-policy coefficient of a token in L, where it was read and depends on its own token alone."""
        from oracle.reading.field import on_policy
        from proofs.symbols import L, token_symbols

        if self.on_field is None or self.on_field.raw or self.on_field.coupled:
            return None
        own = token_symbols(0)[0]
        c = on_policy(self.on_field.coefficients[0])
        return c.xreplace({own: L}) if c.free_symbols <= {own} else None
