"""determinism: the same numbers give the same bits, in whatever order the threads run."""

from __future__ import annotations

from typing import Any

import numpy as np

from gpu_checks.audit.context import Context
from gpu_checks.audit.inputs import REGIMES, sampled_batch, whole_batch
from gpu_checks.audit.records import Check
from gpu_checks.formats import Array
from gpu_checks.subject import Result, Runner

_SCHEDULES = ("reverse", "random:1", "random:2")
_COLUMNS = 2_999
_BATCHES = 8
"""Of four rows each: additions in another order give other bits in every second row or so, not in each."""


def check_determinism(context: Context) -> Check:
    """Run batches again, and on the host under other schedules of warps; compare bit by bit."""
    batches = [_batch(context, number) for number in range(_BATCHES)]

    def run(runner: Runner) -> dict[str, bytes]:
        results = [_bits(runner(batch)) for batch in batches]
        return {name: b"".join(result[name] for result in results) for name in results[0]}

    first = run(context.runner)
    schedules = _SCHEDULES if context.backend == "host" else ()
    for how in ("again", *schedules):
        runner = context.runner if how == "again" else context.reopened({"schedule": how})
        try:
            other = run(runner)
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


def _batch(context: Context, number: int) -> Any:
    vocabulary = min(context.vocabulary, _COLUMNS + context.vocabulary % 7)
    random, regime = context.random(300 + number), REGIMES[number % len(REGIMES)]
    if context.subject.family == "whole":
        return whole_batch(context.form, vocabulary, regime, context.subject.cost.inputs != "logits", random)
    assert context.formula is not None
    return sampled_batch(context.form, vocabulary, regime, context.formula.weighted, 1.0, random)


def _bits(result: Result) -> dict[str, bytes]:
    arrays: dict[str, Array | None] = {
        "value": result.value,
        "gradient": result.gradient,
        "log-probability": result.log_probability,
    }
    return {name: np.ascontiguousarray(a).tobytes() for name, a in arrays.items() if a is not None}
