"""A form: an estimator, where code places it, and how it corrects for the sampler.

The two placements and their equivalence are those of Liu, Liu, Chen and Liu, "Rethinking KL
Regularization in RLHF", arXiv 2510.01555, section 4; the corrections are those that libraries offer.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from sympy import Expr

from proofs.estimators import Estimator
from proofs.symbols import THRESHOLD


class Placement(str, Enum):
    """Where the estimator k stands."""

    LOSS = "loss"
    """Back-propagated: the gradient on a token is grad k."""
    REWARD = "reward"
    """A detached coefficient of the score: the gradient on a token is k s."""
    BOTH = "both"
    """The sum of the two."""

    def __str__(self) -> str:
        return str(self.value)


class Correction(str, Enum):
    """The weight that corrects for tokens drawn from a sampler other than the policy."""

    NONE = "none"
    DETACHED = "detached"
    """sg(rho): a number to the gradient."""
    DIFFERENTIATED = "differentiated"
    """rho, back-propagated with everything else."""
    TRUNCATED = "truncated"
    """sg(min(rho, C))."""

    def __str__(self) -> str:
        return str(self.value)


@dataclass(frozen=True)
class Form:
    """An estimator, its placement, its correction, and the threshold of a truncated one."""

    estimator: Estimator
    placement: Placement
    correction: Correction = Correction.NONE
    threshold: Expr | None = None

    def __post_init__(self) -> None:
        if self.threshold is not None and self.correction is not Correction.TRUNCATED:
            raise ValueError(f"a threshold is for a truncated weight, not for {self.correction}")

    @property
    def cut(self) -> Expr:
        """The threshold of a truncated weight: the one given, or the symbol C."""
        return THRESHOLD if self.threshold is None else self.threshold

    def __str__(self) -> str:
        return f"{self.estimator.name} in {self.placement} ({self.correction})"
