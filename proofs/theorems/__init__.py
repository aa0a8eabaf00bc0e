"""The catalogue: every theorem, and every false statement, one module a family."""

from __future__ import annotations

from functools import cache

from proofs.theorem import Theorem


@cache
def catalogue() -> tuple[Theorem, ...]:
    """Return every theorem, in the order of the families."""
    from proofs.theorems import (
        coefficients,
        correspondence,
        fixed_points,
        gaussians,
        identities,
        lemmas,
        refutations,
        table,
        values,
    )

    return (
        *lemmas.THEOREMS,
        *values.THEOREMS,
        *identities.THEOREMS,
        *table.THEOREMS,
        *correspondence.THEOREMS,
        *coefficients.THEOREMS,
        *fixed_points.THEOREMS,
        *gaussians.THEOREMS,
        *refutations.THEOREMS,
    )


@cache
def false_statements() -> tuple[Theorem, ...]:
    """Return the false statements that every engine has to refuse."""
    from proofs.theorems import fallacies

    return (*fallacies.THEOREMS,)
