"""What a statistical test says, and the arguments that all of them refuse."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float


@dataclass(frozen=True)
class Outcome:
    """A test's answer: `alarm` where the data are too unlikely under the claim.

    `statistic` is compared with `threshold`, both in the units that `reason` names; `false_alarm` is the rate at which
    a correct subject alarms, at most. No alarm is no proof: see the test's smallest detectable discrepancy.
    """

    alarm: bool
    statistic: float
    threshold: float
    samples: int
    false_alarm: float
    reason: str

    def require(self) -> None:
        """Raise AssertionError with the reason, where the test alarms."""
        if self.alarm:
            raise AssertionError(f"{self.reason} (false-alarm rate {self.false_alarm:g}, {self.samples} samples)")


def check_rate(name: str, rate: float) -> None:
    """Raise ValueError for a rate outside (0, 1)."""
    if not 0 < rate < 1:
        raise ValueError(f"{name} rate {rate} is not within (0, 1): pass a probability, e.g. 1e-6")


def check_count(samples: int, least: int = 1) -> None:
    """Raise ValueError for fewer samples than a test can use."""
    if samples < least:
        raise ValueError(f"{samples} samples: this test needs at least {least}, draw more")


def check_slack(slack: float) -> None:
    """Raise ValueError for an allowance that is no error bound."""
    if not 0 <= slack < np.inf:
        raise ValueError(f"slack {slack} is negative or not finite: pass the bound of a sample's rounding error, or 0")


def check_samples(samples: Float[np.ndarray, " sample"], least: int = 1) -> None:
    """Raise ValueError for samples that are not one row of finite numbers, or too few."""
    if samples.ndim != 1:
        raise ValueError(f"samples of shape {samples.shape}: pass one row, a number per sample")
    check_count(len(samples), least)
    bad = int(np.count_nonzero(~np.isfinite(samples)))
    if bad:
        raise ValueError(f"{bad} of {len(samples)} samples are NaN or infinite: mend the kernel's output first")
