"""What Coq is asked: a theorem in Gallina for each statement, made from the statement alone, and a script for it.

One function a kind of statement. The theorem is the whole claim, over every vocabulary and every policy;
SymPy is only asked for hints in the script (a constant, a derivative, a factorisation), which Coq checks.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import sympy as sp
from sympy import Expr, Integer, Symbol

from proofs.engines.base import CannotExpress
from proofs.engines.coq.detached import live_and_frozen
from proofs.engines.coq.fidelity import faithful
from proofs.engines.coq.positivity import positivity
from proofs.engines.coq.printer import LIVE, TOKEN, constant_name
from proofs.engines.coq.sums import combinations
from proofs.statements import (
    DK,
    DerivativeAt,
    ExpectedGradient,
    Gradient,
    Identity,
    Inequality,
    K,
    SampleGradient,
    Stationary,
    Total,
    Value,
    undetached,
)
from proofs.symbols import REWARD, M, P, Q

_POLICY = "any vocabulary, any differentiable policy"


@dataclass(frozen=True)
class Goal:
    """A theorem's claim in Gallina and the script that is to prove it."""

    name: str
    claim: str
    script: str
    scope: str

    @property
    def text(self) -> str:
        """The theorem as it stands in a file."""
        return f"Theorem {self.name} :\n  {self.claim}.\nProof. {self.script} Qed.\n"

    @property
    def refusal(self) -> str:
        """Text that Coq accepts only if the script does not prove the claim."""
        return f"Goal {self.claim}.\nProof. Fail timeout 5 ({self.script.rstrip('.')}). Abort.\n"


def goal_name(theorem_id: str) -> str:
    """Return the id as a name in Coq."""
    return "t_" + re.sub(r"[^A-Za-z0-9]", "_", theorem_id)


def goal_of(theorem_id: str, statement: Any) -> Goal:
    """Return the goal of a statement. Raises CannotExpress."""
    build = _BUILDERS.get(type(statement))
    if build is None:
        raise CannotExpress(f"no goal for a {type(statement).__name__}")
    claim, script, scope = build(statement)
    return Goal(goal_name(theorem_id), claim, script, scope)


Parts = tuple[str, str, str]


def _quantified(body: str, expressions: Iterable[Expr], bound: Iterable[Symbol] = ()) -> str:
    """The body under quantifiers for arbitrary functions and for all symbols that are not bound."""
    expressions = [sp.sympify(e) for e in expressions]
    symbols = sorted(set().union(*(e.free_symbols for e in expressions)) - {*bound}, key=str)
    prefix = _functions(expressions)
    for symbol in symbols:
        if symbol in TOKEN:
            raise CannotExpress(f"{symbol} of no particular token")
        prefix += f"forall {constant_name(symbol)} : R, {_assumption(symbol, constant_name(symbol))}"
    return prefix + body


def _assumption(symbol: Symbol, name: str) -> str:
    if not symbol.is_real:
        raise CannotExpress(f"{symbol} is not real")
    if symbol.is_positive:
        return f"0 < {name} -> "
    if symbol.is_negative:
        return f"{name} < 0 -> "
    return f"0 <= {name} -> " if symbol.is_nonnegative else ""


def _functions(expressions: Iterable[Expr]) -> str:
    """An arbitrary k with derivative dk, wherever its arguments may be."""
    uses = set().union(*(e.atoms(K, DK) for e in expressions))
    if not uses:
        return ""
    where = "0 < y -> " if all(use.args[0].is_positive for use in uses) else ""
    return f"forall k dk : R -> R, (forall y, {where}is_derive k y (dk y)) -> "


def _domain(kinks: Iterable[Expr]) -> str:
    """The condition that nothing is differentiated where it has a corner."""
    conditions = " /\\ ".join(f"{faithful(kink)} <> 0" for kink in kinks)
    return f"(fun p q m r => {conditions})" if conditions else "everywhere"


def _where(kinks: Iterable[Expr]) -> str:
    return "".join(f", {kink} not 0 on any token" for kink in kinks)


def _weight(expr: Expr) -> str:
    return f"(fun p q m r => {faithful(expr)})"


def _surrogate(expr: Expr) -> str:
    return f"(fun x p q m r => {faithful(expr)})"


def _expected_gradient(statement: ExpectedGradient) -> Parts:
    left, right = (_sides(side) for side in (statement.left, statement.right))
    kinks = list(dict.fromkeys([*left[2], *right[2]]))
    sides = [left[0], left[1], right[0], right[1]]
    bound = (LIVE, P, Q, M, REWARD)
    claim = _quantified(
        f"same_gradient {_domain(kinks)}\n    {_weight(left[0])} {_surrogate(left[1])}\n"
        f"    {_weight(right[0])} {_surrogate(right[1])}",
        sides,
        bound,
    )
    constant = _constant(left[0] * _slope(left[1]) - right[0] * _slope(right[1]))
    script = f"intros; expected_gradient {faithful(constant)}; {_logarithms(sides)}decide_equal."
    return claim, script, _POLICY + _where(kinks)


def _sides(gradient: Gradient) -> tuple[Expr, Expr, list[Expr]]:
    surrogate, kinks = live_and_frozen(gradient.of)
    return undetached(sp.sympify(gradient.weight)), surrogate, kinks


def _slope(surrogate: Expr) -> Expr:
    return sp.diff(surrogate, LIVE).subs(LIVE, P)


def _constant(difference: Expr) -> Expr:
    """What the difference is on every token, if it is the same: a hint, read off where all are alike."""
    value = difference.subs({P: 1, Q: 1, M: 1, REWARD: 0})
    inside = set().union(*(e.free_symbols for e in value.atoms(sp.Min, sp.Max, sp.Abs)))
    values = [sp.expand(value.subs(dict.fromkeys(inside, n))) for n in (sp.Rational(1, 3), Integer(3))]
    return values[0] if values[0] == values[1] else sp.expand(value)


def _sample_gradient(statement: SampleGradient) -> Parts:
    left, kinks = live_and_frozen(statement.left)
    right, others = live_and_frozen(statement.right)
    kinks = list(dict.fromkeys([*kinks, *others]))
    claim = _quantified(
        f"same_sample_gradient {_domain(kinks)}\n    {_surrogate(left)}\n    {_surrogate(right)}",
        [left, right],
        (LIVE, P, Q, M, REWARD),
    )
    return claim, f"intros; sample_gradient; {_logarithms([left, right])}decide_equal.", "any token" + _where(kinks)


def _logarithms(expressions: Iterable[Expr]) -> str:
    """Hints: logarithms of sums, the argument brought over one denominator."""
    sums = {x.args[0].subs(LIVE, P) for e in expressions for x in e.atoms(sp.log) if x.args[0].is_Add}
    hints = {x: sp.factor(sp.together(x)) for x in sorted(sums, key=str)}
    return "".join(f"log_of {faithful(x)} {faithful(y)}; " for x, y in hints.items() if y.is_Mul)


def _value(statement: Value) -> Parts:
    left, right = undetached(sp.sympify(statement.left)), undetached(sp.sympify(statement.right))
    masses = {symbol: sp.sympify(mass) for symbol, mass in statement.masses.items()}
    outside = (left - right).replace(Total, lambda _: Integer(0)).free_symbols & set(TOKEN)
    if outside:
        raise CannotExpress(f"{outside} outside of a sum")
    names = {**_constants([left, right, *masses.values()]), **{s: TOKEN[s] for s in (P, Q, M, REWARD)}}
    given = "".join(
        f"positive n {TOKEN[s]} -> {faithful(Total(s), names)} = {faithful(mass, names)} -> "
        for s, mass in masses.items()
    )
    claim = _quantified(
        f"forall (n : nat) (p q m r : nat -> R), {given}\n  {faithful(left, names)} = {faithful(right, names)}",
        [left, right, *masses.values()],
        (P, Q, M, REWARD),
    )
    return claim, combinations([left, right], names), "any vocabulary"


def _constants(expressions: Iterable[Expr]) -> dict[Symbol, str]:
    found = set().union(*(e.free_symbols for e in expressions)) - set(TOKEN)
    return {symbol: constant_name(symbol) for symbol in found}


def _free(expressions: Iterable[Expr], also: Iterable[Symbol] = ()) -> dict[Symbol, str]:
    """Names where no symbol is of a token."""
    found = {*also}.union(*(e.free_symbols for e in expressions))
    return {symbol: constant_name(symbol) for symbol in found}


def _identity(statement: Identity) -> Parts:
    left, right = sp.sympify(statement.left), sp.sympify(statement.right)
    names = _free([left, right])
    below = _below([left, right])
    given = "".join(f"{faithful(e, names)} <> 0 -> " for e in below)
    claim = _functions([left, right]) + _closed(f"{given}\n  {faithful(left, names)} = {faithful(right, names)}", names)
    return claim, "identity.", "all values" + "".join(f", {e} not 0" for e in below)


def _below(expressions: Iterable[Expr]) -> list[Expr]:
    """Denominators that the symbols' assumptions do not keep from 0: Coq's division is total."""
    powers = {x for e in expressions for x in e.atoms(sp.Pow) if x.exp.is_negative}
    return sorted({x.base for x in powers if not x.base.is_nonzero}, key=str)


def _derivative_at(statement: DerivativeAt) -> Parts:
    names = _free([statement.expr], [statement.variable])
    variable = names[statement.variable]
    at = {s: n for s, n in names.items() if s != statement.variable}
    claim = _closed(
        f"is_derive (fun {variable} : R => {faithful(statement.expr, names)}) "
        f"{faithful(statement.point, at)} {faithful(statement.value, at)}",
        at,
    )
    return claim, "slope_at.", "all values"


def _closed(body: str, names: Mapping[Symbol, str]) -> str:
    symbols = sorted(names, key=str)
    return "".join(f"forall {names[s]} : R, {_assumption(s, names[s])}" for s in symbols) + body


def _inequality(statement: Inequality) -> Parts:
    names = _free([statement.expr], [statement.variable])
    if len(names) != 1:
        raise CannotExpress("an inequality with parameters")
    v = names[statement.variable]
    expr = faithful(statement.expr, names)
    given = f"{faithful(statement.low, {})} < {v} -> " if statement.low.is_finite else ""
    given += f"{v} < {faithful(statement.high, {})} -> " if statement.high.is_finite else ""
    given += "".join(f"{v} <> {faithful(zero, {})} -> " for zero in statement.zeros)
    claim = f"forall {v} : R, {given}0 < {expr}"
    for zero in statement.zeros:
        claim = f"(fun {v} : R => {expr}) {faithful(zero, {})} = 0 /\\\n  ({claim})"
    return claim, positivity(statement, v), "all values"


def _stationary(statement: Stationary) -> Parts:
    policy, force = undetached(statement.policy), undetached(statement.force)
    if M in (policy + force).free_symbols or P in policy.free_symbols:
        raise CannotExpress("a policy put in is of q and r alone, a force of p, q and r")
    claim = _quantified(
        f"fixed_point (fun q r => {faithful(policy)})\n    (fun p q r => {faithful(force)})",
        [policy, force],
        (P, Q, REWARD),
    )
    constant = sp.expand_log(sp.simplify(force.subs(P, policy).subs({Q: 1, REWARD: 0})), force=True)
    return claim, f"intros; fixed {faithful(constant)}.", _POLICY


_BUILDERS: Mapping[type, Callable[[Any], Parts]] = {
    ExpectedGradient: _expected_gradient,
    SampleGradient: _sample_gradient,
    Value: _value,
    Identity: _identity,
    DerivativeAt: _derivative_at,
    Inequality: _inequality,
    Stationary: _stationary,
}
