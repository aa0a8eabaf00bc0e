"""Planted faults: broken kernels that the audit has to fail, beside the same kernels unbroken that it has to pass.

Each is also held against the tolerances with which such kernels are tested upstream, on the same numbers: how many of
them those let pass is part of the report.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Literal

import numpy as np

from gpu_checks.audit.cell import Plan, run_cell
from gpu_checks.audit.inputs import REGIMES, sampled_batch, whole_batch
from gpu_checks.audit.records import Cell, Fault, Tolerance
from gpu_checks.bounds.sampled import expected, formula_of
from gpu_checks.bounds.whole import expected_whole, formula_of_objective
from gpu_checks.formats import FORMATS, Array
from gpu_checks.subject import Request, Result, Subject, Unavailable
from gpu_checks.subjects import bundled

_OWN_SUBJECTS = {"token_kl": "own-kl", "whole_kl": "own-whole-kl", "gumbel": "own-gumbel"}
_OWN_VOCABULARY = 5_003
"""More than one step of 4096, and no multiple of anything."""


TOLERANCES: Mapping[str, Tolerance] = MappingProxyType(
    {
        "coarse": Tolerance(
            "Liger Kernel, test/transformers/test_grpo_loss.py at 08a676e, test_grpo_loss (bfloat16)",
            5e-2,
            5e-1,
            True,
        ),
        "values": Tolerance(
            "the same file, test_grpo_loss_vs_trl (float32; gradients only free of NaN)", 1e-4, 1e-4, False
        ),
    }
)


@dataclass(frozen=True)
class Planted:
    """A fault as a plan; `neutral` says why nothing has to catch it."""

    name: str
    plan: Plan
    neutral: str = ""
    temperature: float = 1.0
    """Where the fault shows: the upstream comparison is made there too."""


def planted(subjects: Sequence[Subject]) -> list[Planted]:
    """Return all faults planted in these subjects, own and third-party."""
    names = {s.name for s in subjects}
    return [p for p in (*_own(), *_third_party()) if p.plan.subject.name in names]


def _own() -> Iterator[Planted]:
    from gpu_checks.kernels.mutants import MUTANTS

    for mutant in MUTANTS:
        subject = bundled()[_OWN_SUBJECTS[mutant.kernel]]
        settings = dict(mutant.settings)
        temperature = float(settings.pop("temperature", 1.0))
        claim = _claim(subject, settings)
        plan = Plan(subject, claim, "host", mutant.dtypes[0], _OWN_VOCABULARY, edits=mutant.edits, settings=settings)
        yield Planted(mutant.name, plan, mutant.neutral, temperature)


def _third_party() -> Iterator[Planted]:
    from gpu_checks.subjects.third_party_mutants import MUTANTS

    for mutant in MUTANTS:
        subject = bundled()[mutant.subject]
        settings = dict(mutant.settings)
        temperature = float(settings.pop("temperature", 1.0))
        claim = f"jensen_shannon/{settings['beta']}" if "beta" in settings else subject.claim
        backend = next(iter(subject.backends))
        plan = Plan(subject, claim, backend, mutant.dtype, mutant.vocabulary, edits=mutant.edits, settings=settings)
        yield Planted(mutant.name, plan, "", temperature)


def _claim(subject: Subject, settings: Mapping[str, Any]) -> str:
    if subject.family != "sampled":
        return str(settings.get("form", subject.claim))
    weight = settings.get("weight", "none")
    form = settings.get("form", "k3 as loss")
    return f"{form}, weight {weight}" if weight != "none" else str(form)


def judge(fault: Planted) -> Fault:
    """Audit a broken kernel up to the first check that fails, and hold it against the upstream tolerances."""
    plan = fault.plan
    try:
        cell = run_cell(plan, first_failure=True)
    except (ValueError, RuntimeError) as error:  # a source that another version of the library no longer has
        cell = None
        reason = " ".join(str(error).split())[:200]
    about: dict[str, Any] = {
        "name": fault.name,
        "subject": plan.subject.name,
        "claim": plan.claim,
        "dtype": plan.dtype,
        "vocabulary": plan.vocabulary,
    }
    if cell is None or cell.outcome == "not run":
        return Fault(**about, outcome="not run", message=reason if cell is None else cell.reason)
    failing = next(iter(cell.failures), None)
    outcome: Literal["caught", "neutral", "missed"]
    outcome = "caught" if failing is not None else "neutral" if fault.neutral else "missed"
    return Fault(
        **about,
        outcome=outcome,
        caught_by=None if failing is None else failing.check,
        message=fault.neutral or None if failing is None else failing.message,
        passes={} if outcome == "neutral" else _upstream(fault),
    )


def unbroken(faults: Sequence[Planted], watch: Callable[[Plan], None] = lambda _plan: None) -> Iterator[Cell]:
    """Audit every kernel that faults are planted in as it is, once for each claim, format and vocabulary."""
    seen = set()
    for fault in faults:
        plan = fault.plan
        key = (plan.subject.name, plan.claim, plan.dtype, plan.vocabulary)
        if key not in seen:
            seen.add(key)
            clean = Plan(plan.subject, plan.claim, plan.backend, plan.dtype, plan.vocabulary, settings=plan.settings)
            watch(clean)
            yield run_cell(clean)


def _upstream(fault: Planted) -> dict[str, bool]:
    """Whether each tolerance lets the broken kernel pass on realistic numbers: the regime "typical"."""
    plan, subject = fault.plan, fault.plan.subject
    if subject.family == "sampler":
        return {}
    settings = {**subject.configured(plan.claim), **plan.settings}
    if fault.temperature != 1.0:
        settings["temperature"] = fault.temperature
    try:
        runner = subject.backends[plan.backend](Request(plan.dtype, plan.vocabulary, plan.edits, settings))
    except Unavailable:
        return {}
    try:
        batch = _batch(plan, fault.temperature)
        result: Result = runner(batch)
    except (RuntimeError, ValueError, OSError, EOFError):
        return dict.fromkeys(TOLERANCES, False)
    finally:
        runner.close()
    rows = [_due(plan, batch, row, fault.temperature) for row in range(len(batch.upstream))]
    return {name: _lets_pass(tolerance, result, rows) for name, tolerance in TOLERANCES.items()}


def _batch(plan: Plan, temperature: float) -> Any:
    random = np.random.default_rng([plan.seed, 700])
    form, regime = FORMATS[plan.dtype], REGIMES[0]
    if plan.subject.family == "whole":
        return whole_batch(form, plan.vocabulary, regime, plan.subject.cost.inputs != "logits", random)
    return sampled_batch(form, plan.vocabulary, regime, formula_of(plan.claim).weighted, temperature, random)


def _due(plan: Plan, batch: Any, row: int, temperature: float) -> tuple[float, Array]:
    form, cost = FORMATS[plan.dtype], plan.subject.cost
    if plan.subject.family == "whole":
        value, gradient = expected_whole(formula_of_objective(plan.claim), batch, row, cost, form, temperature)
        return float(value.value), gradient.value
    due = expected(formula_of(plan.claim), batch, row, cost, form, temperature)
    return float(due.value.value), due.gradient.value


def _lets_pass(tolerance: Tolerance, result: Result, rows: list[tuple[float, Array]]) -> bool:
    def close(got: Any, due: Any) -> bool:
        return bool(np.allclose(np.asarray(got, np.float64), due, atol=tolerance.atol, rtol=tolerance.rtol))

    for row, (value, gradient) in enumerate(rows):
        if not close(result.value[row], value) or np.isnan(np.asarray(result.gradient[row], np.float64)).any():
            return False
        if tolerance.gradients and not close(result.gradient[row], gradient):
            return False
    return True
