"""Zero or not: never a wrong answer, and `Undecided` where there is none."""

import pytest
import sympy as sp
from hypothesis import given
from hypothesis import strategies as st

from proofs.cells import by_intervals, cells
from proofs.decide import Undecided, is_zero
from proofs.normal_form import normal_form
from proofs.symbols import RHO, L

E = sp.exp


@pytest.mark.parametrize(
    "expr",
    [
        (E(L) - 1) ** 2 - E(2 * L) + 2 * E(L) - 1,
        E(L + sp.log(RHO)) - RHO * E(L),
        sp.log(RHO**2 * E(3 * L)) - 2 * sp.log(RHO) - 3 * L,
        sp.cosh(L) ** 2 - sp.sinh(L) ** 2 - 1,
        sp.sqrt(RHO) ** 2 - RHO,
        sp.Abs(L) - sp.Max(L, -L),
        sp.sign(L) * L - sp.Abs(L),
        sp.Abs(sp.exp(L) - 1) - (sp.exp(L) - 1) * sp.sign(L),
        sp.Min(RHO, 2) + sp.Max(RHO, 2) - RHO - 2,
        sp.Piecewise((1, L < 0), (0, True)) + sp.Piecewise((1, L >= 0), (0, True)) - 1,
        sp.Min(L, RHO) + sp.Max(L, RHO) - L - RHO,
        sp.Abs(sp.Piecewise((E(L), L < 0), (L - 1, True))) - sp.Piecewise((E(L), L < 0), (1 - L, L < 1), (L - 1, True)),
        sp.Float("0.1") * L - L / 10,
        (sp.log(6) - sp.log(2) - sp.log(3)) * L,
    ],
)
def test_zero(expr):
    assert is_zero(expr)


@pytest.mark.parametrize(
    "expr",
    [
        sp.Integer(1),
        L,
        E(L) - 1 - L - L**2 / 2,
        RHO - 1,
        sp.Abs(L) - L,
        sp.sign(L) ** 2 - 1,  # differs at the single point 0
        sp.Min(RHO, 2) - RHO,
        sp.Piecewise((L, L < 40), (0, True)) - L,  # differs far away only
        sp.log(1 + E(L)) - L,
        L * sp.Rational(1, 10**30),
        sp.log(2) * L - sp.Rational(6931471805599453, 10**16) * L,
    ],
)
def test_not_zero(expr):
    assert not is_zero(expr)


def test_undecided_rather_than_wrong():
    """The two differ by less than any number of digits shows."""
    with pytest.raises(Undecided, match="neither proved nor disproved"):
        is_zero(sp.sign(L) - sp.tanh(1000 * L))


terms = st.lists(st.tuples(st.integers(-3, 3), st.integers(0, 2), st.integers(-2, 2)), max_size=5)


@given(terms, terms)
def test_agrees_with_expansion(first, second):
    a, b = (sum((c * L**n * E(k * L) for c, n, k in t), sp.S.Zero) for t in (first, second))
    form = normal_form(a * b)
    assert form.conclusive
    assert sp.expand(form.expr - sp.expand(a * b)) == 0
    assert is_zero(a * b - sp.expand(a * b))
    assert is_zero(a - b) == (sp.expand(a - b) == 0)


def test_cells_are_intervals_and_points():
    found = [(cell.box.side(L), cell.expr) for cell in cells(sp.Min(sp.Max(L, -1), 1))]
    assert found == [
        ((-sp.oo, -1), -1),
        ((-1, -1), -1),
        ((-1, 1), L),
        ((1, 1), 1),
        ((1, sp.oo), 1),
    ]


def test_nested_clamps_become_intervals():
    slope = sp.diff(sp.Min(sp.Max(L, -1), 1).rewrite(sp.Piecewise), L)
    expected = sp.Piecewise((0, L <= -1), (1, L < 1), (0, True))
    assert by_intervals(slope, L) == expected
