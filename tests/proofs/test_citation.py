"""The theorems that a name cites: theirs is the gradient, by autograd on random trees, and theirs is the name."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

import pytest
import sympy as sp
import torch
from hypothesis import given
from hypothesis import strategies as st
from sympy import exp

from proofs import citation
from proofs.citation import MOST, Question, Worth, of_objective, theorems_for
from proofs.divergences import OBJECTIVES
from proofs.gradient_index import FAMILIES, Entry, entries
from proofs.sequences import name_field
from proofs.statements import ExpectedGradient, Lemma, SequenceGradient, sg
from proofs.symbols import RHO, L, M, P, Q, log_policy_symbol, token_symbols
from proofs.theorems import catalogue, false_statements
from tests.proofs.theorems.answers import Tree, expected, gradient, grow, log_chance

BY_ID = {theorem.id: theorem for theorem in catalogue()}
(L0, R0), (L1, R1) = token_symbols(0), token_symbols(1)
K3 = exp(-L) - 1 + L
SEEDS = (3, 4)

DEFINITIONS = {
    "reverse_kl": lambda p, q: (p * (p / q).log()).sum(),
    "forward_kl": lambda p, q: (q * (q / p).log()).sum(),
    "chi2_half": lambda p, q: ((p - q) ** 2 / q / 2).sum(),
    "jeffreys": lambda p, q: ((p - q) * (p / q).log()).sum(),
    "chi2_reference_half": lambda p, q: ((p - q) ** 2 / p / 2).sum(),
    "jensen_shannon": lambda p, q: (p * (2 * p / (p + q)).log() + q * (2 * q / (p + q)).log()).sum() / 2,
    "hellinger_squared": lambda p, q: ((p.sqrt() - q.sqrt()) ** 2).sum() / 2,
    "total_variation": lambda p, q: (p - q).abs().sum() / 2,
}
"""From the textbook, of two distributions."""


def everywhere(c: sp.Expr, horizon: int = 2) -> list[sp.Expr]:
    """The field that has one coefficient in L and rho at every token."""
    return [sp.sympify(c).xreplace({L: token_symbols(t)[0], RHO: token_symbols(t)[1]}) for t in range(horizon)]


def cited(field: list[sp.Expr], on: bool, **more: object) -> tuple[str, ...]:
    return theorems_for(Question(tuple(field), on, name_field(field, on_policy=on), **more))  # type: ignore[arg-type]


def of_field(tree: Tree, field: list[sp.Expr], on: bool) -> torch.Tensor:
    """E[sum_t g_t s_t]."""
    surrogate = sp.Add(*(sg(g) * log_policy_symbol(t) for t, g in enumerate(field)))
    return gradient(tree, expected(tree, lambda _: surrogate, P if on else M))


def of_token(tree: Tree, weight: sp.Expr, of: sp.Expr, parameter: float) -> torch.Tensor:
    """sum_i weight_i grad of_i after no prefix, everything else in it a constant."""
    p, q, m = (w[()].softmax(0) for w in (tree.policy, tree.reference, tree.sampler))
    symbols = [P, Q, M, *sorted((weight.free_symbols | of.free_symbols) - {P, Q, M}, key=str)]
    numbers = [p, q, m, *(parameter for _ in symbols[3:])]
    functions = {"sg": lambda x: x.detach() if torch.is_tensor(x) else x, "Abs": torch.abs, "sign": torch.sign}
    functions |= {"exp": torch.exp, "log": torch.log, "sqrt": torch.sqrt}
    by, value = (sp.lambdify(symbols, e, [functions])(*numbers) for e in (weight, of))
    return gradient(tree, torch.as_tensor(by * value if not torch.is_tensor(by) else by.detach() * value).sum())


def side(tree: Tree, statement: ExpectedGradient | SequenceGradient, left: bool, parameter: float) -> torch.Tensor:
    """The expected gradient of one side as the statement writes it."""
    if isinstance(statement, SequenceGradient):
        surrogate = statement.left if left else statement.right
        drawn = statement.left_drawn_from if left else statement.right_drawn_from
        return gradient(tree, expected(tree, surrogate, drawn))
    of = statement.left if left else statement.right
    return of_token(tree, of.weight, of.of, parameter)


def speaks_of(theorem_id: str, field: list[sp.Expr], on: bool) -> bool:
    """Whether, on two random trees, both sides are the field's expected gradient up to one factor."""
    statement = BY_ID[theorem_id].statement
    assert isinstance(statement, ExpectedGradient | SequenceGradient)
    horizon = 1 if isinstance(statement, ExpectedGradient) else len(field)
    trees = [grow(3, horizon, seed) for seed in SEEDS]
    target = torch.cat([of_field(tree, field[:horizon], on) for tree in trees])
    for left in (True, False):
        columns = [torch.cat([side(tree, statement, left, at) for tree in trees]) for at in (1.0, 2.0)]
        basis = torch.stack(columns, 1).detach()
        fit = torch.linalg.lstsq(basis, target[:, None], driver="gelsd").solution
        if float((basis @ fit - target[:, None]).abs().max()) > 1e-9 * max(1.0, float(target.abs().max())):
            return False
        if float(target.abs().max()) < 1e-12 < float(basis.abs().max()):
            return False  # a field of zero expectation is no multiple of a gradient that is not
    return True


def is_gradient_of(theorem_id: str, objective: str, sampled: bool) -> bool:
    """Whether the theorem's right side is, up to one factor, the gradient of the objective's definition."""
    statement = BY_ID[theorem_id].statement
    assert isinstance(statement, ExpectedGradient | SequenceGradient)
    of_answers = isinstance(statement, SequenceGradient)
    trees = [grow(3, 2 if of_answers else 1, seed) for seed in SEEDS]
    right = torch.cat([side(tree, statement, False, 2.0) for tree in trees])
    if objective == "zero":
        return float(right.abs().max()) < 1e-12
    name, _, level = objective.partition("/")
    targets = []
    for tree in trees:
        if level == "sequence":
            tables = (tree.policy, tree.reference)
            p, q = (torch.stack([log_chance(t, y) for y in tree.answers]).exp() for t in tables)
            value = DEFINITIONS[name](p, q)
        else:
            drawn = tree.sampler if sampled and level != "token of the policy" else tree.policy
            value = sum(
                log_chance(drawn, h).detach().exp() * DEFINITIONS[name](p.softmax(0), tree.reference[h].softmax(0))
                if h
                else DEFINITIONS[name](p.softmax(0), tree.reference[h].softmax(0))
                for h, p in tree.policy.items()
            )
        targets.append(gradient(tree, value))
    target = torch.cat(targets)
    factor = (target @ right) / (target @ target)
    return float((right - factor * target).abs().max()) < 1e-10 < float(factor.abs())


# The master table of arXiv 2510.01555 and what follows from it, written down here anew:
# coefficient, drawn from the policy?, in reward?, what it is the gradient of, what is to be cited first and next.
TABLE = [
    (1, True, False, "zero", ("sequence.k1-loss", "k1-loss.on-policy")),
    (L, True, False, "reverse_kl/token", ("sequence.token-k2-loss", "k2-loss.on-policy")),
    (1 - exp(-L), True, False, "forward_kl/token", ("sequence.token-k3-loss", "k3-loss.on-policy")),
    (L, True, True, "reverse_kl/token", ("sequence.token-k1-reward", "k1-reward.on-policy")),
    (RHO, False, False, "zero", ("k1-loss.detached",)),
    (RHO * (L + 1), False, False, "reverse_kl/token", ("off-policy.token-weight.k1-live", "k1-loss.differentiated")),
    (RHO * L, False, False, "reverse_kl/token", ("off-policy.token-weight.k2-detached", "k2-loss.detached")),
    (
        RHO * (1 - exp(-L)),
        False,
        False,
        "forward_kl/token",
        ("off-policy.token-weight.k3-detached", "k3-loss.detached"),
    ),
    (exp(L) - 1, True, False, "chi2_half/token", ("inverted-k3.on-policy",)),
    (RHO * (exp(L) - 1), False, False, "chi2_half/token", ("inverted-k3.detached",)),
    (L + 1 - exp(-L), True, False, "jeffreys/token", ("gradient.jeffreys",)),
    (2 - exp(-L), True, False, "forward_kl/token", ("k-lambda.on-policy",)),
    (L + 5, True, False, "reverse_kl/token", ("k2-plus-k1.on-policy",)),
]
ANSWERS = [
    ([L0 + L1] * 2, True, "reverse_kl/sequence", "sequence.k2-loss"),
    ([L0 + L1, L1], True, "reverse_kl/sequence", "sequence.k1-reward-to-go"),
    ([1 - exp(-L0 - L1)] * 2, True, "forward_kl/sequence", "sequence.k3-loss"),
    ([R0 * L0, R0 * R1 * L1], False, "reverse_kl/token of the policy", "off-policy.cumulative-detached.k2"),
    ([R0 * R1 * (L0 + L1)] * 2, False, "reverse_kl/sequence", "off-policy.whole-detached.sequence-k2"),
    (
        [R0 * L0 + R0 * R1 * K3.subs(L, L1), R0 * R1 * L1],
        False,
        "reverse_kl/sequence",
        "off-policy.cumulative-live.k3",
    ),
]
UNNAMED = [
    (1, False, False, ("k1-loss.uncorrected",)),
    (L, False, False, ("k2-loss.uncorrected",)),
    (1 - exp(-L), False, False, ("k3-loss.uncorrected",)),
    (L, False, True, ("k1-reward.uncorrected",)),
    (L**2 / 2, True, True, ("k2-reward.on-policy", "completeness")),
    (L**2 / 2, False, True, ("k2-reward.uncorrected", "completeness")),
    (K3, True, True, ("k3-reward.on-policy", "completeness")),
    (K3, False, True, ("k3-reward.uncorrected", "completeness")),
    (RHO * (L + L**2 / 2), False, False, ("k2-loss.differentiated", "completeness")),
    (L + L**2 / 2, True, False, ("k2-loss-and-reward.on-policy", "completeness")),
    (L**5, True, False, ("completeness",)),
]


@pytest.mark.parametrize(("c", "on", "in_reward", "objective", "ids"), TABLE, ids=str)
def test_the_named_cells_of_the_master_table(c, on, in_reward, objective, ids):
    field = everywhere(c)
    assert cited(field, on, in_reward=in_reward) == ids
    for theorem_id in ids:
        assert speaks_of(theorem_id, field, on)
        assert is_gradient_of(theorem_id, objective, not on)


@pytest.mark.parametrize(("field", "on", "objective", "theorem_id"), ANSWERS, ids=str)
def test_whole_answers(field, on, objective, theorem_id):
    assert cited(field, on) == (theorem_id,)
    assert speaks_of(theorem_id, field, on)
    assert is_gradient_of(theorem_id, objective, not on)


@pytest.mark.parametrize(("c", "on", "in_reward", "ids"), UNNAMED, ids=str)
def test_what_has_no_name_is_cited_for_what_it_is(c, on, in_reward, ids):
    field = everywhere(c)
    assert cited(field, on, in_reward=in_reward) == ids
    assert all(speaks_of(i, field, on) for i in ids if i != "completeness")


@pytest.mark.parametrize(("c", "on", "in_reward", "objective", "ids"), TABLE, ids=str)
def test_a_wrong_citation_is_caught(c, on, in_reward, objective, ids):
    """What this file holds citations against refuses the theorems of every other objective."""
    others = {i for _, drawn, _, name, known in TABLE if drawn is on and name != objective for i in known}
    assert len(others) > 2
    for theorem_id in others:
        assert not speaks_of(theorem_id, everywhere(c), on)
        assert not is_gradient_of(theorem_id, objective, not on)


@given(*(st.fractions(-3, 3, max_denominator=4) for _ in range(3)), st.booleans())
def test_whatever_is_cited_has_the_gradient(a, b, c, on):
    coefficient = sum(
        sp.Rational(x.numerator, x.denominator) * part
        for x, part in zip((a, b, c), (L, 1 - exp(-L), exp(L) - 1), strict=True)
    )
    field = everywhere(coefficient if on else RHO * coefficient)
    ids = cited(field, on)
    assert len(ids) <= MOST
    assert bool(ids) is any((a, b, c))
    for theorem_id in ids:
        if theorem_id in ("completeness", citation.DETACHED_WEIGHT):
            continue
        if theorem_id.startswith("gradient.") and not on:
            assert citation.DETACHED_WEIGHT in ids
            assert speaks_of(theorem_id, everywhere(coefficient), True)
            continue
        assert speaks_of(theorem_id, field, on), (theorem_id, Fraction(a), Fraction(b), Fraction(c))


def test_terms_of_zero_expectation_are_answered_for():
    assert cited([L0 + 1, L1 + 2], True) == ("sequence.token-k2-loss", "k2-loss.on-policy", "baseline")
    past = cited([L0, L0 + L1], True)
    assert past == ("sequence.token-k2-loss", "k2-loss.on-policy", "sequence.past-terms-vanish")
    other = sp.Symbol("L_1_0", real=True)
    assert cited([L0 - other, L1 - other], True) == ("sequence.token-k2-loss", "k2-loss.on-policy", "score-identity")


def test_a_name_that_the_field_does_not_have_cites_no_form():
    """Level and scale are compared too: what the right side says must be the whole of the name."""
    field = tuple(everywhere(1 - exp(-L)))
    right = name_field(field, on_policy=True)
    assert theorems_for(Question(field, True, right)) == ("sequence.token-k3-loss", "k3-loss.on-policy")
    for wrong in (replace(right, level="sequence"), replace(right, scale=-right.scale)):
        assert theorems_for(Question(field, True, wrong)) == ("gradient.forward_kl",)


def test_a_scale_is_no_hindrance():
    assert cited(everywhere(-sp.Rational(1, 3) * L), True)[0] == "sequence.token-k2-loss"


def test_an_objective_without_a_form_of_its_own_off_policy():
    assert cited(everywhere(RHO * (L + 1 - exp(-L))), False) == ("gradient.jeffreys", citation.DETACHED_WEIGHT)


def test_no_gradient_needs_no_theorem():
    assert cited([sp.S.Zero, sp.S.Zero], True) == ()


def test_value_and_weight_tell_theorems_of_one_gradient_apart():
    """rho L is the gradient of sg(rho) k2 and of rho k3 on every sample."""
    field, at = everywhere(RHO * L), ((0.3, -0.2), (1.2, 0.9))

    def worth(k) -> Worth:
        return Worth((at,), sum(float(rho * k.subs(L, x)) for x, rho in zip(*at, strict=True)))

    assert cited(field, False, worth=worth(L**2 / 2))[1] == "k2-loss.detached"
    assert cited(field, False, worth=worth(K3)) == ("off-policy.token-weight.k3-live", "k3-loss.differentiated")
    assert cited(field, False, live_weight=True)[1] == "k3-loss.differentiated"
    assert cited(
        everywhere(L),
        True,
        weighted=True,
        worth=Worth(((at[0], (1.0, 1.0)),), float(K3.subs(L, 0.3) + K3.subs(L, -0.2))),
    )[1] == ("live-ratio-k3.on-policy")


def test_completeness_is_cited_only_for_what_it_decides():
    """Off-policy it says nothing of a coefficient that has a name on-policy, nor where forms hide what they are."""
    assert "completeness" not in cited(everywhere(1 - exp(-L)), False)
    assert "completeness" not in cited(everywhere(sp.tanh(L)), True)


@pytest.mark.parametrize("name", OBJECTIVES)
def test_the_theorem_of_each_objective(name):
    (theorem_id,) = of_objective(name)
    assert BY_ID[theorem_id].holds
    assert is_gradient_of(theorem_id, f"{name}/token", False)


def test_no_name_no_theorem():
    assert of_objective("unnamed") == of_objective("zero") == ()


def test_general_theorems_are_in_the_catalogue():
    for theorem_id in (citation.BASELINE, citation.SCORE_IDENTITY, citation.DETACHED_WEIGHT, citation.COMPLETENESS):
        assert BY_ID[theorem_id].holds
    assert isinstance(BY_ID[citation.COMPLETENESS].statement, Lemma)


def test_every_family_with_gradients_is_searched():
    import importlib

    searched = {t.id for family in FAMILIES for t in importlib.import_module(f"proofs.theorems.{family}").THEOREMS}
    stated = {t.id for t in catalogue() if isinstance(t.statement, ExpectedGradient | SequenceGradient)}
    # what the master table says already, in a module that takes long to import
    assert stated - searched == {"surrogate.k1-coefficient", "surrogate.k3-coefficient"}
    assert all(e.theorem.holds and e.theorem.id in BY_ID for sampled in (True, False) for e in entries(sampled))


def test_a_false_statement_is_never_cited(monkeypatch):
    """The right side is named too: a theorem with the right left side and another claim is passed over."""
    lies = [
        Entry(t, isinstance(t.statement, SequenceGradient))
        for t in false_statements()
        if isinstance(t.statement, SequenceGradient) and not t.statement.variable_length
    ]
    asked = 0
    for lie in lies:
        statement = lie.statement
        assert isinstance(statement, SequenceGradient)
        field = lie.field(2)
        if field is None or not any(field):
            continue
        on = statement.left_drawn_from == P
        monkeypatch.setattr(citation, "entries", lambda sampled, lie=lie: (lie,))
        assert lie.theorem.id not in cited(list(field), on)
        asked += 1
    assert asked > 12
