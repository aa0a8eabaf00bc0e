"""tails: where exponents are large, probabilities are 0, and logits are -inf."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from gpu_checks.audit.comparing import Worst, as_returned, compare
from gpu_checks.audit.context import Context
from gpu_checks.audit.inputs import log_softmax
from gpu_checks.audit.records import Check
from gpu_checks.bounds.sampled import expected
from gpu_checks.bounds.whole import expected_whole
from gpu_checks.formats import Array
from gpu_checks.subject import SampledBatch, WholeBatch

_WIDTH = 40


@dataclass(frozen=True)
class _Case:
    name: str
    logits: Array
    log_ratio: float = 0.1
    reference: Array | None = None
    """Logits of the reference, where they are not near the policy's; only for whole rows."""

    @property
    def masked(self) -> bool:
        """Whether a logit is -inf."""
        return bool(np.isneginf(self.logits).any())

    @property
    def vanishing(self) -> bool:
        """Whether a probability is 0, or below what float32 holds."""
        sides = [self.logits] if self.reference is None else [self.logits, self.reference]
        return any(bool((log_softmax(side) < np.log(np.finfo(np.float32).tiny)).any()) for side in sides)


def _cases() -> list[_Case]:
    base = np.linspace(-2.0, 2.0, _WIDTH)
    masked = base.copy()
    masked[5:9] = -np.inf
    last = base.copy()
    last[-1] = -np.inf
    high = base + 900.0
    far = np.where(np.arange(_WIDTH) == 3, 3.0e4, -3.0e4)
    return [
        _Case("logits of 900", high),
        _Case("logits of -900", base - 900.0),
        _Case("logits 30000 and -30000", far),
        _Case("four logits -inf", masked),
        _Case("the last logit -inf", last),
        _Case("equal logits", np.zeros(_WIDTH)),
        _Case("log-ratio 30", base, 30.0),
        _Case("log-ratio -30", base, -30.0),
        _Case("log-ratio 80", base, 80.0),
        _Case("log-ratio -80", base, -80.0),
        _Case("log-ratio 100", base, 100.0),
        _Case("a token that the reference alone gives", np.where(np.arange(_WIDTH) == 7, -120.0, base), 0.1, base),
        _Case("a token that the policy alone gives", base, 0.1, np.where(np.arange(_WIDTH) == 7, -120.0, base)),
    ]


def check_tails(context: Context) -> Check:
    """Compare each case with its bound; where float32 itself overflows nothing is asked.

    NaN where a probability is 0, or below what float32 holds, is a note for a subject that does not promise to take
    that: 0 (-inf - -inf) and 0 log 0 are what the formula says, and code that is never given any does no harm.
    """
    found = _whole(context) if context.subject.family == "whole" else _sampled(context)
    whole = context.subject.family == "whole"
    masked: list[Worst] = []
    worst = Worst()
    for case, one in found:
        excused = not context.subject.masks and (case.vanishing if whole else case.masked)
        if np.isnan(one.got) and excused:
            masked.append(one)
        else:
            worst = worst.joined(one)
    if not worst.holds:
        return Check(
            check="tails",
            outcome="fail",
            message=f"an extreme row is wrong: {worst.say()}",
            ratio=worst.ratio,
            where=worst.where,
            remedy="subtract the maximum before exp, and give a token of probability 0 the gradient 0",
        )
    if masked:
        return Check(
            check="tails",
            outcome="note",
            message=f"NaN where a probability is 0 ({masked[0].where}); all other extreme rows are inside their bounds",
            ratio=worst.ratio,
            where=worst.where,
            remedy="mask a vocabulary with a large negative number, or give p = 0 the term 0",
        )
    return Check(
        check="tails",
        outcome="pass",
        message=f"finite and inside the bound in {worst.compared} entries of {len(found)} extreme rows",
        ratio=worst.ratio,
        where=worst.where,
    )


def _sampled(context: Context) -> list[tuple[_Case, Worst]]:
    assert context.formula is not None
    cases = _cases()
    logits = context.form.store(np.stack([c.logits for c in cases]))
    tokens = np.full(len(cases), 3, np.int64)
    own = log_softmax(logits)[np.arange(len(cases)), tokens]
    reference = (own - np.array([c.log_ratio for c in cases])).astype(np.float32)
    sampler = (own - 0.2).astype(np.float32) if context.formula.weighted else None
    batch = SampledBatch(logits, tokens, reference, np.ones(len(cases), np.float32), sampler)
    result = context.runner(batch)
    found = []
    for row, case in enumerate(cases):
        due = expected(context.formula, batch, row, context.subject.cost, context.form)
        worst = compare(result.value[row], as_returned(due.value, result.value), f"value, {case.name}")
        found.append((case, worst.joined(compare(result.gradient[row], due.gradient, f"gradient, {case.name}"))))
    return found


def _whole(context: Context) -> list[tuple[_Case, Worst]]:
    assert context.whole is not None
    cost = context.subject.cost
    cases = [c for c in _cases() if c.log_ratio == 0.1 and (cost.inputs == "logits" or np.isfinite(c.logits).all())]
    logits = np.stack([c.logits for c in cases])
    near = 0.1 * np.cos(np.arange(_WIDTH))
    other = np.stack([c.logits + near if c.reference is None else c.reference for c in cases])
    if cost.inputs != "logits":
        logits, other = log_softmax(logits), log_softmax(other)
    store = context.form.store
    batch = WholeBatch(store(logits), store(other), np.ones(len(cases), np.float32))
    result = context.runner(batch)
    found = []
    for row, case in enumerate(cases):
        value, gradient = expected_whole(context.whole, batch, row, cost, context.form)
        worst = compare(result.value[row], as_returned(value, result.value), f"value, {case.name}")
        found.append((case, worst.joined(compare(result.gradient[row], gradient, f"gradient, {case.name}"))))
    return found
