"""The curves are the expressions they are named after."""

import math

import pytest
import sympy as sp
from sympy import Symbol, log

from proofs.estimators import K3
from proofs.report.plots import Curve, Plot, all_plots, bias_plot, binary_slopes, coefficients_plot, curve, to_svg
from proofs.symbols import L

PLOTS = {plot.name: plot for plot in all_plots()}


def by_x(one):
    return {round(x, 9): y for x, y in one.points}


def test_coefficients_are_the_closed_forms():
    k1, k2, k3 = (by_x(one) for one in coefficients_plot().curves)
    assert len(k1) > 100
    for x in k1:
        assert k1[x] == 1
        assert k2[x] == pytest.approx(x)
        assert k3[x] == pytest.approx(-math.expm1(-x), abs=1e-12)
    assert coefficients_plot().level == 1


def test_the_bias_is_k3():
    bias, k3 = bias_plot().curves
    assert by_x(bias) == pytest.approx(by_x(k3), abs=1e-12)
    assert by_x(k3)[1.0] == pytest.approx(float(K3.value.subs(L, 1)))


def test_the_ratio_of_forces_is_sinh_z_over_z():
    z = Symbol("z", real=True)
    ours, theirs = binary_slopes(z)
    for point in (-2, sp.Rational(1, 3), 4):
        assert sp.N((theirs / ours - sp.sinh(z) / z).subs(z, point), 30) == pytest.approx(0, abs=1e-20)
    own, other = PLOTS["force"].curves
    p = 1 / (1 + math.exp(-5))
    assert by_x(other)[5.0] == pytest.approx(p - 0.5)
    assert by_x(own)[5.0] == pytest.approx(p * (1 - p) * 5)
    assert f"{math.sinh(5) / 5:.1f} at z = 5" in PLOTS["force"].alt


def test_only_rewards_beyond_k1_lose_convexity():
    lowest = {one.name: min(y for _, y in one.points) for one in PLOTS["convexity"].curves}
    assert {name for name, y in lowest.items() if y < 0} == {"k2 in reward", "k3 in reward"}
    assert all(by_x(one)[1.0] == pytest.approx(0, abs=0.2) for one in PLOTS["generators"].curves if 1.0 in by_x(one))


def test_a_point_without_a_value_is_left_out_and_a_limit_is_taken():
    x = Symbol("x", real=True)
    assert len(curve("log", log(x), x, sp.Integer(0), sp.Integer(1)).points) == 160
    whole = curve("sinc", sp.sin(x) / x, x, sp.Integer(-1), sp.Integer(1))
    assert len(whole.points) == 161
    assert dict(whole.points)[0.0] == 1


@pytest.mark.parametrize("plot", PLOTS.values(), ids=PLOTS)
def test_svg_is_one_element_of_its_own(plot):
    pytest.importorskip("matplotlib")
    svg = to_svg(plot)
    assert svg.startswith("<svg")
    assert svg.endswith("</svg>")
    assert "http" not in svg
    assert f'id="plot-{plot.name}-' in svg
    assert "currentColor" in svg
    assert svg == to_svg(plot)
    for i in range(1, len(plot.curves) + 1):
        assert f"var(--curve-{i}, #" in svg


def test_text_of_a_plot_is_no_markup():
    pytest.importorskip("matplotlib")
    hostile = Plot("p", "t", "a", "<x> & $y_{", "y", (Curve("</svg><b>", "f", ((0.0, 0.0), (1.0, 1.0))),))
    svg = to_svg(hostile)
    assert svg.count("<svg") == svg.count("</svg>") == 1
    assert "<b>" not in svg
