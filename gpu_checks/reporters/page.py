"""An audit as one HTML page: no script, nothing loaded from elsewhere."""

from __future__ import annotations

from pathlib import Path

from gpu_checks.audit.records import Audit
from gpu_checks.reporters.summaries import compiled_rows, fault_lines, fault_rows
from gpu_checks.reporters.words import MEANING, about, headline, ratio, states

_TEMPLATE = Path(__file__).parent / "audit.html.jinja"


class PageError(RuntimeError):
    """The page cannot be made; the message says what is missing."""


def render(audit: Audit) -> str:
    """Return the page. Raises PageError without jinja2."""
    try:
        from jinja2 import Environment
    except ImportError as error:
        raise PageError("a report in HTML needs jinja2: pip install 'kl-oracle[report]'") from error
    template = Environment(autoescape=True, trim_blocks=True, lstrip_blocks=True).from_string(
        _TEMPLATE.read_text(encoding="utf-8")
    )
    return template.render(
        audit=audit,
        headline=headline(audit),
        states=[(state, n, MEANING[state]) for state, n in states(audit)],
        about=about,
        ratio=ratio,
        fault_lines=fault_lines(audit),
        fault_rows=list(fault_rows(audit)),
        compiled_rows=list(compiled_rows(audit)),
    )
