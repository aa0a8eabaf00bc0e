"""Decides statements with a solver: every goal unsatisfiable, or a model that is a true counterexample."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sympy import Expr, Rational, Symbol

from proofs.engines.base import CannotExpress
from proofs.engines.smt.goals import Goal
from proofs.engines.smt.obligations import FACTS, lemma_scripts, scope_of
from proofs.engines.smt.points import failing, guessed
from proofs.engines.smt.problems import BUILDERS, problem_of
from proofs.engines.smt.process import Process
from proofs.engines.smt.solvers import SAT, UNSAT, Model, Solver, missing
from proofs.engines.smt.terms import name_of, number
from proofs.ledger import UNSUPPORTED, Finding, Outcome
from proofs.patience import TimeIsUp, at_most
from proofs.statements import ExpectedGradient, Lemma, Stationary
from proofs.theorem import Theorem

_SECONDS = 30.0


@dataclass(frozen=True)
class SmtEngine:
    """A solver as an engine."""

    name: str
    title: str
    module: str
    """What has to be importable."""
    ask: Solver

    @property
    def path(self) -> str:
        """Both solvers read the same script."""
        return "smt"

    def missing(self) -> str | None:
        """Return what has to be installed; None if nothing."""
        return missing(self.module)

    def check(self, theorem: Theorem) -> Finding:
        """Decide one theorem."""
        try:
            with at_most(_SECONDS, untimed=True):
                if isinstance(theorem.statement, Lemma):
                    return self._lemma(theorem.id)
                if type(theorem.statement) not in BUILDERS:
                    return UNSUPPORTED
                return self._decide(theorem.statement)
        except CannotExpress as reason:
            return Finding(Outcome.UNSUPPORTED, detail=str(reason))
        except TimeIsUp:
            return Finding(Outcome.INCONCLUSIVE, detail=f"no answer within {_SECONDS:g} s")

    def _lemma(self, name: str) -> Finding:
        """All obligations of the lemma of this name."""
        scripts = lemma_scripts(name)
        if not scripts:
            return UNSUPPORTED
        if all(self.ask(script).verdict == UNSAT for script in scripts):
            return Finding(Outcome.PROVED, scope_of(name), f"{len(scripts)} obligations")
        return Finding(Outcome.INCONCLUSIVE, detail="an obligation was not discharged")

    def _decide(self, statement: object) -> Finding:
        problem = problem_of(statement)
        facts = isinstance(statement, ExpectedGradient | Stationary)
        if facts and not _facts_hold(self):
            return Finding(Outcome.INCONCLUSIVE, detail="the facts about sums were not proved")
        if not facts and all(part.trivial for part in problem.goals):
            return Finding(Outcome.UNSUPPORTED, detail="both sides are one expression before a solver is asked")
        for part in problem.goals:
            # a solver may look for a model far longer than for a contradiction, and past its time limit
            guess = guessed(part)
            if guess is not None and self.ask(_at(part, guess)).verdict == SAT:
                return _refuted(guess)
            answer = self.ask(part.script)
            if answer.verdict == UNSAT:
                continue
            if answer.verdict != SAT:
                return Finding(Outcome.INCONCLUSIVE, detail="the solver does not know")
            return self._lifted(part, answer.model)
        return Finding(Outcome.PROVED, problem.scope)

    def _lifted(self, part: Goal, model: Model) -> Finding:
        """Whether the model, of the script or of one with the probabilities in range, is a counterexample."""
        if part.script_within != part.script:
            again = self.ask(part.script_within)
            if again.verdict == UNSAT:
                return Finding(Outcome.INCONCLUSIVE, detail="the only models are outside of the probabilities' range")
            model = again.model if again.verdict == SAT else {}
        point = failing(part, model)
        if point is None:
            return Finding(Outcome.INCONCLUSIVE, detail="a model of the abstraction, which no real point is seen to be")
        return _refuted(point)


def _refuted(point: Mapping[Symbol, Expr]) -> Finding:
    shown = {str(s): str(v) for s, v in sorted(point.items(), key=lambda item: str(item[0]))}
    return Finding(Outcome.REFUTED, "this instance", "a model of the negation", shown)


def _at(part: Goal, point: Mapping[Symbol, Expr]) -> str:
    """The script with its symbols, and roots that are rational, at this point; logarithms stay free."""
    script = part.script_within
    values = dict(point)
    for root in part.roots:
        value = root.argument.xreplace(values) ** Rational(1, root.degree)
        if value.is_Rational:
            values[root.symbol] = value
    fixed = [
        f"(assert (= {name_of(s)} {number(v)}))\n"
        for s, v in values.items()
        if f"(declare-const {name_of(s)} " in script
    ]
    return script.replace("(check-sat)", "".join(fixed) + "(check-sat)")


_proved_facts: dict[str, bool] = {}


def _facts_hold(engine: SmtEngine) -> bool:
    """Whether the solver proves the facts on sums that tie an expected gradient to single tokens; asked once."""
    if engine.name not in _proved_facts:
        _proved_facts[engine.name] = all(engine.ask(script).verdict == UNSAT for script in FACTS.values())
    return _proved_facts[engine.name]


_PROCESSES = {"z3": Process("z3"), "cvc5": Process("cvc5")}
Z3 = SmtEngine("z3", "SMT-LIB text", "z3", _PROCESSES["z3"])
CVC5 = SmtEngine("cvc5", "SMT-LIB text", "cvc5", _PROCESSES["cvc5"])


def start(names: Sequence[str]) -> None:
    """Start the solvers among these engines that are installed; they are asked later."""
    for engine in (Z3, CVC5):
        if engine.name in names and engine.missing() is None:
            _PROCESSES[engine.name].start()
