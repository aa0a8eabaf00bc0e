"""The JSON that commands print: valid against the committed schema, with the fields that others build on."""

from __future__ import annotations

import json

import jsonschema
import pytest
from torch import Tensor

from oracle import records
from oracle.errors import SubjectError
from oracle.judge import failed_to_run
from oracle.schemas import FOLDER, schemas
from tests.oracle.judging import verdict

SCHEMA = FOLDER / "verdict-1.json"


def k3(logp: Tensor, ref_logp: Tensor) -> Tensor:
    d = ref_logp - logp
    return d.exp() - 1 - d


@pytest.mark.parametrize("name", schemas())
def test_schema_is_that_of_the_records(name: str) -> None:
    assert json.loads((FOLDER / name).read_text()) == schemas()[name], "run: python -m oracle.schemas"


@pytest.mark.parametrize("placement", ["loss", "reward"])
def test_output_is_valid(placement: str) -> None:
    printed = json.loads(records.encode([verdict(k3, placement)]))
    jsonschema.Draft202012Validator(json.loads(SCHEMA.read_text())).validate(printed)


def test_a_target_that_could_not_run_is_valid() -> None:
    printed = json.loads(records.encode([failed_to_run("x.py:f", SubjectError("x.py:f returned nothing"))]))
    jsonschema.Draft202012Validator(json.loads(SCHEMA.read_text())).validate(printed)
    assert printed[0]["error"] == "x.py:f returned nothing"
    assert printed[0]["on_policy"] is None


def test_a_wrong_record_is_refused() -> None:
    printed = json.loads(records.encode([verdict(k3)]))
    printed[0]["on_policy"]["evidence"] = "believed"
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.Draft202012Validator(json.loads(SCHEMA.read_text())).validate(printed)


def test_the_fields_of_the_design() -> None:
    (printed,) = json.loads(records.encode([verdict(k3)]))
    assert printed["schema"] == "kl-oracle/verdict/1"
    assert printed["subject"]["kind"] == "penalty"
    assert printed["subject"]["placement"] == "loss"
    assert printed["subject"]["roles"] == {"policy": "logp", "reference": "ref_logp"}
    assert printed["on_policy"] == {
        "objective": "forward_kl",
        "level": "token",
        "scale": 1.0,
        "evidence": "proved",
        "formula": "1 - exp(-L)",
        "theorems": ["sequence.token-k3-loss", "k3-loss.on-policy"],
    }
    assert printed["off_policy"]["objective"] == "unnamed"
    assert printed["off_policy"]["level"] is None
    assert set(printed["off_policy"]["nearest"]) == {"objective", "level", "relative_error"}
    assert printed["depends_on_reference"] is True
    assert printed["aggregation"] is None
    assert {"check", "outcome", "severity", "message", "evidence", "counterexample"} <= set(printed["findings"][0])
