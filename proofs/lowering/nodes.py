"""The order in which a formula is computed, one operation a node.

SymPy's expressions have no order: it sorts a sum and merges a product. What is printed in another
language and what rounding errors are counted for must be the same operations, so both read this tree.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import sympy as sp
from sympy import Expr, S
from sympy.codegen.cfunctions import expm1, log1p

CALLS: dict[type, str] = {
    sp.exp: "exp",
    sp.log: "log",
    expm1: "expm1",
    log1p: "log1p",
    sp.Abs: "abs",
    sp.sign: "sign",
}
"""SymPy's functions of one argument that can be computed, and their names here."""


class NotLowered(ValueError):
    """The expression has a function that no backend computes."""


@dataclass(frozen=True)
class Node:
    """One operation: `constant` (of `number`), `variable` (of `name`), an arithmetic one, or a call.

    Arithmetic: `add`, `subtract`, `multiply`, `divide`, `negate`, `minimum`, `maximum`.
    """

    operation: str
    arguments: tuple[Node, ...] = ()
    name: str = ""
    number: Expr | None = None

    @cached_property
    def _hash(self) -> int:
        return hash((self.operation, self.arguments, self.name, self.number))

    def __hash__(self) -> int:
        """Kept: a tree is looked up at each of many points, and SymPy computes a number's anew each time."""
        return self._hash


def constant(number: Expr) -> Node:
    """Return the node of a number."""
    return Node("constant", number=sp.sympify(number))


def variable(name: str) -> Node:
    """Return the node of an argument."""
    return Node("variable", name=name)


def is_constant(node: Node, number: int) -> bool:
    """Whether the node is this number."""
    return node.operation == "constant" and node.number == number


def ordered(expr: Expr) -> Node:
    """Return the tree that computes `expr`. Raises NotLowered for a function that is in no backend.

    A product's number goes into its first factor, so that (u - 1)^2 / 2 is finite where it should be;
    an integer power is made of products.
    """
    if expr.is_number:
        return constant(expr)
    if expr.is_Symbol:
        return variable(str(expr.name))
    if expr.is_Add:
        return _sum(expr)
    if expr.is_Mul:
        return _product(expr)
    if expr.is_Pow:
        return _power(expr)
    if type(expr) in CALLS:
        return Node(CALLS[type(expr)], (ordered(expr.args[0]),))
    if isinstance(expr, sp.Min | sp.Max):
        name = "minimum" if isinstance(expr, sp.Min) else "maximum"
        parts = [ordered(part) for part in sorted(expr.args, key=sp.default_sort_key)]
        total = parts[0]
        for part in parts[1:]:
            total = Node(name, (total, part))
        return total
    raise NotLowered(f"no backend computes {type(expr).__name__}")


def _sum(expr: Expr) -> Node:
    terms = sorted(expr.args, key=lambda term: (term.is_number, sp.default_sort_key(term)))
    first = next((t for t in terms if not t.could_extract_minus_sign()), terms[0])
    terms.remove(first)
    total = ordered(first)
    for term in terms:
        if term.could_extract_minus_sign():
            total = Node("subtract", (total, ordered(-term)))
        else:
            total = Node("add", (total, ordered(term)))
    return total


def _product(expr: Expr) -> Node:
    number, rest = expr.as_coeff_Mul()
    if number.is_negative:
        return Node("negate", (ordered(-expr),))
    factors = sorted(sp.Mul.make_args(rest), key=sp.default_sort_key)
    above = [f for f in factors if not (f.is_Pow and f.exp.is_Rational and f.exp.is_negative)]
    below = [1 / f for f in factors if f not in above]
    parts = [part for f in above for part in _repeated(f)]
    total = constant(number) if not parts or number is not S.One else None
    for part in parts:
        node = ordered(part)
        total = node if total is None else Node("multiply", (total, node))
    assert total is not None
    for part in below:
        total = Node("divide", (total, ordered(part)))
    return total


def _repeated(factor: Expr) -> list[Expr]:
    if factor.is_Pow and factor.exp.is_Integer and factor.exp > 0:
        return [factor.base] * int(factor.exp)
    return [factor]


def _power(expr: Expr) -> Node:
    base, power = expr.args
    if power == S.Half:
        return Node("sqrt", (ordered(base),))
    if not power.is_Integer:
        raise NotLowered(f"no backend computes the power {power}")
    if power < 0:
        return Node("divide", (constant(S.One), ordered(base ** (-power))))
    single = ordered(base)
    total = single
    for _ in range(int(power) - 1):
        total = Node("multiply", (total, single))
    return total


def polynomial(point: Node, lead: int, coefficients: tuple[Any, ...]) -> Node:
    """Return x^lead (c_0 + c_1 x + ...) by Horner's rule."""
    total = constant(coefficients[-1])
    for number in reversed(coefficients[:-1]):
        total = Node("multiply", (total, point))
        if number != 0:
            total = Node("add", (total, constant(number)))
    for _ in range(lead):
        total = Node("multiply", (total, point))
    return total


def in_parts(node: Node, count: int = 2) -> Node:
    """Return the tree with x exp(a) computed as (x exp(a/2)) exp(a/2), finite where only exp(a) is not.

    More than two parts (a power of two) are for an x that may itself be as small as floats are.
    """
    parts = tuple(in_parts(part, count) for part in node.arguments)
    if node.operation == "multiply" and parts[1].operation == "exp":
        share = Node("exp", (Node("multiply", (constant(sp.Rational(1, count)), *parts[1].arguments)),))
        total = parts[0]
        for _ in range(count):
            total = Node("multiply", (total, share))
        return total
    return Node(node.operation, parts, node.name, node.number)
