"""A theorem: an id, what it says in words and as a statement, its conditions and its source."""

from __future__ import annotations

from dataclasses import dataclass

from proofs.statements import Statement

FULL_SUPPORT = "policy, reference and sampler of full support"
FROZEN = "reference and sampler do not depend on the parameters"
FINITE = "finite vocabulary"
USUAL = (FINITE, FULL_SUPPORT, FROZEN)


@dataclass(frozen=True)
class Theorem:
    """One entry of the catalogue.

    `id` is stable: verdicts and reports refer to it. `holds` is False for the false statements that
    every engine has to refuse. `refutes` is the claim, as usually stated, that the theorem's
    counterexample refutes.
    """

    id: str
    words: str
    statement: Statement
    conditions: tuple[str, ...]
    source: str
    family: str
    holds: bool = True
    refutes: str | None = None

    def _repr_latex_(self) -> str:
        """Return the formula for a notebook."""
        from proofs.report.jupyter import theorem_latex

        return theorem_latex(self)

    def _repr_html_(self) -> str:
        """Return words, formula and conditions for a notebook."""
        from proofs.report.jupyter import theorem_html

        return theorem_html(self)
