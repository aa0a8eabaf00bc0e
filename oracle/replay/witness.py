"""A witness: the few numbers on which a subject visibly does what it should not, and the rule that it breaks.

It is either one or two small batches with what each token's score is multiplied by, or one tabular policy with the
exact expected gradient at its logits. Numbers are kept as hexadecimal floats, so that they come back bit for bit.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction
from typing import Literal

import msgspec
import numpy as np
import torch
from jaxtyping import Float64

from oracle.case import Case
from oracle.probing.instances import Instance
from oracle.probing.signal import kl_part
from oracle.subject.batch import Batch

Rule = Literal["equal", "proportional", "direction", "same", "varies", "rises", "nonzero", "finite"]
Array = Float64[np.ndarray, "rows columns"]
Rows = list[list[str]]


class Call(msgspec.Struct, frozen=True, kw_only=True):
    """One batch, log-probabilities and mask [b, t], advantages [b], in nats; dtype is that of the call."""

    policy: Rows
    reference: Rows
    sampler: Rows
    mask: Rows
    advantages: list[str]
    beta: float = 1.0
    dtype: Literal["float64", "float32"] = "float64"

    def batch(self) -> Batch:
        """The numbers as tensors."""
        wide = [torch.from_numpy(unhex(x)) for x in (self.policy, self.reference, self.sampler, self.mask)]
        advantages = torch.tensor([float.fromhex(x) for x in self.advantages], dtype=torch.float64)
        return Batch(wide[0], wide[1], wide[2], wide[3], advantages, self.beta).to(getattr(torch, self.dtype))


class Tabular(msgspec.Struct, frozen=True, kw_only=True):
    """Policies over answers of ``horizon`` tokens, as integers in proportion to their probabilities: a row a prefix."""

    horizon: int
    policy: list[list[int]]
    reference: list[list[int]]
    sampler: list[list[int]]
    returns: bool = False

    def instance(self) -> Instance:
        """The policies as tables of logits."""
        policy, reference = (np.log(np.array(x, dtype=np.float64)) for x in (self.policy, self.reference))
        return Instance(self.horizon, policy, reference, np.array(self.sampler, dtype=np.int64))


class Witness(msgspec.Struct, frozen=True, kw_only=True):
    """``calls`` or ``tabular``, the rule, and what is expected where it is known beforehand.

    equal         actual is ``expected``                  varies    the second call differs from the first
    proportional  a positive multiple of ``expected``     nonzero   something is not 0
    direction     a positive product with ``expected``    finite    everything is finite
    same          the second call is ``factor`` times the first, its rows in ``order``
    rises         the second call is nowhere less than the first

    ``where`` marks the tokens that are looked at; ``slack`` is relative to the largest number compared, and for an
    expectation of 0 to ``size``.
    """

    rule: Rule
    calls: list[Call] = []
    tabular: Tabular | None = None
    expected: Rows | None = None
    where: list[list[int]] | None = None
    factor: float = 1.0
    order: list[int] | None = None
    slack: float = 1e-7
    size: float = 1.0


@dataclass(frozen=True)
class Seen:
    """What a run showed: the numbers of the rule's two sides, and whether it held."""

    expected: Array | None
    actual: Array
    holds: bool


def hexed(values: np.ndarray | torch.Tensor) -> Rows:
    """An array of two dimensions as hexadecimal floats."""
    return [[float(x).hex() for x in row] for row in values]


def unhex(rows: Rows) -> Array:
    """The array again."""
    return np.array([[float.fromhex(x) for x in row] for row in rows], dtype=np.float64).reshape(len(rows), -1)


def call_of(batch: Batch, dtype: Literal["float64", "float32"] = "float64") -> Call:
    """A batch as a record."""
    return Call(
        policy=hexed(batch.policy),
        reference=hexed(batch.reference),
        sampler=hexed(batch.sampler),
        mask=hexed(batch.mask),
        advantages=[float(a).hex() for a in batch.advantages],
        beta=batch.beta,
        dtype=dtype,
    )


def run(case: Case, witness: Witness) -> Seen:
    """Run a subject on a witness. Raises SubjectError where it cannot be called on these numbers."""
    expected = None if witness.expected is None else unhex(witness.expected)
    if witness.tabular is not None:
        from oracle.enumeration import expected_gradients

        (actual,) = expected_gradients(case, [witness.tabular.instance()], witness.tabular.returns)
        return judged(witness, expected, actual)
    shown = [_signal(case, call) for call in witness.calls]
    if witness.order is not None:
        shown[0] = shown[0][witness.order]
    if witness.where is not None:
        chosen = np.array(witness.where, dtype=bool)
        shown = [s[: chosen.shape[0], : chosen.shape[1]][chosen][None] for s in shown]
        expected = None if expected is None else expected[chosen][None]
    if witness.rule in ("same", "varies", "rises"):
        expected = witness.factor * shown[0]
    return judged(witness, expected, shown[-1])


def _signal(case: Case, call: Call) -> Array:
    subject = case.subject if call.dtype == "float64" else case.subject.at_precision(torch.float32)
    out: Array = kl_part(subject, case.placement, call.batch()).coefficient.numpy()
    return out


def judged(witness: Witness, expected: Array | None, actual: Array) -> Seen:
    """Whether the rule holds between what was expected and what was seen."""
    rule = witness.rule
    if rule == "finite":
        return Seen(expected, actual, bool(np.isfinite(actual).all()))
    if rule == "nonzero":
        return Seen(expected, actual, bool((actual != 0.0).any()))
    assert expected is not None
    if not np.isfinite(actual).all():
        return Seen(expected, actual, False)
    size = float(np.abs(expected).max()) or witness.size
    if rule == "varies":
        return Seen(expected, actual, float(np.abs(actual - expected).max()) > witness.slack * size)
    if rule == "rises":
        return Seen(expected, actual, bool((actual - expected >= -witness.slack * size).all()))
    if rule == "direction":
        return Seen(expected, actual, float((actual * expected).sum()) > 0.0)
    if rule == "proportional":
        scale = float((actual * expected).sum() / (expected * expected).sum())
        off = float(np.abs(actual - scale * expected).max())
        return Seen(expected, actual, scale > 0.0 and off <= witness.slack * scale * size)
    return Seen(expected, actual, float(np.abs(actual - expected).max()) <= witness.slack * size)


def rational(log_probability: float) -> str:
    """A probability as a person writes it: 2/5 where its logarithm is that very number, else exp(-90) or digits."""
    if not math.isfinite(log_probability):
        return "0" if log_probability < 0 else str(log_probability)
    if log_probability > -12:
        near = Fraction(math.exp(log_probability)).limit_denominator(1000)
        if near > 0 and math.log(near) == log_probability:
            return str(near)
    return f"exp({log_probability:.6g})"


def _digits(x: float, size: float) -> float | str:
    """Six digits; what is beneath the rounding of the largest number beside it is 0, and what is no number a word."""
    if not math.isfinite(x):
        return str(x)
    return 0.0 if abs(x) <= 1e-14 * size else float(f"{x:.6g}")


def described(witness: Witness, seen: Seen) -> dict[str, object]:
    """The witness with few digits, for the record and the report."""

    def short(values: Array | None) -> object:
        if values is None:
            return None
        size = float(np.abs(values[np.isfinite(values)]).max(initial=0.0))
        rows = [[_digits(x, size) for x in row] for row in values.tolist()]
        return rows[0][0] if len(rows) == 1 and len(rows[0]) == 1 else rows

    def texts(rows: Rows) -> object:
        found = [[rational(float.fromhex(x)) for x in row] for row in rows]
        return found[0][0] if len(found) == 1 and len(found[0]) == 1 else found

    out: dict[str, object] = {}
    if witness.tabular is not None:
        t = witness.tabular
        out = {
            "horizon": t.horizon,
            **{
                name: [[str(Fraction(n, sum(row))) for n in row] for row in rows]
                for name, rows in (("policy", t.policy), ("reference", t.reference), ("sampler", t.sampler))
            },
        }
    for i, call in enumerate(witness.calls):
        key = "" if i == 0 else "then "
        out |= {f"{key}{n}": texts(getattr(call, n)) for n in ("policy", "reference", "sampler")}
        if any(float.fromhex(x) != 1.0 for row in call.mask for x in row):
            out[f"{key}mask"] = [[int(float.fromhex(x)) for x in row] for row in call.mask]
        if call.beta != 1.0:
            out[f"{key}beta"] = call.beta
        if call.dtype != "float64":
            out[f"{key}dtype"] = call.dtype
    expected = short(seen.expected)
    words = {"varies": f"not {expected}", "rises": f"at least {expected}", "nonzero": "not 0"}
    out["expected"] = words.get(witness.rule, "finite" if expected is None else expected)
    out["actual"] = short(seen.actual)
    return out
