"""A stand-in for CuPy on a machine with a device: its arrays are NumPy's, and its modules run on the CPU.

It knows what the real one refuses: arguments that do not lie on the device, and numbers that it has no type for.
"""

from __future__ import annotations

import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import pytest

from gpu_checks.backends import cuda
from gpu_checks.backends.host import Library
from gpu_checks.backends.host_build import build
from gpu_checks.compiling.nvrtc import Compiled
from gpu_checks.kernels.sources import Source

KNOWN = set("?bhilqBHILQefdFD")
"""Types that CuPy's launches take by value (cupy/cuda/function.pyx)."""


class DeviceArray(np.ndarray[Any, Any]):
    """An array that only the stand-in makes."""


@dataclass
class Recorded:
    """A launch: the entry, grid, block, and the arguments as they came."""

    entry: str
    grid: tuple[int, ...]
    block: tuple[int, ...]
    arguments: tuple[Any, ...]


@dataclass
class StandIn:
    """What was loaded, for which architecture, and what was launched, in order."""

    launches: list[Recorded] = field(default_factory=list)
    architectures: list[str] = field(default_factory=list)
    libraries: dict[bytes, Path] = field(default_factory=dict)

    def compile(self, source: Source, architecture: str) -> Compiled:
        self.architectures.append(architecture)
        cubin = b"\x7fELF" + str(len(self.libraries)).encode()
        self.libraries[cubin] = build(source)
        return Compiled("", cubin)

    def function(self, library: Library, entry: str) -> Any:
        def launch(grid: tuple[int, ...], block: tuple[int, ...], arguments: tuple[Any, ...]) -> None:
            assert min(grid) > 0  # CuPy makes a 1 of it, and would run a block
            for argument in arguments:
                assert isinstance(argument, DeviceArray) or argument.dtype.char in KNOWN, argument
            self.launches.append(Recorded(entry, grid, block, arguments))
            assert block[1:] == (1, 1)
            library.launch(entry, grid, block[0], arguments)  # type: ignore[arg-type]

        return launch


def module_of(stand_in: StandIn, version: str = "90") -> ModuleType:
    """Return the module that `import cupy` is to find."""

    class Module:
        def load(self, cubin: bytes) -> None:
            self.library = Library(stand_in.libraries[cubin])

        def get_function(self, entry: str) -> Any:
            return stand_in.function(self.library, entry)

    class Event:
        at = 0.0

        def record(self) -> None:
            self.at = time.perf_counter()

        def synchronize(self) -> None:
            assert self.at

    def asarray(array: Any) -> DeviceArray:
        assert array.dtype.char in KNOWN, array.dtype
        return np.array(array).view(DeviceArray)

    def asnumpy(array: Any) -> Any:
        assert isinstance(array, DeviceArray)
        return np.array(array)

    runtime = SimpleNamespace(
        getDeviceCount=lambda: 1,
        getDeviceProperties=lambda _index: {
            "name": b"Stand-in 9000",
            "major": 9,
            "minor": 0,
            "totalGlobalMem": 2**36,
            "multiProcessorCount": 132,
        },
        driverGetVersion=lambda: 13010,
        runtimeGetVersion=lambda: 13000,
    )
    module = ModuleType("cupy")
    cupy: Any = module
    cupy.asarray, cupy.asnumpy = asarray, asnumpy
    cupy.cuda = SimpleNamespace(
        Module=Module,
        Event=Event,
        Device=lambda: SimpleNamespace(compute_capability=version),
        get_elapsed_time=lambda start, end: 1e3 * (end.at - start.at),
        runtime=runtime,
    )
    return module


def install(monkeypatch: pytest.MonkeyPatch) -> StandIn:
    """Make `import cupy` find a stand-in, for the rest of a test."""
    stand_in = StandIn()
    monkeypatch.setitem(sys.modules, "cupy", module_of(stand_in))
    monkeypatch.setattr(cuda, "compile_source", stand_in.compile)
    return stand_in
