"""A witness: the few numbers on which a subject visibly does what it should not, and the rule that it breaks.

It is either one or two small batches with what each token's score is multiplied by, or one tabular policy with the
exact expected gradient at its logits. Numbers are kept as hexadecimal floats, so that they come back bit for bit.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Any, Literal

import msgspec
import numpy as np
import torch
from jaxtyping import Float64

from oracle.case import Case
from oracle.checks.determinism import random_state
from oracle.probing.aggregation import AGGREGATIONS, Shape
from oracle.probing.instances import Instance
from oracle.probing.signal import kl_part, kl_part_on_logits, once, once_on_logits
from oracle.replay.hearing import listening, positional
from oracle.subject.batch import Batch
from oracle.subject.subject import Placement, Subject

Rule = Literal["equal", "proportional", "direction", "same", "varies", "rises", "nonzero", "finite", "weighed", "along"]
Look = Literal["token", "logits", "value", "argument"]
Format = Literal["float64", "float32", "bfloat16", "float16"]
Array = Float64[np.ndarray, "rows columns"]
Rows = list[list[str]]


class Call(msgspec.Struct, frozen=True, kw_only=True):
    """One batch, log-probabilities and mask [b, t], advantages [b], in nats; dtype is that of the call.

    ``fixed`` are parameters given beside it, ``shift`` what is added to the logits of each position, ``seed`` where all
    generators of random numbers start. ``where`` stands in for the witness's.
    """

    policy: Rows
    reference: Rows
    sampler: Rows
    mask: Rows
    advantages: list[str]
    beta: float = 1.0
    dtype: Format = "float64"
    fixed: dict[str, int | float | None] = {}
    shift: list[str] | None = None
    seed: int = 1
    where: list[list[int]] | None = None

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
    weighed       tokens that are alike weigh as a normalisation with a name weighs them, in all calls together
    along         each row is some multiple of the row of ``expected``

    ``look`` says at what: what multiplies each token's score, the gradient at all logits of a position, the value, or
    a parameter (``argument``) before the call and after it. ``part`` is what the coefficient scales, or the whole;
    where calls are ``joined``, the second and all after it are rows of one batch.

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
    look: Look = "token"
    part: Literal["kl", "whole"] = "kl"
    argument: str | None = None
    joined: bool = False


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


def call_of(batch: Batch, dtype: Format = "float64", **more: Any) -> Call:
    """A batch as a record, with what else is given beside it."""
    return Call(
        policy=hexed(batch.policy),
        reference=hexed(batch.reference),
        sampler=hexed(batch.sampler),
        mask=hexed(batch.mask),
        advantages=[float(a).hex() for a in batch.advantages],
        beta=batch.beta,
        dtype=dtype,
        **more,
    )


def run(case: Case, witness: Witness) -> Seen:
    """Run a subject on a witness. Raises SubjectError where it cannot be called on these numbers."""
    expected = None if witness.expected is None else unhex(witness.expected)
    if witness.tabular is not None:
        from oracle.enumeration import expected_gradients

        (actual,) = expected_gradients(case, [witness.tabular.instance()], witness.tabular.returns)
        return judged(witness, expected, actual)
    shown = _shown(case, witness)
    if witness.joined:
        shown = [shown[0], np.concatenate(shown[1:])]
    if witness.rule == "weighed":
        expected, actual = _weighed(witness, shown)
        return judged(witness, expected, actual)
    if witness.rule == "along":
        assert expected is not None
        expected = expected * ((shown[-1] * expected).sum(1) / (expected * expected).sum(1))[:, None]
    if witness.order is not None:
        shown[0] = shown[0][witness.order]
    places = [call.where or witness.where for call in witness.calls]
    if any(places):
        chosen = [None if w is None else np.array(w, dtype=bool) for w in places]
        shown = [
            s if w is None else s[: w.shape[0], : w.shape[1]][w][None] for s, w in zip(shown, chosen, strict=False)
        ]
        expected = expected if expected is None or chosen[-1] is None else expected[chosen[-1]][None]
    if witness.rule in ("same", "varies", "rises"):
        expected = witness.factor * shown[0]
    return judged(witness, expected, shown[-1])


def _shown(case: Case, witness: Witness) -> list[Array]:
    if witness.look == "argument":
        assert witness.argument is not None
        (call,) = witness.calls
        with random_state(call.seed):
            return list(_around(_subject(case, call), case.placement, call.batch(), witness.argument))
    return [_signal(case, call, witness.look, witness.part) for call in witness.calls]


def _subject(case: Case, call: Call) -> Subject:
    subject = case.subject if call.dtype == "float64" else case.subject.at_precision(getattr(torch, call.dtype))
    return subject.with_settings(call.fixed) if call.fixed else subject


def _signal(case: Case, call: Call, look: Look, part: Literal["kl", "whole"]) -> Array:
    subject, batch = _subject(case, call), call.batch()
    with random_state(call.seed):
        if look == "token" and call.shift is None:
            signal = (kl_part if part == "kl" else once)(subject, case.placement, batch)
            out: Array = signal.coefficient.double().numpy()
            return out
        logits = subject.logits(batch).detach() if subject.wide else None
        if logits is not None and call.shift is not None:
            shift = torch.tensor([float.fromhex(x) for x in call.shift], dtype=logits.dtype)
            logits = logits + shift[None, :, None]
        if look == "value":
            value = (
                subject.result(batch, batch.policy.to(subject.convention.dtype).clone())
                if logits is None
                else (subject.result_on(batch, logits.clone()))
            )
            flat = value.detach().double().numpy()
            return flat.reshape(flat.shape[0], -1) if flat.ndim > 1 else flat.reshape(1, -1)
        assert logits is not None
        gradient = (kl_part_on_logits if part == "kl" else once_on_logits)(subject, batch, logits)
        return gradient.flatten(0, 1).numpy()


def _around(subject: Subject, placement: Placement, batch: Batch, name: str) -> tuple[Array, Array]:
    """The numbers of a parameter as they were given, and as the call left them."""
    kept: list[np.ndarray] = []
    inner = subject.target.function

    def listen(*args: Any, **given: Any) -> Any:
        mine = dict(zip(positional(subject.target), args, strict=False)) | given
        before = mine[name].detach().double().numpy().copy()
        answer = inner(*args, **given)
        if not kept:
            kept.extend((before, mine[name].detach().double().numpy().copy()))
        return answer

    once(replace(subject, target=listening(subject.target, listen)), placement, batch)
    before, after = (x.reshape(x.shape[0], -1) for x in kept)
    return before, after


def _weighed(witness: Witness, shown: list[Array]) -> tuple[Array, Array]:
    """(the nearest of the normalisations that have a name, what was seen), all calls in one row."""
    masks = [unhex(call.mask) for call in witness.calls]
    actual = np.concatenate([(s * m).ravel() for s, m in zip(shown, masks, strict=True)])[None]
    shapes = [Shape(tuple(int(n) for n in m.sum(1)), m.shape[1]) for m in masks]
    found = []
    for weights in AGGREGATIONS.values():
        model = np.concatenate([weights(s).ravel() for s in shapes])[None]
        found.append(float((actual * model).sum() / (model * model).sum()) * model)
    return min(found, key=lambda m: float(np.abs(actual - m).max())), actual


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
        if near > 0 and log_probability in (exact := math.log(near), float(np.float32(exact))):
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
        key = "" if i == 0 else "then " if i == 1 else f"then ({i}) "
        first = None if i == 0 else witness.calls[0]
        for n in ("policy", "reference", "sampler"):
            if first is None or getattr(call, n) != getattr(first, n):  # only what is new
                out[f"{key}{n}"] = texts(getattr(call, n))
        if any(float.fromhex(x) != 1.0 for row in call.mask for x in row):
            out[f"{key}mask"] = [[int(float.fromhex(x)) for x in row] for row in call.mask]
        if any(float.fromhex(a) for a in call.advantages):
            out[f"{key}advantages"] = [float(f"{float.fromhex(a):.6g}") for a in call.advantages]
        if call.beta != 1.0:
            out[f"{key}beta"] = call.beta
        if call.dtype != "float64":
            out[f"{key}dtype"] = call.dtype
        if call.shift is not None and any(float.fromhex(x) for x in call.shift):
            out[f"{key}logits shifted by"] = [float.fromhex(x) for x in call.shift]
        if call.seed != 1:
            out[f"{key}seed"] = call.seed
        out |= {f"{key}{name}": value for name, value in call.fixed.items()}
    expected = short(seen.expected)
    words = {"varies": f"not {expected}", "rises": f"at least {expected}", "nonzero": "not 0"}
    out["expected"] = words.get(witness.rule, "finite" if expected is None else expected)
    out["actual"] = short(seen.actual)
    return out
