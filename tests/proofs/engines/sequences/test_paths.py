"""Both paths on every statement on whole answers, and on twins that differ by a little."""

from __future__ import annotations

from dataclasses import replace

import pytest
import sympy as sp

from proofs.engines.base import CannotExpress
from proofs.engines.sequences import explicit, reduction
from proofs.engines.sequences.explicit import prove_explicitly
from proofs.engines.sequences.fields import DIVERGENCE, SCORE, Direction, field_of
from proofs.engines.sequences.reduction import difference, integrated, prove_by_reduction
from proofs.ledger import Outcome
from proofs.statements import MeanGradient, SequenceGradient, SequenceValue, log_ratios, sg
from proofs.symbols import LENGTH, M, P, divergence_symbol, log_policy_symbol, token_symbols
from proofs.theorems import off_policy_sequences, sequence_fallacies, sequences
from proofs.theorems.sequences import (
    SEQUENCE_KL,
    k1,
    k2,
    k3,
    log_ratio_sum,
    nothing,
    on_policy,
    rewarded,
    to_go,
    tokens,
)

THEOREMS = (*sequences.THEOREMS, *off_policy_sequences.THEOREMS)
PATHS = (prove_by_reduction, prove_explicitly)
L0, RHO0 = token_symbols(0)
L1, RHO1 = token_symbols(1)


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("theorem", THEOREMS, ids=lambda t: t.id)
def test_theorem_is_proved(theorem, path):
    finding = path(theorem.statement)
    assert finding.outcome is Outcome.PROVED, finding.detail
    assert "T = 2" in finding.scope


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("theorem", sequence_fallacies.THEOREMS, ids=lambda t: t.id)
def test_false_statement_is_refuted_with_a_counterexample(theorem, path):
    finding = path(theorem.statement)
    assert finding.outcome is Outcome.REFUTED
    assert finding.counterexample


def _perturbed(surrogate):
    """The surrogate and a ten-millionth of the last token's k2 in the first token's reward."""

    def more(horizon):
        last = log_ratios(horizon)[-1]
        return surrogate(horizon) + sg(last**2) * log_policy_symbol(0) / 10**7

    return more


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize(
    "theorem", [t for t in THEOREMS if isinstance(t.statement, SequenceGradient)], ids=lambda t: t.id
)
def test_a_ten_millionth_more_is_refuted(theorem, path):
    twin = replace(theorem.statement, left=_perturbed(theorem.statement.left))
    assert path(twin).outcome is Outcome.REFUTED


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("theorem", [t for t in THEOREMS if isinstance(t.statement, SequenceValue)], ids=lambda t: t.id)
def test_a_value_off_by_a_ten_millionth_is_refuted(theorem, path):
    twin = replace(theorem.statement, left=lambda horizon: theorem.statement.left(horizon) + sp.Rational(1, 10**7))
    assert path(twin).outcome is Outcome.REFUTED


@pytest.mark.parametrize("path", PATHS)
def test_log_policy_in_a_value_is_not_taken_for_a_constant(path):
    statement = SequenceValue(lambda _: log_policy_symbol(0), P, lambda _: log_policy_symbol(0), M)
    try:
        outcome = path(statement).outcome
    except CannotExpress:
        return
    assert outcome is Outcome.REFUTED


@pytest.mark.parametrize("path", PATHS)
def test_first_token_only_needs_two_tokens(path):
    """The first token's terms agree at token and sequence level for the last token, not for the first."""
    last = on_policy(lambda horizon: k2(log_ratios(horizon)[-1]), lambda horizon: divergence_symbol(horizon - 1))
    first = on_policy(lambda horizon: k2(log_ratios(horizon)[0]), SEQUENCE_KL)
    assert path(last).outcome is Outcome.PROVED
    assert path(first).outcome is Outcome.REFUTED


@pytest.mark.parametrize("path", PATHS)
def test_wrong_discount_and_sign_are_refuted(path):
    half = on_policy(rewarded(lambda t, horizon: log_ratios(horizon)[t] + to_go(k1, 1)(t, horizon) / 2), SEQUENCE_KL)
    minus = on_policy(lambda horizon: -tokens(k2)(horizon), tokens(k2))
    assert path(half).outcome is Outcome.REFUTED
    assert path(minus).outcome is Outcome.REFUTED


def test_length_is_no_constant():
    """Were N a constant, 1/N k1 would have zero gradient; with answers of one length it has."""
    free = SequenceGradient(sequences.NORMALISED_K1, P, nothing, P, True)
    fixed = replace(free, variable_length=False)
    for path in PATHS:
        assert path(free).outcome is Outcome.REFUTED
        assert path(fixed).outcome is Outcome.PROVED


def test_derivative_takes_value_and_weight():
    field = field_of(lambda _: RHO0 * k3(L0), 1, False)
    expected = RHO0 * (1 - sp.exp(-L0)) + RHO0 * (sp.exp(-L0) - 1 + L0)
    assert sp.expand(field[Direction(SCORE, 0)] - expected) == 0


@pytest.mark.parametrize(
    ("monomial", "direction", "expected"),
    [
        (RHO0 * RHO1 * L1, None, (1, RHO0 * divergence_symbol(1), None)),
        (RHO0 * RHO1, Direction(SCORE, 1), (0, 1, None)),
        (RHO0 * RHO1 * L1, Direction(SCORE, 1), (1, RHO0, Direction(DIVERGENCE, 1))),
        (RHO1 * L1**2, Direction(SCORE, 1), (1, RHO1 * L1**2, Direction(SCORE, 1))),
        (RHO0 * RHO1 / LENGTH, None, (1, RHO0 * RHO1 / LENGTH, None)),
        (RHO0 * divergence_symbol(1), None, (1, RHO0 * divergence_symbol(1), None)),
        (RHO0, Direction(DIVERGENCE, 1), (1, RHO0, Direction(DIVERGENCE, 1))),
    ],
)
def test_rules_stop_where_something_still_depends_on_the_token(monomial, direction, expected):
    assert integrated(monomial, direction, 2) == expected


@pytest.mark.parametrize("path", PATHS)
def test_a_divergence_depends_on_the_tokens_before_it(path):
    """The weight of the first token cannot be integrated out of what the second one's prefix carries."""
    weighted, plain = lambda _: sg(RHO0) * divergence_symbol(1), lambda _: divergence_symbol(1)
    assert path(SequenceGradient(weighted, M, plain, M)).outcome is Outcome.REFUTED
    assert path(SequenceGradient(weighted, M, plain, P)).outcome is Outcome.PROVED
    mean = SequenceValue(lambda _: RHO0 * divergence_symbol(1), M, plain, M)
    assert path(mean).outcome is Outcome.REFUTED
    assert path(replace(mean, right_drawn_from=P)).outcome is Outcome.PROVED


def test_what_the_rules_leave_is_inconclusive_when_no_world_tells(monkeypatch):
    monkeypatch.setattr(reduction, "counterexample", lambda _: None)
    assert prove_by_reduction(on_policy(tokens(k2), SEQUENCE_KL)).outcome is Outcome.INCONCLUSIVE


def test_three_tokens_are_reduced_too():
    statement = on_policy(rewarded(to_go(k1)), SEQUENCE_KL)
    assert not difference(statement, 3)
    wrong = on_policy(rewarded(lambda t, horizon: sp.Add(*log_ratios(horizon)[t : t + 2])), SEQUENCE_KL)
    assert not difference(wrong, 2)
    assert difference(wrong, 3)


def test_a_mean_is_differentiated_as_it_stands():
    """The log-derivative rule has to give what the derivative of the written sum gives."""
    for value in (log_ratio_sum, tokens(k2), lambda horizon: sp.exp(-log_ratio_sum(horizon))):
        mean = MeanGradient(value)
        assert prove_explicitly(on_policy(mean, lambda horizon, mean=mean: mean(horizon))).outcome is Outcome.PROVED
        assert prove_explicitly(on_policy(mean, value)).outcome is Outcome.REFUTED


def test_slopes_are_those_of_the_logistic_function():
    zero, one = explicit._POLICY[()]
    of_zero, of_one = explicit._slopes()
    assert of_one - zero * one == 0
    assert of_zero + zero * one == 0


@pytest.mark.parametrize("path", PATHS)
def test_a_function_without_a_rule_is_never_decided_wrongly(path):
    statement = on_policy(lambda _: sp.sin(L0), lambda _: sp.sin(L0) + L0)
    try:
        outcome = path(statement).outcome
    except CannotExpress:
        return
    assert outcome is not Outcome.REFUTED
