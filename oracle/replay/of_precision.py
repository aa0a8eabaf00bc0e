"""Witnesses of lost digits: one token whose coefficient is further from its exact value than rounding allows."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import replace
from fractions import Fraction

import msgspec
import numpy as np
import torch

from oracle.case import Case
from oracle.checks.cancellation import LIMIT, RATIO
from oracle.checks.dtype_bound import FORMATS, bound_of, exact_of, plain_scale
from oracle.enumeration import factor
from oracle.probing.expectation import coefficient
from oracle.probing.signal import kl_part
from oracle.records import Finding, Nearest
from oracle.replay.smallest import OFF_POLICY, ON_POLICY, Token, batch_of
from oracle.replay.witness import Array, Format, Witness, call_of, hexed
from oracle.subject.batch import Batch, from_log_ratios


def bound(case: Case, finding: Finding) -> Iterator[Witness]:
    """In the format of the finding a token's coefficient lies within the a-priori bound of its exact value.

    Few words first, then the numbers of the check; the inputs are rounded, and so are exact numbers.
    """
    name = (finding.counterexample or {}).get("dtype")
    home, exact = exact_of(case)
    if name not in FORMATS or exact is None:
        return
    dtype, u, eta = FORMATS[name]
    written: Format = msgspec.convert(name, Format)
    if name == "float64":
        _, u, eta = FORMATS["float32"]  # which code may work in
    for batch in (*_mild(bool((home.policy == home.sampler).all())), home):
        rounded = batch.to(dtype)
        true = exact(rounded.to(torch.float64))
        if true is None or not true.values.any():
            continue
        room = bound_of(true, u, eta)
        seen = kl_part(case.subject.at_precision(dtype), case.placement, rounded).coefficient.double().numpy()
        worst = int(np.nan_to_num(np.abs(seen - true.values) / room, nan=np.inf).argmax())
        where = np.zeros(batch.shape, dtype=np.int64)
        where.flat[worst] = 1
        value, near = abs(float(true.values.flat[worst])), float(room.flat[worst])
        yield Witness(
            rule="equal",
            calls=[call_of(rounded, written)],
            expected=hexed(true.values),
            where=where.tolist(),
            slack=near / value if value else 1.0,
            size=near,
        )


def _mild(on: bool) -> Iterator[Batch]:
    """Batches of the shape for which a formula is known."""
    for tokens in (ON_POLICY,) if on else (ON_POLICY, OFF_POLICY):
        for start in range(len(tokens)):
            yield batch_of([tokens[(start + i) % len(tokens)] for i in range(4)], (2, 2))


def near_reference(case: Case, finding: Finding) -> Iterator[Witness]:
    """In float32, at a token of nearly the reference's probability, the coefficient is the exact one within 5% of what
    it has turned by since policy = reference."""
    for batch in _near():
        exact = _coefficient(case, batch)
        if exact is None:
            return
        expected, home = exact((batch.policy - batch.reference).numpy()), exact(np.zeros(batch.shape))
        turned = float(np.abs(expected - home).min())
        if turned == 0.0:
            continue
        slack = LIMIT * turned / float(np.abs(expected).max())
        yield Witness(rule="equal", calls=[call_of(batch, "float32")], expected=hexed(expected), slack=slack)


def _near() -> Iterator[Batch]:
    words: list[Token] = []
    for n in (2, 10, 100, 450):
        for q in (Fraction(49, 50), Fraction(51, 50)):
            p = Fraction(1, n)
            words.append((p, p * q, p))
    for word in words:
        yield _rounded(batch_of([word], (1, 1)))
    for at in np.linspace(-0.02, 0.02, 41):
        for centre in (-0.7, -2.3, -6.1):
            policy = torch.full((1, 1), centre + float(at), dtype=torch.float64)
            yield _rounded(from_log_ratios(policy, torch.full_like(policy, RATIO)))
    for shape in ((1, 2), (2, 2), (3, 2)):
        yield _rounded(batch_of([words[i % len(words)] for i in range(math.prod(shape))], shape))


def _rounded(batch: Batch) -> Batch:
    """Numbers of float32, so that what is expected of them is exact."""
    return batch.to(torch.float32).to(torch.float64)


def _coefficient(case: Case, batch: Batch) -> Callable[[Array], Array] | None:
    """The exact coefficient of a token as a function of L: by formula, by name, or the code's own in float64."""
    weight = float(factor(case, *batch.shape))
    read = case.coefficient
    if read is not None:
        from proofs.lowering import compile_numpy
        from proofs.symbols import L

        lowered = compile_numpy(read, [L])
        return lambda x: weight * (lowered(x) + 0.0 * x)
    record = case.on_policy
    if record is not None:
        if record.scale is not None and record.level == "token" and record.objective not in ("zero", "unnamed"):
            named, scale = coefficient(record.objective), record.scale
            return lambda x: weight * scale * (named(x) + 0.0 * x)
        # code that rounds to 16 bits inside misses its own name by the rounding
        if isinstance(record.nearest, Nearest) and record.nearest.level == "token" and case.tolerance >= 1e-2:
            form = coefficient(record.nearest.objective)
            seen = case.mild_signal.coefficient.numpy()
            there = form((case.mild_batch.policy - case.mild_batch.reference).numpy())
            fitted = float((seen * there).sum() / (there * there).sum()) / float(factor(case, *seen.shape))
            near = plain_scale(fitted)
            return lambda x: weight * near * (form(x) + 0.0 * x)
    if case.tolerance > 1e-8:
        return None

    def own(ratio: Array) -> Array:
        moved = replace(batch, reference=batch.policy - torch.from_numpy(ratio))
        out: Array = kl_part(case.subject, case.placement, moved).coefficient.numpy()
        return out

    return own
