"""The subjects of [tool.kl-oracle]: found upward, validated with the nearest key, run from the folder of the file."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from msgspec import UNSET

import oracle.running
from oracle.cli import main
from oracle.configuration import ConfigurationError, Entry, find, load, settings_of
from oracle.errors import OracleError
from oracle.expectations import with_expected
from oracle.judge import failed_to_run
from oracle.records import Finding, SubjectRecord, Verdict
from oracle.subject.binding import parse_value

CHECKS = ("sign", "tail.finite", "reference.dependence")
GOOD = """
[project]
name = "mine"
[[tool.kl-oracle.subjects]]
target = "src/losses.py:k3"
claims = ["k3 as loss"]
roles = {base = "reference"}
set = {kl_penalty = "true", scale = 0.5}
expected_failures = {"tail.finite" = "float16 on purpose"}
[[tool.kl-oracle.subjects]]
target = "src/losses.py:k1"
placement = "reward"
"""


def written(folder: Path, text: str) -> Path:
    path = folder / "pyproject.toml"
    path.write_text(text)
    return path


def test_what_is_read(tmp_path: Path) -> None:
    found = load(written(tmp_path, GOOD), CHECKS)
    first, second = found.subjects
    assert first == Entry(
        "src/losses.py:k3", ["k3 as loss"], None, {"base": "reference"}, {"kl_penalty": "true", "scale": 0.5},
        {"tail.finite": "float16 on purpose"},
    )  # fmt: skip
    assert second == Entry("src/losses.py:k1", placement="reward")


def test_a_setting_keeps_its_type() -> None:
    values: dict[str, Any] = {"a": "true", "b": True, "c": 1, "d": "1", "e": float("inf"), "f": [1, "x"], "g": "it's"}
    texts = settings_of(Entry("t", set=values))
    assert [(t.partition("=")[0], parse_value(t.partition("=")[2])) for t in texts] == list(values.items())


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[tool.kl-oracel]\n", "has no [tool.kl-oracle]"),
        ("[tool.kl-oracle]\n", "names no subjects"),
        ("[tool.kl-oracle]\nsubject = []\n", "'subject' is not a key here; did you mean 'subjects'?"),
        ("[tool]\nkl-oracle = 3\n", "is no table"),
        ("[tool.kl-oracle]\nsubjects = [3]\n", "subject 1 is no table"),
        ("[[tool.kl-oracle.subjects]]\n", "subject 1 has no target"),
        ("[[tool.kl-oracle.subjects]]\ntarget = 3\n", "subject 1 has no target"),
        ("[[tool.kl-oracle.subjects]]\ntraget = 'a:f'\n", "'traget' is not a key here; did you mean 'target'?"),
        ("TARGET expected_failure = {}", "'expected_failure' is not a key here; did you mean 'expected_failures'?"),
        ("TARGET claims = 'k3 as loss'", 'claims: Expected `array`, got `str`; write claims = ["k3 as loss"]'),
        ("TARGET claims = [3]", "claims[0]: Expected `str`, got `int`"),
        ("TARGET roles = {a = 1}", "roles"),
        ("TARGET placement = 'los'", "placement: 'los' is not a placement; did you mean 'loss'?"),
        ("TARGET expected_failures = {'tail.finit' = 'x'}", "is not the id of a check; did you mean 'tail.finite'?"),
        ("TARGET expected_failures = {sign = ' '}", "sign has no reason"),
        ("TARGET set = {a = 2020-01-01}", "set"),
        ("[tool", "is not valid TOML"),
    ],
)  # fmt: skip
def test_a_mistake_is_said_with_its_place(tmp_path: Path, text: str, words: str) -> None:
    path = written(tmp_path, text.replace("TARGET", "[[tool.kl-oracle.subjects]]\ntarget = 'a.py:f'\n"))
    with pytest.raises(ConfigurationError) as caught:
        load(path, CHECKS)
    assert words in str(caught.value)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_the_nearest_file_with_the_table_is_found(tmp_path: Path) -> None:
    (tmp_path / "a" / "b").mkdir(parents=True)
    assert find(tmp_path / "a" / "b") is None
    outer = written(tmp_path, GOOD)
    written(tmp_path / "a", "[project]\nname = 'without'\n")
    assert find(tmp_path / "a" / "b") == outer
    inner = written(tmp_path / "a" / "b", "[tool.kl-oracle]\n")
    assert find(tmp_path / "a" / "b") == inner


def verdict(**outcomes: str) -> Verdict:
    """A verdict with findings of these outcomes; ``tail_finite`` stands for tail.finite."""
    findings = [
        Finding(check=n.replace("_", "."), outcome=o, severity="error", message="said", evidence="tested")  # type: ignore[arg-type]
        for n, o in outcomes.items()
    ]
    subject = SubjectRecord(target="t", kind="penalty", placement="loss", roles={}, sha256=None)
    return Verdict(
        subject=subject, on_policy=None, off_policy=None, depends_on_reference=None, aggregation=None,
        findings=findings, outcome="violates" if "fail" in outcomes.values() else "conforms",
    )  # fmt: skip


def test_an_expected_failure_is_none() -> None:
    (told,) = with_expected([verdict(sign="fail", tail_finite="pass")], {"sign": "on purpose"})
    assert told.outcome == "conforms"
    assert [(f.check, f.outcome) for f in told.findings] == [("sign", "expected-fail"), ("tail.finite", "pass")]
    assert told.findings[0].message == "said (expected: on purpose)"


def test_another_failure_still_is() -> None:
    (told,) = with_expected([verdict(sign="fail", tail_finite="fail")], {"sign": "on purpose"})
    assert told.outcome == "violates"


@pytest.mark.parametrize(("outcome", "how"), [("pass", "it passes"), ("skip", "it was skipped")])
def test_a_declaration_that_nothing_fails_is_stale(outcome: str, how: str) -> None:
    (told,) = with_expected([verdict(sign=outcome)], {"sign": "on purpose"})
    assert told.outcome == "violates"
    stale = told.findings[-1]
    assert (stale.check, stale.outcome, stale.severity) == ("expected_failures", "fail", "error")
    assert stale.message == f"stale declaration: sign is expected to fail (on purpose), but {how}"


def test_one_failure_among_several_verdicts_is_enough_and_an_open_question_is_not_stale() -> None:
    told = with_expected([verdict(sign="pass"), verdict(sign="fail")], {"sign": "why"})
    assert [v.outcome for v in told] == ["conforms", "conforms"]
    (told_open,) = with_expected([verdict(sign="inconclusive")], {"sign": "why"})
    assert [f.check for f in told_open.findings] == ["sign"]
    broken = with_expected([verdict(sign="pass"), failed_to_run("t", OracleError("cannot"))], {"sign": "why"})
    assert [f.check for v in broken for f in v.findings] == ["sign"]
    assert broken[1].error is not UNSET


LOSSES = """
def k1(logp, ref_logp): return logp - ref_logp
def k2(base, logp): return 0.5 * (logp - base) ** 2
"""


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "src" / "deep").mkdir(parents=True)
    (tmp_path / "src" / "losses.py").write_text(LOSSES)
    monkeypatch.chdir(tmp_path / "src" / "deep")
    return tmp_path


def run(*args: str) -> Result:
    return CliRunner().invoke(main, ["check", *args])


def test_check_runs_the_subjects_from_their_folder(project: Path) -> None:
    text = """
        [[tool.kl-oracle.subjects]]
        target = "src/losses.py:k1"
        placement = "loss"
        expected_failures = {"reference.dependence" = "k1 as loss has none"}
        [[tool.kl-oracle.subjects]]
        target = "src/losses.py:k2"
        claims = ["k2 as loss"]
    """
    written(project, text)
    result = run("--format", "json", "--max-examples", "2", "--report", "text=out.txt", "--no-save")
    told = json.loads(result.stdout)
    assert [v["subject"]["target"] for v in told] == ["src/losses.py:k1", "src/losses.py:k2"]
    outcomes = [{f["check"]: f["outcome"] for f in v["findings"]} for v in told]
    assert outcomes[0]["reference.dependence"] == "expected-fail"
    assert outcomes[1]["claim"] == "pass"
    assert told[1]["outcome"] == "conforms"
    assert (project / "src" / "deep" / "out.txt").exists()
    assert Path.cwd() == project / "src" / "deep"


@pytest.mark.parametrize(
    ("args", "text", "words"),
    [
        ((), None, "there is no TARGET, and no pyproject.toml with [tool.kl-oracle]"),
        (("--config", "no.toml"), None, "no.toml cannot be read"),
        (("--config", "."), None, "cannot be read"),
        (("k.py:f", "--config", "x.toml"), None, "--config names the subjects"),
        (("--claim", "k3 as loss"), GOOD, "--claim is about a TARGET"),
        (("--role", "a=policy"), GOOD, "--role is about a TARGET"),
        ((), GOOD.replace("k3 as loss", "k9 as loss"), "subject 1: claim 'k9 as loss'"),
        ((), GOOD.replace("tail.finite", "tail.finit"), "did you mean 'tail.finite'?"),
    ],
)
def test_wrong_usage(project: Path, args: tuple[str, ...], text: str | None, words: str) -> None:
    if text is not None:
        written(project, text)
    result = run(*args)
    assert result.exit_code == 2
    assert words in result.stderr
    assert "Traceback" not in result.output


def test_a_defect_of_kl_oracle_stops_no_other_target(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def judge(target: Any, *_: Any) -> list[Verdict]:
        if target.name.endswith("k1"):
            raise ZeroDivisionError("by nothing\n[bold]")
        return [verdict(sign="pass")]

    monkeypatch.setattr(oracle.running, "judge_target", judge)
    result = CliRunner().invoke(main, ["identify", "../losses.py", "--format", "json"])
    assert result.exit_code == 2
    assert [v.get("error", "")[:56] for v in json.loads(result.stdout)] == [
        "../losses.py:k1: kl-oracle itself failed, ZeroDivisionEr", ""
    ]  # fmt: skip
    assert "please report it" in result.stderr
    assert "Traceback" not in result.output
