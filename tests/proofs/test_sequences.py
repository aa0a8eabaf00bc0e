"""Whole answers: every rule and every name against exact enumeration of all answers."""

from fractions import Fraction
from functools import cache
from random import Random

import mpmath
import pytest
import sympy as sp
from hypothesis import given
from hypothesis import strategies as st

from proofs.divergences import OBJECTIVES
from proofs.sequences import FieldNaming, name_field, reduce_off_policy, reduce_on_policy
from proofs.symbols import BETA, token_symbols

from .enumeration import chance, draw, expected, field_values, objective_gradient, score

E = sp.exp
VALUES = {"k1": lambda x: x, "k2": lambda x: x**2 / 2, "k3": lambda x: E(-x) - 1 + x}
SLOPES = {"k1": lambda x: sp.S.One, "k2": lambda x: x, "k3": lambda x: 1 - E(-x)}


def letters(horizon):
    symbols = [token_symbols(t) for t in range(horizon)]
    ratios, weights = [a for a, _ in symbols], [b for _, b in symbols]
    return ratios, weights, [sp.Mul(*weights[: t + 1]) for t in range(horizon)]


def fields(horizon):
    """name -> field, for every way that code builds a penalty over an answer."""
    ratio, weight, prefix = letters(horizon)
    full, total, steps = prefix[-1], sum(ratio), range(horizon)
    out = {}
    for name in VALUES:
        k, d = VALUES[name], SLOPES[name]
        later = [[k(ratio[j]) for j in range(t, horizon)] for t in steps]
        out |= {
            f"{name} loss": [d(ratio[t]) for t in steps],
            f"{name} loss, sg(rho_t)": [weight[t] * d(ratio[t]) for t in steps],
            f"{name} loss, rho_t": [weight[t] * (k(ratio[t]) + d(ratio[t])) for t in steps],
            f"{name} loss, sg(prefix)": [prefix[t] * d(ratio[t]) for t in steps],
            f"{name} loss, sg(full)": [full * d(ratio[t]) for t in steps],
            # The derivative of sum_j c_j k_j with c_j = rho_0 ... rho_j reaches every earlier token.
            f"{name} loss, prefix": [
                prefix[t] * d(ratio[t]) + sum(prefix[j] * k(ratio[j]) for j in range(t, horizon)) for t in steps
            ],
            f"{name} loss, full": [full * (d(ratio[t]) + sum(map(k, ratio))) for t in steps],
            f"{name} reward, immediate": [k(ratio[t]) for t in steps],
            f"{name} reward, to go": [sum(later[t]) for t in steps],
            f"{name} reward, whole return": [sum(map(k, ratio)) for t in steps],
            f"{name} reward to go, sg(prefix)": [
                sum(prefix[j] * k(ratio[j]) for j in range(t, horizon)) for t in steps
            ],
            f"{name} reward to go and loss": [sum(later[t]) + d(ratio[t]) for t in steps],
            f"{name} of the answer": [d(total) for t in steps],
            f"{name} of the answer, sg(full)": [full * d(total) for t in steps],
        }
    return out


REVERSE_TOKEN = ("reverse_kl", "token")
REVERSE_SEQUENCE = ("reverse_kl", "sequence")
FORWARD_TOKEN = ("forward_kl", "token")
FORWARD_SEQUENCE = ("forward_kl", "sequence")
ZERO = ("zero", None)
UNNAMED = ("unnamed", None)

ON_POLICY = {
    "k1 loss": ZERO,
    "k2 loss": REVERSE_TOKEN,
    "k3 loss": FORWARD_TOKEN,
    "k1 loss, rho_t": REVERSE_TOKEN,
    "k2 loss, rho_t": UNNAMED,
    "k3 loss, rho_t": REVERSE_TOKEN,
    "k1 reward, immediate": REVERSE_TOKEN,
    "k1 reward, to go": REVERSE_SEQUENCE,
    "k1 reward, whole return": REVERSE_SEQUENCE,
    "k2 reward, to go": UNNAMED,
    "k3 reward, immediate": UNNAMED,
    "k3 reward, to go": UNNAMED,
    "k3 reward to go and loss": REVERSE_SEQUENCE,
    "k1 of the answer": ZERO,
    "k2 of the answer": REVERSE_SEQUENCE,
    "k3 of the answer": FORWARD_SEQUENCE,
}
OFF_POLICY = {
    "k1 loss": UNNAMED,
    "k2 loss": UNNAMED,
    "k3 loss": UNNAMED,
    "k1 loss, sg(rho_t)": ZERO,
    "k2 loss, sg(rho_t)": (*REVERSE_TOKEN, "sampler"),
    "k3 loss, sg(rho_t)": (*FORWARD_TOKEN, "sampler"),
    "k1 loss, rho_t": (*REVERSE_TOKEN, "sampler"),
    "k2 loss, rho_t": UNNAMED,
    "k3 loss, rho_t": (*REVERSE_TOKEN, "sampler"),
    "k1 loss, sg(full)": ZERO,
    "k2 loss, sg(prefix)": (*REVERSE_TOKEN, "policy"),
    "k3 loss, sg(prefix)": (*FORWARD_TOKEN, "policy"),
    "k2 loss, sg(full)": (*REVERSE_TOKEN, "policy"),
    "k1 loss, prefix": REVERSE_SEQUENCE,
    "k2 loss, prefix": UNNAMED,
    "k3 loss, prefix": REVERSE_SEQUENCE,
    "k1 loss, full": REVERSE_SEQUENCE,
    "k3 loss, full": REVERSE_SEQUENCE,
    "k1 reward to go, sg(prefix)": REVERSE_SEQUENCE,
    "k1 reward, to go": UNNAMED,
    "k2 of the answer, sg(full)": REVERSE_SEQUENCE,
    "k3 of the answer, sg(full)": FORWARD_SEQUENCE,
}


@pytest.mark.parametrize("horizon", [2, 3])
@pytest.mark.parametrize("on_policy", [True, False])
def test_the_tables_of_sections_4_and_5(horizon, on_policy):
    table = ON_POLICY if on_policy else OFF_POLICY
    for name, (objective, level, *prefixes) in table.items():
        naming = name_field(fields(horizon)[name], on_policy)
        assert (name, naming.objective, naming.level) == (name, objective, level)
        assert naming.prefixes == (prefixes[0] if prefixes else None)
        assert naming.scale == (1 if level else None)


@cache
def worlds(on_policy):
    return [draw(2, 2, 1, on_policy), draw(3, 2, 2, on_policy), draw(2, 3, 3, on_policy)]


@cache
def gradient(world_index, on_policy, name, level, prefixes):
    with mpmath.workdps(40):
        return objective_gradient(worlds(on_policy)[world_index], name, level, prefixes)


@pytest.mark.parametrize("on_policy", [True, False])
@pytest.mark.parametrize("index", [0, 1, 2])
def test_every_name_against_the_objectives_own_gradient(index, on_policy):
    """Names, scales and combinations agree with the derivative of the objective's definition."""
    world = worlds(on_policy)[index]
    named = 0
    for label, field in fields(world.horizon).items():
        naming = name_field(field, on_policy)
        if naming.objective == "unnamed" or naming.combination:
            continue
        with mpmath.workdps(40):
            found = expected(world, field_values(world, field))
            if naming.objective == "zero":
                wanted = [mpmath.mpf(0)] * len(found)
            else:
                wanted = gradient(index, on_policy, naming.objective, naming.level, naming.prefixes)
            error = max(abs(a - b) for a, b in zip(found, wanted, strict=True))
        assert (label, error < 1e-15) == (label, True)
        named += 1
    assert named > 12


@pytest.mark.parametrize("name", OBJECTIVES)
@pytest.mark.parametrize("on_policy", [True, False])
def test_every_objective_names_its_own_field_at_both_levels(name, on_policy):
    coefficient = OBJECTIVES[name].coefficient
    ratio, weight, prefix = letters(2)
    (symbol,) = coefficient.free_symbols
    one = sp.S.One
    at = [coefficient.subs(symbol, x) for x in ratio]
    whole = coefficient.subs(symbol, sum(ratio))
    cases = [
        ([(one if on_policy else weight[t]) * at[t] for t in (0, 1)], "token", "sampler"),
        ([(one if on_policy else prefix[-1]) * whole] * 2, "sequence", None),
    ]
    for field, level, prefixes in cases:
        naming = name_field([3 * g for g in field], on_policy)
        assert naming == FieldNaming(name, level, None if on_policy else prefixes, sp.Integer(3))
        world = worlds(on_policy)[0]
        with mpmath.workdps(40):
            found = expected(world, field_values(world, field))
            wanted = gradient(0, on_policy, name, level, naming.prefixes)
            assert max(abs(a - b) for a, b in zip(found, wanted, strict=True)) < 1e-15


monomials = st.tuples(
    st.integers(-3, 3).filter(bool),
    st.lists(st.tuples(st.integers(0, 2), st.integers(0, 2), st.integers(-1, 1)), min_size=3, max_size=3),
)


@given(st.lists(monomials, min_size=1, max_size=5), st.integers(0, 2), st.booleans(), st.integers(0, 10**6))
def test_the_rules_keep_the_expectation_exactly(terms, t, on_policy, seed):
    """Rational arithmetic. L is replaced by an arbitrary number for each token after each prefix."""
    symbols = [token_symbols(i) for i in range(3)]
    g = sum(
        (
            c * sp.Mul(*(r**n * w**m * E(k * r) for (r, w), (n, m, k) in zip(symbols, parts, strict=True)))
            for c, parts in terms
        ),
        sp.S.Zero,
    )
    reduce = reduce_on_policy if on_policy else reduce_off_policy
    world = draw(2, 3, seed, on_policy)
    drawn = Random(seed)
    logs = {(h, a): Fraction(drawn.randint(-9, 9), 7) for h in world.policy for a in range(2)}

    def value(expr):
        polynomial = sp.expand(expr).subs(
            {E(r * k): sp.Symbol(f"e{i}") ** k for i, (r, _) in enumerate(symbols) for k in (-1, 1)}
        )
        names = [s for pair in symbols for s in pair] + [sp.Symbol(f"e{i}") for i in range(3)]
        assert polynomial.free_symbols <= set(names)
        function = sp.lambdify(names, polynomial, "math")

        def at(answer):
            arguments, exponentials = [], []
            for i, token in enumerate(answer):
                p, q, m = (w[answer[:i]][token] for w in (world.policy, world.reference, world.sampler))
                arguments += [logs[answer[:i], token], p / m]
                exponentials.append(p / q)
            return function(*arguments, *exponentials)

        return at

    before, after = value(g), value(reduce(g, t, 3))
    for parameter in world.parameters:
        difference = sum(
            chance(world.sampler, y) * (before(y) - after(y)) * score(world, y, t, parameter) for y in world.answers
        )
        assert difference == 0


def test_past_terms_vanish_and_future_terms_stay():
    (l0, l1), _, _ = letters(2)
    assert reduce_on_policy(l0 + l1, 0, 2) == l0 + l1
    assert reduce_on_policy(l0 + l1, 1, 2) == l1
    assert reduce_on_policy(E(-l1), 0, 2) == 0
    assert reduce_on_policy(E(l1), 0, 2) == E(l1)


def test_a_wrong_rule_would_be_noticed():
    """rho_m^2 has mean above 1, and L_m rho_m is not 0: neither may be dropped."""
    (l0, l1), (r0, r1), _ = letters(2)
    assert reduce_off_policy(r0 * l0 * r1**2, 0, 2) == r0 * l0 * r1**2
    assert reduce_off_policy(r0 * l1 * r1, 0, 2) == r0 * l1 * r1
    assert reduce_off_policy(r0**2, 0, 2) == r0**2
    assert reduce_off_policy(r0 * r1, 0, 2) == 0
    assert reduce_off_policy(r0 * r1 * E(-l1) * l0, 0, 2) == r0 * l0
    assert reduce_off_policy(r0 * r1, 1, 2) == 0
    assert reduce_off_policy(sp.S.One, 0, 2) == 1


def test_factors_of_several_tokens_are_kept_with_the_last_of_them():
    """sign(L_0 + L_2) is known only after token 2: until then no weight has mean 1, no score 0."""
    (l0, l1, l2), (r0, r1, r2), _ = letters(3)
    late, joint = sp.sign(l0 + l2), sp.sign(l0 + l1)
    assert reduce_off_policy(r0 * r1 * late, 0, 3) == r0 * r1 * late
    assert reduce_off_policy(r1 * joint, 1, 3) == r1 * joint
    assert reduce_off_policy(r0 * r1 * r2 * joint, 0, 3) == r0 * r1 * joint
    assert reduce_on_policy(joint, 1, 3) == joint
    assert reduce_on_policy(joint, 2, 3) == 0


def test_length_normalised_k1_is_refused_across_positions():
    """A scale that differs from token to token has no name."""
    (l0, l1), _, _ = letters(2)
    assert name_field([l0, 2 * l1], True).objective == "unnamed"
    assert name_field([l0 / 2, l1 / 2], True) == FieldNaming("reverse_kl", "token", None, sp.Rational(1, 2))
    assert name_field([2 * l0 + l1, l1], True).objective == "unnamed"


def test_beta_other_answers_and_kinks():
    (l0, l1), (r0, r1), _ = letters(2)
    other = sp.Symbol("other", real=True)
    assert name_field([BETA * l0, BETA * l1], True).scale == BETA
    assert name_field([l0 + other, l1 - other**2], True).objective == "reverse_kl"
    assert name_field([r0 * l0 + r0 * other, r1 * l1], False).objective == "reverse_kl"
    assert name_field([other * l0, l1], True).objective == "unnamed"
    assert name_field([l0 + other, l1], False).objective == "unnamed"
    clamped = [sp.Piecewise((x, x < 10), (0, True)) for x in (l0, l1)]
    assert name_field(clamped, True).objective == "unnamed"
    assert name_field([sp.Function("h")(x) for x in (l0, l1)], True).objective == "unnamed"
    with pytest.raises(ValueError, match="at least one token"):
        name_field([], True)


def test_combinations():
    ratio, _, _ = letters(2)
    naming = name_field([VALUES["k3"](x) for x in ratio], True)
    assert naming.objective == "unnamed"
    assert dict(naming.combination) == {"reverse_kl": 1, "forward_kl": -1}
    mixed = name_field([sum(ratio[t:]) + 2 * (1 - E(-sum(ratio[: t + 1]))) for t in (0, 1)], True)
    assert dict(mixed.combination) == {"reverse_kl": 1, "forward_kl": 2}


def test_one_token():
    (ratio,), (weight,), _ = letters(1)
    assert name_field([ratio], True) == FieldNaming("reverse_kl", "token", None, sp.S.One)
    assert name_field([weight * ratio], False) == FieldNaming("reverse_kl", "token", "sampler", sp.S.One)
    assert name_field([weight], False) == FieldNaming("zero")
    assert name_field([sp.S.One], False).objective == "unnamed"
