"""CuPy's part of a run on a CUDA device: the only code that no CPU can run, under 50 lines (the rest: own_runners)."""

from collections.abc import Callable, Sequence
from typing import Any

from numpy import int64

from gpu_checks.backends.device import device_state
from gpu_checks.compiling.nvrtc import compile_source
from gpu_checks.kernels.sources import Source
from gpu_checks.subject import Unavailable


def require_device() -> Any:
    """Return CuPy; raises Unavailable, with the reason, where no device answers."""
    if not (state := device_state()).ready:
        raise Unavailable(state.reason)
    import cupy  # type: ignore[import-untyped,unused-ignore]

    return cupy


class Module:
    """A Launcher: the cubin that NVRTC makes of a source for this device. Raises Unavailable, RuntimeError."""

    def __init__(self, source: Source) -> None:
        self.cupy = require_device()
        self.module, architecture = self.cupy.cuda.Module(), self.cupy.cuda.Device().compute_capability
        self.module.load(compile_source(source, f"sm_{architecture}").cubin)
        self.take, self.give = self.cupy.asarray, self.cupy.asnumpy  # the latter waits for what was launched

    def launch(self, entry: str, grid: Any, threads: int, arguments: Sequence[Any], blocks: Any = None) -> None:
        """Run all blocks of an entry; None is a null pointer."""
        values = tuple(int64(0) if argument is None else argument for argument in arguments)
        self.module.get_function(entry)(grid, (threads, 1, 1), values)


def milliseconds(work: Callable[[], Any]) -> float:
    """Return the device's time for what the work launches."""
    cuda = require_device().cuda
    start, end = cuda.Event(), cuda.Event()
    start.record(), work(), end.record(), end.synchronize()
    return float(cuda.get_elapsed_time(start, end))


def properties() -> Any:
    """Return what the runtime says of the device, and the versions of driver and runtime (13010: 13.1)."""
    runtime = require_device().cuda.runtime
    return runtime.getDeviceProperties(0), runtime.driverGetVersion(), runtime.runtimeGetVersion()
