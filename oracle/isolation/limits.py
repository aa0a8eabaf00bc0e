"""Limits of an isolated process, and which of them a platform can hold."""

from __future__ import annotations

import sys
from pathlib import Path

import msgspec

MEBIBYTE = 2**20
_STATUS = Path("/proc/self/status")


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """``timeout`` in seconds of wall time; ``memory`` in MiB beyond what kl-oracle itself takes, None for no limit."""

    timeout: float = 120.0
    memory: int | None = 4096


def explain_absence() -> str | None:
    """Why this platform isolates nothing, or None where it does."""
    return None if _is_posix() else "--isolate needs a POSIX system; run it on Linux or macOS"


def limits_memory() -> bool:
    """Whether the system holds a process to a limit on its data (Linux does; macOS accepts one and ignores it)."""
    return sys.platform.startswith("linux") and _STATUS.exists()


def limit_memory(memory: int) -> None:
    """Let this process allocate ``memory`` MiB beyond what it has. Only the soft limit is set: see ``unlimit_memory``.

    RLIMIT_DATA counts what is allocated and private. RLIMIT_AS would also count address space that is only reserved, of
    which CUDA takes tens of gigabytes.
    """
    import resource

    _, hard = resource.getrlimit(resource.RLIMIT_DATA)
    wanted = _data() + memory * MEBIBYTE
    resource.setrlimit(resource.RLIMIT_DATA, (wanted if hard < 0 else min(wanted, hard), hard))


def unlimit_memory() -> None:
    """Lift the soft limit, so that what went wrong can be said."""
    import resource

    _, hard = resource.getrlimit(resource.RLIMIT_DATA)
    resource.setrlimit(resource.RLIMIT_DATA, (hard, hard))


def _data() -> int:
    """Bytes of this process that RLIMIT_DATA counts."""
    line = next(line for line in _STATUS.read_text().splitlines() if line.startswith("VmData"))
    return int(line.split()[1]) * 1024


def _is_posix() -> bool:
    try:
        import fcntl  # noqa: F401
        import resource  # noqa: F401
    except ImportError:
        return False
    return True
