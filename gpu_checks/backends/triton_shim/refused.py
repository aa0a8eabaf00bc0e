"""The error of an operation that the interpreter cannot do as the compiled code does."""

from __future__ import annotations


class Refused(NotImplementedError):
    """An operation that would be computed otherwise than on the device; the message is one line that names it."""


def refuse(operation: str, why: str) -> Refused:
    """Return the error for an operation, with the reason."""
    return Refused(f"Triton's interpreter cannot run {operation} as compiled code does: {why}")
