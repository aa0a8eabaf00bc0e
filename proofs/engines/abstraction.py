"""Takes the transcendental parts of expressions as unknowns, so that polynomials and switches remain.

Solvers of polynomial arithmetic and finite fields have no logarithm and no exponential. Here logarithms
are split into those of positive factors, exponentials of multiples of logarithms become powers, and
what is left (a logarithm, an exponential, a root, a value of an arbitrary function) becomes an unknown
with a name; equal ones share a name. What holds for every value of the unknowns holds; what fails may
still be true of the values that they really have.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from math import lcm

import sympy as sp
from sympy import Expr, Integer, Symbol
from sympy.core.function import AppliedUndef
from sympy.core.relational import Relational
from sympy.functions.elementary.piecewise import ExprCondPair
from sympy.logic.boolalg import BooleanFunction

from proofs.engines.base import CannotExpress
from proofs.statements import DK, K, sg, undetached

SWITCHES = (sp.Min, sp.Max, sp.Abs, sp.sign, sp.Heaviside)
_HYPERBOLIC = (sp.sinh, sp.cosh, sp.tanh, sp.coth)


@dataclass(frozen=True)
class Unknown:
    """A name, and what it stands for.

    `kind` is "log", "exp", "root" or "function"; `argument` is what that is of, with unknowns in it;
    a root is the `degree`-th, and `function` the name of an arbitrary one.
    """

    symbol: Symbol
    kind: str
    argument: Expr
    degree: int = 1
    function: str = ""


class Abstraction:
    """Reads expressions of one statement; `unknowns` are what they have in common, in the order met."""

    def __init__(self) -> None:
        self.unknowns: dict[Symbol, Unknown] = {}
        self._named: dict[object, Symbol] = {}
        self._degrees: dict[Expr, int] = {}
        self._grown = False
        self._walked: dict[Expr, Expr] = {}

    def read(self, *exprs: Expr) -> tuple[Expr, ...]:
        """Return the expressions with unknowns in them; raises CannotExpress for other functions.

        To be called once, with all expressions that share the unknowns.
        """
        plain = [without_hyperbolic(sp.sympify(e)) for e in exprs]
        read = self._pass(plain)
        # what was learnt of roots on the way: all are to be powers of one
        return self._pass(plain) if self._grown else read

    def _pass(self, plain: Sequence[Expr]) -> tuple[Expr, ...]:
        self.unknowns.clear()
        self._named.clear()
        self._walked.clear()
        return tuple(self._walk(e) for e in plain)

    def depends_on(self, symbols: Sequence[Symbol]) -> set[Symbol]:
        """Return these symbols and the unknowns whose argument has one of them."""
        found = set(symbols)
        for unknown in self.unknowns.values():  # an argument only has unknowns that were met before
            if unknown.argument.free_symbols & found:
                found.add(unknown.symbol)
        return found

    def _walk(self, e: Expr) -> Expr:
        if e.is_Symbol or e.is_Rational:
            return e
        found = self._walked.get(e)
        if found is None:
            found = self._walked[e] = self._read(e)
        return found

    def _read(self, e: Expr) -> Expr:
        if e is sp.E:
            return self._exponential_term(Integer(1), Integer(1))
        if isinstance(e, sp.log):
            return self._logarithm(e.args[0])
        if isinstance(e, sp.exp):
            return self._exponential(e.args[0])
        if isinstance(e, sp.Pow):
            return self._power(undetached(e.base), e.exp)
        if isinstance(e, sg):
            return self._walk(e.args[0])
        if isinstance(e, K | DK | AppliedUndef):
            if len(e.args) != 1:
                raise CannotExpress(f"{e.func} of several arguments")
            argument = sp.cancel(sp.together(self._walk(e.args[0])))
            return self._unknown("function", argument, type(e).__name__, name=type(e).__name__)
        if isinstance(e, (sp.Add, sp.Mul, *SWITCHES, sp.Piecewise)) or _is_condition(e):
            return e.func(*(self._walk(part) for part in e.args))
        if e in (sp.true, sp.false):
            return e
        raise CannotExpress(f"{type(e).__name__}: {e}")

    def _unknown(self, kind: str, argument: Expr, key: object = None, degree: int = 1, name: str = "") -> Symbol:
        identity = (kind, argument, key, degree)
        if identity not in self._named:
            short = f"{name or kind}_{argument}" if argument.is_Symbol or argument.is_Integer else ""
            number = sum(u.kind == kind for u in self.unknowns.values())
            positive = kind in ("exp", "root") or None
            symbol = Symbol(short or f"{name or kind}_of_{number}", real=True, positive=positive)
            self._named[identity] = symbol
            self.unknowns[symbol] = Unknown(symbol, kind, argument, degree, name)
        return self._named[identity]

    def _power(self, base: Expr, exponent: Expr) -> Expr:
        if exponent.is_Integer:
            return self._walk(base) ** exponent
        if not base.is_positive:
            raise CannotExpress(f"a power of {base}, which may be negative")
        if not exponent.is_Rational:
            return self._exponential(exponent * sp.log(base))
        return self._root(self._walk(base), exponent)

    def _root(self, base: Expr, exponent: Expr) -> Expr:
        degree = self._degree(base, int(exponent.q))
        if degree == 1:
            return base**exponent
        return self._unknown("root", base, degree=degree) ** (exponent * degree)

    def _logarithm(self, x: Expr) -> Expr:
        """Positive factors apart; what is left is positive as a whole, since the logarithm is real."""
        result, rest = Integer(0), Integer(1)
        for factor in sp.Mul.make_args(_factored(undetached(x))):
            base, power = (factor.base, factor.exp) if isinstance(factor, sp.Pow) else (factor, Integer(1))
            if isinstance(factor, sp.exp):
                result += self._walk(factor.args[0])
            elif base is sp.E:
                result += self._walk(power)
            elif base.is_Rational and base > 0:
                for prime, count in sorted(sp.factorrat(base).items()):
                    result += self._walk(power) * count * self._unknown("log", Integer(prime))
            elif base.is_positive:
                result += self._walk(power) * self._unknown("log", self._walk(base))
            else:
                rest *= factor
        return result if rest == 1 else result + self._unknown("log", self._walk(rest))

    def _exponential(self, x: Expr) -> Expr:
        result = Integer(1)
        for term in sp.Add.make_args(sp.expand(self._walk(x))):
            number, rest = term.as_coeff_Mul()
            if not number.is_Rational:
                number, rest = Integer(1), term
            of = self.unknowns.get(rest)
            if of is not None and of.kind == "log":
                result *= self._root(of.argument, number)
            else:
                result *= self._exponential_term(number, rest)
        return result

    def _exponential_term(self, number: Expr, rest: Expr) -> Expr:
        """exp(n x / d) as a power of exp(x / d), with one d for all of them."""
        if number == 0:
            return Integer(1)
        if rest == 1:  # numbers: each one an unknown of its own, lest a high power of one be taken
            return self._unknown("exp", abs(number)) ** sp.sign(number)
        key = sp.exp(rest, evaluate=False)
        degree = self._degree(key, int(number.q))
        return self._unknown("exp", rest / degree) ** (number * degree)

    def _degree(self, of: Expr, wanted: int) -> int:
        """The least common multiple of the degrees of roots of one thing that were met."""
        known = self._degrees.get(of, wanted)
        self._degrees[of] = lcm(known, wanted)
        self._grown = self._grown or self._degrees[of] != known
        return self._degrees[of]


def without_hyperbolic(e: Expr) -> Expr:
    """Return the expression with sinh and the like written in exponentials; powers stay powers."""
    if not e.has(*_HYPERBOLIC):
        return e
    return e.replace(lambda part: isinstance(part, _HYPERBOLIC), lambda part: part.rewrite(sp.exp))


def _is_condition(e: object) -> bool:
    return isinstance(e, (Relational, BooleanFunction, ExprCondPair))


@lru_cache(maxsize=4096)
def _factored(x: Expr) -> Expr:
    """A sum as a product of what it factors into, once its fractions have a common denominator."""
    parts = []
    for factor in sp.Mul.make_args(x):
        base = factor.base if isinstance(factor, sp.Pow) else factor
        if not base.is_Add:
            parts.append(factor)
            continue
        exponent = factor.exp if isinstance(factor, sp.Pow) else Integer(1)
        parts += [part**exponent for part in sp.Mul.make_args(sp.factor(sp.together(base)))]
    flat = [part for product in parts for part in sp.Mul.make_args(product)]
    return sp.Mul(*flat, evaluate=False) if len(flat) > 1 else sp.Mul(*flat)
