"""Agreement: the name of the formulas that were read, and whether enumeration says the same.

Where they differ, either a clamp or the digits of a constant explain it, and enumeration decides alone; or it is a
defect of this tool, and noted as one.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from oracle.case import Case
from oracle.enumeration import bench, factor
from oracle.errors import SubjectError
from oracle.probing import naming
from oracle.probing.expectation import as_batch, coefficient
from oracle.reading.atoms import Select, Unread
from oracle.reading.field import Field, field_of, on_policy, read_kl
from oracle.reading.reader import point_of
from oracle.reading.regimes import Regime
from oracle.subject.batch import mild

if TYPE_CHECKING:
    from proofs.sequences import FieldNaming


def named_by_reading(case: Case, on: bool) -> FieldNaming | None:
    from proofs.sequences import name_field

    field = case.on_field if on else case.field
    if field is None or field.raw:
        return None
    if field.coupled:
        return _named_in_any_batch(case, on)
    return name_field(list(field.coefficients), on_policy=on)


def agree(case: Case, on: bool, named: FieldNaming, found: str, best: naming.Fit | None) -> bool:
    """Whether reading and probing agree; else probing decides alone, and a disagreement is noted."""
    side = "on-policy" if on else "off-policy"
    if named.objective == "unnamed" and found != "unnamed":
        if token_local(case.on_field if on else case.field) and not _nearly(case, on, found, best):
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
    return named.objective != "unnamed" or token_local(case.on_field if on else case.field)


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


def _nearly(case: Case, on: bool, found: str, best: naming.Fit | None) -> bool:
    """Whether a formula is a multiple of the objective's coefficient but for the last digits of a constant in it
    (log 2 as a decimal number), so that it is named by numbers and not by proof."""
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


def token_local(field: Field | None) -> bool:
    """Whether each coefficient depends on its own token alone; then proofs decide equality for every vocabulary."""
    if field is None or field.raw or field.coupled:
        return False
    from proofs.symbols import token_symbols

    return all(c.free_symbols <= set(token_symbols(t)) for t, c in enumerate(field.coefficients))
