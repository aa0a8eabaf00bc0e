"""One run on a device: audits, observations, errors in ulps, times."""

from __future__ import annotations

import datetime
import platform
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from gpu_checks.audit.cell import run_cell, versions
from gpu_checks.audit.grid import plans
from gpu_checks.backends.own_runners import Launcher
from gpu_checks.compiling import nvrtc
from gpu_checks.evidence import ulps
from gpu_checks.evidence.dependencies import hashes
from gpu_checks.evidence.observing import observe
from gpu_checks.evidence.records import Device, Evidence
from gpu_checks.evidence.timing import Clock, timed
from gpu_checks.kernels.sources import Source
from gpu_checks.subject import Subject
from gpu_checks.subjects import bundled

_PACKAGES = ("cuda-bindings", "nvidia-cuda-nvrtc", "ml-dtypes", "scipy")


@dataclass(frozen=True)
class Machine:
    """Where evidence is collected: a backend's name, how it builds sources and times work, and what the device is."""

    backend: str
    load: Callable[[Source], Launcher]
    clock: Clock
    device: Device


def this_machine() -> Machine:
    """Return the first device; raises Unavailable, with the reason, where there is none or nothing to compile with."""
    from gpu_checks.backends import cuda

    properties, driver, runtime = cuda.properties()
    nvrtc.version()
    nvrtc.header_folders()
    device = Device(
        name=properties["name"].decode(),
        compute_capability=f"{properties['major']}.{properties['minor']}",
        driver=driver,
        runtime=runtime,
        memory=properties["totalGlobalMem"],
        multiprocessors=properties["multiProcessorCount"],
    )
    return Machine("cuda", cuda.Module, cuda.milliseconds, device)


def collect(
    machine: Machine,
    subjects: Sequence[Subject] | None = None,
    dtypes: Sequence[str] = ("float32", "bfloat16", "float16"),
    vocabulary: int = 131_072,
    seed: int = 0,
    inputs: int = ulps.ALL,
    rows: int = 512,
    watch: Callable[[str], None] = lambda _what: None,
) -> Evidence:
    """Audit every subject with the machine's backend in every format, measure, and time; `watch` hears of each step.

    `inputs` of each function are taken, evenly over all bit patterns; `rows` is the batch that is timed. A kernel that
    fails is a failing cell; Unavailable and RuntimeError are raised where ulps.cu or the timing cannot run.
    """
    from oracle import __version__

    chosen = [s for s in (bundled().values() if subjects is None else subjects) if machine.backend in s.backends]
    cells, observations = [], []
    for plan in plans(chosen, None, [machine.backend], dtypes, [vocabulary], seed):
        watch(f"{plan.subject.name}, {plan.dtype}, V = {plan.vocabulary}")
        cells.append(run_cell(plan))
        if cells[-1].outcome == "passes":  # of a failing kernel there is nothing to hold against bounds
            observations += observe(plan)
    watch(f"expf, logf and exp2f over {inputs} inputs")
    launcher = machine.load(ulps.source())
    step = ulps.ALL // inputs | 1  # odd: no input comes twice
    errors = [ulps.worst(launcher, function, step=step, count=inputs) for function in ulps.FUNCTIONS]
    watch("times")
    timings = [t for dtype in dtypes for t in timed(machine.load, machine.clock, dtype, rows, vocabulary)]
    return Evidence(
        version=__version__,
        date=datetime.datetime.now(datetime.timezone.utc).date().isoformat(),
        device=machine.device,
        versions=_versions(),
        sources=hashes(chosen),
        cells=cells,
        observations=observations,
        ulps=errors,
        timings=timings,
    )


def _versions() -> dict[str, str]:
    return {
        **versions(),
        **versions(_PACKAGES),
        "python": platform.python_version(),
        "platform": platform.platform(),
    }
