"""Evidence files: what is in one, that it can be held against the oracle, and what is said of a broken one."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import pytest

from gpu_checks.audit import cell as cells
from gpu_checks.evidence import EvidenceError, dependencies, evidence_files, read, rederive, said, stale, write
from gpu_checks.evidence.records import SCHEMA, Evidence, Observation
from gpu_checks.on_device import conclude, failures
from gpu_checks.subjects import bundled

from ..kernels.support import needs_compiler
from .support import VOCABULARY, evidence

changed = msgspec.structs.replace


def only(of: Evidence, subject: str, number: int = 0) -> Observation:
    return [o for o in of.observations if o.subject == subject][number]


def with_one(of: Evidence, observation: Observation) -> Evidence:
    return changed(of, observations=[observation], cells=[], ulps=[])


def test_what_is_committed_is_read_fits_the_sources_and_is_confirmed() -> None:
    """None yet: nothing has run on a device, which is said as NOT_RUN."""
    for path in evidence_files():
        committed = read(path)
        assert "stand-in" not in committed.device.name.lower()
        assert {c.backend for c in committed.cells} == {"cuda"}
        assert (path.name, stale(committed), rederive(committed).problems) == (path.name, [], [])


@needs_compiler
def test_what_a_run_holds() -> None:
    found = evidence()
    assert [c.subject for c in found.cells] == ["own-kl", "own-whole-kl", "own-gumbel"]
    assert {c.outcome for c in found.cells} == {"passes"}
    assert [(o.subject, o.regime) for o in found.observations] == [
        ("own-kl", "typical"),
        ("own-kl", "peaked"),
        ("own-whole-kl", "typical"),
        ("own-whole-kl", "peaked"),
        ("own-gumbel", ""),
    ]
    one = only(found, "own-kl")
    assert len(one.values) == len(one.log_probabilities) == len(one.gradients) == 4
    assert {len(row) for row in one.gradients} == {len(one.columns)}
    assert {0, VOCABULARY - 1} <= set(one.columns)
    assert [len(row) for row in only(found, "own-gumbel").tokens] == [24, 24]
    assert [(u.function, u.inputs) for u in found.ulps] == [(f, 10_000) for f in ("expf", "logf", "exp2f")]
    assert [(t.subject, t.dtype) for t in found.timings] == [("own-kl", "bfloat16"), ("own-whole-kl", "bfloat16")]
    assert [t.moved for t in found.timings] == [3 * 2 * VOCABULARY * 2, 5 * 2 * VOCABULARY * 2]
    assert all(t.times_floor == t.copied / t.bandwidth and t.milliseconds > 0 for t in found.timings)
    assert {"numpy", "python", "cuda-bindings"} <= set(found.versions)


@needs_compiler
def test_a_file_is_what_was_written_and_is_confirmed(tmp_path: Path) -> None:
    path = write(evidence(), tmp_path)
    assert path.name == f"stand-in-a-cpu-{evidence().date}.json"
    assert evidence_files(tmp_path) == [path]
    again = read(path)
    assert again == evidence()
    found = rederive(again)
    assert found.holds
    assert found.problems == []
    assert found.compared > 200
    assert 0.1 < found.worst <= 1
    assert stale(again) == []
    assert said(tmp_path) == [f"EXECUTED_GPU: Stand-in (a CPU), {again.date}: 3 of 3 cells pass"]


@needs_compiler
@pytest.mark.parametrize("subject", ["own-kl", "own-whole-kl"])
@pytest.mark.parametrize("number", [0, 1])
@pytest.mark.parametrize("what", ["value", "gradient", "nan", "seed"])
def test_a_recorded_number_outside_its_bound_is_named(subject: str, number: int, what: str) -> None:
    one = only(evidence(), subject, number)
    assert rederive(with_one(evidence(), one)).holds
    if what == "value":
        value = one.values[1]
        assert value is not None
        broken = changed(one, values=[one.values[0], value * 1.001 + 1e-3, *one.values[2:]])
    elif what == "seed":
        broken = changed(one, seed=4)
    else:
        largest = max(range(len(one.columns)), key=lambda i: abs(one.gradients[1][i] or 0.0))
        row = list(one.gradients[1])
        number_there = row[largest]
        assert number_there is not None
        row[largest] = None if what == "nan" else number_there * 1.02
        broken = changed(one, gradients=[one.gradients[0], row, *one.gradients[2:]])
    found = rederive(with_one(evidence(), broken))
    assert not found.holds
    (problem,) = found.problems
    assert problem.startswith(f"{subject}, bfloat16, V = {VOCABULARY}: ")
    assert "times the bound" in problem
    assert {"gradient": "gradient, ", "value": "value, ", "nan": "nan for "}.get(what, "") in problem


@needs_compiler
def test_draws_that_no_counter_gives_are_named() -> None:
    one = only(evidence(), "own-gumbel")
    tokens = [list(row) for row in one.tokens]
    tokens[1][5] = (tokens[1][5] + 1) % VOCABULARY
    found = rederive(with_one(evidence(), changed(one, tokens=tokens)))
    assert [p for p in found.problems if "draws of row 1" in p] == found.problems != []


@needs_compiler
@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"subject": "own-k9"}, "no such subject or format here"),
        ({"dtype": "float8"}, "no such subject or format here"),
        ({"claim": "k9 as loss"}, "k9"),
        ({"regime": "other"}, "no regime 'other': one of typical, peaked"),
        ({"columns": [VOCABULARY]}, "columns have to be from 0 to 300"),
        ({"columns": []}, "columns have to be from 0 to 300"),
        ({"columns": [1, 2, 3]}, "times the bound"),
        ({"values": []}, "0 rows are recorded, 4 were run"),
        ({"log_probabilities": []}, "the log-probabilities are not recorded"),
        ({"vocabulary": 2**40}, "a vocabulary is from 1 to 4194304"),
        ({"seed": -1}, "V = 301: "),
    ],
    ids=str,
)
def test_an_observation_that_cannot_be_repeated(changes: dict[str, Any], said: str) -> None:
    found = rederive(with_one(evidence(), changed(only(evidence(), "own-kl"), **changes)))
    assert not found.holds
    assert said in found.problems[0]
    assert "\n" not in found.problems[0]


@needs_compiler
def test_other_gaps() -> None:
    found = rederive(changed(evidence(), observations=[]))
    assert found.problems == [
        f"{name}, bfloat16, V = {VOCABULARY}: nothing of it was recorded"
        for name in ("own-kl", "own-whole-kl", "own-gumbel")
    ]
    draws = only(evidence(), "own-gumbel")
    (problem,) = rederive(with_one(evidence(), changed(draws, tokens=[]))).problems
    assert problem.endswith("0 rows are recorded, 2 were run")
    opaque = {"own-gumbel": replace(bundled()["own-gumbel"], replayed=False)}
    assert "cannot be repeated" in rederive(with_one(evidence(), draws), opaque).problems[0]


@needs_compiler
def test_a_changed_source_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In a copy of the tree: the real sources stay as they are."""
    sources = evidence().sources
    for name in sources:
        copy = tmp_path / name
        copy.parent.mkdir(parents=True, exist_ok=True)
        copy.write_bytes((Path(cells.__file__).parents[2] / name).read_bytes())
    monkeypatch.setattr(cells, "_ROOT", tmp_path)
    assert stale(evidence()) == []
    kernel, module = "gpu_checks/kernels/token_kl.cu", "gpu_checks/formats.py"
    (tmp_path / kernel).write_text("// another\n")
    (tmp_path / module).unlink()
    assert stale(evidence()) == [module, kernel]
    write(evidence(), tmp_path)
    (line,) = said(tmp_path)
    assert line.startswith(f"NOT_RUN: Stand-in (a CPU), {evidence().date}: 3 of 3 cells pass; since then 2 of ")
    assert line.endswith(f"sources have changed, {module} first")


@needs_compiler
def test_the_sources_are_all_that_has_a_part() -> None:
    root = Path(cells.__file__).parents[2]
    sources = dependencies.hashes([s for s in bundled().values() if "cuda" in s.backends])
    assert (
        sources["gpu_checks/kernels/ulps.cu"]
        == hashlib.sha256((root / "gpu_checks/kernels/ulps.cu").read_bytes()).hexdigest()
    )
    for name in (
        "kernels/gumbel.cu",
        "kernels/log_sum_exp.cuh",
        "generated/kl_forms.cuh",
        "backends/cuda.py",
        "backends/own_runners.py",
        "compiling/nvrtc.py",
        "arrays.py",
        "subjects/arrays.py",  # the same file name, another file
        "subjects/own.py",
        "audit/columns.py",
        "bounds/tracked.py",
        "statistics/sequential.py",
        "formats.py",
    ):
        assert f"gpu_checks/{name}" in sources
    assert not [name for name in sources if "host" in name or "cuda_on_cpu" in name or "third_party" in name]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (b"", "is no JSON"),
        (b"{", "is no JSON"),
        (b"\xff\xfe", "is no JSON"),
        (b"[]", f"its schema is None, this version reads '{SCHEMA}': collect it again"),
        (b'{"schema": "kl-oracle/evidence/2"}', "its schema is 'kl-oracle/evidence/2', this version reads"),
        (b'{"schema": "kl-oracle/evidence/1"}', "does not follow kl-oracle/evidence/1: Object missing required field"),
    ],
)
def test_a_file_that_is_no_evidence(text: bytes, said: str, tmp_path: Path) -> None:
    path = tmp_path / "broken.json"
    path.write_bytes(text)
    with pytest.raises(EvidenceError) as caught:
        read(path)
    assert str(caught.value).startswith(f"{path}: ")
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(EvidenceError, match="cannot be read: No such file"):
        read(tmp_path / "none.json")
    assert evidence_files(tmp_path) == []
    assert said(tmp_path) == ["NOT_RUN: no evidence of a device; python -m gpu_checks.on_device makes it, on one"]


@needs_compiler
def test_a_number_of_another_type(tmp_path: Path) -> None:
    path = write(evidence(), tmp_path)
    given = json.loads(path.read_text(encoding="utf-8"))
    given["ulps"][0]["error"] = "small"
    path.write_text(json.dumps(given), encoding="utf-8")
    with pytest.raises(EvidenceError, match=r"does not follow .*: Expected `float`, got `str` - at `\$\.ulps"):
        read(path)


@needs_compiler
def test_failures_are_said_and_make_the_exit_status(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert conclude(evidence(), tmp_path / "new") == 0
    said = capsys.readouterr().out
    assert "3 of 3 cells pass" in said
    assert "expf: 0." in said
    assert str(tmp_path) in said
    first, *rest = evidence().cells
    check = changed(first.checks[0], outcome="fail", message="off")
    broken = [
        changed(first, outcome="fails", checks=[check]),
        changed(rest[0], outcome="not run", reason="no NVRTC", checks=[]),
        rest[1],
    ]
    assert failures(changed(evidence(), cells=broken)) == [
        f"own-kl, bfloat16, V = {VOCABULARY}: coefficient: off",
        f"own-whole-kl, bfloat16, V = {VOCABULARY}: NOT_RUN: no NVRTC",
    ]
    assert conclude(changed(evidence(), cells=broken), tmp_path) == 1
    assert f"FAILS: own-kl, bfloat16, V = {VOCABULARY}: coefficient: off" in capsys.readouterr().out
