"""Reads an expression in L that a person typed. Nothing is ever evaluated as Python.

Python's own parser gives the tree; only the nodes listed here are let through, each with a bound
on its size. While SymPy's expression is built, the same tree is evaluated in floats at a few values
of L, so that what is not a finite real number there is refused with the reason.
"""

from __future__ import annotations

import ast
import math
import operator
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NoReturn

import sympy as sp

from proofs.domain import Need, violated_at
from proofs.patience import TimeIsUp, at_most
from proofs.symbols import L

SAMPLES = (0.0, -1.75, -0.375, 0.3125, 1.875)
MAX_LENGTH = 500
MAX_NODES = 200
MAX_DEPTH = 40
MAX_POWER = 16
MAX_DEGREE = 64
MAX_NUMBER = 10**6
MAX_ARGUMENTS = 8
MAX_DIGITS = 60
_SECONDS = 1.2
MAX_EXP_NESTING = 2

_LEGEND = "an estimator is an expression in L = log(policy/reference)"
_NAMES: dict[str, tuple[sp.Expr, Callable[[float], float]]] = {
    "L": (L, lambda x: x),
    "u": (sp.exp(L), math.exp),
    "r": (sp.exp(-L), lambda x: math.exp(-x)),
}


def _clamp(x: sp.Expr, low: sp.Expr, high: sp.Expr) -> sp.Expr:
    if low.is_Rational and high.is_Rational and low <= high and not x.is_number:
        return sp.Piecewise((low, x < low), (high, x > high), (x, True))  # at the ends the gradient is that of x
    return sp.Min(sp.Max(x, low), high)


def _huber(x: sp.Expr, width: sp.Expr) -> sp.Expr:
    return sp.Piecewise((x**2 / 2, sp.Abs(x) <= width), (width * (sp.Abs(x) - width / 2), True))


def _huber_number(x: float, width: float) -> float:
    return x * x / 2 if abs(x) <= width else width * (abs(x) - width / 2)


def _sign(x: float) -> float:
    return float((x > 0) - (x < 0))


_FUNCTIONS: dict[str, tuple[int, Callable[..., sp.Expr], Callable[..., float]]] = {
    "exp": (1, sp.exp, math.exp),
    "log": (1, sp.log, math.log),
    "sqrt": (1, sp.sqrt, math.sqrt),
    "abs": (1, sp.Abs, abs),
    "Abs": (1, sp.Abs, abs),
    "tanh": (1, sp.tanh, math.tanh),
    "cosh": (1, sp.cosh, math.cosh),
    "sinh": (1, sp.sinh, math.sinh),
    "sign": (1, sp.sign, _sign),
    "expm1": (1, lambda x: sp.exp(x) - 1, math.expm1),
    "log1p": (1, lambda x: sp.log(1 + x), math.log1p),
    "Min": (0, sp.Min, min),
    "Max": (0, sp.Max, max),
    "min": (0, sp.Min, min),
    "max": (0, sp.Max, max),
    "clamp": (3, _clamp, lambda x, low, high: min(max(x, low), high)),
    "clip": (3, _clamp, lambda x, low, high: min(max(x, low), high)),
    "huber": (2, _huber, _huber_number),
}
_NEEDS = {"log": Need.POSITIVE, "log1p": Need.POSITIVE, "sqrt": Need.NOT_NEGATIVE}
_OPERATORS: dict[type[ast.operator], Callable[[Any, Any], Any]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.Pow: operator.pow,
}
_EXPONENTIAL = {"exp", "expm1", "cosh", "sinh", "tanh"}
_COMPARISONS: dict[type[ast.cmpop], tuple[Callable[..., sp.Basic], Callable[..., bool]]] = {
    ast.Lt: (sp.Lt, lambda a, b: a < b),
    ast.LtE: (sp.Le, lambda a, b: a <= b),
    ast.Gt: (sp.Gt, lambda a, b: a > b),
    ast.GtE: (sp.Ge, lambda a, b: a >= b),
}
ALLOWED = (
    f"names {', '.join(_NAMES)}, k1, k2, k3, abs; + - * / ** (or ^); {', '.join([*_FUNCTIONS, 'where', 'Piecewise'])}"
)


class EstimatorError(ValueError):
    """What was typed is not an estimator; the message is one line for the person who typed it."""


@dataclass(frozen=True)
class _Value:
    """A subexpression with its values at SAMPLES (nan: beyond floats) and bounds on its size."""

    expr: sp.Expr
    values: tuple[float, ...]
    degree: int = 0
    exp_nesting: int = 0


@dataclass(frozen=True)
class _Condition:
    expr: sp.Basic
    values: tuple[bool, ...]
    degree: int = 0
    exp_nesting: int = 0


_ALWAYS = _Condition(sp.true, (True,) * len(SAMPLES))


def read_expression(text: str) -> sp.Expr:
    """Return the expression in L that `text` writes, or raise EstimatorError."""
    source = text.strip()
    if not source:
        raise EstimatorError(f"nothing given: {_LEGEND}, such as exp(-L) - 1 + L")
    if len(source) > MAX_LENGTH:
        raise EstimatorError(f"{len(source)} characters: an estimator has at most {MAX_LENGTH}")
    for column, character in enumerate(source, 1):
        if character == "|":
            raise EstimatorError(f"'|' at column {column}: an absolute value is written abs(L)")
        if not (" " <= character <= "~"):
            raise EstimatorError(f"unexpected {character!r} at column {column}: {_LEGEND}")
    try:
        with at_most(_SECONDS, untimed=True):
            return _Reader(source).read()
    except TimeIsUp:
        raise EstimatorError(f"takes too long to read: {_LEGEND}") from None


class _Reader:
    def __init__(self, source: str) -> None:
        self.columns: list[int] = []
        self.code = ""
        for column, character in enumerate(source, 1):
            piece = "**" if character == "^" else character
            self.code += piece
            self.columns += [column] * len(piece)
        self.columns.append(len(source) + 1)

    def column(self, offset: int) -> int:
        return self.columns[min(max(offset, 0), len(self.columns) - 1)]

    def fail(self, node: ast.AST, what: str, why: str = _LEGEND) -> NoReturn:
        where = self.column(getattr(node, "col_offset", 0))
        raise EstimatorError(f"{what} at column {where}: {why}")

    def read(self) -> sp.Expr:
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                tree = ast.parse(self.code, mode="eval")
                nodes = sum(1 for _ in ast.walk(tree))
        except SyntaxError as error:
            where = self.column((error.offset or 1) - 1)
            raise EstimatorError(f"cannot be read at column {where}: {_LEGEND}") from None
        except (ValueError, RecursionError, MemoryError):
            raise EstimatorError(f"cannot be read: {_LEGEND}") from None
        if nodes > 3 * MAX_NODES:
            raise EstimatorError(f"too long: an estimator has at most {MAX_NODES} parts")
        try:
            value = self.number(tree.body, 0)
        except EstimatorError:
            raise
        except Exception:  # SymPy says in many ways that it cannot
            raise EstimatorError(f"cannot be made a formula: {_LEGEND}") from None
        if value.expr.has(sp.zoo, sp.nan, sp.oo, -sp.oo, sp.I):
            raise EstimatorError(f"not a finite real number: {_LEGEND}")
        if any(max(abs(n.p), n.q) > 10**MAX_DIGITS for n in value.expr.atoms(sp.Rational)):
            raise EstimatorError(f"a number that is too large: at most {MAX_DIGITS} digits")
        return value.expr

    def needs(self, node: ast.AST, operand: sp.Expr, need: Need) -> None:
        """Refuse an operand that is not what it has to be for some real L."""
        place = violated_at(operand, need)
        if place is not None:
            what = "a divisor" if need is Need.NOT_ZERO else "the argument of a logarithm or root"
            self.fail(node, f"{what} that {need.value} when L = {place:.6g}", "an estimator is real for every real L")

    def visit(self, node: ast.AST, depth: int) -> _Value | _Condition:
        if depth > MAX_DEPTH:
            self.fail(node, "nested too deeply", f"at most {MAX_DEPTH} levels")
        if isinstance(node, ast.Constant):
            return self.constant(node)
        if isinstance(node, ast.Name):
            return self.name(node)
        if isinstance(node, ast.UnaryOp):
            return self.unary(node, depth)
        if isinstance(node, ast.BinOp):
            return self.binary(node, depth)
        if isinstance(node, ast.Call):
            return self.call(node, depth)
        if isinstance(node, ast.Compare):
            return self.compare(node, depth)
        if isinstance(node, ast.IfExp):
            return self.choice(node.test, node.body, node.orelse, depth)
        kind = type(node).__name__.lower()
        self.fail(node, f"{kind} is not allowed", f"allowed are {ALLOWED}")

    def number(self, node: ast.AST, depth: int) -> _Value:
        value = self.visit(node, depth)
        if isinstance(value, _Condition):
            self.fail(node, "a comparison", "it may stand only inside Piecewise((value, condition), ...)")
        return value

    def constant(self, node: ast.Constant) -> _Value:
        value = node.value
        if isinstance(value, bool) or not isinstance(value, int | float):
            self.fail(node, f"{value!r} is not a number")
        if not abs(value) <= MAX_NUMBER:
            self.fail(node, "a number that is too large", f"at most {MAX_NUMBER}")
        exact = sp.Integer(value) if isinstance(value, int) else sp.Rational(repr(value))
        if isinstance(value, float) and 0 < abs(value) < 1 / MAX_NUMBER**2:
            self.fail(node, "a number that is too small", f"at least {1 / MAX_NUMBER**2}")
        return _Value(exact, (float(value),) * len(SAMPLES))

    def name(self, node: ast.Name) -> _Value:
        from proofs.estimators import ESTIMATORS

        known = ESTIMATORS.get(node.id.lower())
        if known is not None:
            values = tuple(float(known.value.subs(L, sp.Rational(x))) for x in SAMPLES)
            return _Value(known.value, values, 2, int(known.value.has(sp.exp)))
        if node.id not in _NAMES:
            hint = f"; {node.id} is a function" if node.id in _FUNCTIONS else ""
            self.fail(node, f"unknown name {node.id!r}", _LEGEND + hint)
        expr, numeric = _NAMES[node.id]
        return _Value(expr, tuple(map(numeric, SAMPLES)), 1, int(node.id != "L"))

    def unary(self, node: ast.UnaryOp, depth: int) -> _Value:
        value = self.number(node.operand, depth + 1)
        if isinstance(node.op, ast.UAdd):
            return value
        if isinstance(node.op, ast.USub):
            negated = tuple(-x for x in value.values)
            return _Value(-value.expr, negated, value.degree, value.exp_nesting)
        self.fail(node, "this operator is not allowed", f"allowed are {ALLOWED}")

    def binary(self, node: ast.BinOp, depth: int) -> _Value:
        left, right = self.number(node.left, depth + 1), self.number(node.right, depth + 1)
        nesting = max(left.exp_nesting, right.exp_nesting)
        if isinstance(node.op, ast.Pow):
            degree = left.degree * self.power(node.right, right.expr)
        elif type(node.op) in _OPERATORS:
            adds = isinstance(node.op, ast.Add | ast.Sub)
            degree = max(left.degree, right.degree) if adds else left.degree + right.degree
        else:
            self.fail(node, "this operator is not allowed", f"allowed are {ALLOWED}")
        divides = isinstance(node.op, ast.Div) or (isinstance(node.op, ast.Pow) and right.expr < 0)
        divisor = right.expr if isinstance(node.op, ast.Div) else left.expr
        if divides and divisor.is_zero:
            self.fail(node.right, "a division by zero")
        build = _OPERATORS[type(node.op)]
        values = self.sample(node, build, left.values, right.values)
        if divides:
            self.needs(node, divisor, Need.NOT_ZERO)
        elif isinstance(node.op, ast.Pow) and right.expr.q != 1:
            self.needs(node, left.expr, Need.NOT_NEGATIVE)
        if isinstance(node.op, ast.Pow) and divides and right.expr.q != 1:
            self.needs(node, left.expr, Need.POSITIVE)
        expr = build(left.expr, right.expr)
        if degree > MAX_DEGREE or (expr.is_Rational and max(abs(expr.p), expr.q) > MAX_NUMBER**4):
            self.fail(node, "a power that is too large", f"degree at most {MAX_DEGREE}")
        return _Value(expr, values, degree, nesting)

    def power(self, node: ast.AST, power: sp.Expr) -> int:
        """The size of an exponent, which is a small rational number."""
        if not power.is_Rational or abs(power) > MAX_POWER or power.q > MAX_POWER:
            self.fail(node, "this exponent is not allowed", f"a number from -{MAX_POWER} to {MAX_POWER}")
        return max(1, int(sp.ceiling(abs(power))))

    def sample(self, node: ast.AST, numeric: Callable[..., float], *values: tuple[float, ...]) -> tuple[float, ...]:
        out: list[float] = []
        for point, arguments in zip(SAMPLES, zip(*values, strict=True), strict=True):
            if any(math.isnan(argument) for argument in arguments):
                out.append(math.nan)
                continue
            result: float | complex
            try:
                result = numeric(*arguments)
            except OverflowError:
                result = math.nan
            except (ValueError, ZeroDivisionError):
                result = 1j
            if isinstance(result, complex):
                where = "L = 0 (policy = reference)" if point == 0 else f"L = {point}"
                self.fail(node, f"not a real number when {where}", "an estimator is real for every real L")
            out.append(math.nan if math.isinf(result) else float(result))
        return tuple(out)

    def call(self, node: ast.Call, depth: int) -> _Value:
        if not isinstance(node.func, ast.Name):
            self.fail(node, "this call is not allowed", f"allowed are {ALLOWED}")
        name = node.func.id
        if node.keywords or any(isinstance(a, ast.Starred) for a in node.args):
            self.fail(node, f"{name} takes plain arguments only")
        if name == "Piecewise":
            return self.piecewise(node, depth)
        if name == "where":
            if len(node.args) != 3:
                self.fail(node, f"where takes 3 arguments (condition, value, value), not {len(node.args)}")
            test, yes, no = node.args
            return self.choice(test, yes, no, depth)
        if name not in _FUNCTIONS:
            self.fail(node, f"unknown function {name!r}", f"allowed are {ALLOWED}")
        arity, build, numeric = _FUNCTIONS[name]
        if len(node.args) != (arity or len(node.args)) or not 1 <= len(node.args) <= MAX_ARGUMENTS:
            self.fail(node, f"{name} takes {arity or f'1 to {MAX_ARGUMENTS}'} arguments, not {len(node.args)}")
        parts = [self.number(argument, depth + 1) for argument in node.args]
        nesting = max(part.exp_nesting for part in parts)
        degree = max(part.degree for part in parts)
        if name in _EXPONENTIAL:
            nesting += 1
            if nesting > MAX_EXP_NESTING:
                self.fail(node, "exponentials nested too deeply", f"at most {MAX_EXP_NESTING} levels")
        reached = numeric if len(parts) > 1 or arity else lambda x: x
        values = self.sample(node, reached, *(part.values for part in parts))
        if name in _NEEDS:
            self.needs(node, parts[0].expr + (1 if name == "log1p" else 0), _NEEDS[name])
        if name == "huber":
            degree *= 2
            if not (parts[1].expr.is_Rational and parts[1].expr > 0):
                self.fail(node.args[1], "the width of huber", "a positive number")
        return _Value(build(*(part.expr for part in parts)), values, degree, nesting)

    def choice(self, test: ast.AST, yes: ast.AST, no: ast.AST, depth: int) -> _Value:
        """`where(condition, yes, no)`, and Python's own `yes if condition else no`."""
        condition = self.condition(test, depth + 1)
        return self.branches([(self.number(yes, depth + 1), condition), (self.number(no, depth + 1), _ALWAYS)])

    def piecewise(self, node: ast.Call, depth: int) -> _Value:
        branches: list[tuple[_Value, _Condition]] = []
        if not 1 <= len(node.args) <= MAX_ARGUMENTS:
            self.fail(node, f"Piecewise takes 1 to {MAX_ARGUMENTS} pairs (value, condition)")
        for pair in node.args:
            if not isinstance(pair, ast.Tuple) or len(pair.elts) != 2:
                self.fail(pair, "Piecewise takes pairs (value, condition)")
            value, condition = self.number(pair.elts[0], depth + 1), self.condition(pair.elts[1], depth + 1)
            branches.append((value, condition))
        if branches[-1][1].expr is not sp.true:
            self.fail(node, "Piecewise without a last branch", "end it with (value, True)")
        return self.branches(branches)

    def branches(self, branches: list[tuple[_Value, _Condition]]) -> _Value:
        """The first value whose condition holds; the last condition always does."""
        values = tuple(
            next(value.values[i] for value, condition in branches if condition.values[i]) for i in range(len(SAMPLES))
        )
        expr = sp.Piecewise(*((value.expr, condition.expr) for value, condition in branches))
        degree = max(max(value.degree, condition.degree) for value, condition in branches)
        nesting = max(max(value.exp_nesting, condition.exp_nesting) for value, condition in branches)
        return _Value(expr, values, degree, nesting)

    def condition(self, node: ast.AST, depth: int) -> _Condition:
        if isinstance(node, ast.Constant) and node.value is True:
            return _ALWAYS
        value = self.visit(node, depth)
        if isinstance(value, _Value):
            self.fail(node, "not a condition", "a condition compares two expressions, or is True")
        return value

    def compare(self, node: ast.Compare, depth: int) -> _Condition:
        if len(node.ops) != 1 or type(node.ops[0]) not in _COMPARISONS:
            self.fail(node, "this comparison is not allowed", "one of < <= > >= between two expressions")
        left, right = self.number(node.left, depth + 1), self.number(node.comparators[0], depth + 1)
        build, numeric = _COMPARISONS[type(node.ops[0])]
        values = tuple(numeric(a, b) for a, b in zip(left.values, right.values, strict=True))
        degree = max(left.degree, right.degree)
        return _Condition(build(left.expr, right.expr), values, degree, max(left.exp_nesting, right.exp_nesting))
