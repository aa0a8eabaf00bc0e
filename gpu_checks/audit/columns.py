"""columns: every entry of the gradient at the full vocabulary, and values, against their bounds."""

from __future__ import annotations

from gpu_checks.audit.comparing import Worst, as_returned, compare
from gpu_checks.audit.context import Context
from gpu_checks.audit.inputs import REGIMES, sampled_batch, whole_batch
from gpu_checks.audit.records import Check
from gpu_checks.bounds.sampled import expected
from gpu_checks.bounds.whole import expected_whole
from gpu_checks.formats import FLOAT32
from gpu_checks.subject import Runner

_IN_16_BITS = "; arithmetic in 16 bits is outside too: bring the numbers to float32 first"


def check_columns(context: Context) -> Check:
    """Compare rows of every regime, at every temperature that the subject takes."""
    worst: dict[str, Worst] = {}
    for temperature in context.subject.temperatures:
        plain = temperature == 1.0
        runner = context.runner if plain else context.reopened({"temperature": temperature})
        try:
            for number, regime in enumerate(REGIMES):
                place = regime.name if plain else f"{regime.name}, temperature {temperature:g}"
                whole = context.subject.family == "whole"
                one = _whole if whole else _sampled
                for name, found in one(context, runner, number, place, temperature).items():
                    worst[name] = worst.get(name, Worst()).joined(found)
        finally:
            if not plain:
                runner.close()
    failing = [name for name, found in worst.items() if not found.holds]
    ratios = {name: found.ratio for name, found in worst.items()}
    rows = 4 * len(REGIMES) * len(context.subject.temperatures)
    if not failing:
        return Check(
            check="columns",
            outcome="pass",
            message=f"{', '.join(worst)} inside their bounds in {rows} rows of {context.vocabulary} columns",
            ratio=max(ratios.values()),
            where=max(worst.values(), key=lambda w: w.ratio).where,
            measurements=ratios,
        )
    first = worst[failing[-1]]
    return Check(
        check="columns",
        outcome="fail",
        message=f"{' and '.join(failing)} outside the bound: {first.say()}",
        ratio=max(ratios.values()),
        where=first.where,
        remedy="the bound is derived from the kernel's additions and calls: look for a fault at this column "
        f"(tail, block, index, cast), not for a wider tolerance{_IN_16_BITS if context.form is not FLOAT32 else ''}",
        measurements=ratios,
    )


def _sampled(context: Context, runner: Runner, number: int, place: str, temperature: float) -> dict[str, Worst]:
    assert context.formula is not None
    regime = REGIMES[number]
    random = context.random(100 + number)
    batch = sampled_batch(context.form, context.vocabulary, regime, context.formula.weighted, temperature, random)
    result = runner(batch)
    worst = {"value": Worst(), "gradient": Worst()}
    if result.log_probability is not None:
        worst["log-probability"] = Worst()
    for row in range(len(batch.tokens)):
        due = expected(context.formula, batch, row, context.subject.cost, context.form, temperature)
        where = f"{place}, row {row} (token {int(batch.tokens[row])})"
        worst["value"] = worst["value"].joined(
            compare(result.value[row], as_returned(due.value, result.value), f"value, {where}")
        )
        if result.log_probability is not None:
            found = compare(result.log_probability[row], due.log_probability, f"log-probability, {where}")
            worst["log-probability"] = worst["log-probability"].joined(found)
        found = compare(result.gradient[row], due.gradient, f"gradient, {where}")
        worst["gradient"] = worst["gradient"].joined(found)
    return worst


def _whole(context: Context, runner: Runner, number: int, place: str, temperature: float) -> dict[str, Worst]:
    assert context.whole is not None
    cost = context.subject.cost
    batch = whole_batch(
        context.form, context.vocabulary, REGIMES[number], cost.inputs != "logits", context.random(200 + number)
    )
    result = runner(batch)
    worst = {"value": Worst(), "gradient": Worst()}
    for row in range(len(batch.upstream)):
        value, gradient = expected_whole(context.whole, batch, row, cost, context.form, temperature)
        where = f"{place}, row {row}"
        worst["value"] = worst["value"].joined(
            compare(result.value[row], as_returned(value, result.value), f"value, {where}")
        )
        worst["gradient"] = worst["gradient"].joined(compare(result.gradient[row], gradient, f"gradient, {where}"))
    return worst
