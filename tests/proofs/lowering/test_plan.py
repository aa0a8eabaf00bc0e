"""The a-priori bounds that choose the code: they hold for what is computed, and they refuse what is not accurate."""

import mpmath
import numpy as np
import pytest
import sympy as sp
from sympy import exp, log

from proofs.lowering.accuracy import DIGITS, DOUBLE, SINGLE, estimate, saturated
from proofs.lowering.arrangements import arrangements, with_expm1
from proofs.lowering.nodes import NotLowered, in_parts, ordered
from proofs.lowering.plan import plan
from proofs.symbols import L

DTYPES = {"float64": np.float64, "float32": np.float32}
OPERATIONS = {
    "add": np.add,
    "subtract": np.subtract,
    "multiply": np.multiply,
    "divide": np.divide,
    "negate": np.negative,
    "minimum": np.minimum,
    "maximum": np.maximum,
    "sqrt": np.sqrt,
    "abs": np.abs,
    "sign": np.sign,
    "exp": np.exp,
    "expm1": np.expm1,
    "log": np.log,
    "log1p": np.log1p,
}
FORMULAS = [
    exp(-L) - 1 + L,
    L * exp(L) - exp(L) + 1,
    (exp(L) - 1) ** 2 / 2,
    log(1 + exp(L)),
    sp.sqrt(1 + L**2) - 1,
    (L - 1) / (1 + L**2),
    sp.Min(sp.Abs(L), 2) * sp.sign(L),
]


def computed(node, x):
    if node.operation == "variable":
        return x
    if node.operation == "constant":
        return type(x)(float(node.number.evalf(30)))
    with np.errstate(all="ignore"):
        if node.operation in ("exp", "expm1", "log", "log1p"):  # rounded once, well within the unit that is assumed
            return type(x)(OPERATIONS[node.operation](np.float64(computed(node.arguments[0], x))))
        return OPERATIONS[node.operation](*(computed(argument, x) for argument in node.arguments))


@pytest.mark.parametrize("form", [DOUBLE, SINGLE], ids=lambda f: f.name)
@pytest.mark.parametrize("expr", FORMULAS, ids=str)
def test_no_computed_value_lies_beyond_the_bound(expr, form):
    rng = np.random.default_rng(5)
    sizes = 10.0 ** rng.uniform(-9, 1.5, 80)
    points = np.concatenate([rng.normal(size=40), sizes[:40], -sizes[40:]])
    exact = sp.lambdify(L, expr, "mpmath")
    for arrangement in [expr, *arrangements(expr, L, 1)]:
        node = ordered(arrangement)
        for point in points.astype(DTYPES[form.name]):
            if arrangement is not expr and point <= 0:
                continue  # arranged for the right side only
            with mpmath.workdps(DIGITS):
                x = mpmath.mpf(float(point))
                bound = estimate(node, {"L": x}, form)
                if not mpmath.isinf(bound.error):
                    assert abs(bound.value - exact(x)) < mpmath.mpf(10) ** -50 * (1 + abs(exact(x)))
                    assert abs(mpmath.mpf(float(computed(node, point))) - bound.value) <= bound.error


def test_the_bound_tells_good_code_from_bad():
    with mpmath.workdps(DIGITS):
        at = {"L": mpmath.mpf(2) ** -20}
        naive, stable = (estimate(ordered(e), at, DOUBLE) for e in (exp(-L) - 1, with_expm1(exp(-L) - 1)))
        assert naive.error > 2**18 * stable.error
        assert estimate(ordered(exp(L)), {"L": mpmath.mpf(710)}, DOUBLE).error == mpmath.inf
        assert estimate(ordered(exp(L)), {"L": mpmath.mpf(709)}, DOUBLE).error < mpmath.inf
        assert estimate(ordered(exp(L)), {"L": mpmath.mpf(89)}, SINGLE).error == mpmath.inf


def test_infinity_minus_infinity_is_seen():
    with mpmath.workdps(DIGITS):
        far = {"L": mpmath.mpf(-1000)}
        assert mpmath.isnan(saturated(ordered(exp(-L) + L * exp(-L)), far, DOUBLE))
        assert saturated(ordered((1 + L) * exp(-L)), far, DOUBLE) == -mpmath.inf
        assert saturated(ordered(exp(L)), far, DOUBLE) == 0


def test_halves_reach_further():
    node = ordered(exp(L) / 2)
    with mpmath.workdps(DIGITS):
        at = {"L": mpmath.mpf(710)}
        assert estimate(node, at, DOUBLE).error == mpmath.inf
        assert estimate(in_parts(node), at, DOUBLE).error < mpmath.inf


@pytest.mark.parametrize(
    ("expr", "needs_series"),
    [
        (exp(-L) - 1 + L, True),
        (1 - exp(-L), False),
        (L, False),
        (exp(2 * L) - 1 - 2 * L, True),
        (sp.Abs(L), False),
    ],
)
def test_a_series_only_where_digits_are_lost(expr, needs_series):
    made = plan(expr)
    assert (made.series is not None) == needs_series
    assert max(made.roundings.values()) < 16
    if made.series is not None:
        exact = sp.series(expr, L, 0, 8).removeO()
        powers = [exact.coeff(L, made.series.lead + n) for n in range(4)]
        assert all(abs(a - b) < 1e-30 for a, b in zip(made.series.coefficients, powers, strict=False))
        assert made.series.short < len(made.series.coefficients)


def test_what_no_backend_computes():
    with pytest.raises(NotLowered):
        ordered(sp.gamma(L))
    with pytest.raises(NotLowered):
        plan(sp.besselj(0, L))
