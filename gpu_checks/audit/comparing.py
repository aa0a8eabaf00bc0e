"""Error over bound, element by element, and where it is worst."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from gpu_checks.bounds.tracked import Tracked, stored
from gpu_checks.formats import FLOAT32, FORMATS, Array


@dataclass(frozen=True)
class Worst:
    """The greatest error / bound so far, with the place and both numbers."""

    ratio: float = 0.0
    where: str = ""
    got: float = 0.0
    due: float = 0.0
    bound: float = 0.0
    compared: int = 0
    """Elements that had a finite bound."""

    @property
    def holds(self) -> bool:
        """Whether every element is inside its bound, and there was one."""
        return self.ratio <= 1.0 and self.compared > 0

    def joined(self, other: Worst) -> Worst:
        """Return the worse of two, with the elements of both."""
        worse = other if not other.ratio <= self.ratio else self
        return Worst(worse.ratio, worse.where, worse.got, worse.due, worse.bound, self.compared + other.compared)

    def say(self) -> str:
        """Return the numbers at the worst place."""
        return f"{self.got:.6g} for {self.due:.6g}, off by {self.ratio:.3g} times the bound {self.bound:.2g}"


def as_returned(due: Tracked, returned: Array) -> Tracked:
    """Return what is due in the format of what was returned: a kernel may give its value in 16 bits too."""
    form = FORMATS.get(returned.dtype.name)
    return due if form is None or form is FLOAT32 else stored(due, form)


def compare(got: Array, due: Tracked, where: str) -> Worst:
    """Return the worst element; a number that is not finite where one is due is infinitely far off.

    `where` names what is compared; for an array the column is added. Elements whose bound is infinite (float32
    itself may overflow there) are not compared.
    """
    values = np.atleast_1d(np.asarray(got, np.float64))
    exact, bound = np.atleast_1d(due.value), np.atleast_1d(due.error)
    if values.shape != exact.shape:
        return Worst(np.inf, f"{where}: shape {values.shape} for {exact.shape}", np.nan, np.nan, np.nan, 1)
    known = np.isfinite(bound)
    if not known.any():
        return Worst()
    with np.errstate(invalid="ignore", divide="ignore"):
        error = abs(values - exact)
        ratio = np.where(error == 0, 0.0, error / bound)
        ratio = np.where(np.isnan(ratio), np.inf, ratio)
    ratio = np.where(known, ratio, 0.0)
    at = int(np.argmax(ratio))
    place = where if values.size == 1 else f"{where}, column {at} of {values.size}"
    return Worst(
        float(ratio[at]), place, float(values[at]), float(exact[at]), float(bound[at]), int(np.count_nonzero(known))
    )
