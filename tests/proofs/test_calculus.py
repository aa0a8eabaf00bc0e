"""The master table (theory: arXiv 2510.01555 and its exact form), identities, and refusals."""

import pytest
import sympy as sp
from hypothesis import given, settings
from hypothesis import strategies as st

from proofs.calculus import (
    equal_up_to_constant,
    on_policy,
    sample_coefficient,
    score_derivative,
    under_policy,
)
from proofs.divergences import OBJECTIVES, name_coefficient
from proofs.estimators import ABS_K1, K1, K2, K3, Estimator, k_lambda
from proofs.forms import Correction, Form, Placement
from proofs.symbols import RHO, L

LOSS, REWARD, BOTH = Placement
NONE, DETACHED, DIFFERENTIATED, TRUNCATED = Correction
REVERSE, FORWARD = OBJECTIVES["reverse_kl"].coefficient, OBJECTIVES["forward_kl"].coefficient
E_K2 = L + L**2 / 2
"""The coefficient of grad E_pi[k2]: value times score, plus derivative."""

# Expected under the policy: a coefficient up to a constant, and its name.
MASTER_TABLE = [
    (K1, LOSS, 0, "zero", {DETACHED: (0, "zero"), DIFFERENTIATED: (REVERSE, "reverse_kl")}),
    (K2, LOSS, REVERSE, "reverse_kl", {DETACHED: (REVERSE, "reverse_kl"), DIFFERENTIATED: (E_K2, "unnamed")}),
    (K3, LOSS, FORWARD, "forward_kl", {DETACHED: (FORWARD, "forward_kl"), DIFFERENTIATED: (REVERSE, "reverse_kl")}),
    (K1, REWARD, REVERSE, "reverse_kl", dict.fromkeys((DETACHED, DIFFERENTIATED), (REVERSE, "reverse_kl"))),
    (K2, REWARD, E_K2 - REVERSE, "unnamed", dict.fromkeys((DETACHED, DIFFERENTIATED), (E_K2 - REVERSE, "unnamed"))),
    (
        K3,
        REWARD,
        REVERSE - FORWARD,
        "unnamed",
        dict.fromkeys((DETACHED, DIFFERENTIATED), (REVERSE - FORWARD, "unnamed")),
    ),
]


@pytest.mark.parametrize(("estimator", "placement", "expected", "name", "corrected"), MASTER_TABLE)
def test_master_table(estimator, placement, expected, name, corrected):
    plain = sample_coefficient(Form(estimator, placement))
    assert equal_up_to_constant(on_policy(plain), sp.sympify(expected))
    assert name_coefficient(on_policy(plain)).objective == name
    for correction, (coefficient, objective) in corrected.items():
        c = under_policy(sample_coefficient(Form(estimator, placement, correction)))
        assert equal_up_to_constant(c, sp.sympify(coefficient))
        assert name_coefficient(c).objective == objective
        others = [o.coefficient for o in OBJECTIVES.values() if o.name != objective]
        assert not any(equal_up_to_constant(c, other) for other in others)


@pytest.mark.parametrize("placement", [LOSS, REWARD])
@pytest.mark.parametrize("estimator", [K1, K2, K3])
def test_without_a_weight_nothing_off_policy_has_a_name(estimator, placement):
    g = sample_coefficient(Form(estimator, placement))
    assert not g.has(RHO)
    assert name_coefficient(under_policy(g)).objective == "unnamed"
    expected = {LOSS: sp.diff(estimator.value, L), REWARD: estimator.value}[placement]
    assert sp.expand(g - expected) == 0


def test_scores_of_the_rules():
    assert score_derivative(L) == 1
    assert score_derivative(RHO) == RHO
    assert sp.expand(score_derivative(RHO * L) - RHO * (L + 1)) == 0


def test_samplewise_identities():
    """Not only in expectation: rho k3 = sg(rho) k2 = rho k1 in reward, for each token."""
    same = [
        Form(K3, LOSS, DIFFERENTIATED),
        Form(K2, LOSS, DETACHED),
        Form(K1, REWARD, DETACHED),
        Form(K1, REWARD, DIFFERENTIATED),
    ]
    assert {sample_coefficient(form) for form in same} == {RHO * L}
    assert sample_coefficient(Form(K2, LOSS)) == sample_coefficient(Form(K1, REWARD))


def test_a_detach_tells_two_rho_k3_apart():
    detached, live = (sample_coefficient(Form(K3, LOSS, c)) for c in (DETACHED, DIFFERENTIATED))
    assert not equal_up_to_constant(detached / RHO, live / RHO)
    assert on_policy(live) == L  # rho = 1 is set after differentiation: not the gradient of k3
    assert not equal_up_to_constant(on_policy(live), on_policy(sample_coefficient(Form(K3, LOSS))))


numbers = st.fractions(-5, 5, max_denominator=12)


@settings(max_examples=25)
@given(numbers)
def test_the_family_k_lambda(lam):
    estimator = k_lambda(sp.Rational(lam.numerator, lam.denominator))
    live = sample_coefficient(Form(estimator, LOSS, DIFFERENTIATED))
    assert name_coefficient(under_policy(live)).objective == "reverse_kl"
    assert sp.expand(live - RHO * (L + 1 - sp.Rational(lam.numerator, lam.denominator))) == 0
    plain = name_coefficient(on_policy(sample_coefficient(Form(estimator, LOSS))))
    assert plain.objective == ("forward_kl" if lam else "zero")
    assert (plain.scale or 0) == sp.Rational(lam.numerator, lam.denominator)


polynomials = st.lists(st.tuples(st.integers(0, 3), st.integers(-2, 2), numbers), max_size=4).map(
    lambda terms: sum((sp.Rational(c.numerator, c.denominator) * L**n * sp.exp(k * L) for n, k, c in terms), sp.S.Zero)
)


@settings(max_examples=25)
@given(polynomials)
def test_product_rule(value):
    """In reward + as loss = grad E_pi[k], and that is the differentiated weight on-policy."""
    estimator = Estimator("random", value, "drawn")
    both = sample_coefficient(Form(estimator, BOTH))
    parts = [sample_coefficient(Form(estimator, p)) for p in (LOSS, REWARD)]
    assert sp.expand(both - sum(parts)) == 0
    live = on_policy(sample_coefficient(Form(estimator, LOSS, DIFFERENTIATED)))
    assert sp.expand(both - live) == 0


def test_k3_in_reward_and_as_loss_is_reverse_kl():
    assert name_coefficient(on_policy(sample_coefficient(Form(K3, BOTH)))).objective == "reverse_kl"


@settings(max_examples=25)
@given(numbers)
def test_a_multiple_of_k1_is_only_a_baseline(c):
    number = sp.Rational(c.numerator, c.denominator)
    mixed = Estimator("k2 + c k1", K2.value + number * L, "drawn")
    assert name_coefficient(on_policy(sample_coefficient(Form(mixed, LOSS)))).objective == "reverse_kl"


def test_inverted_ratio_is_half_chi2():
    inverted = Estimator("inverted k3", sp.exp(L) - 1 - L, "the ratio upside down")
    naming = name_coefficient(on_policy(sample_coefficient(Form(inverted, LOSS))))
    assert (naming.objective, naming.scale) == ("chi2_half", 1)


def test_absolute_value_is_twice_the_total_variation():
    naming = name_coefficient(on_policy(sample_coefficient(Form(ABS_K1, LOSS))))
    assert (naming.objective, naming.scale) == ("total_variation", 2)


def test_a_stale_reward_is_another_objective():
    stale = L - sp.log(RHO)  # log(sampler/reference), frozen at the time of the rollout
    assert equal_up_to_constant(on_policy(stale), L)
    assert not equal_up_to_constant(stale, L)
    assert name_coefficient(stale).objective == "unnamed"


def test_truncation_breaks_the_score_identity():
    c = under_policy(sample_coefficient(Form(K1, LOSS, TRUNCATED, sp.Integer(2))))
    assert c == sp.Min(2, RHO) / RHO
    assert not equal_up_to_constant(c, sp.S.Zero)
    assert on_policy(sample_coefficient(Form(K1, LOSS, TRUNCATED, sp.Integer(2)))) == 1


def test_a_threshold_needs_a_truncated_weight():
    with pytest.raises(ValueError, match="a threshold is for a truncated weight, not for detached"):
        Form(K1, LOSS, DETACHED, sp.Integer(2))


@pytest.mark.parametrize(
    ("c1", "c2"),
    [
        (FORWARD, REVERSE),
        (FORWARD, sp.S.Zero),
        (REVERSE, L**2 / 2),
        (2 * FORWARD, FORWARD),
        (FORWARD, sp.exp(L) - 1),
        (RHO, sp.S.One),
        (sp.log(1 + sp.exp(L)), L / 2),
        (sp.Abs(L), L),
        (sp.Piecewise((L, L < 10), (10, True)), L),
        (sp.sign(L), sp.tanh(9 * L)),
    ],
)
def test_false_identities_are_refused(c1, c2):
    assert not equal_up_to_constant(c1, c2)


@pytest.mark.parametrize(
    ("c1", "c2"),
    [
        (sp.tanh(L), 1 - 2 / (sp.exp(2 * L) + 1)),
        (sp.log(1 + sp.exp(-L)), sp.log(1 + sp.exp(L)) - L + 7),
        ((sp.exp(2 * L) - 1) / (sp.exp(L) + 1), sp.exp(L)),
        (sp.Abs(L), L * sp.sign(L) + 1),
        (sp.Max(L, 0), (L + sp.Abs(L)) / 2),
        (sp.Min(sp.Max(L, -1), 1), sp.Piecewise((-1, L < -1), (L, L < 1), (1, True))),
    ],
)
def test_identities_in_disguise_are_found(c1, c2):
    assert equal_up_to_constant(c1, c2)
