"""Generated numeric code against fifty digits."""

import mpmath
import numpy as np
import pytest
import sympy as sp

from proofs.divergences import OBJECTIVES
from proofs.estimators import ABS_K1, K1, K2, K3, k_lambda
from proofs.lowering import (
    coefficient_function,
    compile_numpy,
    divergence_function,
    estimator_function,
    series_coefficients,
)
from proofs.symbols import RHO, L, U

SIZES = np.concatenate([10.0 ** np.linspace(-12, np.log10(50), 150), [0.4999999, 0.5, 0.5000001, 50.0]])
POINTS = np.concatenate([SIZES, -SIZES])
TOLERANCE = 1e-13


def worst_error(values, expr):
    precise = sp.lambdify(L, expr, "mpmath")
    errors = []
    with mpmath.workdps(50):
        for x, value in zip(POINTS, values, strict=True):
            exact = precise(mpmath.mpf(float(x)))
            errors.append(abs(mpmath.mpf(float(value)) - exact) / abs(exact))
    return float(max(errors))


@pytest.mark.parametrize("name", OBJECTIVES)
def test_coefficients(name):
    values = coefficient_function(name)(POINTS)
    assert worst_error(values, OBJECTIVES[name].coefficient) < TOLERANCE
    assert coefficient_function(name)(0.0) == 0


@pytest.mark.parametrize("estimator", [K1, K2, K3, ABS_K1, k_lambda(0.5), k_lambda(0.999)], ids=str)
def test_estimators(estimator):
    assert worst_error(estimator_function(estimator)(POINTS), estimator.value) < TOLERANCE


def test_the_naive_formula_fails_this_test():
    naive = np.exp(-POINTS) - 1 + POINTS
    assert worst_error(np.where(naive == 0, 1e-300, naive), K3.value) > 1e-3


def test_k3_is_never_negative():
    assert (estimator_function(K3)(POINTS) >= 0).all()


@pytest.mark.parametrize("expr", [sp.exp(L) - 1 - L - L**2 / 2, sp.cosh(L) - 1, 1 - sp.tanh(L) - sp.exp(-L)])
def test_deeper_cancellation(expr):
    near = POINTS[np.abs(POINTS) < 2]
    precise = sp.lambdify(L, expr, "mpmath")
    values = compile_numpy(expr, [L])(near)
    with mpmath.workdps(60):
        for x, value in zip(near, values, strict=True):
            exact = precise(mpmath.mpf(float(x)))
            assert abs(value - exact) <= 1e-12 * abs(exact)


def test_shapes_and_constants():
    ones = compile_numpy(sp.S.One, [L])(np.zeros((2, 3)))
    assert ones.shape == (2, 3)
    assert ones.dtype == np.float64
    assert (ones == 1).all()
    product = compile_numpy(RHO * L, [L, RHO])(np.ones((2, 1)), np.full(3, 2.0))
    assert product.shape == (2, 3)
    assert (product == 2).all()
    assert compile_numpy(K3.value, [L])(np.zeros((0,))).shape == (0,)
    assert compile_numpy(K3.value, [L])(np.array([[0.25]])).shape == (1, 1)
    clamped = compile_numpy(sp.Min(sp.Max(L, -1), 1), [L])(np.array([-3.0, 0.5, 3.0]))
    assert clamped.tolist() == [-1.0, 0.5, 1.0]


def test_every_symbol_needs_a_value():
    with pytest.raises(ValueError, match="no value for rho in L\\*rho"):
        compile_numpy(RHO * L, [L])


def test_series_coefficients():
    assert series_coefficients(K3.value, L, 4) == [0, 0, 1 / 2, -1 / 6, 1 / 24]


@pytest.mark.parametrize("name", OBJECTIVES)
def test_divergences(name):
    rng = np.random.default_rng(7)
    generator = sp.lambdify(U, OBJECTIVES[name].generator, "mpmath")
    for scale in (1e-7, 0.1, 1.0, 8.0):
        logits = rng.normal(size=(2, 6))
        base, moved = logits[0], logits[0] + scale * logits[1]
        p, q = (x - np.logaddexp.reduce(x) for x in (moved, base))
        with mpmath.workdps(60):
            # The reference distribution is made to sum to one beyond double precision on both sides.
            ps, qs = ([mpmath.exp(mpmath.mpf(float(v))) for v in x] for x in (p, q))
            slope = sp.diff(OBJECTIVES[name].generator, U).subs(U, 1)
            rise = mpmath.mpf(sp.Float(slope, 50)._mpf_)
            exact = sum(b * (generator(a / b) - rise * (a / b - 1)) for a, b in zip(ps, qs, strict=True))
            value = mpmath.mpf(float(divergence_function(name)(p, q)))
            # log p and log q are inputs: the least change in them moves the value by this much.
            slack = 1e-13 * abs(exact) + 4e-16 * mpmath.sqrt(abs(exact)) * (1 if name != "total_variation" else 9)
            assert abs(value - exact) <= slack + (4e-16 if name == "total_variation" else 0)
        assert divergence_function(name)(p, p) == 0


def test_golden_instance():
    p, q = np.log([0.4, 0.3, 0.2, 0.1]), np.log([0.1, 0.2, 0.3, 0.4])
    golden = {"reverse_kl": 0.4564348191, "forward_kl": 0.4564348191, "chi2_half": 1.2083333333 / 2}
    for name, value in golden.items():
        assert divergence_function(name)(p, q) == pytest.approx(value, abs=1e-10)
    batch = divergence_function("reverse_kl")(np.stack([p, q]), np.stack([q, q]))
    assert batch.shape == (2,)
    assert batch[1] == 0


def test_long_decimals_in_an_exponent_take_no_memory() -> None:
    """exp(a L) with a of sixteen digits has a denominator of 1e16: no dense polynomial may be made of it."""
    a = sp.Rational("1.4426950408889634")
    value = compile_numpy(sp.exp(-a * L) - 1 + a * L, [L])
    with mpmath.workdps(40):
        for x in (-3.0, -1e-6, 1e-8, 0.5):
            exact = mpmath.exp(-mpmath.mpf(a.p) / a.q * mpmath.mpf(x)) - 1 + mpmath.mpf(a.p) / a.q * mpmath.mpf(x)
            assert float(value(x)) == pytest.approx(float(exact), rel=1e-12)
