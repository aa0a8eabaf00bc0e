"""Streams: stdout is for the report alone, and takes every character in some form."""

from __future__ import annotations

import contextlib
import ctypes
import os
import sys
from collections.abc import Iterator

import click


@contextlib.contextmanager
def stdout_kept() -> Iterator[None]:
    """While subjects run, descriptor 1 leads to stderr, so that what C code prints is not in the report either."""
    try:
        sys.stdout.flush()
        saved = os.dup(1)
    except (OSError, ValueError, AttributeError):  # closed, or no descriptor at all: nothing can be printed there
        yield
        return
    try:
        with contextlib.suppress(OSError):
            os.dup2(2, 1)
        yield
    finally:
        with contextlib.suppress(OSError, AttributeError, TypeError):
            ctypes.CDLL(None).fflush(None)  # C keeps what it printed until its buffer is full
        os.dup2(saved, 1)
        os.close(saved)


def say(text: str) -> None:
    r"""Print a report; what the encoding of stdout does not have is shown as ``\xe9``, ``\u03c1``."""
    encoding = getattr(sys.stdout, "encoding", None) or "utf-8"
    click.echo(text.encode(encoding, "backslashreplace").decode(encoding), nl=False)
