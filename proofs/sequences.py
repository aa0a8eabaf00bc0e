"""Names the objective of a whole gradient field: sum_t g_t s_t over one answer of T tokens.

g_t is an expression in L_i, rho_i of the answer's own tokens; tokens are drawn from the sampler, and
s_t is the score of token t. Each rule below replaces g_t by something with the same expectation of
g_t s_t, because one conditional expectation given the prefix is known (h: the tokens before m):

    off-policy   E_mu[rho_m | h] = 1                  importance weights have mean 1
                 E_mu[rho_m exp(-L_m) | h] = 1        rho exp(-L) = reference/sampler, which sums to 1
                 E_mu[rho_t s_t | h] = E_pi[s_t] = 0  score identity
    on-policy    E_pi[exp(-L_m) | h] = 1              the reference sums to 1
                 E_pi[s_t | h] = 0                    score identity

Tokens later than t are integrated out from the last to the first, so everything left in the term is
known when its turn comes. What the rules prove is true; fields that they leave apart may still agree.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

import sympy as sp
from sympy import Add, Expr, Integer, Mul, S, Symbol, exp

from proofs.divergences import BASIS, OBJECTIVES, UNNAMED, ZERO, name_vector
from proofs.linear import combination_of, multiple_of
from proofs.normal_form import NormalForm, TooLarge, normal_form
from proofs.symbols import BETA, L, token_symbols

Terms = Mapping[Expr, Expr]
TOKEN = "token"
SEQUENCE = "sequence"
SAMPLER = "sampler"
POLICY = "policy"


@dataclass(frozen=True)
class FieldNaming:
    """What a field's expected value is the gradient of.

    `level` is "token" (the distribution of prefixes frozen) or "sequence", None where the objective
    is zero or unnamed. `prefixes` says whose prefixes a token-level objective sums over off-policy;
    with one token both are the same and it is "sampler"; on-policy it is None. `scale` is one number
    for all positions. `combination` writes an unnamed field in named ones (at token level if the
    field is a token-level one).
    """

    objective: str
    level: str | None = None
    prefixes: str | None = None
    scale: Expr | None = None
    combination: tuple[tuple[str, Expr], ...] | None = None


@dataclass(frozen=True)
class _Monomial:
    """A monomial taken apart: its factors of each token, and those of several tokens or of others."""

    tokens: Mapping[int, Expr]
    shared: Expr
    reach: int
    """The last token that the shared factors depend on, or -1."""


def reduce_on_policy(g: Expr, t: int, horizon: int) -> Expr:
    """Return the canonical coefficient of s_t with the same expectation under the policy."""
    ratios = {token_symbols(i)[1]: S.One for i in range(horizon)}
    return _sum(_reduced(normal_form(g.subs(ratios)).terms, t, horizon, True))


def reduce_off_policy(g: Expr, t: int, horizon: int) -> Expr:
    """Return the canonical coefficient of s_t with the same expectation under the sampler."""
    return _sum(_reduced(normal_form(g).terms, t, horizon, False))


def _sum(terms: Terms) -> Expr:
    return Add(*(number * monomial for monomial, number in terms.items()))


def _reduced(terms: Terms, t: int, horizon: int, on_policy: bool) -> dict[Expr, Expr]:
    reduced: dict[Expr, Expr] = {}
    for monomial, number in terms.items():
        kept = _reduced_monomial(monomial, t, horizon, on_policy)
        if kept is not None:
            reduced[kept] = reduced.get(kept, S.Zero) + number
    return {monomial: number for monomial, number in reduced.items() if number != 0}


@lru_cache(maxsize=8192)
def _reduced_monomial(monomial: Expr, t: int, horizon: int, on_policy: bool) -> Expr | None:
    """Integrate out the tokens after t, and drop what the score identity makes zero (None)."""
    parts = _taken_apart(monomial, horizon)
    tokens = dict(parts.tokens)
    for m in range(horizon - 1, t, -1):
        own = tokens.get(m, S.One)
        if parts.reach >= m or (own is not S.One and own not in _of_mean_one(m, on_policy)):
            return _joined(tokens, parts.shared)
        tokens.pop(m, None)
    weight = S.One if on_policy else token_symbols(t)[1]
    if parts.reach < t and tokens.get(t, S.One) == weight:
        return None
    return _joined(tokens, parts.shared)


def _joined(tokens: Mapping[int, Expr], shared: Expr) -> Expr:
    return Mul(shared, *tokens.values())


@lru_cache(maxsize=256)
def _of_mean_one(m: int, on_policy: bool) -> tuple[Expr, ...]:
    """The functions of token m whose expectation given the prefix is 1."""
    log_ratio, weight = token_symbols(m)
    return (exp(-log_ratio),) if on_policy else (weight, weight * exp(-log_ratio))


def _taken_apart(monomial: Expr, horizon: int) -> _Monomial:
    owner = _owners(horizon)
    tokens: dict[int, Expr] = {}
    shared, reach = S.One, -1
    for factor in _factors(monomial):
        places = {owner.get(symbol, -1) for symbol in factor.free_symbols}
        if len(places) == 1 and -1 not in places:
            (place,) = places
            tokens[place] = tokens.get(place, S.One) * factor
        else:
            shared *= factor
            reach = max(reach, *places, -1)
    return _Monomial(tokens, shared, reach)


@lru_cache(maxsize=32)
def _owners(horizon: int) -> Mapping[Symbol, int]:
    return {symbol: t for t in range(horizon) for symbol in token_symbols(t)}


def _factors(monomial: Expr) -> list[Expr]:
    """The factors of a monomial, an exponential of a sum taken apart."""
    factors: list[Expr] = []
    for factor in Mul.make_args(monomial):
        if isinstance(factor, exp) and factor.args[0].is_Add:
            factors += [exp(term) for term in factor.args[0].args]
        else:
            factors.append(factor)
    return factors


def name_field(g: Sequence[Expr], on_policy: bool) -> FieldNaming:
    """Name the objective whose gradient is the expectation of sum_t g[t] s_t.

    Every other symbol must stand for something independent of this answer's tokens, such as the
    tokens of another answer in the batch: it does not stop the score identity, and whatever it
    leaves makes the field unnamed. `beta` counts as a number.
    """
    horizon = len(g)
    if horizon == 0:
        raise ValueError("a field has at least one token")
    try:
        if on_policy:
            ratios = {token_symbols(i)[1]: S.One for i in range(horizon)}
            g = [part.subs(ratios) for part in map(sp.sympify, g)]
        forms = [normal_form(sp.sympify(part)) for part in g]
    except TooLarge:
        return FieldNaming(UNNAMED)
    reduced = [_reduced(form.terms, t, horizon, on_policy) for t, form in enumerate(forms)]
    if not any(reduced):
        return FieldNaming(ZERO)
    allowed = {BETA, *_owners(horizon)}
    if any(m.free_symbols - allowed for terms in reduced for m in terms):
        return FieldNaming(UNNAMED)
    token = _at_token_level(reduced, on_policy)
    if token.objective != UNNAMED:
        return token
    sequence = _at_sequence_level(reduced, on_policy)
    if sequence.objective != UNNAMED:
        return sequence
    return token if token.combination is not None else sequence


def _weights(horizon: int, on_policy: bool) -> list[tuple[str | None, list[Expr]]]:
    """Whose prefixes, and the weight of the coefficient at each position."""
    if on_policy:
        return [(None, [S.One] * horizon)]
    ratios = [token_symbols(t)[1] for t in range(horizon)]
    cumulative = [Mul(*ratios[: t + 1]) for t in range(horizon)]
    return [(SAMPLER, ratios), (POLICY, cumulative)]


def _at_token_level(reduced: Sequence[Terms], on_policy: bool) -> FieldNaming:
    for prefixes, weights in _weights(len(reduced), on_policy):
        vectors = [_token_vector(terms, weights[t], token_symbols(t)[0]) for t, terms in enumerate(reduced)]
        first = vectors[0]
        if first is None or any(vector is None or dict(vector) != dict(first) for vector in vectors):
            continue
        naming = name_vector(first)
        if naming.objective == UNNAMED:
            return FieldNaming(UNNAMED, combination=naming.combination)
        return FieldNaming(naming.objective, TOKEN, prefixes, naming.scale)
    return FieldNaming(UNNAMED)


def _token_vector(terms: Terms, weight: Expr, log_ratio: Symbol) -> dict[Expr, Expr] | None:
    """The coefficient c(L) with terms = weight * c(L_t), as a vector; None if there is none."""
    vector: dict[Expr, Expr] = {}
    for monomial, number in terms.items():
        outside, inside = (monomial / weight).as_independent(log_ratio, as_Add=False)
        if outside.free_symbols - {BETA} or inside.free_symbols != {log_ratio}:
            return None
        key = inside.xreplace({log_ratio: L})
        vector[key] = vector.get(key, S.Zero) + number * outside
    return vector


def _at_sequence_level(reduced: Sequence[Terms], on_policy: bool) -> FieldNaming:
    vector = _field_vector(reduced)
    targets = _sequence_targets(len(reduced), on_policy)
    for name, target in targets:
        scale = multiple_of(vector, target)
        if scale is not None:
            return FieldNaming(name, SEQUENCE, None, scale)
    basis = [(name, target) for name, target in targets if name in BASIS]
    return FieldNaming(UNNAMED, combination=combination_of(vector, basis))


def _field_vector(reduced: Sequence[Terms]) -> dict[tuple[int, Expr], Expr]:
    vector: dict[tuple[int, Expr], Expr] = {}
    for t, terms in enumerate(reduced):
        for monomial, number in terms.items():
            beta, rest = monomial.as_independent(*_owners(len(reduced)), as_Add=False)
            vector[t, rest] = vector.get((t, rest), S.Zero) + number * beta
    return vector


@lru_cache(maxsize=32)
def _sequence_targets(horizon: int, on_policy: bool) -> tuple[tuple[str, Mapping[tuple[int, Expr], Expr]], ...]:
    """grad D(policy, reference) over whole answers: weight * c(sum_i L_i) at every position."""
    symbols = [token_symbols(i) for i in range(horizon)]
    total = Add(*(log_ratio for log_ratio, _ in symbols))
    weight = Integer(1) if on_policy else Mul(*(rho for _, rho in symbols))
    targets = []
    for objective in OBJECTIVES.values():
        form: NormalForm = normal_form(weight * objective.coefficient.subs(L, total))
        fields = [_reduced(form.terms, t, horizon, on_policy) for t in range(horizon)]
        targets.append((objective.name, _field_vector(fields)))
    return tuple(targets)
