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
        off_policy_sequences,
        refutations,
        sequences,
        table,
        token_fields,
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
        *sequences.THEOREMS,
        *token_fields.THEOREMS,
        *off_policy_sequences.THEOREMS,
    )


@cache
def false_statements() -> tuple[Theorem, ...]:
    """Return the false statements that every engine has to refuse."""
    from proofs.theorems import fallacies, sequence_fallacies

    return (*fallacies.THEOREMS, *sequence_fallacies.THEOREMS)
