"""far_rows: a row whose first element lies beyond 2^32, where an index of 32 bits has wrapped around.

Signed or not, such an index comes to stand in the first row: nothing outside the arrays is touched, and the far row
stays unwritten.
"""

from __future__ import annotations

import mmap
from math import prod
from typing import Any

import numpy as np

from gpu_checks.audit.comparing import Worst, as_returned, compare
from gpu_checks.audit.context import Context
from gpu_checks.audit.inputs import REGIMES, sampled_batch, whole_batch
from gpu_checks.audit.records import Check
from gpu_checks.bounds.sampled import expected
from gpu_checks.bounds.whole import expected_whole
from gpu_checks.formats import Array
from gpu_checks.subject import SampledBatch, WholeBatch

_BEYOND = 2**32


def check_far_rows(context: Context) -> Check:
    """Run one far row alone, where the backend can: the memory before it is never touched, and costs nothing."""
    if context.backend != "host":
        return Check(
            check="far_rows",
            outcome="skip",
            message="not run: this backend runs every row of a launch, and there would be too many",
        )
    row = _BEYOND // context.vocabulary + 1
    runner = context.reopened({"rows": [row]})
    try:
        worst = _sampled(context, runner, row) if context.subject.family == "sampled" else _whole(context, runner, row)
    except (OSError, MemoryError) as error:
        return Check(check="far_rows", outcome="skip", message=f"not run: no address space for it ({error})")
    finally:
        runner.close()
    return Check(
        check="far_rows",
        outcome="pass" if worst.holds else "fail",
        message=f"row {row}, from element {row * context.vocabulary}: "
        + ("inside its bounds" if worst.holds else worst.say()),
        ratio=worst.ratio,
        where=worst.where,
        remedy=None if worst.holds else "index rows in 64 bits",
    )


def _sampled(context: Context, runner: Any, row: int) -> Worst:
    assert context.formula is not None
    near = sampled_batch(
        context.form, context.vocabulary, REGIMES[0], context.formula.weighted, 1.0, context.random(500)
    )
    far = SampledBatch(
        _far(near.logits[:1], row),
        _far(near.tokens[:1], row),
        _far(near.reference[:1], row),
        _far(near.upstream[:1], row),
        None if near.sampler is None else _far(near.sampler[:1], row),
    )
    result = runner(far)
    due = expected(context.formula, near, 0, context.subject.cost, context.form)
    worst = compare(result.value[0], as_returned(due.value, result.value), f"value, row {row}")
    return worst.joined(compare(result.gradient[0], due.gradient, f"gradient, row {row}"))


def _whole(context: Context, runner: Any, row: int) -> Worst:
    assert context.whole is not None
    cost = context.subject.cost
    near = whole_batch(context.form, context.vocabulary, REGIMES[0], cost.inputs != "logits", context.random(500))
    far = WholeBatch(_far(near.policy[:1], row), _far(near.reference[:1], row), _far(near.upstream[:1], row))
    result = runner(far)
    value, gradient = expected_whole(context.whole, near, 0, cost, context.form)
    worst = compare(result.value[0], as_returned(value, result.value), f"value, row {row}")
    return worst.joined(compare(result.gradient[0], gradient, f"gradient, row {row}"))


def _far(one: Array, row: int) -> Array:
    """Return an array whose row `row` is this one; what comes before is zeros that take no memory until touched."""
    shape = (row + 1, *one.shape[1:])
    flags = mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | getattr(mmap, "MAP_NORESERVE", 0x4000)
    memory = mmap.mmap(-1, prod(shape) * one.dtype.itemsize, flags=flags)
    array: Array = np.frombuffer(memory, dtype=one.dtype, count=prod(shape)).reshape(shape)
    array[row] = one[0]
    return array
