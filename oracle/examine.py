"""Identify: read, probe, cross-check, and name the objective on- and off-policy (design: steps 2, 3 and 5)."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, Literal

import sympy as sp
import torch
from msgspec import structs

from oracle.agreement import agree, named_by_reading, token_local
from oracle.case import Case, Options
from oracle.citing import of_enumeration, of_reading, of_returns
from oracle.crosscheck import crosscheck
from oracle.enumeration import factor, level_of, nearest, probe
from oracle.probing import naming
from oracle.probing.aggregation import aggregation_of
from oracle.probing.signal import kl_part
from oracle.reading.atoms import LOGICAL, Unread
from oracle.reading.field import Field, KlReading, field_of, on_policy, read_kl
from oracle.records import SAMPLER_KL, Evidence, ObjectiveRecord, WithReturns
from oracle.subject.batch import mild
from oracle.subject.roles import Role
from oracle.subject.subject import Placement, Subject
from oracle.widening import widened

if TYPE_CHECKING:
    from proofs.sequences import FieldNaming

_SHAPE = (2, 2)


def examine(subject: Subject, placement: Placement, options: Options) -> Case:
    """All of a case but its checks."""
    case = Case(subject, placement, options)
    case.aggregation = aggregation_of(subject)
    _read(case)
    case.on_policy = widened(case, _judge(case, on=True), on=True)
    case.off_policy = widened(case, _judge(case, on=False), on=False)
    if placement == "reward":
        case.with_returns = _with_returns(case)
    case.depends_on_reference = _depends_on_reference(case)
    _hear_advantages(case)
    crosscheck(case)
    return case


def _read(case: Case) -> None:
    """Read at two mild batches; the formulas must be the same, or a number in them was taken from the batch."""
    try:
        first, second = (
            read_kl(case.subject, case.placement, mild(*_SHAPE, seed=s + case.options.seed)) for s in (1, 2)
        )
        divisor = factor(case, *_SHAPE)
        one, two = field_of(first, divisor), field_of(second, divisor)
        if any(sp.expand(x - y) != 0 for x, y in zip(one.coefficients, two.coefficients, strict=True)):
            raise Unread("the formula changes with the inputs (a value taken out by .item(), or a branch on data)")
    except Unread as error:
        case.unread = str(error)
        return
    case.kl, case.field = first, one
    case.on_field = _read_on_policy(case, divisor) if _kinked(one) else one
    case.path = _path(first)


def _kinked(field: Field) -> bool:
    """Whether a formula turns on the sign of log rho, which is 0 on-policy."""
    return any(s.name.startswith("rho") for c in field.coefficients for e in c.atoms(sp.sign) for s in e.free_symbols)


def _read_on_policy(case: Case, divisor: sp.Expr) -> Field | None:
    batch = mild(*_SHAPE, seed=1 + case.options.seed)
    try:
        return field_of(read_kl(case.subject, case.placement, replace(batch, sampler=batch.policy)), divisor)
    except Unread:
        return None


def _path(kl: KlReading) -> list[str]:
    out: list[str] = []
    for escape in kl.escapes:
        # a condition that became a truth value is a branch; numbers taken out are found by the second reading
        if isinstance(escape.value, bool) and isinstance(escape.expression, LOGICAL):
            text = f"{shorten(escape.expression)} is {escape.value}"
            if text not in out:
                out.append(text)
    return out


def shorten(expression: Any, limit: int = 160) -> str:
    """An expression as text, cut where it is too long to read."""
    text = str(expression)
    return text if len(text) <= limit else text[: limit - 4] + " ..."


def _judge(case: Case, on: bool) -> ObjectiveRecord:
    found, best = probe(case, on)
    field = case.on_field if on else case.field
    formula = _formula(field, on)
    named = named_by_reading(case, on)
    if named is not None and agree(case, on, named, found, best):
        return structs.replace(_record(case, on, named, formula), theorems=of_reading(case, on, named))
    record = _tested(case, on, found, best, formula)
    return structs.replace(record, theorems=of_enumeration(record.objective))


def _formula(field: Field | None, on: bool) -> str | None:
    if field is None:
        return None
    from proofs.symbols import RHO, L, token_symbols

    c = field.coefficients[0]
    c = on_policy(c) if on else c
    own_ratio, own_weight = token_symbols(0)
    if token_local(field):
        c = c.xreplace({own_ratio: L, own_weight: RHO})
    return shorten(_in_decimals(sp.factor_terms(c) if c.is_Add and c.has(RHO) else c), 400)


def _in_decimals(e: sp.Expr) -> sp.Expr:
    """Long fractions as six digits, for a person to read."""
    long = {r: sp.Float(r, 6) for r in e.atoms(sp.Rational) if max(abs(r.p), r.q) > 10**4}
    return e.xreplace(long)


def _clean(x: float) -> float:
    """A scale without the dust of a normaliser such as n + 1e-8."""
    near = float(f"{x:.6g}")
    return near if abs(near - x) <= 1e-6 * abs(x) else x


def _record(case: Case, on: bool, named: FieldNaming, formula: str | None) -> ObjectiveRecord:
    scale = None if named.scale is None else float(named.scale)
    combination = {n: float(a) for n, a in named.combination or ()}
    if not on and named.objective == "unnamed" and (c := _constant(case.field)) is not None:
        combination = {SAMPLER_KL: -c}  # theory, master table: E_mu[s] = -grad KL(sampler||policy)
    return _written(case, on, (named.objective, named.level, named.prefixes, scale), "proved", formula, combination)


def _constant(field: Field | None) -> float | None:
    """The number that multiplies every score, where the formula is one."""
    numbers = set() if field is None else set(field.coefficients)
    (c,) = numbers if len(numbers) == 1 else (None,)
    return float(c) if c is not None and c.is_number and c != 0 else None


def _tested(case: Case, on: bool, found: str, best: naming.Fit | None, formula: str | None) -> ObjectiveRecord:
    named = (
        (found, None, None, None) if best is None else (found, best.level, best.prefixes, float(f"{best.scale:.6g}"))
    )
    return _written(case, on, named, "tested", formula, {})


def _written(
    case: Case,
    on: bool,
    named: tuple[str, str | None, str | None, float | None],
    evidence: Evidence,
    formula: str | None,
    combination: dict[str, float],
) -> ObjectiveRecord:
    """One side of the verdict. Off-policy a token-level objective means the sampler's prefixes: a field that has the
    policy's (a weight of the whole prefix on a token's term) is unnamed, and says so."""
    objective, level, prefixes, scale = named
    extra: dict[str, Any] = {}
    if objective not in ("zero", "unnamed") and level == "token" and prefixes == "policy" and not on:
        combination, extra["prefixes"] = {objective: scale or 1.0}, "policy"
        objective = "unnamed"
    is_named = objective not in ("zero", "unnamed")
    if objective == "unnamed":
        if (near := nearest(case, on)) is not None:
            extra["nearest"] = near
        if combination:
            extra["combination"] = combination
    return ObjectiveRecord(
        objective=objective,
        level=level_of(level) if is_named else None,
        scale=_clean(scale) if is_named and scale is not None else None,
        evidence=evidence,
        formula=formula,
        **extra,
    )


def _with_returns(case: Case) -> WithReturns:
    from proofs.sequences import name_field

    found, best = probe(case, on=True, returns=True)
    level = level_of(best.level) if best is not None and found not in ("zero", "unnamed") else None
    theorems = of_enumeration(found)
    scale = _clean(float(f"{best.scale:.6g}")) if best is not None and level is not None else None
    evidence: Literal["proved", "tested"] = "tested"
    if case.field is not None and not case.field.coupled and not case.field.raw:
        c = list(case.field.coefficients)
        to_go = [sp.Add(*map(on_policy, c[t:])) for t in range(len(c))]
        named = name_field(to_go, on_policy=True)
        if named.objective == found and (level is None or named.level == level):
            # that no objective fits is proved only for coefficients of the own token
            evidence = "tested" if found == "unnamed" else "proved"
            theorems = of_returns(to_go, named)
    return WithReturns(objective=found, level=level, scale=scale, evidence=evidence, theorems=theorems)


def _hear_advantages(case: Case) -> None:
    """The KL part is isolated with zero advantages; say where others change it."""
    if not (case.subject.has(Role.ADVANTAGES) or case.subject.has(Role.REWARDS)):
        return
    batch = case.mild_batch
    generator = torch.Generator().manual_seed(case.options.seed)
    drawn = torch.randn(batch.shape[0], generator=generator, dtype=torch.float64)
    other = kl_part(case.subject, case.placement, replace(batch, advantages=drawn)).coefficient
    plain = case.mild_signal.coefficient
    change = float((other - plain).abs().max()) / max(float(plain.abs().max()), 1e-30)
    if not change <= max(1e-6, 100 * case.tolerance):
        case.path.append(f"the advantages are 0; with others the KL part changes (by {change:.2%} in a drawn batch)")


def _depends_on_reference(case: Case) -> bool:
    """Whether another reference changes the signal of any token."""
    batch = case.mild_batch
    moved = mild(*batch.shape, seed=case.options.seed + 12)
    other = kl_part(
        case.subject,
        case.placement,
        type(batch)(batch.policy, moved.reference, batch.sampler, batch.mask, batch.advantages, batch.beta),
    )
    size = float(case.mild_signal.coefficient.abs().max())
    change = float((other.coefficient - case.mild_signal.coefficient).abs().max())
    return bool(change > 1e-9 * max(size, 1e-30)) and not bool(torch.isnan(other.coefficient).all())
