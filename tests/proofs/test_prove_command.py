"""`kl-oracle prove` as a user meets it."""

import json
from pathlib import Path

import jsonschema
import pytest
from click.testing import CliRunner

import proofs
from proofs.cli import prove
from proofs.engines.registry import NAMES
from proofs.ledger import Finding, Outcome
from proofs.theorems import catalogue

SCHEMA = json.loads((Path(proofs.__file__).parent / "schemas" / "ledger-1.json").read_text("utf-8"))
SHORT = tuple(name for name in NAMES if name != "coq")
QUICK = ("--engine", "sympy", "--engine", "rewriting")


def run(*arguments, **options):
    return CliRunner().invoke(prove, arguments, **options)


def test_one_theorem_is_shown_with_its_derivation():
    result = run("k3-loss.on-policy", *(option for name in SHORT for option in ("--engine", name)))
    assert result.exit_code == 0
    text = " ".join(result.stdout.split())
    assert "k3 as loss, on-policy: the expected gradient is that of KL(reference||policy)." in text
    assert "[score identity: E_policy[c s] = 0 for the constant c = 1]" in text
    assert "arXiv 2510.01555" in text
    for name in SHORT:
        assert f"{name} " in text
    assert "sympy proved any vocabulary" in text
    assert result.stderr == ""


def test_a_false_statement_is_refused_and_that_is_well():
    result = run("false.k3-loss-is-reverse-kl", *QUICK)
    assert result.exit_code == 0
    assert "False, and to be refused" in result.stdout
    assert "sympy refuted" in " ".join(result.stdout.split())


def test_many_theorems_are_a_ledger():
    result = run("k*", *QUICK)
    assert result.exit_code == 0
    shown = {line.split()[0] for line in result.stdout.splitlines() if line.split()}
    assert {t.id for t in catalogue() if t.id.startswith("k")} <= shown
    assert not any(name.startswith("sequence.") for name in shown)


def test_json_follows_the_schema():
    result = run("k1-loss.*", "false.sign", "--format", "json", *QUICK)
    assert result.exit_code == 0
    record = json.loads(result.stdout)
    jsonschema.validate(record, SCHEMA)
    ids = [t["id"] for t in record["theorems"]]
    assert ids == [*(t.id for t in catalogue() if t.id.startswith("k1-loss.")), "false.sign"]
    assert record["summary"]["theorems"] == 4
    assert record["summary"]["wrong"] == []
    assert record["theorems"][0]["engines"]["sympy"]["outcome"] == "proved"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("k3-los",), "no theorem is called 'k3-los': did you mean "),
        (("--engine", "simpy"), "there is no engine 'simpy'; did you mean 'sympy'?"),
        (("--engine", "z3", "--without", "z3"), "no engine is left to ask"),
        (("--report", "htm=x"), "unknown format 'htm': choose one of html, pdf, tex, md, json"),
        (("--report", "html"), "a report is FORMAT=PATH, not 'html'"),
        (("--report", "html=nowhere/at/all.html"), "there is no folder nowhere/at"),
        (("--report", "html=."), ". is a folder"),
    ],
)
def test_mistakes_end_before_anything_is_proved(arguments, message, monkeypatch):
    monkeypatch.setattr("proofs.prove.prove", lambda *_: pytest.fail("it has begun to prove"))
    result = run(*arguments)
    assert result.exit_code == 2
    assert result.stderr.startswith(f"kl-oracle prove: {message}")
    assert len(result.stderr.splitlines()) == 1
    assert result.stdout == ""


def test_reports_are_written(tmp_path):
    result = run("k2-*", *QUICK, "--report", f"md={tmp_path / 'r.md'}", "--report", f"json={tmp_path / 'r.json'}")
    assert result.exit_code == 0
    jsonschema.validate(json.loads((tmp_path / "r.json").read_text("utf-8")), SCHEMA)
    assert "k2-loss.on-policy" in (tmp_path / "r.md").read_text("utf-8")


def test_an_answer_that_contradicts_the_catalogue_is_exit_1(monkeypatch):
    """As an engine with a fault would give: a proof of a false statement."""
    from proofs.engines import prover
    from proofs.engines.base import TableEngine

    believing = TableEngine("sympy", "", dict.fromkeys(prover.SYMPY.handlers, lambda _: Finding(Outcome.PROVED)))
    monkeypatch.setattr(prover, "SYMPY", believing)
    result = run("false.sign", "k2-loss.on-policy", "--engine", "sympy", "--jobs", "1")
    assert result.exit_code == 1
    assert result.stderr == "not as expected: false.sign: a false statement, proved by sympy\n"


def test_one_path_is_not_enough_for_the_whole(monkeypatch):
    from proofs.engines import registry

    monkeypatch.setattr(registry, "NAMES", ("sympy",))
    result = run("k2-loss.on-policy", "--jobs", "1")
    assert result.exit_code == 1
    assert "k2-loss.on-policy: proved on 1 independent paths, and needs 2" in result.stderr


def test_engines_that_are_not_installed_are_said_and_are_no_failure(monkeypatch):
    import proofs.engines.smt.engine as smt

    monkeypatch.setattr(smt, "missing", lambda _: "pip install 'kl-oracle[engines]'")
    result = run("convex.k3-loss", "--engine", "z3", "--engine", "cvc5", "--jobs", "1")
    assert result.exit_code == 0
    assert " ".join(result.stdout.split()).count("not installed pip install 'kl-oracle[engines]'") == 2
