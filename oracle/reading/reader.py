"""Read a subject once: name its inputs, run it forward and backward under the mirror, resolve the regime."""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import sympy as sp
import torch

from oracle.errors import SubjectError
from oracle.reading.atoms import Array, Unread, causes, numbers
from oracle.reading.formats import rounding
from oracle.reading.mirror import Escape, Mirror, Product
from oracle.reading.regimes import Regime, one_sign
from oracle.subject.batch import Batch
from oracle.subject.subject import Placement, Subject

_SLACK = 1e-3
"""How far a run in few digits may stray from its formula, relative to the largest value."""
_UNROUNDED_SLACK = 0.1
"""The same where casts to 16 bits were read as if they rounded nothing."""


def base(b: int, t: int) -> sp.Symbol:
    """The policy's log-probability of token t of sequence b."""
    return sp.Symbol(f"logp_{b}_{t}", real=True)


def log_ratio(b: int, t: int) -> sp.Symbol:
    """log(policy/reference) of token t of sequence b."""
    return sp.Symbol(f"L_{b}_{t}", real=True)


def log_weight(b: int, t: int) -> sp.Symbol:
    """log(policy/sampler) of token t of sequence b."""
    return sp.Symbol(f"R_{b}_{t}", real=True)


@dataclass(frozen=True)
class Reading:
    """Formulas of one run at one batch.

    ``full`` keeps every selection; ``mild`` has them resolved at the batch's numbers. Both are arrays [b, t]: the
    gradient with respect to the policy's log-probability of that token (placement loss or whole), or the penalty's
    value there (placement reward).
    """

    full: Array
    mild: Array
    regime: Regime
    escapes: tuple[Escape, ...] = ()
    products: tuple[Product, ...] = ()
    connected: bool = True
    symbols: tuple[sp.Symbol, ...] = field(default=())


def read(
    subject: Subject,
    placement: Placement,
    batch: Batch,
    symbolic_advantages: bool = False,
    unrounded: bool = False,
) -> Reading:
    """Read a subject at a batch. Raises Unread with the first cause where no formula comes out.

    ``unrounded``: what it would compute if its casts to 16 bits rounded nothing.
    """
    if subject.whole:
        raise Unread("the whole vocabulary enters, not the sampled tokens alone")
    if subject.wide:
        # what it answers depends on the tokens' log-probabilities alone (``Subject.whole``): two tokens show them
        subject = dataclasses.replace(subject, convention=dataclasses.replace(subject.convention, plain=True))
    try:
        return _read(subject, placement, batch, symbolic_advantages, unrounded)
    except SubjectError as error:
        # what ends a reading inside the subject's frames passes through them; so does code that only the mirror stops
        cause = error.__cause__
        raise Unread(str(cause if isinstance(cause, Unread) else error)) from error


def _read(subject: Subject, placement: Placement, batch: Batch, symbolic_advantages: bool, unrounded: bool) -> Reading:
    point = point_of(batch)
    with torch.enable_grad(), rounding(left_out=unrounded), Mirror() as mirror:
        policy = _named(mirror, batch.policy, base)
        leaf = policy.requires_grad_()
        mirrored = Batch(
            batch.policy,
            _named(mirror, batch.reference, lambda b, t: base(b, t) - log_ratio(b, t)),
            _named(mirror, batch.sampler, lambda b, t: base(b, t) - log_weight(b, t)),
            batch.mask.clone(),
            _advantages(mirror, batch) if symbolic_advantages else batch.advantages.clone(),
            batch.beta,
        )
        result = subject.result(mirrored, leaf.to(subject.convention.dtype).clone())
        connected = bool(result.requires_grad)
        if placement == "reward":
            target = result.detach()
        elif not connected:
            target = torch.zeros_like(batch.policy)
        else:
            scalar = result.sum() if subject.kind == "penalty" else result.mean()
            gradient = subject.derivative(scalar, leaf)
            target = torch.zeros_like(batch.policy) if gradient is None else gradient
    if mirror.ended is not None:
        raise Unread(mirror.ended)
    full = numbers(mirror.shadow.read(target)).reshape(batch.shape)
    seen = torch.zeros_like(batch.policy) if target._is_zerotensor() else target.detach().reshape(batch.shape)
    if subject.rewarding:
        full, seen = -full, -seen
    _well_defined(full)
    on_policy = bool((batch.policy == batch.sampler).all())
    # at policy = sampler a tie between ratio and 1 is no accident: there torch's own rule for ties holds
    regime = Regime(point, strict=not on_policy, kinks=("L_",) if on_policy else ("L_", "R_"))
    mild = np.empty(batch.shape, dtype=object)
    for index in np.ndindex(*batch.shape):
        mild[index] = one_sign(regime.resolve(full[index]))
        unknowns = causes(mild[index])
        if unknowns:
            raise Unread(unknowns[0])
    _well_defined(mild)
    _same_numbers(full, Regime(point, strict=not on_policy), seen, _UNROUNDED_SLACK if unrounded else _SLACK)
    return Reading(full, mild, regime, tuple(mirror.escapes), tuple(mirror.products), connected, tuple(point))


def _well_defined(formulas: Array) -> None:
    """End the reading where a formula is no real number at some branch."""
    if any(e.has(sp.nan, sp.zoo, sp.I) for e in formulas.flat):
        raise Unread("the formula has a 0/0, a 0*inf or a root of a negative number at some branch")


def _same_numbers(full: Array, regime: Regime, seen: torch.Tensor, slack: float) -> None:
    """End the reading where the formulas do not give the very numbers that ran beside them.

    Only a fault in a rule can make them differ, or memory written where no operator sees it; a wrong formula must not
    be reported.
    """
    values = [float(regime.value(e)) for e in full.flat]
    ran = seen.reshape(-1).tolist()
    size = max((abs(v) for v in values), default=0.0)
    for value, number in zip(values, ran, strict=True):
        if math.isfinite(value) and math.isfinite(number) and abs(value - number) > slack * size + 1e-6:
            raise Unread(f"the formula gives {value:.6g} where {number:.6g} ran")


def _named(mirror: Mirror, values: torch.Tensor, symbol: Any) -> torch.Tensor:
    fresh = values.detach().clone()
    return mirror.name(fresh, _grid(values.shape, symbol))


def _grid(shape: Any, symbol: Any) -> Array:
    out = np.empty(tuple(shape), dtype=object)
    for index in np.ndindex(*shape):
        out[index] = symbol(*index)
    return out


def _advantages(mirror: Mirror, batch: Batch) -> torch.Tensor:
    return mirror.name(
        batch.advantages.clone(), _grid(batch.advantages.shape, lambda b: sp.Symbol(f"A_{b}", real=True))
    )


def point_of(batch: Batch) -> dict[sp.Symbol, float]:
    """The numbers behind the symbols."""
    point: dict[sp.Symbol, float] = {}
    ratio, weight = batch.policy - batch.reference, batch.policy - batch.sampler
    for b, t in np.ndindex(*batch.shape):
        point[base(b, t)] = float(batch.policy[b, t])
        point[log_ratio(b, t)] = float(ratio[b, t])
        point[log_weight(b, t)] = float(weight[b, t])
    for b in range(batch.shape[0]):
        point[sp.Symbol(f"A_{b}", real=True)] = float(batch.advantages[b])
    return point
