"""The ledger as a record, which `schemas/ledger-1.json` describes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from proofs.ledger import SCHEMA, Entry, Outcome, paths_by, wrong
from proofs.report.catalogue import engine_counts, engine_seconds, steps_of
from proofs.report.notation import expression_latex, expression_text, latex_of, text_of
from proofs.statements import Instance
from proofs.steps import Step
from proofs.theorem import Theorem


def ledger_record(
    theorems: Sequence[Theorem], entries: Sequence[Entry], titles: Mapping[str, str] | None = None
) -> dict[str, Any]:
    """Return the record of a run."""
    by_id: dict[str, list[Entry]] = {}
    for entry in entries:
        by_id.setdefault(entry.theorem.id, []).append(entry)
    return {
        "schema": SCHEMA,
        "summary": _summary(theorems, entries, titles or {}),
        "theorems": [_theorem(theorem, by_id.get(theorem.id, ())) for theorem in theorems],
    }


def _summary(theorems: Sequence[Theorem], entries: Sequence[Entry], titles: Mapping[str, str]) -> dict[str, Any]:
    proved, refuted = paths_by(entries, Outcome.PROVED), paths_by(entries, Outcome.REFUTED)
    true = [theorem.id for theorem in theorems if theorem.holds]
    false = [theorem.id for theorem in theorems if not theorem.holds]
    seconds = engine_seconds(entries)
    paths = {entry.engine: entry.path or entry.engine for entry in entries}
    return {
        "theorems": len(true),
        "proved_twice": sum(len(proved.get(name, ())) >= 2 for name in true),
        "false_statements": len(false),
        "refused": sum(name in refuted and name not in proved for name in false),
        "wrong": wrong(entries),
        "engines": {
            engine: {
                "title": titles.get(engine, ""),
                "path": paths[engine],
                "seconds": seconds[engine],
                "outcomes": {str(outcome): number for outcome, number in counts.items()},
            }
            for engine, counts in engine_counts(entries).items()
        },
    }


def _theorem(theorem: Theorem, entries: Sequence[Entry]) -> dict[str, Any]:
    statement = theorem.statement
    return {
        "id": theorem.id,
        "family": theorem.family,
        "words": theorem.words,
        "kind": type(statement).__name__,
        "statement": text_of(statement),
        "latex": latex_of(statement),
        "conditions": list(theorem.conditions),
        "source": theorem.source,
        "holds": theorem.holds,
        "refutes": theorem.refutes,
        "instance": dict(statement.instance) if isinstance(statement, Instance) else None,
        "engines": {entry.engine: _finding(entry) for entry in entries},
        "steps": [_step(step) for step in steps_of(theorem)],
    }


def _finding(entry: Entry) -> dict[str, Any]:
    finding = entry.finding
    return {
        "outcome": str(finding.outcome),
        "scope": finding.scope,
        "detail": finding.detail,
        "seconds": entry.seconds,
        "counterexample": dict(finding.counterexample),
    }


def _step(step: Step) -> dict[str, Any]:
    return {
        "rule": step.rule,
        "note": step.note,
        "before": None if step.before is None else expression_text(step.before),
        "after": expression_text(step.after),
        "latex": expression_latex(step.after),
    }
