"""What numeric code is generated for: every estimator, placement, correction and named objective.

Nothing is written down here but names. The coefficients come from `proofs.calculus` and
`proofs.divergences`, and how they are computed from `proofs.lowering.plan`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from typing import TypeAlias

import sympy as sp
from sympy import Expr, Symbol, exp

from proofs.calculus import sample_coefficient, weight_of
from proofs.divergences import OBJECTIVES, Objective
from proofs.estimators import ABS_K1, K1, K2, K3, Estimator, k_lambda
from proofs.forms import Correction, Form, Placement
from proofs.lowering.nodes import Node, in_parts, ordered
from proofs.lowering.plan import Plan, plan
from proofs.normal_form import normal_form
from proofs.symbols import RHO, THRESHOLD, L, U

LAM = Symbol("lam", real=True)
"""The parameter of the family k1 + lam (r - 1)."""

EDGE = 40
"""Where a weighted coefficient is computed term by term, so that rho exp(-L) is finite where only exp(-L) is not."""

_PLACED = {Placement.LOSS: "as_loss", Placement.REWARD: "in_reward", Placement.BOTH: "in_both"}


@dataclass(frozen=True)
class Planned:
    """A function of L alone."""

    name: str
    words: str
    plan: Plan
    arguments: tuple[str, ...] = ("L",)


@dataclass(frozen=True)
class Mixture:
    """first + lam second, two functions of L that cancel at 0 when lam = 1/share.

    Near 0 it is (1 - share lam) first + lam rest, rest = second + share first; `rest`, `first` and
    `second` are names of planned functions or trees.
    """

    name: str
    words: str
    first: Node
    second: Node
    share: Expr
    rest: str
    arguments: tuple[str, ...] = ("L", "lam")


@dataclass(frozen=True)
class Weighted:
    """weight * factor(L, ...); beyond EDGE the sum `far` of its terms, each with the weight inside."""

    name: str
    words: str
    factor: str
    factor_arguments: tuple[str, ...]
    weight: Node
    far: Node | None
    arguments: tuple[str, ...]


@dataclass(frozen=True)
class Alias:
    """Another name of a function."""

    name: str
    words: str
    of: str
    arguments: tuple[str, ...]


Entry: TypeAlias = Planned | Mixture | Weighted | Alias


@cache
def entries() -> tuple[Entry, ...]:
    """Return everything that is generated, each after what it calls."""
    book = _Book()
    for estimator, name in (*((e, _NAMES.get(e.name, e.name)) for e in _PLAIN), (k_lambda(LAM), "k_lambda")):
        book.add_estimator(estimator, name)
    for objective in OBJECTIVES.values():
        book.found += _of_objective(objective)
    return tuple(book.found)


_PLAIN = (K1, K2, K3, ABS_K1)
_NAMES = {ABS_K1.name: "abs_k1"}


class _Book:
    """The entries so far, and the name under which each formula in L (and lam) is computed."""

    def __init__(self) -> None:
        self.found: list[Entry] = []
        self.known: dict[Expr, str] = {}

    def add_estimator(self, estimator: Estimator, name: str) -> None:
        self.function(name, f"{name} = {estimator.value}: {estimator.source}.", estimator.value)
        for placement, placed in _PLACED.items():
            g = sample_coefficient(Form(estimator, placement))
            self.function(f"{name}_{placed}", f"Coefficient of the score, {name} {placed.replace('_', ' ')}: {g}.", g)
        for placement, placed in _PLACED.items():
            for correction in Correction:
                if correction is not Correction.NONE:
                    self.weighted(Form(estimator, placement, correction), f"{name}_{placed}_{correction}")

    def function(self, name: str, words: str, expr: Expr) -> str:
        """Enter a function of L, and of lam where that is in it; return its name."""
        form = normal_form(expr).expr
        arguments = ("L", LAM.name) if form.has(LAM) else ("L",)
        if form in self.known:
            self.found.append(Alias(name, words, self.known[form], arguments))
        elif form.has(LAM):
            self.found.append(self.mixture(name, words, form))
        else:
            self.found.append(Planned(name, words, plan(expr)))
        return self.known.setdefault(form, name)

    def mixture(self, name: str, words: str, form: Expr) -> Mixture:
        first, second = (sp.expand(form).coeff(LAM, n) for n in (0, 1))
        at_zero = ((sp.diff(f, L, n).subs(L, 0) for f in (first, second)) for n in range(8))
        a, b = next((a, b) for a, b in at_zero if a != 0)
        rest = normal_form(second - b / a * first).expr
        if rest not in self.known:
            self.function(f"{name}_rest", f"The part of {name} that stays at lam = {-a / b}: {rest}.", rest)
        return Mixture(name, words, plan(first).above, plan(second).above, -b / a, self.known[rest])

    def weighted(self, form: Form, name: str) -> None:
        weight, g = weight_of(form), sample_coefficient(form)
        factor = normal_form(sp.expand(g / weight)).expr
        if factor not in self.known:
            self.function(f"{name}_factor", f"{name} without its weight: {factor}.", factor)
        arguments = ("L", LAM.name) if factor.has(LAM) else ("L",)
        far = in_parts(ordered(sp.expand(Symbol("weight", positive=True) * factor)), 4) if factor.has(exp) else None
        words = f"Coefficient of the score on a sampler's token: {g}."
        own = tuple(s.name for s in (RHO, THRESHOLD) if weight.has(s))
        self.found.append(
            Weighted(name, words, self.known[factor], arguments, ordered(weight), far, (*arguments, *own))
        )


def _of_objective(objective: Objective) -> Iterator[Entry]:
    name, display, generator = objective.name, objective.display, objective.generator
    slope = sp.diff(generator, U).subs(U, 1)
    term = (generator - slope * (U - 1)).subs(U, exp(L))
    f = f"f = {generator}, u = exp(L)"
    words = f"Coefficient of the score of {display}: {objective.coefficient}."
    yield Planned(f"{name}_coefficient", words, plan(objective.coefficient))
    words = f"Summand of {display} over the reference's probability: f(u) - f'(1) (u - 1), {f}."
    yield Planned(f"{name}_term", words, plan(term))
    words = f"Summand of {display} over the policy's probability: (f(u) - f'(1) (u - 1))/u, {f}."
    yield Planned(f"{name}_term_over_ratio", words, plan(term * exp(-L)))
