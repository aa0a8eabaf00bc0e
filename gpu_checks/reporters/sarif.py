"""An audit as SARIF 2.1.0 (OASIS): failing checks as results, cells that did not run as notifications."""

from __future__ import annotations

import json
from typing import Any

from gpu_checks.audit.records import Audit, Cell, Check
from gpu_checks.reporters.words import about, headline
from gpu_checks.subject import State

SCHEMA_URI = "https://json.schemastore.org/sarif-2.1.0.json"
_ASKS = {
    "coefficient": "What multiplies the score is that of the claim at every log-ratio probed.",
    "columns": "Every entry of the gradient and every value at the full vocabulary is inside its derived bound.",
    "expected_gradient": "The gradient assembled over the whole vocabulary descends the objective of the claim.",
    "tails": "Extreme rows are finite and inside their bounds.",
    "determinism": "The same numbers give the same bits.",
    "measured": "On a device: the mean gradient of drawn tokens is that of the claim, with both error rates stated.",
    "far_rows": "Rows beyond 2^32 elements are read and written where they are.",
    "replay": "Draws are those that the counters of the generator give.",
    "frequencies": "Tokens are drawn from softmax(logits), by their frequencies.",
}


def render(audit: Audit) -> str:
    """Return the SARIF log as indented JSON."""
    rules = [{"id": name, "shortDescription": {"text": text}} for name, text in _ASKS.items()]
    results = [_result(cell, check) for cell in audit.cells for check in cell.failures]
    idle = [c for c in audit.cells if c.state in (State.NOT_RUN.value, State.COMPILED_ONLY.value)]
    run: dict[str, Any] = {
        "tool": {
            "driver": {
                "name": "kl-oracle audit",
                "version": audit.version,
                "rules": rules,
            }
        },
        "invocations": [
            {
                "executionSuccessful": not idle,
                "toolExecutionNotifications": [
                    {"level": "warning", "message": {"text": f"{c.state}: {about(c)}: {c.reason}"}} for c in idle
                ],
            }
        ],
        "results": results,
        "properties": {"summary": headline(audit)},
    }
    return json.dumps({"$schema": SCHEMA_URI, "version": "2.1.0", "runs": [run]}, indent=2) + "\n"


def _result(cell: Cell, check: Check) -> dict[str, Any]:
    text = f"{cell.state}: {about(cell)}: {check.message}"
    if check.remedy:
        text += f". {check.remedy}"
    return {
        "ruleId": check.check,
        "level": "error",
        "message": {"text": text},
        "locations": [
            {
                "logicalLocations": [{"fullyQualifiedName": cell.subject, "kind": "function"}],
            }
        ],
        "partialFingerprints": {"cell/v1": f"{about(cell)}:{check.check}"},
        "properties": {"state": cell.state, "ratio": check.ratio if _finite(check.ratio) else None, "at": check.where},
    }


def _finite(value: float | None) -> bool:
    return value is not None and abs(value) < float("inf")
