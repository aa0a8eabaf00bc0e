"""What claims say of each other: which contradict, and which one is implied by another.

A form has a gradient of its own, so it says what objective is descended on- and off-policy (``proofs.sequences`` names
it for every vocabulary); an objective says so outright. Thresholds of a weight are not met in the mild regime, where
objectives are named.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from msgspec import structs

from oracle.claims.claim import Claim, Form, Side, Weight
from oracle.errors import ClaimError

if TYPE_CHECKING:
    from oracle.case import Case
    from oracle.records import Finding

_HORIZON = 2


@dataclass(frozen=True)
class Fact:
    """What a claim says of one side; None leaves level or scale open. ``unnamed``: no objective of the catalogue."""

    objective: str
    level: str | None = None
    scale: float | None = None


def facts(claim: Claim) -> dict[Side, Fact]:
    """The sides of which a claim says what is descended."""
    if claim.form is None:
        assert claim.objective is not None
        return dict.fromkeys(claim.sides, Fact(claim.objective, claim.level, claim.scale))
    out = {side: _named(claim.form, side) for side in ("on-policy", "off-policy")}
    return {side: fact for side, fact in out.items() if fact is not None}  # type: ignore[misc]


def _named(form: Form, side: str) -> Fact | None:
    """What a form descends; None where that it has no name is not proved."""
    from oracle.claims.forms import symbolic
    from proofs.sequences import name_field
    from proofs.symbols import L, token_symbols

    if form.weight.cut and not _inactive(form.weight):
        return None
    on = side == "on-policy"
    named = name_field(symbolic(form, _HORIZON), on_policy=on)
    if named.objective == "zero":
        return Fact("zero")
    if named.objective == "unnamed" or (not on and named.level == "token" and named.prefixes == "policy"):
        # off-policy a token-level name means the sampler's prefixes; that nothing else fits is proved only for
        # coefficients of the own token
        own = [set(token_symbols(t)) | {L} for t in range(_HORIZON)]
        local = all(g.free_symbols <= s for g, s in zip(symbolic(form, _HORIZON), own, strict=True))
        return Fact("unnamed") if local or named.objective != "unnamed" else None
    return Fact(named.objective, named.level, None if named.scale is None else float(named.scale))


def _inactive(weight: Weight) -> bool:
    """Whether the mild regime (each |log rho| < .09) stays clear of the thresholds over a few tokens."""
    return weight.low < 0.8 and weight.high > 1.25


def consistent(claims: Sequence[Claim], placement: str | None = None) -> None:
    """Raise ClaimError where two claims that would be held against the same gradient contradict each other.

    Without a placement only claims of the same one are compared: a penalty is judged as loss and in reward.
    """
    for one, two in itertools.combinations(claims, 2):
        if placement is None and (one.placement or "loss") != (two.placement or "loss"):
            continue
        why = contradiction(one, two)
        if why is not None:
            raise ClaimError(f"the claims {one.text!r} and {two.text!r} contradict each other: {why}; leave one out")


def contradiction(one: Claim, two: Claim) -> str | None:
    """Why two claims cannot both hold of one gradient; None where they can, or where it is not known."""
    if one.aggregation and two.aggregation and one.aggregation != two.aggregation:
        return f"a loss has one aggregation, {one.aggregation} or {two.aggregation}"
    if one.form is not None and two.form is not None:
        return "the coefficients of a token differ" if _alike(one.form, two.form) is False else None
    left, right = facts(one), facts(two)
    for side in left.keys() & right.keys():
        why = _differ(left[side], right[side])
        if why is not None:
            return f"{side} {why}"
    return None


def _differ(one: Fact, two: Fact) -> str | None:
    if one.objective != two.objective:
        return f"one says {_spell(one)} and the other {_spell(two)}"
    if one.level and two.level and one.level != two.level:
        return f"one says {one.level} level and the other {two.level} level"
    # a scale that is left open is positive
    scales = [f.scale for f in (one, two)]
    if all(s is not None for s in scales):
        a, b = (s for s in scales if s is not None)
        return None if abs(a - b) <= 1e-4 * abs(b) else f"one says scale {a:g} and the other {b:g}"
    if any(s is not None and s < 0 for s in scales):
        return "one says that the divergence is ascended"
    return None


def _spell(fact: Fact) -> str:
    return "no objective with a name" if fact.objective == "unnamed" else fact.objective


def _points(one: Weight, two: Weight) -> list[tuple[np.ndarray, np.ndarray]]:
    """Arrays [b, t] of L and log rho: mild ones with no two alike, and across the thresholds where both have some."""
    from oracle.claims.forms import crossing
    from oracle.subject.batch import mild

    cut = [crossing(w, 2, 3, seed=0) for w in (one, two)] if one.cut and two.cut else []
    return [((b.policy - b.reference).numpy(), (b.policy - b.sampler).numpy()) for b in (mild(8, 3, seed=5), *cut)]


def _alike(one: Form, two: Form) -> bool | None:
    """Whether two forms have the same coefficients; None where one is no number."""
    from oracle.claims.forms import coefficients

    for ratio, weight in _points(one.weight, two.weight):
        a, b = (coefficients(f, ratio, weight) for f in (one, two))
        if not (np.isfinite(a).all() and np.isfinite(b).all()):
            return None
        if np.abs(a - b).max() > 1e-9 * max(np.abs(a).max(), np.abs(b).max()):
            return False
    return True


def implies(one: Claim, two: Claim) -> bool:
    """Whether ``two`` holds wherever ``one`` does."""
    if two.form is not None:
        if one.form is None or not _alike(one.form, two.form):
            return False
        # a threshold that was not claimed is not implied
        return two.form.weight.cut <= one.form.weight.cut and two.aggregation in (None, one.aggregation)
    left, right = facts(one), facts(two)
    return all(side in left and _entails(left[side], right[side]) for side in right)


def _entails(one: Fact, two: Fact) -> bool:
    if one.objective != two.objective or one.objective == "unnamed":
        return False
    if two.level is not None and one.level != two.level:
        return False
    if two.scale is None:
        return one.scale is None or one.scale > 0
    return one.scale is not None and abs(one.scale - two.scale) <= 1e-9 * abs(two.scale)


def distinct(claims: Sequence[Claim]) -> list[Claim]:
    """The claims without those that say the same in the same words."""
    return list({c.text: c for c in claims}.values())


def hold_all(claims: Sequence[Claim], case: Case) -> list[Finding]:
    """The finding of each claim; one that another implies says so where that other holds.

    Raises ClaimError where claims contradict each other on this subject (a whole loss is held against claims as loss
    and in reward alike).
    """
    claims = distinct(claims)
    consistent(claims, case.placement)
    found = [c.hold(case) for c in claims]
    implied: set[int] = set()
    for i, claim in enumerate(claims):
        for j, other in enumerate(claims):
            # of two that imply each other the first is the one that is held
            if i == j or j in implied or found[i].outcome != "pass" or found[j].outcome != "pass":
                continue
            if implies(other, claim):
                implied.add(i)
                said = f"{claim.text!r} is implied by {other.text!r}, and holds"
                found[i] = structs.replace(found[i], message=said)
                break
    return found
