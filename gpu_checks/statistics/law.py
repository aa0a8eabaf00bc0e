"""The exact law of a statistic of one sampled token: its moments and its range, by enumeration of the vocabulary."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64


@dataclass(frozen=True)
class Law:
    """Mean, variance and range of one sample, in the statistic's own units.

    Raises ValueError for numbers that no bounded random variable has.
    """

    mean: float
    variance: float
    lower: float
    upper: float

    def __post_init__(self) -> None:
        finite = np.isfinite([self.mean, self.variance, self.lower, self.upper]).all()
        if not finite or not self.lower <= self.mean <= self.upper or self.variance < 0:
            raise ValueError(f"{self} is no law of a bounded variable: lower <= mean <= upper, variance >= 0")

    @property
    def width(self) -> float:
        """The length of the range."""
        return self.upper - self.lower

    @classmethod
    def of(cls, log_probabilities: Float64[np.ndarray, " token"], values: Float64[np.ndarray, " token"]) -> Law:
        """Return the law of values[a] where the token a has the given log-probabilities.

        A token of probability 0 does not count for the range. Raises ValueError where the probabilities do not sum to
        1 within 1e-9, or a value of a possible token is not finite.
        """
        p = np.exp(log_probabilities)
        total = float(p.sum())
        if not abs(total - 1) < 1e-9:
            raise ValueError(f"probabilities sum to {total}: pass log-probabilities, normalised in float64")
        possible = p > 0
        reached = values[possible]
        if not np.isfinite(reached).all():
            raise ValueError("a possible token's value is NaN or infinite: mend the coefficient or the direction")
        weights = p[possible] / total
        mean = float(weights @ reached)
        # two passes: the mean of squares minus the squared mean would cancel
        variance = float(weights @ (reached - mean) ** 2)
        lower, upper = float(reached.min()), float(reached.max())
        return cls(min(max(mean, lower), upper), variance, lower, upper)
