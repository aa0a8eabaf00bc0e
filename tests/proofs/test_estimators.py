"""Estimators by name and as typed expressions; whatever is typed gives an estimator or one line."""

from contextlib import suppress

import pytest
import sympy as sp
from hypothesis import given
from hypothesis import strategies as st

from proofs.estimators import ABS_K1, ESTIMATORS, K1, K2, K3, EstimatorError, k_lambda, parse_estimator
from proofs.symbols import L, token_symbols

E = sp.exp


@pytest.mark.parametrize(
    ("name", "estimator"),
    [
        ("k1", K1),
        ("kl", K1),
        ("k2", K2),
        ("mse", K2),
        ("k3", K3),
        ("low_var_kl", K3),
        ("abs", ABS_K1),
        (" K3 ", K3),
    ],
)
def test_names_and_synonyms(name, estimator):
    assert parse_estimator(name) is estimator


def test_the_values_are_schulmans():
    r = sp.Symbol("r", positive=True)
    values = {"k1": -sp.log(r), "k2": sp.log(r) ** 2 / 2, "k3": r - 1 - sp.log(r)}
    for name, value in values.items():
        assert sp.simplify(ESTIMATORS[name].value.subs(L, -sp.log(r)) - value) == 0
    assert k_lambda(1).value == K3.value
    assert k_lambda(0).value == K1.value
    assert k_lambda(0.1).value.coeff(E(-L)) == sp.Rational(1, 10)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("exp(-L) - 1 + L", K3.value),
        ("r - 1 - log(r)", K3.value),
        ("u - 1 - log(u)", E(L) - 1 - L),
        ("L^2/2", L**2 / 2),
        ("-L**2", -(L**2)),
        ("2*L^2^1", 2 * L**2),
        ("0.1*L", L / 10),
        ("1e-3*L", L / 1000),
        ("expm1(-L) + L", K3.value),
        ("log1p(u)", sp.log(1 + E(L))),
        ("sqrt(1 + L*L)", sp.sqrt(1 + L**2)),
        ("abs(L) + Abs(L)", 2 * sp.Abs(L)),
        ("sign(L)*tanh(L)", sp.sign(L) * sp.tanh(L)),
        ("cosh(L) - sinh(L)", sp.cosh(L) - sp.sinh(L)),
        ("clamp(L, -2, 3)", sp.Piecewise((-2, L < -2), (3, L > 3), (L, True))),
        ("clamp(L, -2, L**2)", sp.Min(sp.Max(L, -2), L**2)),
        ("L if L > 0 else 1", sp.Piecewise((L, L > 0), (1, True))),
        ("where(L > 0, k1, k2)", sp.Piecewise((L, L > 0), (L**2 / 2, True))),
        ("huber(L, 2)", sp.Piecewise((L**2 / 2, sp.Abs(L) <= 2), (2 * sp.Abs(L) - 2, True))),
        ("k1*k3", L * (sp.exp(-L) - 1 + L)),
        ("Min(L, 1) + Max(L, 1)", sp.Min(L, 1) + sp.Max(L, 1)),
        ("Piecewise((L, L < 0), (2*L, True))", sp.Piecewise((L, L < 0), (2 * L, True))),
        ("+L", L),
        ("7", sp.Integer(7)),
    ],
)
def test_expressions(text, value):
    assert parse_estimator(text).value == value


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("L + x", "unknown name 'x' at column 5: an estimator is an expression in L = log.policy/reference.$"),
        ("L^2 + x", "unknown name 'x' at column 7: "),
        ("exp", "unknown name 'exp' at column 1: .* exp is a function"),
        ("foo(L)", "unknown function 'foo' at column 1: allowed are names L, u, r, k1"),
        ("__import__('os').system('true')", "this call is not allowed at column 1"),
        ("L.__class__", "attribute is not allowed at column 1"),
        ("(L", "cannot be read at column 1"),
        ("L L", "cannot be read at column "),
        ("", "nothing given"),
        ("L" + "+L" * 400, "801 characters: an estimator has at most 500"),
        ("é", "unexpected 'é' at column 1"),
        ("'L'", "'L' is not a number at column 1"),
        ("True", "True is not a number"),
        ("L < 1", r"a comparison at column 1: it may stand only inside Piecewise"),
        ("Piecewise((L, L))", "not a condition at column 15"),
        ("Piecewise((L, L < 1))", "without a last branch"),
        ("Piecewise(L)", "takes pairs"),
        ("Piecewise((L, 0 < L < 1), (L, True))", "one of < <= > >="),
        ("clamp(L, 1)", "clamp takes 3 arguments, not 2"),
        ("exp()", "exp takes 1 arguments, not 0"),
        ("exp(x=L)", "exp takes plain arguments only"),
        ("L**L", "this exponent is not allowed at column 4: a number from -16 to 16"),
        ("L**99", "this exponent is not allowed"),
        ("((L**16)**16)**16", "a power that is too large"),
        ("10**16**16", "this exponent is not allowed"),
        ("9" * 300, "a number that is too large"),
        ("1e999*L", "a number that is too large"),
        ("exp(exp(exp(L)))", "exponentials nested too deeply"),
        ("log(L)", r"not a real number when L = 0 \(policy = reference\)"),
        ("sqrt(L)", "not a real number when L = -1.75"),
        ("1/L", r"not a real number when L = 0 \(policy = reference\)"),
        ("L/0", "a division by zero at column 3"),
        ("0**-1", "a division by zero"),
        ("L if L else 1", "not a condition"),
        ("lambda: L", "lambda is not allowed"),
        ("[L]", "list is not allowed"),
        ("L // 2", "this operator is not allowed"),
        ("not L", "this operator is not allowed"),
        ("(" * 60 + "L" + ")" * 60 + "+" + "-" * 60 + "L", "nested too deeply"),
    ],
)
def test_what_is_refused_and_why(text, message):
    with pytest.raises(EstimatorError, match=message) as caught:
        parse_estimator(text)
    assert "\n" not in str(caught.value)


@given(st.text(alphabet="Lur0123456789.+-*/^(), <=>expmloginvsqrtabhPiecwTMx_'\"[]{}:;!\\\n\t", max_size=60))
def test_no_text_raises_anything_else(text):
    with suppress(EstimatorError):
        assert parse_estimator(text).value.free_symbols <= {L}


@given(st.text(max_size=40))
def test_no_unicode_raises_anything_else(text):
    with suppress(EstimatorError):
        parse_estimator(text)


_leaf = st.sampled_from(["L", "u", "r", "1", "2", "0.25", "(-3)"])


def _branch(inner):
    unary = st.sampled_from(["exp", "log", "sqrt", "abs", "tanh", "cosh", "sign", "expm1", "log1p"])
    return st.one_of(
        st.builds("({} {} {})".format, inner, st.sampled_from("+-*/"), inner),
        st.builds("{}({})".format, unary, inner),
        st.builds("({})**{}".format, inner, st.sampled_from(["2", "3", "-1", "0.5", "7"])),
        st.builds("clamp({}, {}, {})".format, inner, inner, inner),
        st.builds("Piecewise(({}, {} < {}), ({}, True))".format, inner, inner, inner, inner),
    )


@given(st.recursive(_leaf, _branch, max_leaves=8))
def test_expressions_of_the_grammar(text):
    try:
        value = parse_estimator(text).value
    except EstimatorError:
        return
    assert value.free_symbols <= {L}
    assert not value.has(sp.Float, sp.zoo, sp.nan)


def test_nothing_typed_is_run(tmp_path):
    target = tmp_path / "made"
    for text in (f"open({str(target)!r}, 'w')", f"().__class__.__init__({str(target)!r})"):
        with pytest.raises(EstimatorError):
            parse_estimator(text)
    assert not target.exists()


def test_token_symbols():
    assert token_symbols(2) == (sp.Symbol("L2", real=True), sp.Symbol("rho2", positive=True))
    with pytest.raises(ValueError, match="a position is 0 or more, not -1"):
        token_symbols(-1)
