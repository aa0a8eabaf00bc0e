"""Coq as an engine: a theorem counts as proved once coqc, coqchk and the list of axioms agree."""

from __future__ import annotations

import atexit
import shutil
import tempfile
from dataclasses import dataclass, field
from pathlib import Path

from proofs.engines.base import CannotExpress
from proofs.engines.coq import compiler
from proofs.engines.coq.answers import NotTheStatement, compare
from proofs.engines.coq.core import FOLDER, Marked, marked, sources
from proofs.engines.coq.development import Report, alone, develop
from proofs.engines.coq.goals import goal_of
from proofs.ledger import Finding, Outcome
from proofs.statements import Lemma, SequenceGradient, SequenceValue
from proofs.theorem import Theorem
from proofs.theorems import catalogue, false_statements


@dataclass
class CoqEngine:
    """Coq with Coquelicot. The first question compiles the whole catalogue, the others look it up."""

    name: str = "coq"
    title: str = "Coq, Coquelicot"
    report: Report | None = None
    folder: Path | None = None
    """Where the compiled theory is, for goals that are in no catalogue."""
    _marks: dict[str, Marked] = field(default_factory=dict)

    @property
    def path(self) -> str:
        """It shares how it reads statements with no other engine."""
        return self.name

    def missing(self) -> str | None:
        """Return what has to be installed; None if nothing."""
        return compiler.missing()

    def check(self, theorem: Theorem) -> Finding:
        """Decide one theorem."""
        try:
            return self._by_mark(theorem) if theorem.id in self.marks else self._by_goal(theorem)
        except CannotExpress as reason:
            return Finding(Outcome.UNSUPPORTED, detail=str(reason))

    @property
    def marks(self) -> dict[str, Marked]:
        """The hand-written theorems by the id in the catalogue."""
        if not self._marks:
            self._marks = marked(sources(FOLDER))
        return self._marks

    def prepared(self) -> Report:
        """Return what Coq makes of the whole catalogue; compiled once."""
        if self.report is None:
            self.folder = Path(tempfile.mkdtemp(prefix="kl-oracle-coq-"))
            atexit.register(shutil.rmtree, self.folder, ignore_errors=True)
            self.report = develop((*catalogue(), *false_statements()), self.folder)
        return self.report

    def _by_mark(self, theorem: Theorem) -> Finding:
        mark = self.marks[theorem.id]
        try:
            _corresponds(mark, theorem)
        except NotTheStatement as reason:
            return Finding(Outcome.INCONCLUSIVE, detail=str(reason))
        report = self.prepared()
        if report.defect or mark.file not in report.core:
            return Finding(Outcome.INCONCLUSIVE, detail=report.defect or f"{mark.file}.v was not compiled")
        return Finding(Outcome.PROVED, _scope_of(theorem), f"{mark.name} in {mark.file}.v")

    def _by_goal(self, theorem: Theorem) -> Finding:
        goal = goal_of(theorem.id, theorem.statement)
        report = self.prepared()
        if report.defect:
            return Finding(Outcome.INCONCLUSIVE, detail=report.defect)
        if report.proved.get(theorem.id) == goal.claim:
            return Finding(Outcome.PROVED, goal.scope)
        complaint = report.failed.get(theorem.id)
        if complaint is None or theorem.id in report.proved:  # not of the catalogue, or not what the catalogue says
            if self.folder is None:
                return Finding(Outcome.INCONCLUSIVE, detail="not part of the development")
            complaint = alone(goal, self.folder)
        return Finding(Outcome.INCONCLUSIVE, detail=complaint) if complaint else Finding(Outcome.PROVED, goal.scope)


def _corresponds(mark: Marked, theorem: Theorem) -> None:
    """Raise NotTheStatement unless the marked theorem is this one."""
    statement = theorem.statement
    if isinstance(statement, SequenceGradient | SequenceValue):
        compare(mark, sources(FOLDER)[mark.file], statement)
        return
    known = next((t.statement for t in catalogue() if t.id == theorem.id), None)
    if not (isinstance(statement, Lemma) and isinstance(known, Lemma) and statement.formula == known.formula):
        raise NotTheStatement(f"{mark.name} in {mark.file}.v is the catalogue's {theorem.id}, not this statement")


def _scope_of(theorem: Theorem) -> str:
    if isinstance(theorem.statement, SequenceGradient | SequenceValue):
        return "every horizon T, any vocabulary, any differentiable policy"
    return theorem.statement.scope if isinstance(theorem.statement, Lemma) else ""


COQ = CoqEngine()
