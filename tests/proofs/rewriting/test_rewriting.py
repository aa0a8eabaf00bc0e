"""The presenter as an engine: proves what it derives, refutes with a point, and cannot be talked into a wrong line."""

import dataclasses

import pytest
import sympy as sp
from sympy import Integer, Rational, exp, log

from proofs.ledger import Outcome
from proofs.report.claims import NORMAL
from proofs.rewriting import REWRITING, BrokenStep, present
from proofs.rewriting import sequences as answers
from proofs.rewriting.derivatives import partial
from proofs.rewriting.integration import integrated, reach
from proofs.rewriting.numbers import DIGITS, INTERVALS, certainly_varies, evaluate, exactly
from proofs.rewriting.refutation import counterexample
from proofs.rewriting.sequences import rewrite_answers
from proofs.rewriting.switches import settled
from proofs.rewriting.trees import ANSWER, drawn_tree, score_symbol, value_of_line
from proofs.statements import (
    K1,
    K2,
    K3,
    DerivativeAt,
    ExpectedGradient,
    GaussianMean,
    Gradient,
    Identity,
    Inequality,
    Instance,
    SampleGradient,
    SequenceGradient,
    SequenceValue,
    Total,
    Value,
    gradient_of_mean,
    sg,
)
from proofs.steps import Expectation, Nabla, Step
from proofs.symbols import THRESHOLD, L, M, P, Q, divergence_symbol, token_symbols
from proofs.theorems import catalogue, false_statements
from tests.proofs.report.support import theorem

L0, RHO0 = token_symbols(0)
L1, RHO1 = token_symbols(1)


@pytest.mark.parametrize("one", false_statements(), ids=lambda t: t.id)
def test_every_false_statement_is_refuted_with_a_point(one):
    finding = REWRITING.check(one)
    assert finding.outcome is Outcome.REFUTED
    assert finding.detail
    assert finding.counterexample or not hasattr(one.statement, "left")


@pytest.mark.parametrize("one", catalogue(), ids=lambda t: t.id)
def test_no_theorem_is_refuted_and_every_one_has_steps(one):
    assert REWRITING.check(one).outcome in (Outcome.PROVED, Outcome.UNSUPPORTED)
    assert counterexample(one.statement) is None
    steps = present(one)
    assert steps
    assert steps[0].before is not None or one.statement.__class__.__name__ == "Lemma"
    assert all(step.rule for step in steps)


def test_all_gradients_values_and_answers_are_proved():
    kinds = (ExpectedGradient, SampleGradient, Value, SequenceGradient, SequenceValue)
    left = [t.id for t in catalogue() if isinstance(t.statement, kinds) and not _proved(t)]
    assert left == []


def _proved(one):
    return REWRITING.check(one).outcome is Outcome.PROVED


def test_a_counterexample_is_one():
    """The point that is shown, put in by hand."""
    finding = counterexample(ExpectedGradient(Gradient(P, K3), Gradient(P, K2)))
    p, q = (
        [Rational(x) for x in finding.counterexample[who].strip("()").split(", ")] for who in ("policy", "reference")
    )
    assert sum(p) == sum(q) == 1
    gaps = [sp.N(1 - q[i] / p[i] - log(p[i] / q[i]), 20) for i in range(2)]
    assert abs(gaps[0] - gaps[1]) > 1e-6
    assert f"{float(gaps[0] - gaps[1]):.6g}" in finding.detail


def test_a_constant_is_no_counterexample_for_an_expected_gradient_but_for_a_sample():
    left, right = sg(K1 + 3) * log(P), sg(K1) * log(P)
    assert counterexample(ExpectedGradient(Gradient(P, left), Gradient(P, right))) is None
    assert counterexample(SampleGradient(left, right)) is not None


@pytest.mark.parametrize(
    "statement",
    [
        Value(Total(P * K2), Total(P * K1)),
        Identity(exp(-L), 1 - L),
        Inequality(L**2, L),
        Inequality(L - 8, L, Integer(0)),
        Instance(Integer(0), {}),
    ],
)
def test_sides_that_differ_are_told_apart(statement):
    assert counterexample(statement).outcome is Outcome.REFUTED


@pytest.mark.parametrize(
    "statement",
    [Inequality(L**2, L, zeros=(Integer(0),)), Inequality(L, L, Integer(0)), Value(Total(P), Total(Q))],
)
def test_what_holds_at_every_point_is_not(statement):
    assert counterexample(statement) is None


def test_masses_are_kept_when_a_value_is_tried():
    mass = sp.Symbol("P_in", positive=True)
    masses = {P: mass, Q: Integer(1), M: Integer(1)}
    assert counterexample(Value(Total(P), mass, masses)) is None
    assert counterexample(Value(Total(P), Integer(1), masses)) is not None


def test_a_line_that_is_wrong_is_not_shown(monkeypatch):
    true = next(t for t in catalogue() if t.id == "sequence.token-k2-loss")
    good = integrated

    def wrong(*arguments):
        for name, note, after in good(*arguments):
            yield name, note, 2 * after

    assert rewrite_answers(true.statement).closed
    monkeypatch.setattr(answers, "integrated", wrong)
    with pytest.raises(BrokenStep, match="gradient of KL"):
        rewrite_answers(true.statement)


def test_a_rule_that_is_wrong_is_seen_by_the_tree(monkeypatch):
    """Every rule in turn loses its mean: no theorem that uses it survives the audit."""
    from proofs.rewriting import integration

    for i, rule in enumerate(integration.RULES):
        changed = dataclasses.replace(rule, moment=lambda t, m=rule.moment: (m(t)[0], m(t)[1] + Rational(1, 3)))
        rules = (*integration.RULES[:i], changed, *integration.RULES[i + 1 :])
        monkeypatch.setattr(integration, "RULES", rules)
        caught = 0
        for one in catalogue():
            if one.id in _USERS[i]:
                with pytest.raises(BrokenStep):
                    rewrite_answers(one.statement)
                caught += 1
        assert caught == len(_USERS[i])
        monkeypatch.undo()


_USERS = (
    ("sequence.k2-loss",),
    ("off-policy.whole-detached.k2",),
    ("sequence.value.token-k3",),
    (),  # 1/rho under the policy: no theorem of the catalogue needs it
    ("sequence.value.chain-rule",),
    ("sequence.value.reference-chain-rule",),
    ("sequence.token-k2-loss",),
    ("sequence.token-k3-loss",),
)


def test_the_tree_knows_probability():
    """Sums over all answers, by no rule: what is drawn from the sampler with weight is drawn from the policy."""
    ends = (False, True)
    for variable in ends:
        under = [
            value_of_line(Expectation(sp.Tuple(ANSWER, who), body), 2, variable)
            for who, body in ((P, L0 * L1), (M, RHO0 * RHO1 * L0 * L1), (P, Integer(1)), (P, score_symbol(1)))
        ]
        assert abs(under[0] - under[1]) < 1e-30
        assert abs(under[2] - 1) < 1e-30
        assert abs(under[3]) < 1e-30
    tree = drawn_tree(2, True)
    assert sorted(len(y) for y in tree.answers()) == [1] + [2] * 6


def test_a_difference_quotient_is_the_gradient():
    y = sp.Tuple(ANSWER, P)
    kl = divergence_symbol(1)
    mean = value_of_line(Nabla(Expectation(y, L0 + L1)), 2, False)
    worked_out = value_of_line(Expectation(y, (L0 + L1) * (score_symbol(0) + score_symbol(1))), 2, False)
    assert abs(mean - worked_out) < 1e-18
    assert abs(value_of_line(Expectation(y, Nabla(sg(L1) * RHO0)), 2, False)) > 1e-6
    assert abs(value_of_line(Expectation(y, Nabla(sg(L1))), 2, False)) == 0
    along = value_of_line(Expectation(y, Nabla(kl)), 2, False)
    assert abs(along - value_of_line(Expectation(y, L1 * score_symbol(1)), 2, False)) < 1e-30


def test_a_token_is_not_integrated_out_while_something_depends_on_it():
    assert list(integrated(L0 * L1**2 * score_symbol(0), P, 2)) == []
    (first, _, after) = next(integrated(L1 * score_symbol(0), P, 2))
    assert (first, after) == ("definition of KL", divergence_symbol(1) * score_symbol(0))
    assert reach(divergence_symbol(1), 2) == 0
    assert reach(Integer(3), 2) == -1


def test_presenting_alone_proves_nothing():
    one = next(t for t in catalogue() if t.id == "sequence.k2-loss").statement
    assert rewrite_answers(one).proves
    assert not rewrite_answers(one, (2,)).proves


def test_a_claim_that_holds_for_one_token_alone_is_not_proved():
    of_answer = SequenceGradient(lambda t: sum(token_symbols(i)[0] for i in range(t)) ** 2 / 2, P, None, P)
    one = dataclasses.replace(of_answer, right=lambda t: sum(token_symbols(i)[0] ** 2 / 2 for i in range(t)))
    assert REWRITING.check(theorem(one)).outcome is Outcome.REFUTED
    mean = dataclasses.replace(of_answer, right=gradient_of_mean(lambda t: sum(token_symbols(i)[0] for i in range(t))))
    assert REWRITING.check(theorem(mean)).outcome is Outcome.PROVED


def test_switches_are_decided_only_where_their_sign_is_known():
    from proofs.engines.base import CannotExpress

    assert settled(sp.Min(P / sg(P), Integer(2), evaluate=False)) == P / sg(P)
    assert settled(sp.Max(P / sg(P), Integer(2), evaluate=False)) == 2
    for unknown in (sp.Min(P, Q), sp.Abs(P - Q), sp.Min(P / sg(P), Integer(1))):
        with pytest.raises(CannotExpress):
            settled(unknown)


def test_the_cases_need_one_constant():
    """min(rho, C) without its counterpart: 1 where rho < C and C/rho where rho > C."""
    statement = ExpectedGradient(Gradient(M, sg(sp.Min(P / M, THRESHOLD)) * log(P)), Gradient(P, Integer(0)))
    assert REWRITING.check(theorem(statement)).outcome is Outcome.REFUTED


def test_numbers():
    x = {L: exactly(INTERVALS, Rational(1, 3))}
    for expr in (sp.sinh(L), sp.cosh(L), sp.tanh(L), exp(L) ** Rational(3, 2), sp.Abs(-L), sp.Max(L, 0), sp.sign(-L)):
        found = evaluate(expr, x, INTERVALS)
        exact = sp.N(expr.subs(L, Rational(1, 3)), 40)
        assert found.a <= DIGITS.mpf(str(exact)) + DIGITS.mpf("1e-34")
        assert found.b >= DIGITS.mpf(str(exact)) - DIGITS.mpf("1e-34")
        assert found.delta < 1e-30


def test_a_mean_is_not_said_to_equal_its_integrand():
    for one in catalogue():
        if isinstance(one.statement, GaussianMean):
            steps = present(one)
            assert steps[0].before == Expectation(sp.Tuple(one.statement.variable, NORMAL), one.statement.integrand)
            assert steps[-1].after == one.statement.value
            assert all(isinstance(step.after, Expectation) for step in steps[:-1])


def test_a_derivative_is_not_said_to_equal_its_value_at_a_point():
    for one in catalogue():
        if isinstance(one.statement, DerivativeAt):
            slope, value = present(one)
            assert slope.before.doit().equals(slope.after)
            assert value.before.doit() == value.after == one.statement.value


def test_derivatives_are_those_of_sympy():
    for one in [*catalogue(), *false_statements()]:
        for expr, symbols in _differentiated(one.statement):
            for symbol in symbols:
                assert sp.expand(partial(expr, symbol) - sp.diff(expr, symbol)) == 0, (one.id, symbol)


def _differentiated(statement):
    if isinstance(statement, ExpectedGradient):
        return [(side.of, [P]) for side in (statement.left, statement.right)]
    if isinstance(statement, SampleGradient):
        return [(side, [P]) for side in (statement.left, statement.right)]
    if isinstance(statement, SequenceGradient):
        sides = [sp.sympify(side(2)) for side in (statement.left, statement.right)]
        return [(side, sorted(side.free_symbols, key=str)) for side in sides]
    return []


def test_what_certainly_varies():
    assert certainly_varies(L + P, (L, P))
    assert not certainly_varies(P * exp(-log(P)), (P,))
    assert not certainly_varies(Q, (P,))
    assert not certainly_varies(sp.zeta(P), (P,))  # no number, so nothing is certain
    assert not certainly_varies(log(P - 1), (P,))


def test_an_expression_is_evaluated_part_by_part_with_what_is_detached_held():
    here, there = {P: DIGITS.mpf(2)}, {P: DIGITS.mpf(3)}
    assert evaluate(P * sg(P**2) + sg(sg(P)), here, DIGITS, there) == 2 * 9 + 3
    assert evaluate(P * sg(P**2), here, DIGITS) == 8
    assert evaluate(sg(P), here, DIGITS, there) == 3


def test_steps_are_steps():
    assert all(isinstance(step, Step) for one in catalogue()[:20] for step in present(one))
