"""Formulas mean what the statement says: read back by an independent reader, they are equal."""

import pytest
import sympy as sp
from sympy import Rational, Symbol, exp, log

from proofs.report.claims import claim_of
from proofs.report.notation import expression_latex, expression_text, latex_of, lines_of, readable, text_of
from proofs.statements import (
    DK,
    K1,
    K3,
    LOG_RATIO,
    RATIO,
    DerivativeAt,
    ExpectedGradient,
    GaussianMean,
    Gradient,
    Identity,
    Inequality,
    Instance,
    K,
    Lemma,
    SampleGradient,
    SequenceGradient,
    SequenceValue,
    Stationary,
    Total,
    Value,
    gradient_of_mean,
    log_ratios,
    ratios,
    sg,
)
from proofs.steps import SCORE, Expectation, Nabla
from proofs.symbols import BETA, LENGTH, REWARD, RHO, L, M, P, Q, divergence_symbol, reference_divergence_symbol
from proofs.theorems import catalogue, false_statements
from tests.proofs.report.support import Reader

EVERYTHING = (*catalogue(), *false_statements())
SWITCHES = (sp.Min, sp.Max, sp.Abs, sp.Piecewise, sp.Derivative, sp.Sum, sp.Indexed)
LETTERS = {
    r"\lambda": Symbol("lambda", real=True),
    r"\Lambda": Symbol("Lambda", real=True),
    "c": Symbol("c", real=True),
    "Z": Symbol("Z", positive=True),
}
KNOWN = {P, Q, M, L, RHO, REWARD, BETA, SCORE, *LETTERS.values()}


def same(one, other):
    """Equal for all values: compared at a rational point, inert nodes as functions of their arguments."""
    names = sorted({P, Q, *one.free_symbols, *other.free_symbols}, key=str)
    point = {symbol: Rational(3 + 2 * i, 7 + i) for i, symbol in enumerate(names)}

    def value(e):
        for inert, number in ((Nabla, 3), (Total, 5), (sg, 7), (K, 11), (DK, 13)):
            e = e.replace(inert, lambda x, n=number: x**3 / n + n * x)
        return e.replace(Expectation, lambda who, x: x**3 / 17 + who).subs({L: LOG_RATIO}).subs(point).evalf(30)

    return abs(value(one) - value(other)) < 1e-20


def sides_that_are_read_back():
    for theorem in EVERYTHING:
        if isinstance(theorem.statement, Lemma | GaussianMean | Instance):
            continue
        claim = claim_of(theorem.statement)
        for side in (claim.left, claim.right):
            if isinstance(side, sp.Basic) and not side.has(*SWITCHES) and side.free_symbols <= KNOWN:
                yield pytest.param(side, id=f"{theorem.id}")


SIDES = list(sides_that_are_read_back())


def test_most_of_the_catalogue_is_read_back():
    assert len(SIDES) > 200


@pytest.mark.parametrize("side", SIDES)
def test_what_is_printed_is_what_is_meant(side):
    assert same(Reader(expression_latex(side), LETTERS).read(), readable(side))


@pytest.mark.parametrize(
    "expr",
    [
        RHO * (L + 1),
        RATIO * (K1 + 3),
        -BETA * Total(P * L) * Total(Q * L),
        Total(P * L) ** 2 - Total(P * L**2),
        log(P) * SCORE * (1 + L),
        log(P) * log(Q) * (L - 1),
        -(P - Q) * L / 3,
        (1 - exp(-L)) / (2 * RHO),
        Total(-P * log(P)),
        2 * Rational(3, 4) * P**2 / Q**2,
        (P - Q) ** 2 / (P + Q) ** 3,
        L ** (P + 1),
    ],
)
def test_brackets(expr):
    assert same(Reader(expression_latex(expr)).read(), expr)


@pytest.mark.parametrize(
    "wrong", [r"\frac{\pi}{\mu} L + 3", r"\pi \left(L\right)", r"\log \pi \pi", r"\sum_{a} \pi L \sum_{a} \pi"]
)
def test_the_reader_tells_a_lost_bracket(wrong):
    right = {
        r"\frac{\pi}{\mu} L + 3": RATIO * (K1 + 3),
        r"\pi \left(L\right)": P * L + 1,
        r"\log \pi \pi": log(P**2),
        r"\sum_{a} \pi L \sum_{a} \pi": Total(P * L) * Total(P),
    }
    assert not same(Reader(wrong).read(), right[wrong])


def test_expected_gradient():
    statement = ExpectedGradient(Gradient(M, RATIO * K3), Gradient(sp.Integer(1), P * log(P / Q)))
    assert latex_of(statement) == (
        r"\mathbb{E}_{a \sim \mu}\left[\nabla \left(\frac{\pi}{\mu} \left(L - 1 + "
        r"\frac{\pi_{\mathrm{ref}}}{\pi}\right)\right)\right] = "
        r"\nabla \sum_{a} \pi \log \frac{\pi}{\pi_{\mathrm{ref}}}"
    )
    assert text_of(statement) == "E_sampler[grad(p*(L - 1 + q/p)/m)] = grad(sum_a(p*log(p/q)))"


def test_a_weight_that_is_no_distribution_is_written_out():
    statement = ExpectedGradient(Gradient(P * L, log(P)), Gradient(P, sp.Integer(0)))
    assert text_of(statement) == "sum_a(L*p*grad(log(p))) = 0"


@pytest.mark.parametrize(
    ("statement", "text"),
    [
        (SampleGradient(K1, sg(K1) * log(P)), "grad(L) = grad(log(p)*sg(L))"),
        (SampleGradient(K1, sg(sp.Integer(0)) * log(P)), "grad(L) = 0"),
        (Value(Total(P * K1), Total(P * log(P / Q))), "sum_a(L*p) = sum_a(p*log(p/q))"),
        (Value(Total(P), Symbol("P_in"), {P: Symbol("P_in")}), "sum_a(p) = P_in, sum_a(p) = P_in"),
        (Identity(L**2 - 1, (L - 1) * (L + 1)), "L**2 - 1 = (L - 1)*(L + 1)"),
        (Inequality(exp(L), L), "exp(L) > 0, for every L"),
        (Inequality(L, L, sp.Integer(0)), "L > 0, for L > 0"),
        (Inequality(-L, L, high=sp.Integer(0)), "-L > 0, for L < 0"),
        (Inequality(L, L, sp.Integer(1), sp.Integer(2)), "L > 0, for 1 < L < 2"),
        (Inequality(L**2, L, zeros=(sp.Integer(0),)), "L**2 > 0, for every L, and = 0 at L = 0"),
        (DerivativeAt(L**2, L, sp.Integer(1), sp.Integer(2)), "Derivative(L**2, L) = 2, at L = 1"),
        (Instance(log(sp.Integer(2)), {"x": "2"}), "log(2) > 0"),
        (Stationary(Q, L), "L = the same for every token, at p = q"),
        (GaussianMean(L**2, L, sp.Integer(1)), "E_{L ~ N(0, 1)}[L**2] = 1"),
        (Lemma(r"\nabla_k \pi_k = \tfrac12", lambda: None), "grad_k pi_k = (1/2)"),
        (
            SequenceGradient(lambda t: log_ratios(t)[0], P, lambda t: ratios(t)[1], M),
            "E_{y ~ policy}[grad(L0)] = E_{y ~ sampler}[grad(rho1)], shown for answers of 2 tokens",
        ),
        (
            SequenceValue(lambda t: log_ratios(t)[1] / LENGTH, P, lambda t: divergence_symbol(1) / LENGTH, M, True),
            "E_{y ~ policy}[L1/N] = E_{y ~ sampler}[KL(policy||reference)_1/N], shown for answers of at most 2 tokens",
        ),
        (
            SequenceGradient(lambda t: log_ratios(t)[0] / LENGTH, P, gradient_of_mean(lambda t: log_ratios(t)[0]), P),
            "E_{y ~ policy}[grad(L0/2)] = grad(E_{y ~ policy}[L0]), shown for answers of 2 tokens",
        ),
    ],
)
def test_every_kind_of_statement_has_a_formula(statement, text):
    assert text_of(statement) == text
    assert latex_of(statement)


def test_a_mean_in_a_sum_is_shown_as_one_and_only_when_it_is_one():
    whole = gradient_of_mean(lambda t: log_ratios(t)[0] * log_ratios(t)[1])
    minus = SequenceGradient(lambda t: whole(t) - log_ratios(t)[0], P, lambda _: sp.Integer(0), P)
    assert text_of(minus).startswith("-E_{y ~ policy}[grad(L0)] + grad(E_{y ~ policy}[L0*L1]) = 0")
    half = SequenceGradient(lambda t: whole(t) - whole.value(t), P, lambda _: sp.Integer(0), P)
    assert "grad(E" not in text_of(half)
    drawn_elsewhere = SequenceGradient(whole, M, lambda _: sp.Integer(0), P)
    assert "grad(E" not in text_of(drawn_elsewhere)


def test_directions_at_a_position_are_spelled_out():
    assert expression_latex(divergence_symbol(1)) == r"\mathrm{KL}(\pi\|\pi_{\mathrm{ref}})_{1}"
    assert expression_latex(reference_divergence_symbol(0)) == r"\mathrm{KL}(\pi_{\mathrm{ref}}\|\pi)_{0}"
    assert expression_text(reference_divergence_symbol(0)) == "KL(reference||policy)_0"


def test_an_unknown_kind_is_an_error():
    with pytest.raises(TypeError, match="no formula is known for int"):
        latex_of(7)


def test_log_ratio_is_found_among_other_terms_and_only_there():
    assert readable(2 * log(P) - 2 * log(Q) + P) == 2 * L + P
    assert readable(log(P) + log(Q)) == log(P) + log(Q)
    assert readable(log(P) - 2 * log(Q)) == log(P) - 2 * log(Q)


def test_a_reader_sees_no_letter_of_the_alphabet_that_stands_for_a_distribution():
    latex = expression_latex(P * log(Q) * M)
    assert latex == r"\pi \mu \log \pi_{\mathrm{ref}}".replace(r"\pi \mu", r"\mu \pi")
    assert expression_text(P * log(Q)) == "p*log(q)"


@pytest.mark.parametrize("theorem", EVERYTHING, ids=lambda theorem: theorem.id)
def test_lines_are_the_formula(theorem):
    lines = lines_of(theorem.statement)
    assert " ".join(latex for latex, _ in lines) == latex_of(theorem.statement)
    assert " ".join(text for _, text in lines) == text_of(theorem.statement)
    assert all("\\" not in text for _, text in lines)
