"""``kl-oracle selftest``: its numbers, its forms, its exit status; on a catalogue of three."""

from __future__ import annotations

import json
from dataclasses import replace

import jsonschema
import pytest
from click.testing import CliRunner

from oracle.schemas import schemas
from oracle.selftest import run
from oracle.selftest.cli import selftest
from oracle.selftest.faults.estimators import K2, PAIRS
from oracle.selftest.record import Pair


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> Pair:
    """A catalogue of one mutant and one correct loss."""
    pair = next(p for p in PAIRS if p.name == "halved_by_detach")
    monkeypatch.setattr(run, "PAIRS", (pair,))
    monkeypatch.setattr(run, "CORRECT", ())
    return pair


def test_all_found_and_nobody_accused(small: Pair) -> None:
    result = CliRunner().invoke(selftest, ["--jobs", "1"])
    assert result.exit_code == 0, result.output
    assert "mutants        1, killed 1 (100.0%)" in result.output
    assert "correct losses 1, accused or misnamed 0" in result.output


def test_a_survivor_and_an_accusation_are_said(small: Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    survivor = K2.with_fault(K2.subject, "sign", K2.on, K2.off, called="no_fault")
    accused = replace(K2, subject=small.fault, called="a_fault")
    monkeypatch.setattr(run, "PAIRS", (survivor,))
    monkeypatch.setattr(run, "CORRECT", (accused,))
    result = CliRunner().invoke(selftest, ["--jobs", "1", "--format", "json"])
    assert result.exit_code == 1
    report = json.loads(result.output)
    jsonschema.Draft202012Validator(schemas()["selftest-1.json"]).validate(report)
    assert (report["mutants"], report["killed"], report["correct"], report["accused"]) == (1, 0, 2, 1)
    said = {row["name"]: row["wrong"][0] for row in report["rows"]}
    assert said["no_fault"] == "survives: sign does not fail"
    assert "due ('reverse_kl', 'token', 1.0)" in said["a_fault"]
