"""Whatever is typed: an answer that numbers do not contradict, or a refusal in one line, and in time."""

import math
import time
from itertools import pairwise

import mpmath
import pytest
import sympy as sp
from click.testing import CliRunner
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from proofs.analysis import NOT_ANALYTIC, UNKNOWN, value_range
from proofs.calculus import Undecided
from proofs.cli import derive as command
from proofs.derivation import OutOfReach, derive
from proofs.estimators import EstimatorError, parse_estimator
from proofs.symbols import L, U

HOSTILE = [
    "exp(exp(exp(L)))",
    "exp(exp(L))",
    "L**100",
    "(1+L)**50/(1+exp(L))**30",
    "(1+L)**16/(1+exp(L))**16",
    "tanh(tanh(L))",
    "1/L",
    "log(L)",
    "sqrt(L)",
    "1e400",
    "1e-400",
    "(" * 90 + "L" + ")" * 90,
    "(" * 300 + "L" + ")" * 300,
    "-" * 200 + "L",
    "L+" * 5000 + "L",
    "exp(" * 30 + "L" + ")" * 30,
    "tanh(" * 12 + "L" + ")" * 12,
    "abs(L-1+" * 12 + "1" + ")" * 12,
    "\xe9*L",
    "L\u2060",
    "\U0001d4a6",
    "\uff2c",
    "L\n+1",
    "\x00",
    "",
    " ",
    "|L|",
    "L;L",
    "lambda: L",
    "__import__('os')",
    "L.real",
    "1/(exp(L)-2)",
    "log(2+L)",
    "sqrt(4-L)",
    "1/(L-3)**2",
    "L**L",
    "2**L",
    "1000000**16*L",
    "*".join(["1000000**4"] * 40) + "*L",
    "Piecewise((L, L<0))",
    "where(L>0, 1/L, 0)",
    "huber(L,-1)",
    "clamp(L)",
    "where(L, L, L)",
    "Min()",
    "True",
    "L if L else L",
    "tanh(exp(L)-L**5)*tanh(L**3)/(1+L**2)**3",
    "exp(16*L)+L**16-tanh(L)**8",
    "sqrt(1+exp(sqrt(1+L**2)))",
    "clamp(tanh(k3*k2), -1/2, k1)",
]


@pytest.mark.parametrize("text", HOSTILE, ids=range(len(HOSTILE)))
def test_hostile_input_ends_in_an_answer_or_in_a_line(text):
    result = CliRunner().invoke(command, ["--format", "json", "--", text])
    assert result.exit_code in (0, 2), result.exception
    if result.exit_code == 2:
        assert result.stdout == ""
        assert 1 <= len(result.stderr.splitlines()) <= 2
        assert "Traceback" not in result.stderr


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("1/(exp(L)-2)", "a divisor that is zero when L = 0.693147"),
        ("log(2+L)", "the argument of a logarithm or root that is not positive when L = -2"),
        ("sqrt(4-L)", "that is negative when L = 5"),
        ("1/sqrt(L**2 + L**4)", "not a real number when L = 0"),
        ("1/(tanh(L) - 1/3)", "a divisor that is zero"),
        ("huber(L, 0)", "a positive number"),
        ("|L|", "abs(L)"),
    ],
)
def test_what_is_not_real_everywhere_is_refused(text, reason):
    with pytest.raises(EstimatorError, match=reason.replace("(", r"\(").replace(")", r"\)")):
        parse_estimator(text)


REAL = ["1/(1+exp(L))", "log(1+exp(L))", "sqrt(L**2)", "1/(2+tanh(L))", "log(3+sign(L))", "1/cosh(L)"]


@pytest.mark.parametrize("text", REAL)
def test_what_is_real_everywhere_is_read(text):
    parse_estimator(text)


def _clip(x, low, high):
    return min(max(x, low), high)


_LEAVES = st.sampled_from(
    [("L", lambda x: x)] * 4
    + [
        ("k1", lambda x: x),
        ("k2", lambda x: x * x / 2),
        ("k3", lambda x: mpmath.exp(-x) - 1 + x),
        ("u", mpmath.exp),
        ("r", lambda x: mpmath.exp(-x)),
        ("1", lambda x: mpmath.mpf(1)),
        ("3", lambda x: mpmath.mpf(3)),
        ("0.5", lambda x: mpmath.mpf(1) / 2),
    ]
)


def _grown(inner):
    pairs, triples = st.tuples(inner, inner), st.tuples(inner, inner, inner)
    return st.one_of(
        pairs.map(lambda p: (f"({p[0][0]} + {p[1][0]})", lambda x: p[0][1](x) + p[1][1](x))),
        pairs.map(lambda p: (f"({p[0][0]} - {p[1][0]})", lambda x: p[0][1](x) - p[1][1](x))),
        pairs.map(lambda p: (f"({p[0][0]} * {p[1][0]})", lambda x: p[0][1](x) * p[1][1](x))),
        pairs.map(lambda p: (f"({p[0][0]})/(1 + ({p[1][0]})**2)", lambda x: p[0][1](x) / (1 + p[1][1](x) ** 2))),
        inner.map(lambda a: (f"tanh({a[0]})", lambda x: mpmath.tanh(a[1](x)))),
        inner.map(lambda a: (f"exp(-{a[0]})", lambda x: mpmath.exp(-a[1](x)))),
        inner.map(lambda a: (f"abs({a[0]})", lambda x: abs(a[1](x)))),
        inner.map(lambda a: (f"sign({a[0]})", lambda x: mpmath.sign(a[1](x)))),
        inner.map(lambda a: (f"sqrt(1 + ({a[0]})**2)", lambda x: mpmath.sqrt(1 + a[1](x) ** 2))),
        inner.map(lambda a: (f"log(1 + exp({a[0]}))", lambda x: mpmath.log(1 + mpmath.exp(a[1](x))))),
        inner.map(lambda a: (f"clamp({a[0]}, -1, 2)", lambda x: _clip(a[1](x), mpmath.mpf(-1), mpmath.mpf(2)))),
        pairs.map(lambda p: (f"Min({p[0][0]}, {p[1][0]})", lambda x: min(p[0][1](x), p[1][1](x)))),
        triples.map(
            lambda t: (f"where({t[0][0]} > 0, {t[1][0]}, {t[2][0]})", lambda x: t[1 if t[0][1](x) > 0 else 2][1](x))
        ),
    )


EXPRESSIONS = st.recursive(_LEAVES, _grown, max_leaves=4)
_POINTS = [mpmath.mpf(n) / 5 + mpmath.mpf("0.0137") for n in range(-14, 15)]
_STEP = mpmath.mpf(10) ** -15


def _slope(k, x):
    """By central differences; None beside a kink, or where numbers grow too large."""
    right, left = (k(x + _STEP) - k(x)) / _STEP, (k(x) - k(x - _STEP)) / _STEP
    if abs(right - left) > mpmath.mpf(10) ** -6 * (1 + abs(left)) or abs(k(x)) > 1e12:
        return None
    return (right + left) / 2


def contradiction(text, k):
    """What numbers say against the derivation, or None. Refusals are none."""
    start = time.monotonic()
    try:
        derivation = derive(parse_estimator(text))
    except (EstimatorError, OutOfReach, Undecided):
        return None
    seconds = time.monotonic() - start
    if seconds > 30:  # far beyond the limit, so that a busy machine fails nothing
        return f"{seconds:.1f} s"
    with mpmath.workdps(50):
        for side, c in ((derivation.as_loss, lambda x: _slope(k, x)), (derivation.in_reward, k)):
            against = _against(side, c)
            if against:
                return against
    return None


def _against(side, c):
    derived = sp.lambdify(L, side.coefficient, "mpmath")
    known = [(x, y) for x in _POINTS if (y := c(x)) is not None and abs(y) < 1e12]
    for x, y in known:
        if abs(derived(x) - y) > 1e-9 * (1 + abs(y)):
            return f"coefficient at {x}: {derived(x)} instead of {y}"
    values = [y for _, y in known]
    if side.monotone is True and any(a - b > 1e-8 * (1 + abs(a)) for a, b in pairwise(values)):
        return "it decreases"
    if side.range != UNKNOWN:
        reached = value_range(side.coefficient)
        if reached is not None:
            low, high = (float(end.evalf(30)) for end in (reached.inf, reached.sup))
            if any(
                not (low - 1e-8 * (1 + abs(low)) <= y <= high + 1e-8 * (1 + abs(high)))
                for y in values
                if math.isfinite(y)
            ):
                return f"outside {side.range}"
    if side.series not in (UNKNOWN, NOT_ANALYTIC):
        series = sp.lambdify(L, sp.sympify(side.series, {"L": L}).removeO(), "mpmath")
        rounded = 1e-6 if "." in side.series else 0.0  # six digits, where exact coefficients take too long
        for x in (mpmath.mpf("0.00011"), mpmath.mpf("-0.00013")):
            y = c(x)
            if y is not None and abs(series(x) - y) > 1e5 * x**4 + 1e-5 * abs(y) * abs(x) + 1e-9 + rounded * (
                1 + abs(y)
            ):
                return f"series at {x}: {series(x)} instead of {y}"
    if side.generator is not None:
        f = sp.lambdify(U, side.generator, "mpmath")
        for x, y in known[::7]:
            rise = _slope(f, mpmath.exp(x))
            if rise is not None and abs(rise - y) > 1e-5 * (1 + abs(y)):
                return f"generator at {x}: {rise} instead of {y}"
    return None


@settings(max_examples=25, suppress_health_check=list(HealthCheck))
@given(EXPRESSIONS)
def test_no_answer_is_contradicted_by_numbers(expression):
    text, k = expression
    assert contradiction(text, k) is None, text


def test_a_wrong_answer_is_contradicted():
    assert contradiction("k3", lambda x: x * x / 2).startswith("coefficient")
    assert contradiction("abs(L)", lambda x: x).startswith("coefficient")


@settings(max_examples=200)
@given(st.text(alphabet="Lkuexplogt123()+-*/^.,<> abs|\u00e9", max_size=40))
def test_no_text_raises_anything_else(text):
    message = ""
    try:
        parse_estimator(text)
    except EstimatorError as error:
        message = str(error)
    assert len(message.splitlines()) <= 1
