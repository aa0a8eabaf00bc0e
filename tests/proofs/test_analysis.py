"""Series, range and monotonicity, decided."""

from itertools import pairwise

import pytest
import sympy as sp
from hypothesis import given, settings
from hypothesis import strategies as st

from proofs.analysis import monotone, range_text, series_at_zero, value_range
from proofs.roots import Undetermined, real_roots
from proofs.symbols import L

E, log = sp.exp, sp.log


@pytest.mark.parametrize(
    ("c", "series", "text", "rising"),
    [
        (L, "L + O(L**4)", "(-oo, oo)", True),
        (1 - E(-L), "L - L**2/2 + L**3/6 + O(L**4)", "(-oo, 1)", True),
        (E(-L) - 1 + L, "L**2/2 - L**3/6 + O(L**4)", "[0, oo)", False),
        (L**2 / 2, "L**2/2 + O(L**4)", "[0, oo)", False),
        (sp.S.One, "1 + O(L**4)", "{1}", True),
        (sp.S.Zero, "O(L**4)", "{0}", True),
        (L + L**2 / 2, "L + L**2/2 + O(L**4)", "[-1/2, oo)", False),
        (L * E(-L), "L - L**2 + L**3/2 + O(L**4)", "(-oo, exp(-1)]", False),
        (3 * E(3 * L) - 7 * E(L), "-4 + 2*L + 10*L**2 + 37*L**3/3 + O(L**4)", "[-4.11561, oo)", False),
        (sp.tanh(L), "L - L**3/3 + O(L**4)", "(-1, 1)", True),
        (sp.sqrt(1 + L**2), "1 + L**2/2 + O(L**4)", "[1, oo)", False),
        (L / sp.sqrt(1 + L**2), "L - L**3/2 + O(L**4)", "(-1, 1)", True),
        (1 / (1 + L**2), "1 - L**2 + O(L**4)", "(0, 1]", False),
        (sp.sign(L), "not analytic at L = 0", "{-1, 0, 1}", True),
        (sp.Abs(L), "not analytic at L = 0", "[0, oo)", False),
        (sp.Min(sp.Max(L, -1), 1), "L + O(L**4)", "[-1, 1]", True),
        (sp.Min(10, E(-L) - 1 + L), "L**2/2 - L**3/6 + O(L**4)", "[0, 10]", False),
        (sp.Piecewise((L, L < 1), (2 * L, True)), "L + O(L**4)", "(-oo, 1) U [2, oo)", True),
        (sp.Piecewise((L, L < 1), (L / 2, True)), "L + O(L**4)", "(-oo, oo)", False),
        (E(L) - L**2 / 2 - L, "1 + L**3/6 + O(L**4)", "(-oo, oo)", True),
        (L**3 - 3 * L * sp.Rational(1, 10**6), "-3*L/1000000 + L**3 + O(L**4)", "(-oo, oo)", False),
    ],
)
def test_shapes(c, series, text, rising):
    assert series_at_zero(c) == series
    assert range_text(c) == text
    assert monotone(c) is rising


def test_what_is_not_known_is_not_said():
    c = sp.sin(L) + sp.Rational(21, 20) * L
    assert monotone(c) is None
    assert range_text(c) == "unknown"
    assert series_at_zero(c) == "unknown"


def test_a_decrease_too_narrow_to_sample_is_found():
    """One dip of width 1e-5, away from every probe."""
    dip = L**3 - 3 * (L - sp.Rational(1, 7)) * sp.Rational(1, 10**10)
    assert monotone(dip.subs(L, L - sp.Rational(1, 7))) is False


terms = st.lists(
    st.tuples(st.integers(-3, 3).filter(bool), st.integers(0, 2), st.integers(-2, 2)), min_size=1, max_size=4
)


@settings(max_examples=16)
@given(terms)
def test_roots_are_roots_and_signs_change_nowhere_else(drawn):
    f = sum((c * L**n * E(k * L) for c, n, k in drawn), sp.S.Zero)
    if sp.expand(f) == 0:
        with pytest.raises(Undetermined):
            real_roots(f, L)
        return
    try:
        roots = real_roots(f, L)
    except Undetermined:
        return
    assert roots == sorted(roots)
    for root in roots:
        assert abs(f.subs(L, root).evalf(30)) < 1e-20
    exact = sp.lambdify(L, f, "mpmath")
    edges = [-9, *(float(r) for r in roots if abs(r) < 9), 9]
    for low, high in pairwise(edges):
        if high - low > 1e-3:
            inside = [exact(sp.Float(low + (high - low) * s / 10, 30)) for s in range(1, 10)]
            assert len({sp.sign(value) for value in inside}) == 1


@settings(max_examples=16)
@given(terms)
def test_monotone_agrees_with_samples(drawn):
    f = sum((c * L**n * E(k * L) for c, n, k in drawn), sp.S.Zero)
    verdict = monotone(f)
    exact = sp.lambdify(L, f, "mpmath")
    values = [exact(sp.Float(x, 30) / 8) for x in range(-40, 41)]
    falls = any(b < a - sp.Float("1e-20") for a, b in pairwise(values))
    assert not (verdict is True and falls)
    reached = value_range(f)
    if reached is not None:
        assert all(reached.contains(sp.nsimplify(f.subs(L, x))) is not sp.false for x in (-2, 0, 1))


@pytest.mark.parametrize(
    ("f", "roots"),
    [
        (E(L) - 3, [log(3)]),
        (E(2 * L) - 5 * E(L) + 6, [log(2), log(3)]),
        ((L - 1) * (2 * L + 3), [sp.Rational(-3, 2), 1]),
        (L * E(L), [0]),
        (E(-L) - 1 + L, [0]),
        (E(L) + 1, []),
        (L**2 + 1, []),
    ],
)
def test_exact_roots(f, roots):
    assert real_roots(f, L) == roots


def test_roots_need_their_class():
    with pytest.raises(Undetermined):
        real_roots(sp.sin(L), L)
