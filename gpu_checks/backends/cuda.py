"""Arrays on a CUDA device, through CuPy: the only code that no CPU can run."""

from __future__ import annotations

from typing import Any

from gpu_checks.backends.device import device_state
from gpu_checks.formats import Array
from gpu_checks.subject import Unavailable


def require_device() -> None:
    """Raise Unavailable, with the reason, where no device answers."""
    state = device_state()
    if not state.ready:
        raise Unavailable(state.reason)


def to_device(values: Array) -> Any:
    """Return a CuPy array with these numbers."""
    import cupy  # type: ignore[import-untyped,unused-ignore]

    return cupy.asarray(values)


def to_host(values: Any) -> Array:
    """Return a NumPy array with the numbers of a CuPy array, after the device has computed them."""
    import cupy  # type: ignore[import-untyped,unused-ignore]

    host: Array = cupy.asnumpy(values)
    return host
