"""Reads Coq text back into SymPy, so that what Coq is asked can be held against what was meant.

An operator-precedence reader of the notation of R_scope, written against Coq's grammar and not against
the printer: `^` binds closest (to the right), then prefix `-` and `/`, then `*` and `/`, then `+` and `-`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

import sympy as sp
from sympy import Expr, Symbol

from proofs.statements import DK, K, Total

_TOKEN = re.compile(r"\s*(?:(\d+)|([A-Za-z_]\w*)|(=>|[-+*/^()]))")
_UNARY: dict[str, Callable[..., Expr]] = {
    "exp": sp.exp,
    "ln": sp.log,
    "sqrt": sp.sqrt,
    "sinh": sp.sinh,
    "cosh": sp.cosh,
    "Rabs": sp.Abs,
    "sign": sp.sign,
    "k": K,
    "dk": DK,
}
_BINARY: dict[str, Callable[..., Expr]] = {"Rmin": sp.Min, "Rmax": sp.Max, "Rpower": sp.Pow}
_INFIX: dict[str, tuple[int, Callable[[Expr, Expr], Expr]]] = {
    "+": (1, lambda a, b: a + b),
    "-": (1, lambda a, b: a - b),
    "*": (2, lambda a, b: a * b),
    "/": (2, lambda a, b: a / b),
}
_PREFIX = 3
TOKENS = ("p", "q", "m", "r")
"""Inside a sum over the vocabulary these are functions of the token."""


class DoesNotParse(ValueError):
    """The text is not in the part of Coq's language that is read here."""


class _Reader:
    def __init__(self, text: str, symbols: Mapping[str, Symbol]) -> None:
        self.words: list[str] = []
        self.symbols = symbols
        at, text = 0, text.rstrip()
        while at < len(text):
            match = _TOKEN.match(text, at)
            if match is None:
                raise DoesNotParse(f"cannot read {text[at : at + 20]!r}")
            self.words.append(match.group().strip())
            at = match.end()
        self.at = 0
        self.bound = ""

    def peek(self) -> str:
        return self.words[self.at] if self.at < len(self.words) else ""

    def take(self, *expected: str) -> str:
        word = self.peek()
        if not word or (expected and word not in expected):
            raise DoesNotParse(f"{word or 'the end'!r} where {' or '.join(expected) or 'a term'} should be")
        self.at += 1
        return word

    def sum(self, least: int = 1) -> Expr:
        left = self.prefixed()
        while self.peek() in _INFIX and _INFIX[self.peek()][0] >= least:
            level, combine = _INFIX[self.take()]
            left = combine(left, self.sum(level + 1))
        return left

    def prefixed(self) -> Expr:
        if self.peek() == "-":
            self.take()
            return -self.sum(_PREFIX)
        if self.peek() == "/":
            self.take()
            return 1 / self.sum(_PREFIX)
        base = self.applied()
        if self.peek() == "^":
            self.take()
            exponent = self.take()
            if not exponent.isdigit():
                raise DoesNotParse(f"the exponent {exponent!r} is no natural number")
            return base ** sp.Integer(exponent)
        return base

    def applied(self) -> Expr:
        word = self.peek()
        if word in _UNARY:
            self.take()
            return _UNARY[word](self.atom())
        if word in _BINARY:
            self.take()
            return _BINARY[word](self.atom(), self.atom())
        return self.total() if word == "S" else self.atom()

    def total(self) -> Expr:
        for word in ("S", "n", "(", "fun"):
            self.take(word)
        self.bound = self.take()
        self.take("=>")
        body = self.sum()
        self.take(")")
        self.bound = ""
        return Total(body)

    def atom(self) -> Expr:
        word = self.take()
        if word == "(":
            value = self.sum()
            self.take(")")
            return value
        if word.isdigit():
            return sp.Integer(word)
        if word not in self.symbols:
            raise DoesNotParse(f"{word!r} is not known")
        if self.bound and word in TOKENS:  # inside a sum: `p i`, in parentheses of its own
            self.take(self.bound)
        return self.symbols[word]


def read(text: str, symbols: Mapping[str, Symbol]) -> Expr:
    """Return the expression that Coq text over the reals stands for. Raises DoesNotParse."""
    reader = _Reader(text, symbols)
    value = reader.sum()
    if reader.peek():
        raise DoesNotParse(f"{reader.peek()!r} is left over")
    return value
