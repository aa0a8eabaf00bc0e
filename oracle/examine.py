"""Identify: read, probe, cross-check, and name the objective on- and off-policy (design: steps 2, 3 and 5)."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import sympy as sp
import torch

from oracle.case import Case, Options
from oracle.errors import SubjectError
from oracle.probing import naming
from oracle.probing.aggregation import aggregation_of
from oracle.probing.expectation import of_subject
from oracle.probing.instances import Instance, Table, draw
from oracle.probing.signal import kl_part
from oracle.reading.atoms import LOGICAL, Select, Unread
from oracle.reading.field import Field, KlReading, field_of, on_policy, read_kl
from oracle.reading.reader import point_of
from oracle.reading.regimes import Regime
from oracle.records import Evidence, Nearest, ObjectiveRecord, WithReturns
from oracle.subject.batch import mild
from oracle.subject.roles import Role
from oracle.subject.subject import Placement, Subject

if TYPE_CHECKING:
    from proofs.sequences import FieldNaming

Level = Literal["token", "sequence"] | None
_SHAPE = (2, 2)
_INSTANCES = 3
_MILD, _WIDE = (0.3, 0.05), (1.0, 0.3)
"""How far the reference and the sampler lie from the policy (log-units)."""


def examine(subject: Subject, placement: Placement, options: Options) -> Case:
    """All of a case but its checks."""
    from oracle.crosscheck import crosscheck

    case = Case(subject, placement, options)
    case.aggregation = aggregation_of(subject)
    _read(case)
    case.on_policy = _judge(case, on=True)
    case.off_policy = _judge(case, on=False)
    if placement == "reward":
        case.with_returns = _with_returns(case)
    case.depends_on_reference = _depends_on_reference(case)
    _hear_advantages(case)
    crosscheck(case)
    return case


def factor(case: Case, sequences: int, tokens: int) -> sp.Rational:
    """The weight of one token in a full batch: of the aggregation, 1 for a penalty, else a mean over sequences."""
    if case.aggregation is not None:
        f = case.aggregation.factor(sequences, tokens)
        return sp.Rational(f.numerator, f.denominator)
    return sp.Integer(1) if case.subject.kind == "penalty" else sp.Rational(1, sequences)


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


@cache
def bench(seed: int, horizon: int, on: bool, wide: bool = False) -> naming.Bench:
    """Seeded instances: mild ones for naming, wide ones for distances."""
    rng = np.random.default_rng([seed, horizon, wide])
    drawn = [draw(rng, horizon, *(_WIDE if wide else _MILD)) for _ in range(_INSTANCES)]
    return naming.Bench([i.on_policy() for i in drawn] if on else drawn)


def expected_gradients(case: Case, drawn: list[Instance], returns: bool = False) -> list[Table]:
    """Expected gradients, divided by the weight of a token (so that scale 1 is the plain form)."""
    out = []
    for instance in drawn:
        gradient, signal = of_subject(case.subject, case.placement, instance, returns)
        if case.subject.kind == "loss":
            n = signal.coefficient.shape[0]
            gradient = gradient / (float(factor(case, n, instance.horizon)) * n)
        out.append(gradient)
    return out


def _probe(case: Case, on: bool, returns: bool = False) -> tuple[str, naming.Fit | None]:
    """Name by enumeration at horizon 2; a token-level name must hold at horizon 1 too."""
    at_two = bench(case.options.seed, 2, on)
    gradients = expected_gradients(case, at_two.instances, returns)
    if not _finite(gradients):
        return "unnamed", None
    found, best = at_two.name(gradients, case.tolerance)
    if best is not None and found != "unnamed" and best.level == "token":
        at_one = bench(case.options.seed, 1, on)
        try:
            single = expected_gradients(case, at_one.instances, returns)
        except SubjectError:
            return found, best  # code that cannot take single tokens is named by longer answers alone
        if _finite(single) and any(g.any() for g in single):
            found = found if at_one.name(single, case.tolerance)[0] == found else "unnamed"
    return found, best


def _finite(gradients: list[Table]) -> bool:
    return all(bool(np.isfinite(g).all()) for g in gradients)


def _nearest(case: Case, on: bool, returns: bool = False) -> Nearest | None:
    wide = bench(case.options.seed, 2, on, wide=True)
    gradients = expected_gradients(case, wide.instances, returns)
    if not _finite(gradients) or wide.is_zero(gradients, 1e-12):
        return None
    # off-policy only the sampler's prefixes make a token-level name
    best = next(f for f in wide.fits(gradients) if on or f.prefixes != "policy")
    return Nearest(
        objective=best.objective, level=_level(best.level), relative_error=float(f"{best.relative_error:.3g}")
    )


def _level(text: str | None) -> Level:
    return text if text in ("token", "sequence") else None  # type: ignore[return-value]


def _judge(case: Case, on: bool) -> ObjectiveRecord:
    found, best = _probe(case, on)
    field = case.on_field if on else case.field
    formula = _formula(field, on)
    named = _named_by_reading(case, on)
    if named is not None and _join(case, on, named, found, best):
        return _record(case, on, named, formula)
    return _tested(case, on, found, best, formula)


def _named_by_reading(case: Case, on: bool) -> FieldNaming | None:
    from proofs.sequences import name_field

    field = case.on_field if on else case.field
    if field is None or field.raw:
        return None
    if field.coupled:
        return _named_in_any_batch(case, on)
    return name_field(list(field.coefficients), on_policy=on)


def _named_in_any_batch(case: Case, on: bool) -> FieldNaming | None:
    """The name of a field in which sequences hear each other, where it is the same for each of 2 and of 3 sequences.

    The others are drawn independently, so a baseline made of them alone (leave-one-out) goes by the score identity.
    """
    from proofs.sequences import name_field

    names: set[FieldNaming] = set()
    for sequences in (2, 3):
        try:
            batch = mild(sequences, 2, seed=1 + case.options.seed)
            if on:
                batch = replace(batch, sampler=batch.policy)
            field = field_of(read_kl(case.subject, case.placement, batch), factor(case, sequences, 2))
        except (Unread, SubjectError):
            return None
        names |= {name_field([on_policy(c) if on else c for c in row], on_policy=on) for row in field.rows}
    return next(iter(names)) if len(names) == 1 and "unnamed" not in {n.objective for n in names} else None


def _join(case: Case, on: bool, named: FieldNaming, found: str, best: naming.Fit | None) -> bool:
    """Whether reading and probing agree; else probing decides alone, and a disagreement is noted."""
    side = "on-policy" if on else "off-policy"
    if named.objective == "unnamed" and found != "unnamed":
        if _token_local(case.on_field if on else case.field) and not _nearly(case, on, found, best):
            case.disagreements.append(f"{side}: the formula names no objective, enumeration names {found}")
        return False
    same = named.objective == found and (found in ("zero", "unnamed") or best is None or named.level == best.level)
    if (field := case.on_field if on else case.field) is not None and field.coupled:
        # one batch that holds every sequence is no independent draw: its scale is off by the order of 1/64
        if best is None or named.scale is None:
            return same
        return same and abs(float(named.scale) - best.scale) < 0.05 * abs(best.scale)
    if not same and _another_branch(case, on):
        return False
    if not same:
        case.disagreements.append(
            f"{side}: the formula says {named.objective}/{named.level}, enumeration says {found}"
            f"/{best.level if best else None}"
        )
        return False
    if found not in ("zero", "unnamed") and best is not None and named.scale is not None:
        scale = float(named.scale)
        if abs(scale - best.scale) > max(1e-5, 10 * case.tolerance) * abs(scale):
            case.disagreements.append(f"{side}: the formula has scale {scale:.6g}, enumeration {best.scale:.6g}")
            return False
    # that no objective fits is proved only for coefficients of the own token
    return named.objective != "unnamed" or _token_local(case.on_field if on else case.field)


def _nearly(case: Case, on: bool, found: str, best: naming.Fit | None) -> bool:
    """Whether a formula is a multiple of the objective's coefficient but for the last digits of a constant in it
    (log 2 as a decimal number), so that it is named by numbers and not by proof."""
    from oracle.probing.expectation import coefficient
    from proofs.symbols import token_symbols

    field = case.on_field if on else case.field
    if field is None:
        return False
    grid = np.linspace(-0.4, 0.4, 9)
    off = np.zeros_like(grid) if best is None else best.scale * coefficient(found)(grid)
    for t, c in enumerate(field.coefficients):
        ratio, here = token_symbols(t)[0], on_policy(c)
        try:
            own = np.array([float(Regime({ratio: x}, strict=False).value(here)) for x in grid]) - off
        except Unread:
            return False
        if not float(np.ptp(own)) <= 10 * case.tolerance * max(1.0, float(np.abs(off).max())):
            return False
    return True


def _another_branch(case: Case, on: bool) -> bool:
    """Whether a selection (a dead zone, a clamp) turns among the instances enumerated: the formula is not theirs."""
    from oracle.probing.expectation import as_batch

    kl = case.kl
    if kl is None or not any(e.has(Select) for e in kl.full.flat):
        return False
    rows = kl.full.shape[0]
    for instance in bench(case.options.seed, 2, on).instances:
        batch = as_batch(instance)[0]
        for start in range(0, batch.shape[0] - rows + 1, rows):
            part = slice(start, start + rows)
            here = replace(
                batch,
                policy=batch.policy[part],
                reference=batch.reference[part],
                sampler=batch.sampler[part],
                mask=batch.mask[part],
                advantages=batch.advantages[part],
            )
            regime = Regime(point_of(here), strict=False)
            try:
                pairs = [(regime.value(f), regime.value(m)) for f, m in zip(kl.full.flat, kl.mild.flat, strict=True)]
            except Unread:
                return False
            if any(abs(f - m) > 1e-9 * (1 + abs(m)) for f, m in pairs):
                return True
    return False


def _token_local(field: Field | None) -> bool:
    """Whether each coefficient depends on its own token alone; then proofs decide equality for every vocabulary."""
    if field is None or field.raw or field.coupled:
        return False
    from proofs.symbols import token_symbols

    return all(c.free_symbols <= set(token_symbols(t)) for t, c in enumerate(field.coefficients))


def _formula(field: Field | None, on: bool) -> str | None:
    if field is None:
        return None
    from proofs.symbols import RHO, L, token_symbols

    c = field.coefficients[0]
    c = on_policy(c) if on else c
    own_ratio, own_weight = token_symbols(0)
    if _token_local(field):
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
    return _written(case, on, (named.objective, named.level, named.prefixes, scale), "proved", formula, combination)


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
        if (nearest := _nearest(case, on)) is not None:
            extra["nearest"] = nearest
        if combination:
            extra["combination"] = combination
    return ObjectiveRecord(
        objective=objective,
        level=_level(level) if is_named else None,
        scale=_clean(scale) if is_named and scale is not None else None,
        evidence=evidence,
        formula=formula,
        **extra,
    )


def _with_returns(case: Case) -> WithReturns:
    from proofs.sequences import name_field

    found, best = _probe(case, on=True, returns=True)
    level = _level(best.level) if best is not None and found not in ("zero", "unnamed") else None
    scale = _clean(float(f"{best.scale:.6g}")) if best is not None and level is not None else None
    evidence: Literal["proved", "tested"] = "tested"
    if case.field is not None and not case.field.coupled and not case.field.raw:
        c = list(case.field.coefficients)
        named = name_field([sp.Add(*c[t:]) for t in range(len(c))], on_policy=True)
        if named.objective == found and (level is None or named.level == level):
            # that no objective fits is proved only for coefficients of the own token
            evidence = "tested" if found == "unnamed" else "proved"
    return WithReturns(objective=found, level=level, scale=scale, evidence=evidence)


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
