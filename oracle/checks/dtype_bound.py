"""dtype.bound: the gradient must lie within an a-priori bound of its exact value, in every format it can run in."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Any

import numpy as np
import sympy as sp
import torch

from oracle.case import Case
from oracle.checks.registry import Answer, check, passed, skipped
from oracle.enumeration import factor
from oracle.errors import SubjectError
from oracle.probing.expectation import coefficient
from oracle.probing.signal import kl_part
from oracle.reading.atoms import Unread
from oracle.reading.field import KlReading, at_point, read_kl
from oracle.reading.reader import log_ratio, log_weight, point_of
from oracle.reading.regimes import Regime
from oracle.records import Nearest
from oracle.subject.batch import Batch, mild

FORMATS = {
    "float64": (torch.float64, 2.0**-53, 0.0),
    "float32": (torch.float32, 2.0**-24, 2.0**-150),
    "bfloat16": (torch.bfloat16, 2.0**-8, 2.0**-134),
    "float16": (torch.float16, 2.0**-11, 2.0**-25),
}
"""Name to dtype, unit roundoff u (half an ulp at 1) and half the least subnormal."""
_ROUNDINGS = 16
"""Roundings between the log-probabilities and a token's gradient, each at most u times the largest intermediate term:
exp and its 2 ulp, products, the mask, the coefficient, the divisor, the backward pass of each."""

_NORMALISED = 24
"""Roundings of a log-softmax over the few tokens here: A + c_e + h + c_l |L - m| + |L|, generously."""


@check(
    "dtype.bound",
    question="Does rounding stay within the a-priori bound in float64, float32, bfloat16 and float16?",
    severity="error",
    failure="the gradient is further from its exact value than rounding allows",
    remedy="subtract log-probabilities in float32 or better, and keep constants and divisors inside the format's range",
    no_theorem="a matter of rounding: the bound is |c'| u (|log policy| + |log reference| + |L|) + n u M, n roundings",
)
def dtype_bound(case: Case) -> Answer:
    """The inputs are rounded first: they are exact numbers, and the formula is evaluated on them.

    float64 may be computed in float32 (many losses call .float()). In 16 bits a failure is a warning.
    """
    home, exact = exact_of(case)
    if exact is None:
        return skipped("no formula was read, and no objective of single tokens named, to hold the numbers against")
    ran, softer, left = [], "", []
    for name, (dtype, u, eta) in FORMATS.items():
        batch = home.to(dtype)
        try:
            seen = kl_part(case.subject.at_precision(dtype), case.placement, batch).coefficient.numpy()
        except SubjectError:
            left.append(name)
            continue
        true = exact(batch.to(torch.float64))
        if true is None:
            left.append(name)
            continue
        if not true.values.any():
            return skipped("the exact gradient is 0; two zeros are no agreement")
        error = np.abs(seen - true.values)
        within = _within(error, true, u, eta)
        if name == "float64" and not within.all():
            softer = " (float64 is computed in float32)"
            within = _within(error, true, *FORMATS["float32"][1:])
        if not within.all():
            return _beyond(name, seen, true, within, u if name != "float64" else FORMATS["float32"][1], eta)
        ran.append(name)
    if not ran:
        return skipped("it runs in none of the formats")
    # a name says nothing of single tokens where the policy has left its sampler
    where = ", at policy = sampler alone" if bool((home.policy == home.sampler).all()) else ""
    return passed(
        f"within the bound in {', '.join(ran)}{softer}{where}" + (f"; not asked in {', '.join(left)}" if left else "")
    )


def exact_of(case: Case) -> tuple[Batch, Callable[[Batch], Exact | None] | None]:
    """The batch of the check, and what gives the exact values at any 2 x 2 tokens (None where nothing is known).

    They come from the formula that was read, from that which casts to 16 bits would leave if they rounded nothing, or
    from the objective that was named; a name holds for the policy that is the sampler.
    """
    home = mild(2, 2, seed=1 + case.options.seed)
    exact: Callable[[Batch], Exact | None] | None = _by_formula(case, case.kl or _unrounded(case, home))
    if exact is None:
        home = replace(home, sampler=home.policy)
        exact = _by_name(case, home)
    return home, exact


@dataclass(frozen=True)
class Exact:
    """Exact values [b, t], what an error of the rounded inputs makes of them at u = 1, and the largest intermediate."""

    values: np.ndarray[Any, np.dtype[np.float64]]
    carried: np.ndarray[Any, np.dtype[np.float64]]
    largest: np.ndarray[Any, np.dtype[np.float64]]


def bound_of(true: Exact, u: float, eta: float) -> np.ndarray[Any, np.dtype[np.float64]]:
    """How far a number of the format may lie from the exact one."""
    first = u * (true.carried + _ROUNDINGS * true.largest)
    out: np.ndarray[Any, np.dtype[np.float64]] = first * (1 + 2 * _ROUNDINGS * u) + u * np.abs(true.values) + eta
    return out


def _within(error: np.ndarray[Any, Any], true: Exact, u: float, eta: float) -> np.ndarray[Any, np.dtype[np.bool_]]:
    out: np.ndarray[Any, np.dtype[np.bool_]] = error <= bound_of(true, u, eta)
    return out


def _beyond(name: str, seen: Any, true: Exact, within: Any, u: float, eta: float) -> Answer:
    bound = bound_of(true, u, eta)
    worst = np.unravel_index(int(np.nan_to_num(np.abs(seen - true.values) / bound, nan=np.inf).argmax()), bound.shape)
    actual, expected, room = float(seen[worst]), float(true.values[worst]), float(bound[worst])
    how = f"{abs(actual - expected) / room:.3g} times the bound" if math.isfinite(actual) else "not finite"
    return Answer(
        "fail",
        f"in {name} {actual:.6g} where {expected:.6g} is exact and {room:.2g} the bound: {how}",
        "tested",
        {
            "dtype": name,
            "expected": expected,
            "actual": actual if math.isfinite(actual) else str(actual),
            "bound": room,
        },
        "error" if name in ("float64", "float32") else "warning",
    )


def _unrounded(case: Case, home: Batch) -> KlReading | None:
    try:
        return read_kl(case.subject, case.placement, home, unrounded=True)
    except Unread:
        return None


def _by_formula(case: Case, kl: KlReading | None) -> Any:
    if kl is None:
        return None
    home = Regime(point_of(mild(2, 2, seed=1 + case.options.seed)), strict=False)
    try:
        slope = [{s: abs(float(home.value(d))) for s, d in _slopes(e).items()} for e in kl.mild.flat]
    except Unread:
        return None

    def exact(batch: Batch) -> Exact | None:
        try:
            values = at_point(kl, batch)
        except (Unread, OverflowError, ZeroDivisionError):
            return None
        if not np.isfinite(values).all():
            return None
        carried, largest = np.zeros_like(values), np.zeros_like(values)
        room = _input_errors(batch, 2 * _NORMALISED if case.subject.wide else 0.0)
        # a term of the size of exp(sum |L|) exp(sum |log rho|) may stand on the way, and cancel
        swing = ((batch.policy - batch.reference).abs() + (batch.policy - batch.sampler).abs()).sum(1).exp().numpy()
        for i, index in enumerate(np.ndindex(*values.shape)):
            carried[index] = sum(d * room.get(s, 0.0) for s, d in slope[i].items())
            steep = sum(d for s, d in slope[i].items() if s in room)
            largest[index] = max(abs(values[index]), steep) * swing[index[0]]
        return Exact(values, carried, np.broadcast_to(largest.max(), largest.shape))

    return exact


def _slopes(e: sp.Expr) -> dict[sp.Symbol, sp.Expr]:
    flat = e.replace(sp.sign, lambda x: sp.Symbol(f"side of {x}"))
    back = {s: sp.sign(x.args[0]) for x in e.atoms(sp.sign) for s in [sp.Symbol(f"side of {x.args[0]}")]}
    return {s: sp.diff(flat, s).xreplace(back) for s in e.free_symbols}


def _input_errors(batch: Batch, made: float) -> dict[sp.Symbol, float]:
    """What a rounded difference of two exact log-probabilities may be off by, in units of u; ``made``: further, where
    the code makes them from logits."""
    out: dict[sp.Symbol, float] = {}
    for b, t in np.ndindex(*batch.shape):
        p, q, m = (float(x[b, t]) for x in (batch.policy, batch.reference, batch.sampler))
        out[log_ratio(b, t)] = made + abs(p) + abs(q) + abs(p - q)
        out[log_weight(b, t)] = made + abs(p) + abs(m) + abs(p - m)
    return out


def plain_scale(fitted: float) -> float:
    """What a scale is that was fitted to numbers of 16 bits: a plain number within 1%, where there is one."""
    near = (float(Fraction(fitted).limit_denominator(4)), *(float(f"{fitted:.{n}g}") for n in (1, 2)), fitted)
    return next(x for x in near if abs(x - fitted) <= 0.01 * abs(fitted))


def _by_name(case: Case, home: Batch) -> Any:
    """What enumeration alone has named: scale times its coefficient, where a run in float64 is near that.

    Code that rounds to 16 bits inside misses the name by its rounding: there the nearest objective stands in.
    """
    record = case.on_policy
    if record is None:
        return None
    found, level = record.objective, record.level
    if found == "unnamed" and case.tolerance >= 1e-2 and isinstance(record.nearest, Nearest):
        found, level = record.nearest.objective, record.nearest.level
    if level != "token" or found in ("zero", "unnamed"):
        return None
    c = coefficient(found)
    form = c((home.policy - home.reference).numpy()) * np.ones(home.shape)
    seen = kl_part(case.subject, case.placement, home).coefficient.numpy()
    weight = float((seen * form).sum() / (form * form).sum())
    if record.scale is not None and abs(weight / (named := record.scale * float(factor(case, 2, 2))) - 1) > 1e-5:
        weight = named  # else it is the same without the six digits that are shown
    if record.scale is None:
        weight = plain_scale(weight / float(factor(case, 2, 2))) * float(factor(case, 2, 2))
    if not np.abs(seen - weight * form).max() <= 0.1 * np.abs(weight * form).max():
        return None

    def exact(batch: Batch) -> Exact:
        ratio = (batch.policy - batch.reference).numpy()
        step = 1e-6
        slope = np.abs(weight * (c(ratio + step) - c(ratio - step)) / (2 * step))
        room = (batch.policy.abs() + batch.reference.abs() + (batch.policy - batch.reference).abs()).numpy()
        values = weight * c(ratio) * np.ones_like(ratio)
        largest = float(np.maximum(np.abs(values), slope).max()) * float(np.exp(np.abs(ratio).max()))
        return Exact(values, slope * room, np.full_like(values, largest))

    return exact
