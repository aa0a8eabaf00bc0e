"""One cell of an audit: open the subject on a backend, ask its family's checks, close it."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path
from types import MappingProxyType
from typing import Any

from gpu_checks.audit.coefficient import check_coefficient
from gpu_checks.audit.columns import check_columns
from gpu_checks.audit.context import Context
from gpu_checks.audit.determinism import check_determinism
from gpu_checks.audit.drawing import check_frequencies, check_replay
from gpu_checks.audit.expectation import check_expected_gradient
from gpu_checks.audit.far import check_far_rows
from gpu_checks.audit.measuring import check_measured
from gpu_checks.audit.records import Cell, CellOutcome, Check
from gpu_checks.audit.tails import check_tails
from gpu_checks.bounds.sampled import formula_of
from gpu_checks.bounds.whole import formula_of_objective
from gpu_checks.formats import FORMATS
from gpu_checks.subject import Family, Request, Runner, State, Subject, Unavailable
from oracle.errors import OracleError

CHECKS: Mapping[Family, tuple[Callable[[Context], Check], ...]] = MappingProxyType(
    {
        "sampled": (
            check_coefficient,
            check_columns,
            check_expected_gradient,
            check_tails,
            check_determinism,
            check_far_rows,
            check_measured,
        ),
        "whole": (check_columns, check_tails, check_determinism, check_far_rows),
        "sampler": (check_replay, check_frequencies),
    }
)
"""What is asked of each family, in this order."""

STATES: Mapping[str, State] = MappingProxyType(
    {
        "cuda": State.EXECUTED_GPU,
        "host": State.EXECUTED_CPU_SAME_SOURCE,
        "triton-interpreter": State.EXECUTED_CPU_SAME_SOURCE,
        "numpy": State.EXECUTED_CPU_SAME_SOURCE,
        "torch": State.EXECUTED_CPU_SAME_SOURCE,
    }
)
_ROOT = Path(__file__).resolve().parents[2]
_PACKAGES = ("kl-oracle", "numpy", "torch", "triton", "cupy-cuda13x", "liger-kernel", "fla-core")


@dataclass(frozen=True)
class Plan:
    """What a cell asks: a subject with its claim on a backend; `edits` plant a fault in the kernel's source."""

    subject: Subject
    claim: str
    backend: str
    dtype: str
    vocabulary: int
    seed: int = 0
    edits: tuple[tuple[str, str], ...] = ()
    settings: Mapping[str, Any] = field(default_factory=dict)


def run_cell(plan: Plan, watch: Callable[[str], None] = lambda _check: None, first_failure: bool = False) -> Cell:
    """Run the checks of one cell, or those up to the first that fails. `watch` hears each check's name before it runs.

    Raises ClaimError for a claim that the family cannot be held against; whatever a kernel raises is a failing check.
    """
    start = time.perf_counter()
    subject = plan.subject
    formula = formula_of(plan.claim) if subject.family == "sampled" else None
    whole = formula_of_objective(plan.claim) if subject.family == "whole" else None
    opener = subject.backends.get(plan.backend)
    if opener is None:
        return _not_run(plan, f"{subject.name} has no backend {plan.backend}: it has {', '.join(subject.backends)}")
    if plan.dtype not in subject.dtypes:
        return _not_run(plan, f"{subject.name} is not audited in {plan.dtype}: {', '.join(subject.dtypes)}")

    def opened(settings: Mapping[str, Any]) -> Runner:
        own = {**subject.configured(plan.claim), **plan.settings}
        return opener(Request(plan.dtype, plan.vocabulary, plan.edits, {**own, **settings}))

    try:
        runner = opened({})
    except Unavailable as absence:
        return _without_device(plan, str(absence)) if plan.backend == "cuda" else _not_run(plan, str(absence))
    checks = []
    try:
        context = Context(
            subject,
            plan.claim,
            plan.backend,
            FORMATS[plan.dtype],
            plan.vocabulary,
            plan.seed,
            runner,
            opened,
            formula,
            whole,
        )
        for check in CHECKS[subject.family]:
            watch(check.__name__.removeprefix("check_"))
            checks.append(_asked(check, context))
            if first_failure and checks[-1].outcome == "fail":
                break
    finally:
        runner.close()
    failed = any(c.outcome == "fail" for c in checks)
    outcome: CellOutcome = "fails" if failed else "passes"
    return _cell(plan, STATES[plan.backend], outcome, checks=checks, seconds=time.perf_counter() - start)


def _asked(check: Callable[[Context], Check], context: Context) -> Check:
    """A kernel that raises fails the check; a defect of the audit itself is no kernel's fault and goes on up."""
    try:
        return check(context)
    except (OracleError, RuntimeError, OSError, EOFError) as error:
        text = " ".join(str(error).split())[:300] or type(error).__name__
        return Check(
            check=check.__name__.removeprefix("check_"),
            outcome="fail",
            message=f"the kernel raised {type(error).__name__}: {text}",
            remedy="run it on this input by itself; the audit gives finite numbers and tokens of the vocabulary",
        )


def _not_run(plan: Plan, reason: str) -> Cell:
    return _cell(plan, State.NOT_RUN, "not run", reason=reason)


def _without_device(plan: Plan, reason: str) -> Cell:
    """A kernel of our own is compiled at least, where NVRTC is here."""
    if not plan.subject.kernel or plan.edits:
        return _not_run(plan, reason)
    from gpu_checks.audit.compiled import compiled_for

    said = compiled_for(plan.subject.kernel, plan.subject.configured(plan.claim), plan.dtype)
    if said is None:
        return _not_run(plan, reason)
    return _cell(plan, State.COMPILED_ONLY, "not run", reason=f"{said}; not run: {reason}")


def _cell(plan: Plan, state: State, outcome: CellOutcome, **more: Any) -> Cell:
    objective = next(
        (c.measurements.get("objective") for c in more.get("checks", ()) if c.check == "expected_gradient"), None
    )
    return Cell(
        subject=plan.subject.name,
        title=plan.subject.title,
        claim=plan.claim,
        backend=plan.backend,
        dtype=plan.dtype,
        vocabulary=plan.vocabulary,
        state=state.value,
        outcome=outcome,
        objective=objective,
        seed=plan.seed,
        sources=source_hashes(plan.subject.sources),
        versions=versions(),
        **more,
    )


def source_hashes(sources: tuple[str, ...]) -> dict[str, str]:
    """Return the sha256 of each file that exists, by what names it.

    A source is a path from the project's root or an absolute one, whose name alone is shown, or `module:a.b.c`, which
    is found without being imported; of a folder all Python files count.
    """
    found = {}
    for source in sources:
        path = _installed(source.removeprefix("module:")) if source.startswith("module:") else _ROOT / source
        if path is None:
            continue
        shown = Path(source).name if Path(source).is_absolute() and not path.is_relative_to(_ROOT) else source
        if path.is_relative_to(_ROOT) and not source.startswith("module:"):
            shown = path.relative_to(_ROOT).as_posix()
        for file in sorted(path.glob("*.py")) if path.is_dir() else [path]:
            if file.is_file():
                name = f"{shown}/{file.name}" if path.is_dir() else shown
                found[name.removeprefix("module:")] = hashlib.sha256(file.read_bytes()).hexdigest()
    return found


def _installed(module: str) -> Path | None:
    package, *rest = module.split(".")
    spec = find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        return None
    return Path(next(iter(spec.submodule_search_locations))).joinpath(*rest).with_suffix(".py")


def versions(packages: Sequence[str] = _PACKAGES) -> dict[str, str]:
    """Return the versions of packages, by default those that a result depends on, of those that are installed."""
    found = {}
    for name in packages:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found


__all__ = ["CHECKS", "STATES", "Plan", "run_cell", "source_hashes", "versions"]
