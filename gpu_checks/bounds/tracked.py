"""Numbers with a bound on the error that a kernel may make in computing them.

The standard model of floating point (Higham, Accuracy and Stability of Numerical Algorithms, 2.2): an operation's
result is exact up to a factor 1 + u, or up to half the least subnormal number; a call of exp or log is good to so many
units in the last place. Each operation here takes exact values with bounds and gives the exact value with a bound,
products of errors included, so nothing is "to first order". Values are float64: their own rounding, 2^-53, is far
below a bound in float32, and a factor of 1 + 2^-20 on each bound covers it.

A formula written once with these numbers is the oracle's value and the kernel's tolerance at the same time.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from gpu_checks.bounds.cost import CostModel
from gpu_checks.formats import SINGLE_UNIT, Array, Format

_LEAST = 2.0**-126
"""Results below the least normal float32 may be flushed to zero (ftz): an absolute error for each operation."""
_SLACK = 1 + 2.0**-20


@dataclass(frozen=True)
class Tracked:
    """`value`, and how far the computed one may lie from it; arrays that broadcast, float64.

    `error` is inf where the computed value may overflow float32 or be NaN.
    """

    value: Array
    error: Array

    def __neg__(self) -> Tracked:
        return Tracked(-self.value, self.error)

    def __add__(self, other: Tracked) -> Tracked:
        with np.errstate(invalid="ignore"):  # inf - inf, where a probability is 0: the bound is inf there
            value = self.value + other.value
            spread = self.error + other.error
        return Tracked(value, _rounded(value, spread))

    def __sub__(self, other: Tracked) -> Tracked:
        return self + -other

    def __mul__(self, other: Tracked) -> Tracked:
        with np.errstate(invalid="ignore", over="ignore"):
            value = self.value * other.value
            spread = abs(self.value) * other.error + abs(other.value) * self.error + self.error * other.error
        return Tracked(value, _rounded(value, np.where(np.isnan(spread), np.inf, spread)))

    def __truediv__(self, other: Tracked) -> Tracked:
        value = self.value / other.value
        room = abs(other.value) - other.error
        with np.errstate(divide="ignore", invalid="ignore"):
            spread = np.where(room > 0, (self.error + abs(value) * other.error) / room, np.inf)
        return Tracked(value, _rounded(value, spread))

    def __getitem__(self, index: Any) -> Tracked:
        return Tracked(self.value[index], self.error[index])

    def worsened(self, roundings: int) -> Tracked:
        """Return the same value after so many more roundings."""
        return Tracked(self.value, self.error + roundings * SINGLE_UNIT * (abs(self.value) + self.error) * _SLACK)


def exactly(values: Any) -> Tracked:
    """Return what a kernel is given: no error. float64."""
    array = np.asarray(values, np.float64)
    return Tracked(array, np.zeros_like(array))


def _rounded(value: Array, spread: Array) -> Array:
    with np.errstate(invalid="ignore", over="ignore"):
        error = spread * _SLACK + SINGLE_UNIT * _SLACK * (abs(value) + spread) + _LEAST
    too_large = abs(value) + error > np.finfo(np.float32).max
    return np.asarray(np.where(too_large | np.isnan(error), np.inf, error))


def _called(value: Array, spread: Array, ulps: float) -> Array:
    """After a function that is good to `ulps` units in the last place, 2 u each."""
    with np.errstate(over="ignore", invalid="ignore"):
        error = (spread + 2 * ulps * SINGLE_UNIT * (abs(value) + spread)) * _SLACK + _LEAST
    too_large = abs(value) + error > np.finfo(np.float32).max
    return np.asarray(np.where(too_large | np.isnan(error), np.inf, error))


class Arithmetic:
    """The functions of a cost model, on tracked numbers."""

    def __init__(self, cost: CostModel) -> None:
        self.cost = cost

    def given(self, values: Any) -> Tracked:
        """Return what the kernel is given, float64: without error, unless the inputs were rounded on their way."""
        exact = exactly(values)
        if not self.cost.input_roundings:
            return exact
        size = np.where(np.isfinite(exact.value), abs(exact.value) + 1.0, 0.0)
        return Tracked(exact.value, self.cost.input_roundings * SINGLE_UNIT * size)

    def exp(self, x: Tracked) -> Tracked:
        """exp; -inf gives exactly 0."""
        with np.errstate(over="ignore", invalid="ignore", under="ignore"):
            value = np.exp(x.value)
            bent = x.error + (2 * SINGLE_UNIT * abs(x.value) if self.cost.exp_by_exp2 else 0.0)
            spread = value * np.expm1(np.where(np.isnan(bent), 0.0, bent))
            error = _called(value, spread, self.cost.exp_ulp)
        return Tracked(value, np.where(np.isneginf(x.value), 0.0, error))

    def expm1(self, x: Tracked) -> Tracked:
        """expm1, good to the units of exp."""
        with np.errstate(over="ignore"):
            value = np.expm1(x.value)
            spread = np.exp(x.value) * np.expm1(x.error)
        return Tracked(value, _called(value, spread, self.cost.exp_ulp))

    def log(self, x: Tracked) -> Tracked:
        """log of a positive number."""
        with np.errstate(divide="ignore", invalid="ignore"):
            value = np.log(x.value)
            relative = x.error / x.value
            spread = np.where(relative < 1, -np.log1p(-np.minimum(relative, 1)), np.inf)
        return Tracked(value, _called(value, spread + self.cost.log_floor, self.cost.log_ulp))

    def sum(self, x: Tracked, axis: int = -1) -> Tracked:
        """The sum over an axis, by the model's longest chain of additions; the axis is kept, with length 1.

        |fl(sum) - sum| <= gamma_h sum |x_i| (Higham, 4.2), h additions on the longest chain.
        """
        length = x.value.shape[axis]
        h = self.cost.chain(length)
        size = abs(x.value).sum(axis=axis, keepdims=True)
        spread = x.error.sum(axis=axis, keepdims=True)
        gamma = h * SINGLE_UNIT / (1 - h * SINGLE_UNIT)
        error = (spread + gamma * (size + spread)) * _SLACK + length * _LEAST
        return Tracked(x.value.sum(axis=axis, keepdims=True), error)


def stored(x: Tracked, form: Format) -> Tracked:
    """Return the number after it is stored in a format, to nearest: |dg_f| <= (1 + u_f) |dg| + u_f |g| + eta_f."""
    error = (1 + form.unit) * x.error + (form.unit * abs(x.value) + form.tiny) * _SLACK
    overflow = abs(x.value) + error > form.largest
    return Tracked(x.value, np.where(overflow, np.inf, error))
