"""Asks a solver about a script: z3 or cvc5, each under a time limit of its own."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from fractions import Fraction
from functools import cache
from importlib.util import find_spec
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import z3

UNSAT, SAT, UNKNOWN = "unsat", "sat", "unknown"
Model = Mapping[str, Fraction]
"""The rational values of a model; roots and other irrationals are near values or missing."""
Solver = Callable[[str], "Answer"]
_MILLISECONDS = 4000
_DIGITS = 12


@dataclass(frozen=True)
class Answer:
    """What a solver said, and its model if it was sat."""

    verdict: str
    model: Model


def missing(module: str) -> str | None:
    """Return what has to be installed for this module; None if it is there."""
    return None if find_spec(module) else "pip install 'kl-oracle[engines]'"


@cache
def _z3_context() -> z3.Context:
    """One for all scripts: making one takes longer than most answers. Nothing is asserted in it, but in solvers."""
    import z3

    return z3.Context()


def ask_z3(script: str) -> Answer:
    """Ask z3."""
    import z3

    solver = z3.Solver(ctx=_z3_context())
    solver.set("timeout", _MILLISECONDS)
    solver.from_string(script)
    verdict = str(solver.check())
    if verdict != SAT:
        return Answer(verdict, {})
    found = {}
    model = solver.model()
    for declaration in model.decls():
        value = model[declaration]
        if z3.is_algebraic_value(value):
            value = value.approx(_DIGITS)
        if declaration.arity() == 0 and z3.is_rational_value(value):
            found[declaration.name()] = Fraction(value.numerator_as_long(), value.denominator_as_long())
    return Answer(SAT, found)


def ask_cvc5(script: str) -> Answer:
    """Ask cvc5: for a model only where there is one, as looking out for models makes proofs slower."""
    answer = _ask_cvc5(script, models=False)
    return _ask_cvc5(script, models=True) if answer.verdict == SAT else answer


def _ask_cvc5(script: str, models: bool) -> Answer:
    import cvc5

    terms = cvc5.TermManager()
    solver = cvc5.Solver(terms)
    solver.setOption("tlimit-per", str(_MILLISECONDS))
    solver.setOption("produce-models", str(models).lower())
    parser = cvc5.InputParser(solver)
    parser.setStringInput(cvc5.InputLanguage.SMT_LIB_2_6, script, "goal")
    manager = parser.getSymbolManager()
    said: list[str] = []
    while not (command := parser.nextCommand()).isNull():
        said.append(str(command.invoke(solver, manager)).strip())
    verdict = next((word for word in reversed(said) if word), UNKNOWN)
    if verdict != SAT:
        return Answer(UNSAT if verdict == UNSAT else UNKNOWN, {})
    found = {}
    for term in manager.getDeclaredTerms() if models else ():
        value = solver.getValue(term)
        if value.isRealValue():
            # the binding gives a Fraction; an integer value may come as an int
            with contextlib.suppress(ValueError):
                found[str(term)] = Fraction(value.getRealValue())
    return Answer(SAT, found)


SOLVERS: Mapping[str, Solver] = {"z3": ask_z3, "cvc5": ask_cvc5}
"""The solvers by the module that they need."""
