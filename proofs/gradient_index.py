"""The catalogue by gradient: each theorem on an expected gradient as the field that its left side has.

Code is read as a field, sum_t g_t s_t over one answer (`proofs.sequences`). A theorem speaks of that code
if its left side has this field: `Entry.field` is what it says, `Entry.named` names its right side by
`proofs.sequences.name_field`, never by the theorem's words.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache, cached_property
from importlib import import_module

import sympy as sp
from sympy import Add, Expr, S, Symbol, exp

from proofs.engines.prover.gradients import in_ratios
from proofs.engines.sequences.fields import DIVERGENCE, SCORE, Direction, field_of
from proofs.sequences import POLICY, TOKEN, FieldNaming, name_field
from proofs.statements import DK, ExpectedGradient, K, SequenceGradient, sg, undetached
from proofs.symbols import LENGTH, REWARD, RHO, L, M, P, Q, log_policy_symbol, token_symbols
from proofs.theorem import Theorem

FAMILIES = ("identities", "table", "correspondence", "sequences", "off_policy_sequences")
"""The modules of `proofs.theorems` that are searched; the whole catalogue takes three times as long to import."""

_REFERENCE = {Q, *(token_symbols(t)[0] for t in range(2))}
_DEMANDS = (K, DK, REWARD, sp.Min, sp.Max)
"""What no field that was read can be compared with term by term."""


@dataclass(frozen=True)
class Entry:
    """One theorem. `of_answers` says whether it speaks of whole answers or of one token after any prefix."""

    theorem: Theorem
    of_answers: bool

    @property
    def statement(self) -> ExpectedGradient | SequenceGradient:
        """What the theorem says."""
        statement = self.theorem.statement
        assert isinstance(statement, ExpectedGradient | SequenceGradient)
        return statement

    def field(self, horizon: int) -> tuple[Expr, ...] | None:
        """Return the left side's g_t, drawn as it says; None if it has other directions than scores."""
        statement = self.statement
        if isinstance(statement, SequenceGradient):
            parts = field_of(statement.left, horizon, False)
            if any(direction.kind != SCORE for direction in parts):
                return None
            return tuple(parts.get(Direction(SCORE, t), S.Zero) for t in range(horizon))
        return tuple(_at_position(self._coefficient, t) for t in range(horizon))

    @cached_property
    def _coefficient(self) -> Expr:
        """The coefficient of the score on one token that was drawn, in L and rho."""
        left = self.statement.left
        assert not callable(left)
        return in_ratios(undetached(P * sp.diff(left.of, P)))

    @cached_property
    def parameters(self) -> frozenset[Symbol]:
        """The symbols that may stand for any number."""
        left = self.statement.left
        known = {P, Q, M, L, RHO}
        if callable(left):
            known |= {s for t in range(2) for s in (*token_symbols(t), log_policy_symbol(t))}
        return frozenset(self.surrogate(2).free_symbols - known)

    def surrogate(self, horizon: int) -> Expr:
        """Return the left side as it is written: of one token, or of an answer of that many."""
        left = self.statement.left
        if not callable(left):
            return left.of
        return sp.sympify(left(horizon)).subs(LENGTH, horizon)

    @cached_property
    def in_reward(self) -> bool:
        """Whether the reference stands only inside what is detached, as a penalty in reward does."""
        live = self.surrogate(2).replace(sg, lambda x: S.One)
        return self.has_reference and not live.free_symbols & _REFERENCE

    @cached_property
    def has_reference(self) -> bool:
        """Whether the reference stands in the left side at all."""
        return bool(self.surrogate(2).free_symbols & _REFERENCE)

    @cached_property
    def weighted(self) -> bool:
        """Whether a live ratio policy/policy, 1 in value, stands in the left side."""
        own = {P, *(log_policy_symbol(t) for t in range(2))}
        return any(detached.args[0] in own for detached in self.surrogate(2).atoms(sg))

    @cached_property
    def live_weight(self) -> bool:
        """Whether an importance weight, policy/sampler, is differentiated in the left side."""
        sampler = {M, *(token_symbols(t)[1] for t in range(2))}
        return bool(self.surrogate(2).replace(sg, lambda x: S.One).free_symbols & sampler)

    def value(self, log_ratios: tuple[float, ...], ratios: tuple[float, ...]) -> float | None:
        """Return what the left side is worth on one answer; None if it has no value in ratios alone."""
        horizon = len(log_ratios)
        written = undetached(self.surrogate(horizon))
        if isinstance(self.statement, ExpectedGradient):
            written = in_ratios(written)
            written = Add(*(_at_position(written, t) for t in range(horizon)))
        for t, (log_ratio, ratio) in enumerate(zip(log_ratios, ratios, strict=True)):
            own = token_symbols(t)
            written = written.subs({own[0]: log_ratio, own[1]: ratio})
        return float(written) if written.is_number and written.is_real else None

    def named(self, horizon: int, at: Mapping[Symbol, Expr]) -> FieldNaming:
        """Name what the right side is the gradient of, the parameters as given."""
        statement = self.statement
        sampled = _drawn(statement) == M
        if isinstance(statement, ExpectedGradient):
            c = in_ratios(statement.right.slope()).subs(at)
            on_policy = name_field(
                [(RHO * c if sampled else c).subs({L: token_symbols(0)[0], RHO: token_symbols(0)[1]})], not sampled
            )
            return on_policy
        right_sampled = statement.right_drawn_from == M
        named = name_field([g.subs(at) for g in _scores(statement, horizon)], not right_sampled)
        if sampled and not right_sampled and named.level == TOKEN:
            return FieldNaming(named.objective, TOKEN, POLICY, named.scale, named.combination)
        return named


def _at_position(c: Expr, t: int) -> Expr:
    own = token_symbols(t)
    return c.xreplace({L: own[0], RHO: own[1]})


def _drawn(statement: ExpectedGradient | SequenceGradient) -> Expr:
    return statement.left_drawn_from if isinstance(statement, SequenceGradient) else statement.left.weight


def _scores(statement: SequenceGradient, horizon: int) -> list[Expr]:
    """The right side with grad KL_t = E[L_t s_t | prefix] and grad KLref_t = -E[exp(-L_t) s_t | prefix] put in."""
    g = [S.Zero] * horizon
    for direction, coefficient in field_of(statement.right, horizon, False).items():
        log_ratio, rho = token_symbols(direction.t)
        under = S.One if statement.right_drawn_from == P else rho
        if direction.kind == SCORE:
            g[direction.t] += coefficient
        elif direction.kind == DIVERGENCE:
            g[direction.t] += coefficient * under * log_ratio
        else:
            g[direction.t] -= coefficient * under * exp(-log_ratio)
    return g


@cache
def entries(sampled: bool) -> tuple[Entry, ...]:
    """Return the theorems whose left side is drawn from the sampler, or those drawn from the policy."""
    theorems = (t for family in FAMILIES for t in import_module(f"proofs.theorems.{family}").THEOREMS)
    return tuple(
        Entry(theorem, isinstance(theorem.statement, SequenceGradient))
        for theorem in theorems
        if _comparable(theorem) and (_drawn(theorem.statement) == M) == sampled
    )


def _comparable(theorem: Theorem) -> bool:
    statement = theorem.statement
    if isinstance(statement, SequenceGradient):
        return not statement.variable_length
    if not isinstance(statement, ExpectedGradient) or statement.left.weight not in (P, M):
        return False
    return not any(side.of.has(*_DEMANDS) for side in (statement.left, statement.right))
