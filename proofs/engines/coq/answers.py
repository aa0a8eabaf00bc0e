"""Holds a hand-written theorem on whole answers against the statement of the catalogue that it is marked with.

The theorems of AnswersOnPolicy.v and AnswersOffPolicy.v are stated with a few combinators (World.v says what they
are). Their text is read here, both sides are written out at several horizons and compared with the surrogates of the
catalogue; what is not the same, or not in these words, does not count.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import sympy as sp
from sympy import Expr, Symbol

from proofs.engines.coq.core import Marked
from proofs.statements import MeanGradient, SequenceGradient, SequenceValue, Surrogate, sg
from proofs.symbols import (
    LENGTH,
    P,
    divergence_symbol,
    log_policy_symbol,
    reference_divergence_symbol,
    token_symbols,
)

HORIZONS = (1, 2, 3, 4)
_LIVE, _FROZEN = "live", "frozen"
_WORD = re.compile(r"\s*(?:(\d+)|([A-Za-z_]\w*)|(=>|::|->|[-+*/^()<:]))")
PREAMBLE = frozenset(
    """Variable n : nat.
Variable ends : nat -> bool.
Variable T : nat.
Variable p : R -> prefix -> nat -> R.
Variables q m : prefix -> nat -> R.
Hypothesis p_pos : forall t h a, 0 < p t h a.
Hypothesis p_sum : forall t h, S n (p t h) = 1.
Hypothesis p_der : forall t h a, ex_derive (fun u => p u h a) t.
Hypothesis q_pos : forall h a, 0 < q h a.
Hypothesis q_sum : forall h, S n (q h) = 1.
Hypothesis m_pos : forall h a, 0 < m h a.
Hypothesis m_sum : forall h, S n (m h) = 1.
Notation L := (L p q).
Notation rho := (rho p m).
Notation log_policy := (log_policy p).
Notation KL := (KL n p q).
Notation KLref := (KLref n p q).
Notation from_policy := (from_policy n ends T p).
Notation from_sampler := (from_sampler n ends T m).
Notation mean_of := (mean_of n ends T p).""".splitlines()
)
"""What a file of such theorems may assume, and what its names in statements may stand for."""
_OWN_NAMES = ("s", "dKL", "dKLref", "A", "B", "W", "Sc")
"""Abbreviations for scripts, which no statement may use."""


class NotTheStatement(Exception):
    """The theorem in Coq does not say what the catalogue says."""


@dataclass(frozen=True)
class _Side:
    kind: str
    body: Callable[[int], Expr]
    """From the horizon to the surrogate written out."""


def compare(mark: Marked, text: str, statement: SequenceGradient | SequenceValue) -> None:
    """Raise NotTheStatement unless the marked theorem of a file is the catalogue's statement."""
    _check_preamble(text)
    relation = "equal_gradients" if isinstance(statement, SequenceGradient) else "equal_values"
    constants = _constants(statement)
    sides = _Reader(mark.claim, constants).claim(relation)
    for side, surrogate, drawn in zip(
        sides,
        (statement.left, statement.right),
        (statement.left_drawn_from, statement.right_drawn_from),
        strict=True,
    ):
        mean = isinstance(statement, SequenceGradient) and isinstance(surrogate, MeanGradient)
        expected = "mean_of" if mean else "from_policy" if drawn == P else "from_sampler"
        if side.kind != expected or (mean and drawn != P):
            raise NotTheStatement(f"{mark.name}: {side.kind} where the catalogue has {expected}")
        of = surrogate.value if isinstance(surrogate, MeanGradient) and mean else surrogate
        _same_surrogate(mark.name, side, of, isinstance(statement, SequenceValue), statement.variable_length)


def _same_surrogate(name: str, side: _Side, surrogate: Surrogate, value: bool, variable_length: bool) -> None:
    for horizon in HORIZONS:
        wanted = _written(surrogate(horizon), horizon)
        found = side.body(horizon)
        if side.kind == "mean_of" and found.free_symbols & set(_frozen(horizon).values()):
            raise NotTheStatement(f"{name}: a mean with something detached")
        if value:
            thaw = {frozen: live for live, frozen in _frozen(horizon).items()}
            wanted, found = wanted.xreplace(thaw), found.xreplace(thaw)
        if not variable_length:
            wanted, found = wanted.subs(LENGTH, horizon), found.subs(LENGTH, horizon)
        elif horizon > 1 and not _same(_last_dead(wanted, horizon), _written(surrogate(horizon - 1), horizon)):
            raise NotTheStatement(f"{name}: a position after the end counts in the catalogue")
        if not _same(wanted, found):
            raise NotTheStatement(f"{name} at T = {horizon}: {found} in Coq, {wanted} in the catalogue")


def _same(left: Expr, right: Expr) -> bool:
    return left == right or bool(sp.expand(left - right) == 0)


def _last_dead(expr: Expr, horizon: int) -> Expr:
    log_ratio, rho, *others = _at(horizon - 1)
    dead = {log_ratio: sp.Integer(0), rho: sp.Integer(1), **dict.fromkeys(others, sp.Integer(0))}
    frozen = _frozen(horizon)
    return expr.subs({**dead, **{frozen[symbol]: x for symbol, x in dead.items()}})


def _at(t: int) -> tuple[Symbol, ...]:
    return (*token_symbols(t), log_policy_symbol(t), divergence_symbol(t), reference_divergence_symbol(t))


def _frozen(horizon: int) -> dict[Symbol, Symbol]:
    """What stop-gradient makes of each symbol."""
    return {s: Symbol(f"{s.name}_frozen", **s.assumptions0) for t in range(horizon) for s in _at(t)}


def _written(expr: Expr, horizon: int) -> Expr:
    """A surrogate of the catalogue with stop-gradient put on its symbols."""
    expr = sp.sympify(expr)
    frozen = _frozen(horizon)
    while expr.has(sg):
        expr = expr.replace(sg, lambda x: x.xreplace(frozen))
    return expr


def _constants(statement: SequenceGradient | SequenceValue) -> dict[str, Symbol]:
    known = {LENGTH, *(s for t in range(max(HORIZONS)) for s in _at(t))}
    used = {s for side in (statement.left, statement.right) for s in sp.sympify(side(2)).free_symbols}
    return {s.name: s for s in used - known}


def _check_preamble(text: str) -> None:
    for line in re.findall(
        r"^\s*((?:Variables?|Hypothes[ie]s|Context|Let|Notation|Local|Definition)\b.*)$", text, re.M
    ):
        own = re.match(rf"Notation ({'|'.join(_OWN_NAMES)}) := ", line)
        if line not in PREAMBLE and not own:
            raise NotTheStatement(f"{line!r} is no part of what such a file may assume")


class _Reader:
    """A reader of the statements' part of Gallina. Terms become functions of the environment."""

    def __init__(self, text: str, constants: Mapping[str, Symbol]) -> None:
        self.words: list[str] = []
        self.constants = constants
        at, text = 0, text.rstrip()
        while at < len(text):
            match = _WORD.match(text, at)
            if match is None:
                raise NotTheStatement(f"cannot read {text[at : at + 20]!r}")
            self.words.append(match.group().strip())
            at = match.end()
        self.at = 0

    def peek(self) -> str:
        return self.words[self.at] if self.at < len(self.words) else ""

    def take(self, *expected: str) -> str:
        word = self.peek()
        if not word or (expected and word not in expected):
            raise NotTheStatement(f"{word or 'the end'!r} where {' or '.join(expected) or 'a term'} should be")
        self.at += 1
        return word

    def claim(self, relation: str) -> tuple[_Side, _Side]:
        """The whole claim: constants, which of them are positive, and two sides."""
        bound = set()
        while self.peek() != ":":
            bound.add(self.take())
        if bound != set(self.constants):
            raise NotTheStatement(f"constants {bound} in Coq, {set(self.constants)} in the catalogue")
        self.take(":")
        while self.peek() == "0":
            for word in ("0", "<"):
                self.take(word)
            if not self.constants[self.take(*self.constants)].is_positive:
                raise NotTheStatement("Coq has a sign that the catalogue has not")
            self.take("->")
        self.take(relation)
        sides = self.side(), self.side()
        if self.peek():
            raise NotTheStatement(f"{self.peek()!r} is left over")
        return sides

    def side(self) -> _Side:
        self.take("(")
        kind = self.take("from_policy", "from_sampler", "mean_of")
        for word in ("(", "fun", "t0", "t", "y", "=>"):
            self.take(word)
        body = self.sum()
        self.take(")")
        self.take(")")
        return _Side(kind, lambda horizon: body({"t0": _FROZEN, "t": _LIVE, "y": horizon}))

    def sum(self) -> Callable[[Any], Any]:
        left = self.factors()
        while self.peek() in ("+", "-"):
            sign, right = (1 if self.take() == "+" else -1), self.factors()
            left = _combined(left, right, lambda a, b, sign=sign: a + sign * b)
        return left

    def factors(self) -> Callable[[Any], Any]:
        left = self.signed()
        while self.peek() in ("*", "/"):
            power, right = (1 if self.take() == "*" else -1), self.signed()
            left = _combined(left, right, lambda a, b, power=power: a * b**power)
        return left

    def signed(self) -> Callable[[Any], Any]:
        if self.peek() == "-":
            self.take()
            inner = self.signed()
            return lambda env: -inner(env)
        return self.applied()

    def applied(self) -> Callable[[Any], Any]:
        word = self.peek()
        if word in _FUNCTIONS:
            self.take()
            arity, function = _FUNCTIONS[word]
            arguments = [self.atom() for _ in range(arity)]
            return lambda env: function(*(argument(env) for argument in arguments))
        return self.atom()

    def atom(self) -> Callable[[Any], Any]:
        word = self.take()
        if word == "(":
            inner = self.function() if self.peek() == "fun" else self.sum()
            if self.peek() == "::":  # a :: h, the prefix h with the token a drawn after it
                self.take()
                head, tail = inner, self.atom()
                inner = lambda env: _longer(head(env), tail(env))  # noqa: E731
            self.take(")")
            return inner
        if word.isdigit():
            number = sp.Integer(word)
            return lambda _env: number
        if word in self.constants:
            symbol = self.constants[word]
            return lambda _env: symbol
        return lambda env: _looked_up(env, word)

    def function(self) -> Callable[[Any], Any]:
        self.take("fun")
        names = self.take(), self.take()
        self.take("=>")
        body = self.sum()
        return lambda env: lambda h, a: body({**env, names[0]: h, names[1]: a})


@dataclass(frozen=True)
class _Token:
    """The token at a position; a prefix is the number of its tokens."""

    position: int


def _combined(left: Callable[[Any], Any], right: Callable[[Any], Any], how: Any) -> Callable[[Any], Any]:
    return lambda env: how(left(env), right(env))


def _looked_up(env: Mapping[str, Any], word: str) -> Any:
    if word not in env:
        raise NotTheStatement(f"{word!r} is not known")
    return env[word]


def _longer(token: Any, prefix: Any) -> int:
    if not isinstance(token, _Token) or token.position != prefix:
        raise NotTheStatement("a token put after a prefix that is not its own")
    return int(prefix) + 1


def _over(combine: type[Expr], f: Callable[[int, _Token], Expr], prefix: int) -> Expr:
    return combine(*(f(t, _Token(t)) for t in range(prefix)))


def _symbol(number: int, when: str, prefix: int, token: _Token | None = None) -> Expr:
    if token is not None and token.position != prefix:
        raise NotTheStatement("a token after a prefix that is not its own")
    symbol = _at(prefix)[number]
    return symbol if when == _LIVE else _frozen(prefix + 1)[symbol]


_FUNCTIONS: dict[str, tuple[int, Callable[..., Any]]] = {
    "total": (2, lambda f, y: _over(sp.Add, f, y)),
    "product": (2, lambda f, y: _over(sp.Mul, f, y)),
    "size": (1, lambda _y: LENGTH),
    "L": (3, lambda t, h, a: _symbol(0, t, h, a)),
    "rho": (3, lambda t, h, a: _symbol(1, t, h, a)),
    "log_policy": (3, lambda t, h, a: _symbol(2, t, h, a)),
    "KL": (2, lambda t, h: _symbol(3, t, h)),
    "KLref": (2, lambda t, h: _symbol(4, t, h)),
    "k2": (1, lambda x: x**2 / 2),
    "k3": (1, lambda x: sp.exp(-x) - 1 + x),
    "exp": (1, sp.exp),
    "ln": (1, sp.log),
    "Rpower": (2, sp.Pow),
}
