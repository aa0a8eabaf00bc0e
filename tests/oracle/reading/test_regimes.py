"""Regimes: each selection resolved to the branch that holds, kinks kept as signs, ties told."""

from __future__ import annotations

from typing import Any

import pytest
import sympy as sp
import torch

from oracle.reading.atoms import Select, Unread, unknown
from oracle.reading.regimes import Regime, one_sign
from tests.oracle.reading.mirrored import run

X, Y = sp.symbols("x y", real=True)
L, R = sp.symbols("L_0_0 R_0_0", real=True)
D = torch.float64


@pytest.mark.parametrize(
    ("program", "at", "formula"),
    [
        (lambda x: x.clamp(-1, 1), 0.5, X),
        (lambda x: x.clamp(-1, 1), 2.0, sp.Integer(1)),
        (lambda x: x.clamp(-1, 1), -2.0, sp.Integer(-1)),
        (lambda x: x.clamp(min=0.25), 0.1, sp.Rational(1, 4)),
        (lambda x: x.clamp(1.0, -1.0), 0.3, sp.Integer(-1)),
        (lambda x: torch.minimum(x, x**2), 0.5, X**2),
        (lambda x: torch.minimum(x, x**2), 2.0, X),
        (lambda x: torch.maximum(x, -x), -2.0, -X),
        (lambda x: x.abs(), -2.0, -X),
        (lambda x: x.abs(), 2.0, X),
        (lambda x: torch.where(x > 1, x, 3.0), 0.5, sp.Integer(3)),
        (lambda x: torch.where((x > 1) | (x < 0), x, 3.0), 1.5, X),
        (lambda x: torch.where((x > 1) ^ (x > 2), x, 3.0), 2.5, sp.Integer(3)),
        (lambda x: x.masked_fill(~(x > 1), 7.0), 0.5, sp.Integer(7)),
        (lambda x: x.masked_fill(x > 1, 7.0), 0.5, X),
        (lambda x: torch.relu(x) * (x < 3), 2.0, X),
        (lambda x: torch.sign(x) * x, -2.0, -X),
    ],
)
def test_the_branch_taken(program: Any, at: float, formula: sp.Expr) -> None:
    seen = run(lambda x: program(x), torch.tensor(at, dtype=D), gradient=False)
    x = next(iter(seen.point))
    regime = Regime(seen.point)
    assert sp.simplify(regime.resolve(seen.formulas[0].item()).subs(x, X) - formula) == 0
    assert seen.differs() is None


def test_what_was_met_is_kept() -> None:
    regime = Regime({X: 2.0})
    regime.resolve(Select(sp.Gt(X, 1), X, sp.Integer(0)))
    assert regime.met == {sp.Gt(X, 1): True}


def test_nested_selections() -> None:
    inner = Select(sp.Lt(X, Y), X, Y)
    outer = Select(sp.Gt(inner, 1), inner**2, -inner)
    assert Regime({X: 2.0, Y: 3.0}).resolve(outer) == X**2
    assert Regime({X: 2.0, Y: 0.5}).resolve(outer) == -Y
    assert Regime({X: 2.0, Y: 3.0}).value(outer) == 4


@pytest.mark.parametrize(
    ("condition", "holds"),
    [
        (sp.Not(sp.Gt(X, 1), evaluate=False), False),
        (sp.And(sp.Gt(X, 1), sp.Lt(Y, 0)), False),
        (sp.Or(sp.Gt(X, 1), sp.Lt(Y, 0)), True),
        (sp.Xor(sp.Gt(X, 1), sp.Gt(Y, 0), evaluate=False), False),
        (sp.Eq(X, Y), False),
        (sp.Ne(X, Y), True),
        (sp.true, True),
        (sp.false, False),
    ],
)
def test_conditions(condition: Any, holds: bool) -> None:
    assert Regime({X: 2.0, Y: 3.0}).holds(condition) is holds


def test_a_condition_of_another_kind_ends_the_reading() -> None:
    with pytest.raises(Unread, match="a condition of the kind ITE"):
        Regime({X: 1.0}).holds(sp.ITE(sp.Gt(X, 0), sp.Lt(Y, 0), sp.Gt(Y, 0), evaluate=False))


def test_a_tie_ends_a_strict_reading_and_counts_as_equality_else() -> None:
    condition = sp.Ge(X, Y)
    with pytest.raises(Unread, match="a tie between"):
        Regime({X: 1.0, Y: 1.0}).holds(condition)
    assert Regime({X: 1.0, Y: 1.0}, strict=False).holds(condition)
    assert not Regime({X: 1.0, Y: 1.0 + 1e-13}, strict=False).holds(sp.Lt(X, Y))


def test_an_identity_is_no_tie() -> None:
    assert Regime({X: 1.0}).holds(sp.Ge((X + 1) ** 2, X**2 + 2 * X + 1))


def test_infinities_compare_with_numbers() -> None:
    regime = Regime({X: 1.0}, strict=False)
    assert regime.holds(sp.Gt(Select(sp.Gt(X, 0), sp.oo, X), X))
    assert regime.holds(sp.Eq(Select(sp.Gt(X, 0), sp.oo, X), Select(sp.Gt(X, 0), sp.oo, -X)))
    with pytest.raises(Unread, match="NaN"):
        regime.holds(sp.Gt(Select(sp.Gt(X, 0), sp.nan, X), X))


@pytest.mark.parametrize("at", [0.3, -0.3])
def test_kinks_stay_as_signs(at: float) -> None:
    regime = Regime({L: at}, strict=False, kinks=("L_",))
    assert regime.resolve(Select(sp.Ge(L, 0), L, -L)) == L * sp.sign(L)
    assert regime.resolve(Select(sp.Ge(2 * L, L), sp.Integer(1), sp.Integer(-1))) == sp.sign(L)
    assert regime.resolve(Select(sp.Lt(L, 0), sp.Integer(1), sp.Integer(-1))) == -sp.sign(L)


@pytest.mark.parametrize("at", [0.3, -0.3])
def test_a_ratio_against_one_is_a_kink(at: float) -> None:
    regime = Regime({R: at}, strict=False, kinks=("R_",))
    found = regime.resolve(Select(sp.Le(sp.exp(R), 1), sp.exp(R), sp.Integer(1)))
    for value in (0.5, -0.5):
        assert float(found.subs(R, value)) == pytest.approx(min(float(sp.exp(value)), 1.0))


def test_other_selections_are_no_kinks() -> None:
    regime = Regime({L: 0.3, X: 1.0}, strict=False, kinks=("L_",))
    assert regime.resolve(Select(sp.Gt(L, sp.Rational(1, 5)), L, sp.Integer(0))) == L
    assert regime.resolve(Select(sp.Gt(X, 0), X, sp.Integer(0))) == X


def test_the_square_of_a_sign_is_one() -> None:
    assert one_sign(sp.sign(X) ** 2 * Y) == Y
    assert one_sign(sp.sign(X) ** 3) == sp.sign(X)


@pytest.mark.parametrize(
    ("formula", "cause"),
    [
        (1 / X, "division by zero"),
        (sp.sqrt(X - 1), "negative number"),
        (sp.log(X - 1), "negative number"),
        (unknown("a sort") + X, "a sort"),
        (Y, "the value of y"),
    ],
)
def test_what_has_no_value_says_why(formula: Any, cause: str) -> None:
    with pytest.raises(Unread, match=cause):
        Regime({X: 0.0}).value(formula)


def test_values() -> None:
    regime = Regime({X: 0.5, Y: 2.0})
    for e in (sp.exp(X) + sp.erf(X) * sp.pi, sp.tanh(X) ** Y, sp.log(Y, 10), sp.atan2(X, Y), sp.Abs(X) * sp.sign(-Y)):
        assert float(regime.value(e)) == pytest.approx(float(e.subs({X: 0.5, Y: 2.0})), rel=1e-13)
    assert float(regime.value(-sp.oo)) == float("-inf")
