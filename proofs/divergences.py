"""The objectives that have a name: f-divergences sum_y ref(y) f(pi(y)/ref(y)) and their gradients.

Only the generator is written down; the coefficient of the score under the policy, f'(exp(L)), is
derived from it (Csiszar 1967; the score form is in arXiv 2605.15417). Directions are spelled with
both distributions, because the words "forward" and "reverse" are used both ways.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from types import MappingProxyType

import sympy as sp
from sympy import Abs, Expr, S, log, sqrt

from proofs.cells import TooManyCells, cells
from proofs.generators import coefficient_of_generator, generator_of
from proofs.linear import combination_of, multiple_of
from proofs.normal_form import NormalForm, TooLarge, cancelled, normal_form
from proofs.symbols import BETA, L, U

__all__ = [
    "BASIS",
    "OBJECTIVES",
    "UNNAMED",
    "ZERO",
    "Naming",
    "Objective",
    "generator_of",
    "is_true_divergence",
    "name_coefficient",
    "vector_of",
]


@dataclass(frozen=True)
class Objective:
    """A divergence of policy and reference: `generator` f in u, `coefficient` f'(exp(L)) in L."""

    name: str
    display: str
    generator: Expr
    coefficient: Expr
    source: str

    def _repr_latex_(self) -> str:
        """Return name, generator and coefficient for a notebook."""
        from proofs.report.jupyter import objective_latex

        return objective_latex(self)


def _objective(name: str, display: str, generator: Expr, source: str) -> Objective:
    return Objective(name, display, generator, coefficient_of_generator(generator), source)


_ALL = (
    _objective("reverse_kl", "KL(policy||reference)", U * log(U), "Kullback and Leibler 1951"),
    _objective("forward_kl", "KL(reference||policy)", -log(U), "Kullback and Leibler 1951"),
    _objective("chi2_half", "1/2 chi2(policy||reference)", (U - 1) ** 2 / 2, "Pearson 1900"),
    _objective("chi2_reference_half", "1/2 chi2(reference||policy)", (U - 1) ** 2 / (2 * U), "Neyman 1949"),
    _objective(
        "jeffreys",
        "KL(policy||reference) + KL(reference||policy)",
        (U - 1) * log(U),
        "Jeffreys 1946",
    ),
    _objective(
        "jensen_shannon",
        "JS(policy, reference)",
        (U * log(U) - (U + 1) * log((U + 1) / 2)) / 2,
        "Lin 1991, equation 3.4, weights 1/2",
    ),
    _objective(
        "hellinger_squared",
        "Hellinger^2(policy, reference)",
        (sqrt(U) - 1) ** 2 / 2,
        "Hellinger 1909",
    ),
    _objective("total_variation", "TV(policy, reference)", Abs(U - 1) / 2, "Csiszar 1967"),
)

OBJECTIVES: Mapping[str, Objective] = MappingProxyType({o.name: o for o in _ALL})
"""Every objective with a name of its own, by name; their coefficients are 0 at L = 0."""

BASIS = tuple(name for name in OBJECTIVES if name != "jeffreys")
"""Objectives whose coefficients are linearly independent, for combinations."""

ZERO = "zero"
UNNAMED = "unnamed"


@dataclass(frozen=True)
class Naming:
    """The objective of a coefficient: `zero`, a name with its scale, or `unnamed`.

    An unnamed one may still be a combination of two or three named ones.
    """

    objective: str
    scale: Expr | None = None
    combination: tuple[tuple[str, Expr], ...] | None = None


def vector_of(form: NormalForm) -> dict[Expr, Expr]:
    """Return the form as a vector over its monomials in L, without its constant; beta is a number."""
    vector: dict[Expr, Expr] = {}
    for monomial, number in form.terms.items():
        outside, inside = monomial.as_independent(L, as_Add=False)
        if inside is not S.One:
            vector[inside] = vector.get(inside, S.Zero) + number * outside
    return vector


@cache
def _targets() -> tuple[tuple[str, Mapping[Expr, Expr]], ...]:
    return tuple((o.name, vector_of(normal_form(o.coefficient))) for o in _ALL)


def name_coefficient(c: Expr) -> Naming:
    """Name the objective with gradient E_pi[c s], c an expression in L (and rho, which must cancel).

    Coefficients that differ by a constant have the same gradient (the master lemma), so constants
    are left out. A penalty's coefficient beta is treated as a number and appears in the scale.
    """
    try:
        form = normal_form(c)
        if not form.conclusive:
            form = cancelled(form)
    except TooLarge:
        return Naming(UNNAMED)
    if form.expr.free_symbols - {L, BETA}:
        return Naming(UNNAMED)
    vector = vector_of(form)
    return name_vector(vector) if form.conclusive else _name_inconclusive(form, vector)


def name_vector(vector: Mapping[Expr, Expr]) -> Naming:
    """Name the objective of a coefficient given as `vector_of` gives it."""
    if not vector:
        return Naming(ZERO)
    for name, target in _targets():
        scale = multiple_of(vector, target)
        if scale is not None:
            return Naming(name, scale)
    basis = [(name, target) for name, target in _targets() if name in BASIS]
    return Naming(UNNAMED, combination=combination_of(vector, basis))


def _name_inconclusive(form: NormalForm, vector: Mapping[Expr, Expr]) -> Naming:
    naming = name_vector(vector)
    if naming.objective != UNNAMED or naming.combination is not None:
        return naming
    joined = _joined_at_zero(form.expr)
    return naming if joined is None else name_vector(vector_of(joined))


def _joined_at_zero(c: Expr) -> NormalForm | None:
    """Write a piecewise coefficient as a + b sign(L), if L = 0 is the only place where it changes."""
    if not c.has(sp.Piecewise, sp.Min, sp.Max, sp.Abs, sp.Heaviside):
        return None
    try:
        parts = list(cells(c))
    except TooManyCells:
        return None
    if any(part.signs for part in parts):
        return None
    sides = {part.box.side(L): part.expr for part in parts}
    if len(sides) == 1:
        return normal_form(parts[0].expr)
    if sides.keys() != {(-S.Infinity, S.Zero), (S.Zero, S.Zero), (S.Zero, S.Infinity)}:
        return None
    left, at_zero, right = (sides[s] for s in sorted(sides, key=lambda s: (s[0], s[1])))
    mean = normal_form((left + right) / 2)
    if normal_form(mean.expr.subs(L, 0) - at_zero).terms:
        return None
    return normal_form(mean.expr + (right - left) / 2 * sp.sign(L))


def is_true_divergence(c: Expr) -> bool | None:
    """Whether c is the coefficient of a divergence: f convex, and not affine around u = 1.

    f is convex iff f'(u) = c(log u) never decreases (f'' >= 0). A constant c has no divergence: None,
    as when this stays undecided.
    """
    from proofs.analysis import is_flat_at_zero, monotone

    if c.free_symbols - {L}:
        return None
    try:
        if normal_form(c).is_constant:
            return None
    except TooLarge:
        return None
    rising = monotone(c)
    if rising is not True:
        return rising
    flat = is_flat_at_zero(c)
    return None if flat is None else not flat
