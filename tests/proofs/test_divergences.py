"""Coefficient, generator, convexity and name: the table of theory section 3."""

import pytest
import sympy as sp
from hypothesis import given
from hypothesis import strategies as st

from proofs.decide import is_zero
from proofs.divergences import (
    BASIS,
    OBJECTIVES,
    Naming,
    generator_of,
    is_true_divergence,
    name_coefficient,
)
from proofs.symbols import BETA, RHO, L, U

E, log = sp.exp, sp.log


@pytest.mark.parametrize(
    ("name", "coefficient"),
    [
        ("reverse_kl", L),
        ("forward_kl", 1 - E(-L)),
        ("chi2_half", E(L) - 1),
        ("chi2_reference_half", (1 - E(-2 * L)) / 2),
        ("jeffreys", L + 1 - E(-L)),
        ("jensen_shannon", (L - log((1 + E(L)) / 2)) / 2),
        ("hellinger_squared", (1 - E(-L / 2)) / 2),
        ("total_variation", sp.sign(L) / 2),
    ],
)
def test_coefficients_follow_from_generators(name, coefficient):
    assert is_zero(OBJECTIVES[name].coefficient - coefficient)
    assert OBJECTIVES[name].coefficient.subs(L, 0) == 0


@pytest.mark.parametrize("name", OBJECTIVES)
def test_each_objective_is_a_true_divergence_and_names_itself(name):
    objective = OBJECTIVES[name]
    assert objective.generator.subs(U, 1) == 0
    assert is_true_divergence(objective.coefficient) is True
    assert name_coefficient(3 * objective.coefficient + 7) == Naming(name, sp.Integer(3))
    recovered = generator_of(objective.coefficient)
    slope = sp.diff(objective.generator, U).subs(U, 1)
    affine = recovered - objective.generator + slope * (U - 1)
    at = [affine.subs(U, point) for point in (1, sp.Rational(1, 3), 4)]
    assert all(sp.simplify(value) == 0 for value in at)


@pytest.mark.parametrize(
    ("c", "generator", "convex"),
    [
        (sp.S.One, U - 1, None),
        (L, U * log(U) - U + 1, True),
        (1 - E(-L), U - log(U) - 1, True),
        (E(L) - 1, (U - 1) ** 2 / 2, True),
        (L**2 / 2, U * (log(U) ** 2 / 2 - log(U) + 1) - 1, False),
        (E(-L) - 1 + L, (U + 1) * log(U) - 2 * U + 2, False),
        (L + L**2 / 2, U * log(U) ** 2 / 2, False),
        (sp.sign(L), sp.Abs(U - 1), True),
        (-L, U - 1 - U * log(U), False),
    ],
)
def test_convexity_table(c, generator, convex):
    assert sp.expand(sp.expand_log(generator_of(c) - generator)) == 0
    assert is_true_divergence(c) is convex


@pytest.mark.parametrize(
    "c",
    [
        sp.tanh(L),
        sp.Min(sp.Max(L, -1), 1),
        L * sp.sign(L),
        sp.Piecewise((L, L < 1), (2 * L, True)),
        log(1 + E(L)),
        L**3 * E(-2 * L),
    ],
)
def test_generators_have_the_coefficient_as_slope(c):
    f = generator_of(c)
    for point in (sp.Rational(1, 9), sp.Rational(2, 3), sp.Rational(3, 2), sp.Integer(7)):
        slope = sp.diff(f, U).subs(U, point) - c.subs(L, log(point))
        assert abs(slope.evalf(30)) < 1e-25
    assert abs(f.subs(U, 1).evalf(30)) < 1e-25


def test_no_generator_rather_than_a_wrong_one():
    assert generator_of(RHO * L) is None
    assert generator_of(E(sp.sqrt(1 + L**2))) is None


numbers = st.fractions(-4, 4, max_denominator=9).map(lambda f: sp.Rational(f.numerator, f.denominator))


@given(st.dictionaries(st.sampled_from(BASIS), numbers.filter(bool), min_size=2, max_size=3), numbers)
def test_combinations_are_found(scales, constant):
    c = sum((a * OBJECTIVES[name].coefficient for name, a in scales.items()), constant)
    naming = name_coefficient(c)
    both_kl = scales.keys() == {"reverse_kl", "forward_kl"}
    if both_kl and scales["reverse_kl"] == scales["forward_kl"]:
        assert naming == Naming("jeffreys", scales["reverse_kl"])
    else:
        assert naming.objective == "unnamed"
        assert dict(naming.combination) == scales


@pytest.mark.parametrize(
    ("c", "naming"),
    [
        (sp.S.Zero, Naming("zero")),
        (sp.Integer(5), Naming("zero")),
        (BETA * L, Naming("reverse_kl", BETA)),
        (sp.Float("0.1") * L + 1, Naming("reverse_kl", sp.Rational(1, 10))),
        (log(2) * L, Naming("reverse_kl", log(2))),
        (-L, Naming("reverse_kl", sp.Integer(-1))),
        (RHO * L / RHO, Naming("reverse_kl", sp.Integer(1))),
        (L / RHO, Naming("unnamed")),
        (sp.Symbol("other") * L, Naming("unnamed")),
        (L**2, Naming("unnamed")),
        (L + L**2, Naming("unnamed")),
        (sp.Piecewise((-1, L < 0), (0, sp.Eq(L, 0)), (1, True)), Naming("total_variation", sp.Integer(2))),
        (sp.Piecewise((L, L < 0), (L, True)), Naming("reverse_kl", sp.Integer(1))),
        (sp.Piecewise((L, L < 5), (0, True)), Naming("unnamed")),
        (sp.Piecewise((0, L < 0), (1, True)), Naming("unnamed")),
        (L - E(-L), Naming("jeffreys", sp.Integer(1))),
        (E(-L) - 1 + L, Naming("unnamed", None, (("reverse_kl", sp.S.One), ("forward_kl", sp.S.NegativeOne)))),
    ],
)
def test_names(c, naming):
    assert name_coefficient(c) == naming


def test_a_step_whose_value_at_zero_differs_has_no_name():
    """pi = ref on a token is an event like any other: the value at L = 0 counts."""
    assert name_coefficient(sp.Piecewise((-1, L < 0), (1, True))).objective == "unnamed"


def test_flat_around_zero_is_no_divergence():
    dead = sp.Piecewise((L + 1, L < -1), (0, L < 1), (L - 1, True))
    assert is_true_divergence(dead) is False
    assert is_true_divergence(sp.Max(L, 0)) is True
