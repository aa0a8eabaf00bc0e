"""The one door of the shim: everything is patched, or nothing."""

from __future__ import annotations

from gpu_checks.backends.triton_shim import _bfloat16, _calls, _libdevice, _programs, _reductions
from gpu_checks.backends.triton_shim._internals import Internals, load

_installed: Internals | None = None


def install() -> str:
    """Close the gaps of Triton's interpreter in this process and return Triton's version; the second call does nothing.

    Raises Unavailable as `_internals.load` does.
    """
    global _installed
    if _installed is None:
        internals = load()
        _bfloat16.patch(internals)
        _reductions.patch(internals)
        _calls.patch(internals)
        _libdevice.patch(internals)
        _programs.patch(internals)
        _installed = internals
    return _installed.version
