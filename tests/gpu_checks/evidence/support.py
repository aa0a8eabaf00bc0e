"""Evidence of this CPU, with a description of a device that does not exist; it is never committed."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import cache
from typing import Any
from unittest.mock import patch

from gpu_checks.backends.host import HostLauncher
from gpu_checks.evidence import Device, Evidence, Machine, collect
from gpu_checks.subjects.own import SUBJECTS

VOCABULARY = 301


def clock(work: Callable[[], Any]) -> float:
    start = time.perf_counter()
    work()
    return 1e3 * (time.perf_counter() - start)


NOWHERE = Device(name="Stand-in (a CPU)", compute_capability="0.0", driver=0, runtime=0, memory=0, multiprocessors=0)
CPU = Machine("host", HostLauncher.load, clock, NOWHERE)


@cache
def evidence() -> Evidence:
    """Of our three kernels, at a small vocabulary, in bfloat16."""
    with patch("gpu_checks.audit.drawing._DRAWS_HERE", 1_000):  # what they show is tested elsewhere
        return collect(CPU, SUBJECTS, ("bfloat16",), VOCABULARY, seed=3, inputs=10_000, rows=2)
