"""Which theorems of the catalogue a name rests on: found by what they state, not by what they are called.

A field that was read from code (`proofs.sequences`) is held against the left side of every theorem on
an expected gradient (`proofs.gradient_index`). One that is a multiple of it, for some value of the
theorem's parameter, and whose right side has the very name that was found, is what the name rests on.
Where none is, the name rests on the theorem of the objective's own coefficient, and on the rule by
which the rest of the field was left out.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache

import sympy as sp
from sympy import Add, Expr, Integer, S, Symbol

from proofs.divergences import OBJECTIVES, UNNAMED, ZERO, Naming
from proofs.forms import Correction, Form, Placement
from proofs.gradient_index import Entry, entries
from proofs.linear import combination_of
from proofs.normal_form import TooLarge, normal_form
from proofs.sequences import POLICY, TOKEN, FieldNaming, name_field, reduce_off_policy, reduce_on_policy
from proofs.symbols import RHO, L, token_symbols

BASELINE = "baseline"
SCORE_IDENTITY = "score-identity"
DETACHED_WEIGHT = "detached-weight-is-on-policy"
COMPLETENESS = "completeness"
"""Theorems on all coefficients at once, which no comparison of formulas finds."""

MOST = 3
"""A verdict names at most so many."""

Vector = Mapping[tuple[int, Expr], Expr]
"""The numbers of a field, by position and monomial."""


@dataclass(frozen=True)
class Worth:
    """What the code was worth on some answers: it tells two theorems with the same gradient apart."""

    answers: tuple[tuple[tuple[float, ...], tuple[float, ...]], ...]
    """Of each answer the log ratios and the importance ratios."""
    value: float
    """The sum over the answers."""


@dataclass(frozen=True)
class Question:
    """What was found, and how it was placed.

    All but the first three decide between theorems on the same gradient: `weighted` says that an
    importance weight is part of the value, `live_weight` whether it is differentiated, where that is known.
    """

    field: tuple[Expr, ...]
    on_policy: bool
    naming: FieldNaming
    in_reward: bool = False
    weighted: bool = False
    live_weight: bool | None = None
    worth: Worth | None = None


def of_objective(name: str) -> tuple[str, ...]:
    """Return the theorem that a name found by enumeration rests on: the gradient of that objective."""
    return (f"gradient.{name}",) if name in OBJECTIVES else ()


def theorems_for(question: Question) -> tuple[str, ...]:
    """Return the ids of the theorems that a name rests on, the most specific first; at most three."""
    g = question.field
    if not any(g):
        return ()  # a gradient that is 0 on every sample needs no theorem
    if any(_foreign(c, len(g)) for c in g):
        return _without_others(question)
    found = _matches(question, g)
    if not found:
        reduced = _reduced(question)
        found = _matches(question, reduced) if any(reduced) and reduced != g else []
        if found:
            found.append(_left_out(question, reduced))
    if not found:
        found = list(_in_general(question))
    if _rests_on_completeness(question):
        found.append(COMPLETENESS)
    return tuple(dict.fromkeys(found))[:MOST]


def theorems_of_form(form: Form, coefficient: Expr, naming: Naming, on_policy: bool) -> tuple[str, ...]:
    """Return the ids for a form with its coefficient on a token that was drawn, in L and rho, and its name."""
    own = token_symbols(0)
    name = FieldNaming(naming.objective, TOKEN if naming.objective in OBJECTIVES else None)
    field = (coefficient.xreplace({L: own[0], RHO: own[1]}),)
    live = None if on_policy else form.correction is Correction.DIFFERENTIATED
    return theorems_for(Question(field, on_policy, name, form.placement is Placement.REWARD, live_weight=live))


def _foreign(c: Expr, horizon: int) -> bool:
    """Whether something beside this answer's ratios stands there, such as another answer of the batch."""
    return not c.free_symbols <= {symbol for t in range(horizon) for symbol in token_symbols(t)}


def _without_others(question: Question) -> tuple[str, ...]:
    """The name of a field with a baseline made of other answers rests on what is left without it."""
    g = question.field
    kept = tuple(Add(*(x for x in Add.make_args(sp.expand(c)) if not _foreign(x, len(g)))) for c in g)
    found: tuple[str, ...] = ()
    if any(kept):
        named = name_field(kept, question.on_policy)
        if (named.objective, named.level) == (question.naming.objective, question.naming.level):
            found = theorems_for(replace(question, field=kept, naming=named))[: MOST - 1]
    found = found or _in_general(question)
    return (*found, SCORE_IDENTITY) if found and SCORE_IDENTITY not in found else found


def _reduced(question: Question) -> tuple[Expr, ...]:
    reduce = reduce_on_policy if question.on_policy else reduce_off_policy
    try:
        return tuple(reduce(c, t, len(question.field)) for t, c in enumerate(question.field))
    except TooLarge:
        return question.field


def _matches(question: Question, g: tuple[Expr, ...]) -> list[str]:
    """The best theorem on whole answers, then the best on one token."""
    vector = vector_of_field(g)
    if vector is None:
        return []
    matching = [
        (entry, scale)
        for entry in entries(sampled=not question.on_policy)
        if (question.weighted or not entry.weighted)
        and (scale := _multiple(entry, vector, len(g))) is not None
        and _same_name(entry, scale, question.naming, len(g))
    ]
    best = []
    for of_answers in (True, False):
        ranked = [m for m in matching if m[0].of_answers is of_answers]
        if ranked and (not of_answers or len(g) > 1):
            best.append(min(ranked, key=lambda m: _rank(question, *m))[0].theorem.id)
    return best


@dataclass(frozen=True)
class _Scale:
    """The field is `factor` times the theorem's left side, its parameters as given."""

    factor: Expr
    parameters: Mapping[Symbol, Expr]


def vector_of_field(g: Sequence[Expr]) -> Vector | None:
    """Return a field's numbers by position and monomial; None where it is too large."""
    try:
        return {(t, m): number for t, c in enumerate(g) for m, number in normal_form(c).terms.items()}
    except TooLarge:
        return None


@cache
def _parts(entry: Entry, horizon: int) -> Mapping[Expr, Vector]:
    """The left side as vectors, one for each product of parameters that multiplies it."""
    g = entry.field(horizon)
    vector = None if g is None else vector_of_field(g)
    parts: dict[Expr, dict[tuple[int, Expr], Expr]] = {}
    for (t, monomial), number in (vector or {}).items():
        outside, inside = monomial.as_independent(*(monomial.free_symbols - entry.parameters), as_Add=False)
        own = parts.setdefault(outside if entry.parameters else S.One, {})
        key = (t, inside if entry.parameters else monomial)
        own[key] = own.get(key, S.Zero) + number
    return parts


def _multiple(entry: Entry, vector: Vector, horizon: int) -> _Scale | None:
    parts = _parts(entry, horizon)
    if not parts or not vector.keys() <= {key for part in parts.values() for key in part}:
        return None
    found = combination_of(vector, [(str(p), part) for p, part in parts.items()], (len(parts),))
    if found is None:
        return None
    numbers = {p: dict(found)[str(p)] for p in parts}
    if len(parts) == 1:
        (only,) = parts
        return _Scale(numbers[only], dict.fromkeys(only.free_symbols, S.One))
    factor = numbers.get(S.One)
    (name, *others) = (p for p in parts if p is not S.One)
    if factor is None or others or not name.is_Symbol:
        return None
    return _Scale(factor, {name: numbers[name] / factor})


def _same_name(entry: Entry, scale: _Scale, naming: FieldNaming, horizon: int) -> bool:
    """Whether the right side has the name; a theorem on one token has it at token level, on the sampler's prefixes."""
    said = entry.named(horizon, scale.parameters)
    if said.objective != naming.objective:
        return False
    if naming.objective in (ZERO, UNNAMED):
        return True
    if None not in (said.scale, naming.scale) and not _equal(said.scale * scale.factor, naming.scale):
        return False
    if not entry.of_answers and horizon > 1:
        return naming.level == TOKEN and naming.prefixes != POLICY
    return said.level == naming.level and (said.prefixes == naming.prefixes or horizon == 1)


def _equal(a: Expr, b: Expr) -> bool:
    return not normal_form(a - b).terms


def _rank(question: Question, entry: Entry, scale: _Scale) -> tuple[bool, bool, bool, bool, bool, int]:
    """Same placement, weight and value, a reference, no parameter, plainest surrogate; then the catalogue's order."""
    return (
        entry.in_reward is not question.in_reward,
        question.live_weight is not None and entry.live_weight is not question.live_weight,
        not _same_worth(question, entry, scale),
        not entry.has_reference,
        bool(scale.parameters),
        int(sp.count_ops(entry.surrogate(2))),
    )


def _same_worth(question: Question, entry: Entry, scale: _Scale) -> bool:
    worth = question.worth
    if worth is None or scale.parameters:
        return False
    values = [entry.value(*answer) for answer in worth.answers]
    total = float(scale.factor) * sum(v for v in values if v is not None)
    return None not in values and abs(total - worth.value) <= 1e-4 * max(abs(worth.value), abs(total))


def _left_out(question: Question, reduced: Sequence[Expr]) -> str:
    """The rule by which the terms that are not in the reduced field have zero expectation."""
    dropped = [sp.expand(c - r) for c, r in zip(question.field, reduced, strict=True)]
    if question.on_policy and all(c.is_number for c in dropped):
        return BASELINE
    zero = Question(tuple(dropped), question.on_policy, FieldNaming(ZERO), in_reward=True)
    answers = [i for i in _matches(zero, zero.field)[:1] if len(dropped) > 1 and not all(c.is_number for c in dropped)]
    return answers[0] if answers else SCORE_IDENTITY


def _in_general(question: Question) -> tuple[str, ...]:
    """What a name rests on where no theorem speaks of this very field."""
    naming = question.naming
    if naming.objective == ZERO:
        return (SCORE_IDENTITY,)
    found = of_objective(naming.objective)
    if found and not question.on_policy:
        return (*found, DETACHED_WEIGHT)
    return found


def _rests_on_completeness(question: Question) -> bool:
    """Whether that nothing fits is what the lemma says.

    It speaks of functions of L alone, so off-policy it decides only what is unnamed at policy = sampler
    already, and only where normal forms tell functions apart.
    """
    g, naming = question.field, question.naming
    if naming.objective != UNNAMED or any(c.free_symbols - {*token_symbols(t)} for t, c in enumerate(g)):
        return False
    try:
        if not all(normal_form(c).conclusive for c in g):
            return False
    except TooLarge:
        return False
    own = {token_symbols(t)[1]: Integer(1) for t in range(len(g))}
    return question.on_policy or name_field([c.subs(own) for c in g], on_policy=True).objective == UNNAMED


__all__ = ["MOST", "Question", "Worth", "of_objective", "theorems_for", "theorems_of_form", "vector_of_field"]
