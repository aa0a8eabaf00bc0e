"""Goals: what has to be unsatisfiable, as SMT-LIB text, and the real claim behind it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from sympy import Expr, Integer, Piecewise, Symbol

from proofs.engines.abstraction import SWITCHES, Abstraction, Unknown
from proofs.engines.base import CannotExpress
from proofs.engines.smt.axioms import order_axioms
from proofs.engines.smt.terms import Printer, name_of
from proofs.symbols import REWARD, M, P, Q

TOKEN = (P, Q, M, REWARD)


@dataclass(frozen=True)
class Goal:
    """A script whose unsatisfiability proves a claim.

    `exact` says that nothing in it stands for more than it is: then a model is a counterexample.
    `claim` is an expression of the statement's own symbols that is to be zero (or positive, if
    `positive_claim`); a model is put into it. `domain` are expressions that have to be positive
    for a model to count, beyond the signs of the symbols; `script_within` has them asserted.
    """

    script: str
    script_within: str
    exact: bool
    claim: Expr
    domain: tuple[Expr, ...] = ()
    positive_claim: bool = False
    roots: tuple[Unknown, ...] = ()
    """What in it stands for a root of something else."""
    trivial: bool = False
    """Whether both sides are one expression already, so that nothing is left for a solver to decide."""


@dataclass(frozen=True)
class Problem:
    """All goals of a statement, and what their proof covers."""

    goals: tuple[Goal, ...]
    scope: str
    meaning: str
    """What unsat means, for the comment in the file."""


@dataclass
class Sheet:
    """Collects the declarations of one script."""

    symbols: dict[str, Symbol] = field(default_factory=dict)
    relations: list[str] = field(default_factory=list)
    ordered: bool = False

    def script(self, assertions: Sequence[str], comment: str = "") -> str:
        """Return declarations, signs, relations and assertions, and the question."""
        lines = [f"; {comment}"] if comment else []
        lines.append("(set-logic QF_NRA)")
        for name in sorted(self.symbols):
            lines.append(f"(declare-const {name} Real)")
            lines += [f"(assert {sign})" for sign in _signs(name, self.symbols[name])]
        lines += [f"(assert {text})" for text in (*dict.fromkeys(self.relations), *assertions)]
        return "\n".join([*lines, "(check-sat)"]) + "\n"

    def declare(self, symbols: Iterable[Symbol]) -> None:
        """Declare symbols; raises CannotExpress if two of them have one name."""
        for symbol in symbols:
            known = self.symbols.setdefault(name_of(symbol), symbol)
            if known != symbol:
                raise CannotExpress(f"two quantities called {symbol}")


def _signs(name: str, symbol: Symbol) -> list[str]:
    if symbol.is_positive:
        return [f"(> {name} 0.0)"]
    if symbol.is_negative:
        return [f"(< {name} 0.0)"]
    if symbol.is_nonnegative:
        return [f"(>= {name} 0.0)"]
    return []


def copied(symbol: Symbol, suffix: str) -> Symbol:
    """Return the same quantity of another token."""
    return Symbol(f"{symbol.name}{suffix}", **symbol.assumptions0)


def renaming(abstraction: Abstraction, suffix: str, symbols: Sequence[Symbol] = TOKEN) -> dict[Symbol, Symbol]:
    """Return the names of a token's symbols, and of unknowns that depend on them, in one copy."""
    moving = abstraction.depends_on(symbols)
    return {symbol: copied(symbol, suffix) for symbol in sorted(moving, key=str)}


def unknowns_of(abstraction: Abstraction, names: Mapping[Symbol, Symbol]) -> list[Unknown]:
    """Return the unknowns in one copy of the token."""
    return [
        Unknown(names.get(u.symbol, u.symbol), u.kind, u.argument.xreplace(names), u.degree)
        for u in abstraction.unknowns.values()
    ]


def replaced(abstraction: Abstraction, values: Mapping[Symbol, Expr]) -> list[Unknown]:
    """Return the unknowns, with what symbols are put into their arguments."""
    return [replace(u, argument=u.argument.xreplace(dict(values))) for u in abstraction.unknowns.values()]


def goal(
    left: Expr,
    right: Expr,
    unknowns: Sequence[Unknown],
    claim: Expr,
    domain: Sequence[Expr] = (),
    given: Sequence[Expr] = (),
    premises: Sequence[Expr] = (),
    comment: str = "",
    relation: str = "=",
    axioms: int = 0,
) -> Goal:
    """Return the goal that left = right (or > right), in symbols and unknowns, cannot fail.

    `given` are expressions that may be taken to be positive, `premises` the same without unknowns.
    `domain` has to be positive for a model to count. `axioms` is the degree of the Taylor
    bounds on logarithms and exponentials; 0 leaves them out, unless there are switches.
    """
    printer, sheet = Printer(), Sheet()
    holds = printer.equation(left, right) if relation == "=" else printer.comparison(relation, left, right)
    needed: set[Symbol] = set().union(*(e.free_symbols for e in (left, right, *given)))
    switches = left.has(*SWITCHES, Piecewise) or right.has(*SWITCHES, Piecewise)
    assumptions = [printer.comparison(">", e, Integer(0)) for e in given]
    _declare(sheet, printer, unknowns, needed, max(axioms, int(switches)))
    within = {*needed}
    bounded = [printer.comparison(">", e, Integer(0)) for e in domain if e.free_symbols <= within]
    kinds = {u.kind for u in unknowns if u.symbol in needed}
    roots = tuple(u for u in unknowns if u.kind == "root" and u.symbol in needed)
    exact = not switches and kinds <= {"root"}
    fixed = [*printer.conditions(), *assumptions]
    script = sheet.script([*fixed, f"(not {holds})"], comment)
    within_range = sheet.script([*fixed, *bounded, f"(not {holds})"])
    unequal = relation != "="
    trivial = not unequal and left == right
    return Goal(script, within_range, exact, claim, (*domain, *premises), unequal, roots, trivial)


def _declare(sheet: Sheet, printer: Printer, unknowns: Sequence[Unknown], needed: set[Symbol], axioms: int) -> None:
    """Declare symbols and unknowns, relate roots to what they are of, and logarithms and exponentials in order."""
    for unknown in reversed(unknowns):  # the arguments of the last may have the ones before
        if unknown.symbol in needed and (unknown.kind == "root" or (axioms and unknown.kind in ("log", "exp"))):
            needed |= unknown.argument.free_symbols
    used = [u for u in unknowns if u.symbol in needed]
    for unknown in used:
        if unknown.kind == "root":
            sheet.relations.append(printer.equation(unknown.symbol**unknown.degree, unknown.argument))
    if axioms:
        sheet.relations += order_axioms([u for u in used if u.kind in ("log", "exp")], printer, axioms)
    sheet.declare(sorted(needed, key=str))
