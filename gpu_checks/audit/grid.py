"""A grid of cells: every target with every backend, storage format and vocabulary; what has run is not run again.

A finished cell is kept in `.kl-oracle/audit` under a hash of all that its result depends on: subject, claim, backend,
format, vocabulary, seed, the sources and the versions. An interrupted run goes on where it stopped.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import msgspec

from gpu_checks.audit.cell import Plan, run_cell, source_hashes, versions
from gpu_checks.audit.records import SCHEMA, Cell
from gpu_checks.subject import Subject

FOLDER = Path(".kl-oracle") / "audit"
AUTO_ORDER = ("cuda", "host", "triton-interpreter", "torch", "numpy")


def plans(
    subjects: Sequence[Subject],
    claim: str | None,
    backends: Sequence[str],
    dtypes: Sequence[str],
    vocabularies: Sequence[int],
    seed: int,
) -> list[Plan]:
    """Return the cells of a grid, subject by subject; `auto` is replaced by the backend that can run here."""
    found = []
    for subject in subjects:
        for backend in _backends(subject, backends):
            for dtype in dtypes:
                found += [Plan(subject, claim or subject.claim, backend, dtype, v, seed) for v in vocabularies]
    return found


def _backends(subject: Subject, wanted: Sequence[str]) -> list[str]:
    chosen: list[str] = []
    for backend in wanted:
        one = _automatic(subject) if backend == "auto" else backend
        if one not in chosen:
            chosen.append(one)
    return chosen


def _automatic(subject: Subject) -> str:
    """The device where there is one, else what runs the same source on the CPU."""
    from gpu_checks.backends.device import device_state

    order = AUTO_ORDER if device_state().ready else AUTO_ORDER[1:]
    return next((b for b in order if b in subject.backends), next(iter(subject.backends)))


def run_grid(
    cells: Sequence[Plan], resume: bool = True, watch: Callable[[Plan, str], None] = lambda _plan, _check: None
) -> Iterator[Cell]:
    """Yield the cells in order, each kept when it is done; with `resume`, kept ones are taken as they are."""
    for plan in cells:
        traceable = bool(plan.subject.sources)
        kept = _kept(plan) if resume and traceable else None
        if kept is not None:
            yield kept
            continue
        cell = run_cell(plan, lambda check, plan=plan: watch(plan, check))  # type: ignore[misc]
        if cell.outcome != "not run" and traceable:
            _keep(plan, cell)
        yield cell


def _path(plan: Plan) -> Path:
    key = {
        "schema": SCHEMA,
        "plan": [plan.subject.name, plan.claim, plan.backend, plan.dtype, plan.vocabulary, plan.seed],
        "edits": plan.edits,
        "settings": sorted((k, repr(v)) for k, v in plan.settings.items()),
        "names": plan.subject.sources,
        "sources": source_hashes((*plan.subject.sources, *own_sources())),
        "versions": versions(),
    }
    digest = hashlib.sha256(json.dumps(key, sort_keys=True).encode()).hexdigest()
    return FOLDER / f"{digest[:24]}.json"


def own_sources() -> tuple[str, ...]:
    """Return the files of the audit itself: another check or bound is another result."""
    here = Path(__file__).parent
    return tuple(str(p) for folder in (here, here.parent / "bounds") for p in sorted(folder.glob("*.py")))


def _kept(plan: Plan) -> Cell | None:
    try:
        return msgspec.json.decode(_path(plan).read_bytes(), type=Cell)
    except (OSError, msgspec.DecodeError):
        return None


def _keep(plan: Plan, cell: Cell) -> None:
    """Write beside and rename: a run that is cut leaves no half file. A folder that cannot be written is no error."""
    path = _path(plan)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        beside = path.with_suffix(f".{os.getpid()}")
        beside.write_bytes(msgspec.json.encode(cell))
        os.replace(beside, path)
    except OSError:
        return
