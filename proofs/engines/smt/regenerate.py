"""Writes proofs/smt: the SMT-LIB text of every theorem that a solver proves.

python -m proofs.engines.smt.regenerate
"""

from __future__ import annotations

from pathlib import Path

from proofs.engines.base import CannotExpress
from proofs.engines.smt.engine import Z3
from proofs.engines.smt.obligations import FACTS, lemma_scripts, scope_of
from proofs.engines.smt.problems import BUILDERS, file_text, problem_of
from proofs.ledger import Outcome
from proofs.statements import Lemma
from proofs.theorem import Theorem
from proofs.theorems import catalogue

FOLDER = Path(__file__).parents[2] / "smt"
FACTS_FILE = "facts.smt2"


def text_of(theorem: Theorem) -> str | None:
    """Return the text of a theorem's file; None where the solvers have no word for it."""
    if isinstance(theorem.statement, Lemma):
        scripts = lemma_scripts(theorem.id)
        header = f"; {theorem.id}\n; unsat means: an obligation of the induction is discharged ("
        return header + f"{scope_of(theorem.id)})\n" + "(reset)\n".join(scripts) if scripts else None
    if type(theorem.statement) not in BUILDERS:
        return None
    try:
        return file_text(theorem.id, problem_of(theorem.statement))
    except CannotExpress:
        return None


def facts_text() -> str:
    """Return the text of the facts that tie an expected gradient to single tokens."""
    header = "; facts about sums over the vocabulary, by induction on its size\n; unsat means: it holds\n"
    return header + "(reset)\n".join(FACTS.values())


def files() -> dict[str, str]:
    """Return the text of every file, by its name."""
    found = {FACTS_FILE: facts_text()}
    for theorem in catalogue():
        text = text_of(theorem)
        if text is not None and Z3.check(theorem).outcome is Outcome.PROVED:
            found[f"{theorem.id}.smt2"] = text
    return found


def main() -> None:
    """Write what changed, and remove what is no longer there."""
    wanted = files()
    for path in FOLDER.glob("*.smt2"):
        if path.name not in wanted:
            path.unlink()
    for name, text in wanted.items():
        (FOLDER / name).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
