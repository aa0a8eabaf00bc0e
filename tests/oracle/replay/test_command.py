"""The command as a user meets it: statuses, errors of a line or two, and no folder without a failure."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from oracle.cli import main
from oracle.replay.cases import CaseError, SavedCase, known, load, save
from oracle.replay.home import home
from tests.oracle.replay.conftest import Judged
from tests.oracle.replay.faults import PLANTED

FORM = next(p for p in PLANTED if p.name == "form")


def run(*args: str) -> Result:
    result = CliRunner().invoke(main, list(args))
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return result


def test_statuses(judged: Judged, monkeypatch: pytest.MonkeyPatch) -> None:
    case, where = str(judged.finding(FORM).id), str(judged.cases)
    monkeypatch.chdir(judged.faults)
    result = run("replay", case, "--cases", where)
    assert result.exit_code == 1
    assert "reproduced: the same failure, bit for bit" in result.stdout
    assert "policy 1/2, reference 2/5" in result.stdout
    assert "expected 0.223144" in result.stdout
    assert run("replay", case[:5], "--cases", where).exit_code == 1
    monkeypatch.chdir(judged.twins)
    monkeypatch.setenv("KL_ORACLE_HOME", where)
    result = run("replay", case)
    assert result.exit_code == 0
    assert "it no longer fails" in result.stdout
    assert "sha256 differs" in result.stdout
    record = json.loads(run("replay", case, "--format", "json").stdout)
    assert (record["schema"], record["result"], record["code_changed"]) == ("kl-oracle/replay/1", "gone", True)


def test_the_file_is_found_where_the_case_was_saved(judged: Judged, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(judged.cases)
    assert run("replay", str(judged.finding(FORM).id), "--cases", ".").exit_code == 1


def test_mistakes_are_said_in_a_line(judged: Judged, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    case = str(judged.finding(FORM).id)
    monkeypatch.setenv("KL_ORACLE_HOME", str(judged.cases))
    wrong = ("0" if case[0] != "0" else "1") + case[1:]
    for args, words in (
        ((wrong,), f"did you mean {case}"),
        (("zzzzzzzzzz",), "kl-oracle replay lists them"),
        ((case, "--cases", str(tmp_path)), "holds none"),
        (("--snippet", "x.py"), "needs the ID of a case"),
        ((case, "--snippet", str(tmp_path / "no" / "folder.py")), "cannot be written"),
    ):
        result = run("replay", *args)
        assert result.exit_code == 2
        assert words in result.stderr
        assert len(result.stderr.strip().splitlines()) <= 5
    monkeypatch.chdir(tmp_path)
    (tmp_path / "code.py").write_text("def other(logp, ref_logp): return logp\n")
    result = run("replay", case)
    assert result.exit_code == 2
    assert "there is no 'form' in it" in result.stderr


def test_code_that_cannot_be_imported_is_replayed_and_has_no_script(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("KL_ORACLE_HOME", raising=False)
    Path("needy.py").write_text(
        "import not_installed_here\nimport torch\ndef k(logp, ref_logp): return (logp - ref_logp) ** 2\n"
    )
    assert run("check", "needy.py:k", "--claim", "k2 as loss", "--max-examples", "1").exit_code == 1
    (case,) = known(home())
    assert "bit for bit" in run("replay", case).stdout
    result = run("replay", case, "--snippet")
    assert result.exit_code == 2
    assert "cannot be imported here" in result.stderr


def test_drawn_numbers_come_again_in_another_process(judged: Judged) -> None:
    case = str(judged.finding(next(p for p in PLANTED if p.name == "dropping")).id)
    start = "from oracle.cli import main; main()"
    args = [sys.executable, "-c", start, "replay", case, "--cases", str(judged.cases), "--format", "json"]
    done = subprocess.run(args, capture_output=True, text=True, check=False, cwd=judged.faults)
    assert json.loads(done.stdout)["result"] == "reproduced"


def test_a_broken_case_is_said_to_be(tmp_path: Path) -> None:
    (tmp_path / "0123456789.json").write_text('{"schema": "kl-oracle/case/9"}')
    with pytest.raises(CaseError, match="not a case that this release can read"):
        load("0123456789", tmp_path)


def test_listing_and_snippet(judged: Judged, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(judged.faults)
    monkeypatch.setenv("KL_ORACLE_HOME", str(judged.cases))
    case = str(judged.finding(FORM).id)
    listed = run("replay").stdout
    assert f"{case}  claim 'k2 as loss' fails on code.py:form as loss\n" in listed
    assert len(listed.splitlines()) == len(known(judged.cases))
    printed = run("replay", case, "--snippet")
    assert printed.exit_code == 0
    assert run("replay", case, "--snippet", str(tmp_path / "s.py")).exit_code == 0
    assert (tmp_path / "s.py").read_text() == printed.stdout
    assert "log(2/5)" in printed.stdout


def test_a_folder_is_made_by_a_failure_alone(judged: Judged, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("KL_ORACLE_HOME", raising=False)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "code.py").write_text((judged.twins / "code.py").read_text())
    assert run("check", "code.py:form", "--placement", "loss", "--max-examples", "1").exit_code == 0
    assert not (tmp_path / ".kl-oracle").exists()
    (tmp_path / "code.py").write_text((judged.faults / "code.py").read_text())
    args = ("check", "code.py:form", "--claim", "k2 as loss", "--max-examples", "1")
    assert run(*args, "--no-save").exit_code == 1
    assert not (tmp_path / ".kl-oracle").exists()
    result = run(*args)
    assert result.exit_code == 1
    (case,) = known(home())
    assert f"again: kl-oracle replay {case}\n" in result.stdout
    assert not [p for p in (tmp_path / ".kl-oracle").iterdir() if p.suffix != ".json"]


def test_a_folder_that_cannot_be_written_is_no_reason_to_stop(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    saved = SavedCase(
        check="sign",
        message="m",
        severity="error",
        target="a.py:f",
        folder="",
        sha256=None,
        placement="loss",
        roles=[],
        settings=[],
        seed=0,
        max_examples=1,
    )
    with pytest.raises(CaseError, match="name another folder with --cases, or --no-save"):
        save(saved, tmp_path / "file")
    assert load(save(saved, tmp_path), tmp_path) == saved
