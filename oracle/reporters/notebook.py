"""A verdict as a notebook shows it: the objectives, and what failed or was left open. Every text is escaped."""

from __future__ import annotations

from html import escape

import msgspec

from oracle.escaping import plain_record
from oracle.records import Finding, ObjectiveRecord, Verdict
from oracle.words import PLACEMENTS, sentence


def render(verdict: Verdict) -> str:
    """The verdict as one element of HTML, without scripts or styles of its own."""
    verdict = plain_record(verdict)
    if not isinstance(verdict.error, msgspec.UnsetType):
        said = f"<p><strong>not judged:</strong> {escape(verdict.error)}</p>"
        return f"<div>{_head(verdict)}{said}</div>"
    sides = (("on-policy", verdict.on_policy), ("off-policy", verdict.off_policy))
    rows = "".join(_row(name, record) for name, record in sides if record is not None)
    names = ("", "objective", "coefficient of the score", "evidence")
    head = "".join(f'<th scope="col">{name}</th>' for name in names)
    table = f"<table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>" if rows else ""
    told = [f for f in verdict.findings if f.outcome in ("fail", "inconclusive", "expected-fail")]
    findings = f"<ul>{''.join(_finding(f) for f in told)}</ul>" if told else ""
    outcome = "" if verdict.outcome == "described" else f"<p><strong>{verdict.outcome}</strong></p>"
    return f"<div>{_head(verdict)}{table}{findings}{outcome}</div>"


def _head(verdict: Verdict) -> str:
    placement = PLACEMENTS[verdict.subject.placement]
    aggregation = f", {verdict.aggregation}" if verdict.aggregation else ""
    return f"<p><code>{escape(verdict.subject.target)}</code> {placement}{aggregation}</p>"


def _row(name: str, record: ObjectiveRecord) -> str:
    formula = "" if record.formula is None else f"<code>{escape(record.formula)}</code>"
    cells = (escape(sentence(record)), formula, record.evidence)
    return f'<tr><th scope="row">{name}</th>{"".join(f"<td>{cell}</td>" for cell in cells)}</tr>'


def _finding(finding: Finding) -> str:
    word = finding.severity if finding.outcome == "fail" else finding.outcome
    remedy = "" if isinstance(finding.remedy, msgspec.UnsetType) else f"<br>remedy: {escape(finding.remedy)}"
    return f"<li><strong>{word}</strong> <code>{escape(finding.check)}</code>: {escape(finding.message)}{remedy}</li>"
