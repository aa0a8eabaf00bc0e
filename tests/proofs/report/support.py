"""Entries as engines could have made them, and a reader of LaTeX that shares nothing with the printer."""

import random
import re

import sympy as sp
from sympy import Symbol

from proofs.ledger import Entry, Finding, Outcome
from proofs.statements import DK, K, Total, sg
from proofs.steps import SCORE, Expectation, Nabla
from proofs.symbols import BETA, REWARD, RHO, L, M, P, Q, U
from proofs.theorem import Theorem

ENGINES = ("one", "two", "three")


def entries_for(theorems, engines=ENGINES):
    """One entry for each engine and theorem, drawn, with every outcome among them."""
    draw = random.Random(3)
    entries = []
    for engine in engines:
        for theorem in theorems:
            right = Outcome.PROVED if theorem.holds else Outcome.REFUTED
            outcome = draw.choice((right, right, Outcome.UNSUPPORTED, Outcome.INCONCLUSIVE, Outcome.TESTED))
            at = {"p": "1/3"} if outcome is Outcome.REFUTED else {}
            entries.append(Entry(theorem, engine, Finding(outcome, "any vocabulary", "why", at), draw.random()))
    return entries


def theorem(statement, name="a-theorem", words="Words.", source="a source", **changes):
    return Theorem(name, words, statement, ("a condition",), source, "a family", **changes)


_ATOMS = {
    r"\pi": P,
    r"\mu": M,
    r"\rho": RHO,
    r"\beta": BETA,
    "L": L,
    "u": U,
    "R": REWARD,
    "s": SCORE,
    r"\varepsilon": Symbol("varepsilon", positive=True),
}
_TOKEN = re.compile(
    r"\\pi_\{\\mathrm\{ref\}\}|\\mathrm\{e\}|\\operatorname\{\w+\}|\\mathbb\{E\}|\\[A-Za-z]+|\d+(?:\.\d+)?|[A-Za-z]|\S"
)


class Reader:
    """Reads a printed expression back, as a reader would: what follows a sum or a logarithm belongs to it."""

    def __init__(self, latex, atoms=None):
        self.tokens = [t for t in _TOKEN.findall(latex) if t not in (r"\left", r"\right")]
        self.at = 0
        self.atoms = {**_ATOMS, **(atoms or {})}

    def read(self):
        value = self.total()
        assert self.at == len(self.tokens), self.tokens[self.at :]
        return value

    def peek(self):
        return self.tokens[self.at] if self.at < len(self.tokens) else None

    def next(self):
        self.at += 1
        return self.tokens[self.at - 1]

    def expect(self, token):
        assert self.next() == token, (token, self.tokens[self.at - 1 :])

    def total(self):
        negative = self.peek() == "-"
        if negative:
            self.next()
        value = -self.product() if negative else self.product()
        while self.peek() in ("+", "-"):
            value = value + self.product() if self.next() == "+" else value - self.product()
        return value

    def product(self):
        value = self.power()
        while self.peek() not in (None, "+", "-", ")", "]", "}", ",", "=", ">"):
            if self.peek() == r"\cdot":
                self.next()
            value = value * self.power()
        return value

    def power(self):
        base = self.factor()
        if self.peek() == "^":
            self.next()
            base = base ** self.group()
        return base

    def group(self, left="{", right="}"):
        self.expect(left)
        value = self.total()
        self.expect(right)
        return value

    def factor(self):
        token = self.next()
        if token == "(":
            self.at -= 1
            return self.group("(", ")")
        if token == r"\frac":
            return self.group() / self.group()
        if token == r"\sqrt":
            return sp.sqrt(self.group())
        if token == r"\mathrm{e}":
            if self.peek() != "^":
                return sp.E
            self.next()
            return sp.exp(self.group())
        if token in (r"\log", r"\sinh"):
            return self.function({r"\log": sp.log, r"\sinh": sp.sinh}[token])
        if token == r"\sum":
            for expected in "_{a}":
                self.expect(expected)
            return Total(self.product())
        if token == r"\nabla":
            return Nabla(self.power())
        if token == r"\mathbb{E}":
            for expected in ("_", "{", "a", r"\sim"):
                self.expect(expected)
            who = self.factor()
            self.expect("}")
            return Expectation(who, self.group("[", "]"))
        if token in (r"\operatorname{sg}", r"\operatorname{sign}"):
            return {"sg": sg, "sign": sp.sign}[token[14:-1]](
                self.group("{", "}") if self.peek() == "{" else self.group("(", ")")
            )
        if token == "k":
            derived = self.peek() == "'"
            if derived:
                self.next()
            return (DK if derived else K)(self.group("(", ")"))
        if token in self.atoms:
            return self.atoms[token]
        if token == r"\pi_{\mathrm{ref}}":
            return Q
        if token[0].isdigit():
            return sp.Rational(token)
        raise AssertionError(f"unknown sign {token}")

    def function(self, name):
        exponent = 1
        if self.peek() == "^":
            self.next()
            exponent = self.group()
        return name(self.product_of_argument()) ** exponent

    def product_of_argument(self):
        """Bare, the argument of a logarithm is the one sign or quotient after it."""
        return self.group("(", ")") if self.peek() == "(" else self.factor()
