"""determinism: the same numbers give the same bits, in whatever order the threads run."""

from __future__ import annotations

from typing import Any

import numpy as np

from gpu_checks.audit.context import Context
from gpu_checks.audit.inputs import REGIMES, sampled_batch, whole_batch
from gpu_checks.audit.records import Check
from gpu_checks.formats import Array
from gpu_checks.subject import Result

_SCHEDULES = ("reverse", "random:1", "random:2")
_ROWS_ARE_ENOUGH = 5_000
"""Columns: every path of a block is taken there, and a schedule costs what the columns cost."""


def check_determinism(context: Context) -> Check:
    """Run one batch again, and on the host under other schedules of warps; compare bit by bit."""
    vocabulary = min(context.vocabulary, _ROWS_ARE_ENOUGH + context.vocabulary % 7)
    if context.subject.family == "whole":
        batch: Any = whole_batch(
            context.form, vocabulary, REGIMES[0], context.subject.cost.inputs != "logits", context.random(3)
        )
    else:
        assert context.formula is not None
        batch = sampled_batch(context.form, vocabulary, REGIMES[0], context.formula.weighted, 1.0, context.random(3))
    first = _bits(context.runner(batch))
    schedules = _SCHEDULES if context.backend == "host" else ()
    for how in ("again", *schedules):
        runner = context.runner if how == "again" else context.reopened({"schedule": how})
        try:
            other = _bits(runner(batch))
        finally:
            if how != "again":
                runner.close()
        for name in first:
            if first[name] != other[name]:
                said = "a second run" if how == "again" else f"the schedule {how}"
                return Check(
                    check="determinism",
                    outcome="fail",
                    message=f"{said} gives other bits of the {name}",
                    remedy="look for a missing barrier, memory that is read before it is written, or additions in "
                    "an order that the schedule decides",
                )
    said = f"the same bits in a second run{f' and under {len(schedules)} other schedules' if schedules else ''}"
    return Check(check="determinism", outcome="pass", message=said)


def _bits(result: Result) -> dict[str, bytes]:
    arrays: dict[str, Array | None] = {
        "value": result.value,
        "gradient": result.gradient,
        "log-probability": result.log_probability,
    }
    return {name: np.ascontiguousarray(a).tobytes() for name, a in arrays.items() if a is not None}
