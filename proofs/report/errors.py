"""The one error that a report raises."""

from __future__ import annotations


class ReportError(Exception):
    """A report that cannot be written; the message is one line, and says what to do."""


def needs(package: str, what: str) -> ReportError:
    """Return the error for an optional package that is missing."""
    return ReportError(f"{what} needs {package}: pip install 'kl-oracle[report]'")
