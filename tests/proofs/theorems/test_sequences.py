"""The statements on whole answers against autograd on every answer of random trees, V = 3, T = 3."""

from __future__ import annotations

import pytest
import sympy as sp
import torch

from proofs.statements import SequenceGradient, SequenceValue, log_ratios
from proofs.symbols import LENGTH, M, P
from proofs.theorems import off_policy_sequences, sequence_fallacies, sequences, token_fields
from proofs.theorems.sequences import (
    DIVERGENCES,
    INVERSE_LENGTH,
    NORMALISED_K1,
    REFERENCE_DIVERGENCES,
    SEQUENCE_KL,
    SEQUENCE_REFERENCE_KL,
    k2,
    log_ratio_sum,
    tokens,
)
from tests.proofs.theorems.answers import (
    expected,
    gradient,
    grow,
    log_chance,
    next_token_divergence,
    sequence_divergence,
)

THEOREMS = (*sequences.THEOREMS, *off_policy_sequences.THEOREMS)
SEEDS = (0, 1)
NEAR, FAR = 1e-11, 1e-4


def gap(statement, seed: int) -> float:
    """The largest difference of the two sides, in one random tree."""
    tree = grow(3, 3, seed, statement.variable_length)
    sides = [
        expected(tree, statement.left, statement.left_drawn_from),
        expected(tree, statement.right, statement.right_drawn_from),
    ]
    if isinstance(statement, SequenceGradient):
        sides = [gradient(tree, side) for side in sides]
    return float((sides[0] - sides[1]).detach().abs().max())


def test_ids_are_unique_and_families_named():
    everything = (*THEOREMS, *token_fields.THEOREMS, *sequence_fallacies.THEOREMS)
    assert len({theorem.id for theorem in everything}) == len(everything)
    assert all(theorem.words.endswith(".") and theorem.family and theorem.source for theorem in everything)
    assert all(theorem.holds for theorem in (*THEOREMS, *token_fields.THEOREMS))
    assert not any(theorem.holds for theorem in sequence_fallacies.THEOREMS)


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("theorem", THEOREMS, ids=lambda t: t.id)
def test_theorem_holds(theorem, seed):
    assert gap(theorem.statement, seed) < NEAR


@pytest.mark.parametrize("theorem", [t for t in THEOREMS if not t.statement.variable_length], ids=lambda t: t.id)
def test_theorem_holds_for_answers_that_end_early_too(theorem):
    statement = theorem.statement
    kind = type(statement)
    ended = kind(statement.left, statement.left_drawn_from, statement.right, statement.right_drawn_from, True)
    assert gap(ended, 5) < NEAR


@pytest.mark.parametrize("theorem", sequence_fallacies.THEOREMS, ids=lambda t: t.id)
def test_false_statement_fails(theorem):
    assert gap(theorem.statement, 0) > FAR


def test_objectives_are_the_divergences_of_their_definition():
    tree = grow(3, 3, 7)
    assert torch.allclose(expected(tree, log_ratio_sum, P), sequence_divergence(tree), atol=NEAR)
    for surrogate, forward in ((SEQUENCE_KL, False), (SEQUENCE_REFERENCE_KL, True)):
        found = gradient(tree, expected(tree, surrogate, P))
        assert torch.allclose(found, gradient(tree, sequence_divergence(tree, forward)), atol=NEAR)
    forward_mean = expected(tree, sequences.forward_value, P)
    assert torch.allclose(forward_mean, sequence_divergence(tree, True), atol=NEAR)


@pytest.mark.parametrize(("surrogate", "forward"), [(DIVERGENCES, False), (REFERENCE_DIVERGENCES, True)])
@pytest.mark.parametrize("drawn", [P, M])
def test_token_level_is_the_sum_over_prefixes_held_fixed(surrogate, forward, drawn):
    tree = grow(3, 3, 8)
    prefixes = tree.policy if drawn == P else tree.sampler
    total = torch.zeros((), dtype=torch.float64)
    for h in tree.policy:
        pair = (tree.policy[h], tree.reference[h])
        reach = torch.exp(torch.as_tensor(log_chance(prefixes, h))).detach()
        total = total + reach * next_token_divergence(*(pair[::-1] if forward else pair))
    assert torch.allclose(gradient(tree, expected(tree, surrogate, drawn)), gradient(tree, total), atol=NEAR)


def test_length_normalised_k1_is_the_gradient_of_the_mean_inverse_length():
    """grad E[1/N] from the definition; descending it makes the end token less likely everywhere."""
    tree = grow(2, 3, 3, ends=True)
    mean = sum(log_chance(tree.policy, y).exp() / len(y) for y in tree.answers)
    truth = gradient(tree, mean)
    assert torch.allclose(gradient(tree, expected(tree, NORMALISED_K1, P)), truth, atol=NEAR)
    assert torch.allclose(gradient(tree, expected(tree, INVERSE_LENGTH, P)), truth, atol=NEAR)
    assert (truth.reshape(-1, 2)[:, 0] >= -NEAR).all()
    assert truth.abs().max() > FAR


def test_with_one_token_both_levels_agree():
    tree = grow(3, 1, 4)
    found = gradient(tree, expected(tree, tokens(k2), P))
    assert torch.allclose(found, gradient(tree, sequence_divergence(tree)), atol=NEAR)


def _token_field(tree) -> torch.Tensor:
    """sum over prefixes of reach (held fixed) * grad KL, with a graph, to be differentiated again."""
    total = torch.zeros((), dtype=torch.float64)
    parts = []
    for h, logits in tree.policy.items():
        policy, reference = logits.log_softmax(0), tree.reference[h].log_softmax(0)
        ratio = policy - reference
        divergence = (policy.exp() * ratio).sum()
        reach = torch.exp(torch.as_tensor(log_chance(tree.policy, h), dtype=torch.float64)) if h else total + 1
        parts.append(reach * policy.exp() * (ratio - divergence))
    return torch.cat(parts)


def _jacobian(tree, field: torch.Tensor) -> torch.Tensor:
    rows = [
        torch.autograd.grad(component, list(tree.policy.values()), retain_graph=True, allow_unused=True)
        for component in field
    ]
    zero = torch.zeros(tree.size, dtype=torch.float64)
    return torch.stack([torch.cat([zero if part is None else part for part in row]) for row in rows])


def test_jacobian_of_the_token_level_field_is_not_symmetric():
    tree = grow(2, 2, 6)
    field = _token_field(tree)
    assert torch.allclose(field.detach(), gradient(tree, expected(tree, tokens(k2), P)), atol=NEAR)
    jacobian = _jacobian(tree, field)
    assert (jacobian - jacobian.T).abs().max() > 1e-3
    (hessian_field,) = (torch.autograd.grad(sequence_divergence(tree), list(tree.policy.values()), create_graph=True),)
    hessian = _jacobian(tree, torch.cat(list(hessian_field)))
    assert torch.allclose(hessian, hessian.T, atol=NEAR)


def test_curl_of_the_instance_is_that_of_the_field():
    tree = grow(2, 2, 6)
    with torch.no_grad():
        for h, odds in (((), 2.0), ((0,), 3.0), ((1,), 1.0)):
            tree.policy[h].copy_(torch.tensor([odds, 1.0], dtype=torch.float64).log())
            tree.reference[h].zero_()
    jacobian = _jacobian(tree, _token_field(tree))
    asymmetry = jacobian[2, 0] - jacobian[0, 2]
    assert float(asymmetry) == pytest.approx(float(token_fields.curl((2, 3), (1, 1))))
    assert token_fields.curl((2, 1), (1, 1)) == 0


def test_boltzmann_policy_rests_at_sequence_level_only():
    weights = ((1, 4), (2, 2))
    forces = token_fields.root_forces(weights, future=True)
    assert abs(sp.N(forces[0] - forces[1], 30)) < sp.Float("1e-25")
    forces = token_fields.root_forces(weights, future=False)
    assert sp.N(forces[0] - forces[1]) > 0.1


def test_wrong_direction_is_that_of_the_tree():
    tree = grow(2, 2, 6)
    with torch.no_grad():
        for h, p in (((), 0.6), ((0,), 0.5), ((1,), 0.99)):
            tree.policy[h].copy_(torch.tensor([p, 1 - p], dtype=torch.float64).log())
            tree.reference[h].zero_()
    token, sequence = token_fields.directions(sp.Rational(3, 5), (sp.Rational(1, 2), sp.Rational(99, 100)))
    at_token_level = gradient(tree, expected(tree, tokens(k2), P))[0]
    at_sequence_level = gradient(tree, sequence_divergence(tree))[0]
    assert float(at_token_level) == pytest.approx(float(token))
    assert float(at_sequence_level) == pytest.approx(float(sequence))
    assert token > 0 > sequence


@pytest.mark.parametrize("theorem", token_fields.THEOREMS, ids=lambda t: t.id)
def test_instances_are_positive(theorem):
    assert theorem.statement.expr.evalf(40) > 0


def test_surrogates_stay_in_the_alphabet():
    for theorem in (*THEOREMS, *sequence_fallacies.THEOREMS):
        assert isinstance(theorem.statement, SequenceGradient | SequenceValue)
        for side in (theorem.statement.left, theorem.statement.right):
            uses_length = sp.sympify(side(2)).has(LENGTH)
            assert theorem.statement.variable_length or not uses_length
    assert len(log_ratios(3)) == 3
