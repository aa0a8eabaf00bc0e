"""Whether a CUDA device is here, in one word and one reason. Never raises; CuPy is imported when it is asked."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Word = Literal["gpu", "no CuPy", "no driver", "no device"]


@dataclass(frozen=True)
class DeviceState:
    """`word`, and in `reason` what is missing and what brings it, or which device it is."""

    word: Word
    reason: str

    @property
    def ready(self) -> bool:
        """Whether kernels can run on a device."""
        return self.word == "gpu"


def device_state() -> DeviceState:
    """Look for CuPy, a driver and a device."""
    try:
        import cupy  # type: ignore[import-untyped,unused-ignore]
    except ImportError as error:
        return DeviceState("no CuPy", f"CuPy is not installed ({_line(error)}): pip install 'kl-oracle[cuda]'")
    try:
        count = int(cupy.cuda.runtime.getDeviceCount())
    except RuntimeError as error:  # CUDARuntimeError: insufficient driver, or no device
        return DeviceState("no driver", f"no CUDA driver answers ({_line(error)}): run it on a machine with a GPU")
    if count == 0:
        return DeviceState("no device", "the CUDA driver sees no device: run it on a machine with a GPU")
    return DeviceState("gpu", f"{count} device(s), compute capability {cupy.cuda.Device().compute_capability}")


def _line(error: BaseException) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0][:120]
