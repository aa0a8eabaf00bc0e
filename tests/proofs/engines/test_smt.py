"""z3 and cvc5 on SMT-LIB text: true statements proved, false ones refused, the committed files as regenerated."""

from __future__ import annotations

from fractions import Fraction

import mpmath
import pytest
import sympy as sp
from hypothesis import given, settings
from hypothesis import strategies as st
from sympy import Abs, Heaviside, Integer, Max, Min, Piecewise, Rational, Symbol, exp, log, sign, sinh, sqrt

pytest.importorskip("z3")
pytest.importorskip("cvc5")
pytest.importorskip("flint")

from proofs.engines.abstraction import Abstraction
from proofs.engines.smt.axioms import exp_bounds, log_bounds
from proofs.engines.smt.engine import CVC5, Z3
from proofs.engines.smt.obligations import FACTS, LEMMAS, lemma_scripts
from proofs.engines.smt.process import Process
from proofs.engines.smt.regenerate import FOLDER, files
from proofs.engines.smt.solvers import SAT, SOLVERS, UNKNOWN, UNSAT, ask_cvc5, ask_z3
from proofs.engines.smt.terms import Printer
from proofs.ledger import Outcome
from proofs.statements import (
    DK,
    K1,
    K2,
    K3,
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
    sg,
)
from proofs.symbols import BETA, LENGTH, REWARD, M, P, Q, divergence_symbol, reference_divergence_symbol
from proofs.theorem import Theorem
from proofs.theorems import catalogue
from tests.proofs.engines.support import kind

REVERSE_KL, FORWARD_KL = P * log(P / Q), Q * log(Q / P)
X, Y = Symbol("x", real=True), Symbol("y", real=True)
U, LAMBDA = Symbol("u", positive=True), Symbol("lambda", real=True)
ENGINES = pytest.mark.parametrize("engine", [Z3, CVC5], ids=lambda e: e.name)


def outcome(engine, statement, name="t"):
    return engine.check(Theorem(name, "", statement, (), "", "")).outcome


def on_policy(surrogate, objective):
    return ExpectedGradient(Gradient(P, surrogate), Gradient(Integer(1), objective))


def off_policy(surrogate, objective):
    return ExpectedGradient(Gradient(M, surrogate), Gradient(Integer(1), objective))


def divergences(horizon):
    return sum(divergence_symbol(t) for t in range(horizon))


def token_k2(horizon):
    return sum(x**2 / 2 for x in log_ratios(horizon))


def token_k3(horizon):
    return sum(exp(-x) - 1 + x for x in log_ratios(horizon))


TRUE = [
    on_policy(K3, FORWARD_KL),
    on_policy(K2, REVERSE_KL),
    on_policy(K1 + LAMBDA * (Q / P - 1), LAMBDA * FORWARD_KL),
    off_policy(RATIO * K3, REVERSE_KL),
    off_policy(sg(RATIO) * K1, Integer(0)),
    off_policy(RATIO * K(K1), P * K(K1)),
    on_policy(sg(sign(log(P / Q)) / 2) * log(P), Abs(P - Q) / 2),
    on_policy(sg(Rational(1, 2) - sqrt(Q) / (2 * sqrt(P))) * log(P), Q * (sqrt(P) / sqrt(Q) - 1) ** 2 / 2),
    SampleGradient(sg(Min(P, M)) * log(P), sg((P + M - Abs(P - M)) / 2) * log(P)),
    Value(Total(P * (1 - Q / P) ** 2) - Total(P - Q) ** 2, Total((P - Q) ** 2 / P)),
    Stationary(Q * exp(REWARD / BETA), REWARD - BETA * K1),
    Identity((exp(X) + 1) * (exp(X) - 1), exp(2 * X) - 1),
    Identity(Max(X, Y), (X + Y + Abs(X - Y)) / 2),
    Inequality(exp(-X) - 1 + X, X, zeros=(Integer(0),)),
    Inequality(1 / X - exp(-X), X, Integer(0)),
    Inequality(sinh(X) - X, X, Integer(0)),
    Inequality(-log(U) / U, U, Integer(0), Integer(1)),
    Inequality((log(U) - 1) / U**2, U, sp.E),
    Inequality(-(log(U) + 1), U, Integer(0), exp(-1)),
    Instance(exp(Rational(63, 50)) - Rational(88, 25), {}),
    Instance(log(5) - log(3) * Rational(146, 100), {}),
    SequenceGradient(token_k2, P, divergences, P),
    SequenceGradient(token_k3, P, lambda n: sum(reference_divergence_symbol(t) for t in range(n)), P),
    SequenceValue(lambda n: sum(log_ratios(n)), P, divergences, P),
]
TRIVIAL = [
    SampleGradient(K(K1), sg(DK(K1)) * log(P)),
    Value(Total(P * K3), Total(REVERSE_KL)),
    Value(Total(P - Q), Symbol("a", positive=True) - 1, {P: Symbol("a", positive=True), Q: Integer(1), M: Integer(1)}),
    DerivativeAt(1 - exp(-X), X, Integer(0), Integer(1)),
    SequenceGradient(lambda n: sum(log_ratios(n)) / LENGTH, P, gradient_of_mean(lambda _: 1 / LENGTH), P, True),
]
FALSE = [
    on_policy(K3, REVERSE_KL),
    on_policy(K2, -REVERSE_KL),
    on_policy(K1 + LAMBDA * (Q / P - 1), REVERSE_KL),
    off_policy(K1, Integer(0)),
    off_policy(K3, FORWARD_KL),
    off_policy(sg(M / P) * K2, REVERSE_KL),
    on_policy(K(K1), P * K(K1)),
    SampleGradient(sg(K1) * log(P), K3),
    SampleGradient(sg(DK(K1) + 1) * log(P), K(K1)),
    Value(Total(P * K3), Total(FORWARD_KL)),
    Value(Total((P - Q) ** 2 / P), Total((P - Q) ** 2 / Q)),
    Stationary(Q * exp(REWARD / BETA), REWARD - BETA * (1 - Q / P)),
    Identity(Max(X, Y), (X + Y - Abs(X - Y)) / 2),
    Identity(X**2, X),
    DerivativeAt(1 - exp(-X), X, Integer(0), Integer(0)),
    Inequality(1 - exp(-X) - X, X, Integer(0)),
    Inequality(X**2 - 1, X),
    Instance(2 - exp(1), {}),
    SequenceGradient(token_k2, P, gradient_of_mean(lambda n: sum(log_ratios(n))), P),
    SequenceGradient(lambda n: sum(log_ratios(n)) / LENGTH, P, lambda _: Integer(0), P, True),
    SequenceValue(token_k2, P, divergences, P),
]
HARD_TO_REFUTE = [
    on_policy(sg(sign(log(Q / P)) / 2) * log(P), Abs(P - Q) / 2),  # models like ties, where the sign is not certain
    Inequality(exp(-X) - 1 + X, X),  # fails at one point alone
    Inequality(1001 - exp(-X), X),  # fails in the tail alone
    Identity(X - (1 - exp(-X)), X**2 / 2),
    Inequality(X**2, X, zeros=(Integer(1),)),
]


@ENGINES
@pytest.mark.parametrize("statement", TRUE, ids=kind)
def test_true_statements_are_proved(engine, statement):
    assert outcome(engine, statement) is Outcome.PROVED


@ENGINES
@pytest.mark.parametrize("statement", TRIVIAL, ids=kind)
def test_what_is_equal_before_a_solver_is_asked_is_not_the_solvers_proof(engine, statement):
    assert outcome(engine, statement) is Outcome.UNSUPPORTED


@ENGINES
@pytest.mark.parametrize("statement", FALSE, ids=kind)
def test_false_statements_are_refuted_with_a_point(engine, statement):
    finding = engine.check(Theorem("t", "", statement, (), "", ""))
    assert finding.outcome is Outcome.REFUTED
    assert finding.counterexample or isinstance(statement, Instance | DerivativeAt)


@ENGINES
@pytest.mark.parametrize("statement", HARD_TO_REFUTE, ids=kind)
def test_other_false_statements_are_not_proved(engine, statement):
    assert outcome(engine, statement) in (Outcome.REFUTED, Outcome.INCONCLUSIVE)


@ENGINES
def test_a_model_of_the_abstraction_is_no_refutation(engine):
    """True, but only by a relation between what a solver may see as two independent logarithms."""
    true = Identity(log(1 + exp(X)) - log(1 + exp(-X)), X)
    assert outcome(engine, true) is not Outcome.REFUTED


@ENGINES
def test_what_has_no_word_is_unsupported(engine):
    assert outcome(engine, GaussianMean(X**2, X, Integer(1))) is Outcome.UNSUPPORTED
    assert outcome(engine, Identity(sp.sin(X) ** 2 + sp.cos(X) ** 2, Integer(1))) is Outcome.UNSUPPORTED
    assert outcome(engine, Lemma("", lambda: None), "no such lemma") is Outcome.UNSUPPORTED


@ENGINES
@given(a=st.integers(-4, 4), b=st.integers(1, 4), c=st.integers(1, 4))
@settings(max_examples=10)
def test_random_combinations(engine, a, b, c):
    surrogate, objective = b * K2 + c * K3 + a * K1, b * REVERSE_KL + c * FORWARD_KL
    assert outcome(engine, on_policy(surrogate, objective)) is Outcome.PROVED
    assert outcome(engine, on_policy(surrogate, objective + a * P**2 + b * P * Q)) is Outcome.REFUTED


@ENGINES
@given(root=st.fractions(-2, 2, max_denominator=6), gap=st.fractions("1/20", 2, max_denominator=20))
@settings(max_examples=10)
def test_random_inequalities(engine, root, gap):
    square = (X - Rational(root)) ** 2
    assert outcome(engine, Inequality(square + Rational(gap), X)) is Outcome.PROVED
    assert outcome(engine, Inequality(square, X, zeros=(Rational(root),))) is Outcome.PROVED
    assert outcome(engine, Inequality(square - Rational(gap), X)) is Outcome.REFUTED


@pytest.mark.parametrize("ask", [ask_z3, ask_cvc5])
@pytest.mark.parametrize("script", [*FACTS.values(), *(s for name in LEMMAS for s in lemma_scripts(name))])
def test_every_obligation_is_discharged_and_needs_its_claim(ask, script):
    assert ask(script).verdict == UNSAT
    lines = [line for line in script.splitlines() if not line.startswith("(assert (not ")]
    assert ask("\n".join(lines) + "\n").verdict != UNSAT  # the assumptions do not contradict each other


def test_a_wrong_step_is_not_discharged():
    script = lemma_scripts("closed-form.forward_kl")[-1].replace("(- (p k) (q k))))", "(- (q k) (p k))))")
    assert ask_z3(script).verdict == SAT


@given(st.fractions("1/1000", 2000, max_denominator=1000))
def test_bounds_on_logarithms_and_exponentials_enclose(x):
    mpmath.mp.dps = 50
    x = Fraction(x)
    for (low, high), value in (
        (log_bounds(x), mpmath.log(mpmath.mpf(x.numerator) / x.denominator)),
        (exp_bounds(x / 100 - 3), mpmath.exp(mpmath.mpf(x.numerator) / x.denominator / 100 - 3)),
    ):
        assert mpmath.mpf(low.numerator) / low.denominator <= value + mpmath.mpf(10) ** -40
        assert value <= mpmath.mpf(high.numerator) / high.denominator + mpmath.mpf(10) ** -40
        assert high - low < Fraction(1, 1000)


_PRINTED = [
    X + Y * 3 - Rational(2, 7),
    (X + 1) ** 3 / (U + 2) - 1 / U,
    1 / (1 + 1 / U),
    Min(X, Y / U, 2) * Max(X, Y),
    Abs(X / U) + sign(Y - X) + Heaviside(X - 1),
    Piecewise((X, X > Y), (Y / U, sp.And(X < 0, Y >= 1)), (U, True)),
]


@pytest.mark.parametrize("expr", _PRINTED, ids=str)
@given(x=st.fractions(-3, 3, max_denominator=7), y=st.fractions(-3, 3, max_denominator=7))
@settings(max_examples=8)
def test_the_printer_says_what_the_expression_says(expr, x, y):
    """z3 on the printed term, the symbols fixed, against SymPy's own arithmetic."""
    u = abs(x) + 1
    value = expr.subs({X: Rational(x), Y: Rational(y), U: Rational(u)})
    numbers = "".join(
        f"(declare-const {n} Real)(assert (= {n} (/ (- {-v.numerator}.0) {v.denominator}.0)))"
        for n, v in (("x", x), ("y", y), ("u", u))
    ).replace("(- -", "(+ ")
    printer = Printer()
    assert ask_z3(f"{numbers}(assert (not {printer.equation(expr, value)}))").verdict == UNSAT
    assert ask_z3(f"{numbers}(assert {Printer().equation(expr, value + 1)})").verdict == UNSAT


def test_the_abstraction_keeps_values():
    """Put the logarithms and exponentials back: the value is the same."""
    expr = log(2 * P * (P + Q) / Q**2) * exp(3 * X / 2 - log(U)) + exp(X) * sqrt(P / U) + sinh(X)
    abstraction = Abstraction()
    (read,) = abstraction.read(expr)
    back = {}
    for unknown in abstraction.unknowns.values():
        argument = unknown.argument.subs(back)
        kinds = {"log": log(argument), "exp": exp(argument), "root": argument ** Rational(1, unknown.degree)}
        back[unknown.symbol] = kinds[unknown.kind]
    point = {P: Rational(1, 3), Q: Rational(1, 5), U: Rational(7, 3), X: Rational(2, 9)}
    assert not read.has(log, exp)
    assert abs((read.subs(back) - expr).subs(point).evalf(40)) < sp.Float("1e-35")


def test_the_committed_files_are_what_the_engines_ask():
    wanted = files()
    assert {path.name for path in FOLDER.glob("*.smt2")} == set(wanted)
    for name, text in wanted.items():
        assert (FOLDER / name).read_text(encoding="utf-8") == text, f"{name}: python -m proofs.engines.smt.regenerate"


def test_every_committed_script_is_unsat_for_both_solvers():
    names = {t.id for t in catalogue()}
    for path in FOLDER.glob("*.smt2"):
        assert path.stem in {*names, "facts"}
        for script in path.read_text(encoding="utf-8").split("(reset)\n"):
            assert ask_z3(script).verdict == UNSAT, path.name
            assert ask_cvc5(script).verdict == UNSAT, path.name


QUICK = "(set-logic QF_NRA)\n(declare-const x Real)\n(assert (< (* x x) 0.0))\n(check-sat)\n"
MODEL = "(set-logic QF_NRA)\n(declare-const x Real)\n(assert (= (* 3.0 x) 1.0))\n(check-sat)\n"


@pytest.mark.parametrize("solver", ["z3", "cvc5"])
def test_a_solver_in_its_own_process_answers_as_in_this_one(solver):
    process = Process(solver, 30)
    assert process(QUICK) == SOLVERS[solver](QUICK)
    assert process(QUICK).verdict == UNSAT
    assert process(MODEL).model == {"x": Fraction(1, 3)}
    process.close()


def test_a_solver_that_takes_too_long_is_ended_and_started_again():
    process = Process("z3", 30)
    assert process(QUICK).verdict == UNSAT
    first = process._child
    process.seconds = 0
    assert process(MODEL).verdict == UNKNOWN
    assert first.poll() is not None
    process.seconds = 30
    assert process(QUICK).verdict == UNSAT
    process._child.kill()
    process._child.wait()
    assert process(MODEL).model == {"x": Fraction(1, 3)}
    process.close()
