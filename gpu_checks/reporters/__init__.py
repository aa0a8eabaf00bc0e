"""The reports of an audit: text, json, html, sarif. Each leads with what ran where."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType

from gpu_checks.audit.records import Audit


def _text(audit: Audit) -> str:
    from gpu_checks.reporters.text import render

    return render(audit)


def _json(audit: Audit) -> str:
    from gpu_checks.audit.records import as_json

    return as_json(audit) + "\n"


def _html(audit: Audit) -> str:
    from gpu_checks.reporters.page import render

    return render(audit)


def _sarif(audit: Audit) -> str:
    from gpu_checks.reporters.sarif import render

    return render(audit)


REPORTERS: Mapping[str, Callable[[Audit], str]] = MappingProxyType(
    {"text": _text, "json": _json, "html": _html, "sarif": _sarif}
)
"""Name to renderer; each imports what it needs when it runs."""
