"""The command line as a user meets it: exit statuses, one or two lines for each mistake, never a traceback."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from oracle.cli import main

GOOD = """
import torch
def k2(logp, ref_logp):
    print("a subject may print")
    return 0.5 * (logp - ref_logp) ** 2
def k3(logp, ref_logp):
    return (ref_logp - logp).exp() - 1 - (ref_logp - logp)
"""
BAD = """
import sys, torch
from typing import NamedTuple
class Thing:
    def method(self, logp, ref_logp): return logp - ref_logp
    @staticmethod
    def plain(logp, ref_logp): return logp - ref_logp
number = 3
def nan(logp, ref_logp): return (logp - ref_logp).abs().sub(10).sqrt()
def inf(logp, ref_logp): return (logp - ref_logp) / torch.zeros(())
def raises(logp, ref_logp): raise ValueError("my own message")
def leaves(logp, ref_logp): sys.exit(3)
def deep(logp, ref_logp): return deep(logp, ref_logp)
async def later(logp, ref_logp): return logp - ref_logp
def nothing(logp, ref_logp): pass
def text(logp, ref_logp): return "loss"
def integers(logp, ref_logp): return torch.ones(3, 2, dtype=torch.long)
def shape(logp, ref_logp): return (logp - ref_logp)[:, :1]
def empty(logp, ref_logp): return (logp - ref_logp)[:0]
def roleless(a, b): return a - b
def no_reference(logp, old_logp): return logp - old_logp
def on_logits(logits, labels): return logits.sum()
def wants_more(logp, ref_logp, kl_penalty): return logp - ref_logp
def twice(ref_logp, reference_logp, logp): return logp - ref_logp
def device(logp, ref_logp): return logp.cuda() - ref_logp.cuda()
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "good.py").write_text(GOOD)
    (tmp_path / "bad.py").write_text(BAD)
    (tmp_path / "broken.py").write_text("def f(:\n")
    (tmp_path / "raising.py").write_text("raise RuntimeError('at import')\ndef f(logp, ref_logp): return logp")
    (tmp_path / "needs.py").write_text("import no_such_library\n")
    (tmp_path / "[red]odd name.py").write_text(GOOD)
    (tmp_path / "empty.py").write_text("")
    (tmp_path / "leaving.py").write_text("import sys; sys.exit(4)")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def run(*args: str) -> Result:
    return CliRunner().invoke(main, list(args))


def said(result: Result) -> str:
    """What stands on stderr; a mistake takes at most two lines of its own."""
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    lines = [line for line in result.stderr.splitlines() if not line.startswith(("Usage:", "Try ", "a subject may"))]
    assert len([line for line in lines if line]) <= 2, lines
    assert "Traceback" not in result.stderr
    return " ".join(lines)


@pytest.mark.parametrize(
    ("target", "words"),
    [
        ("nofile.py:f", "there is no file nofile.py"),
        ("goood.py:k2", "did you mean good.py"),
        (".:f", "is a folder"),
        ("no_such_package.mod:f", "no module named 'no_such_package'"),
        ("good.py:k22", "did you mean 'k2'"),
        ("good.py:zzz*", "no function here matches; it has k2, k3"),
        ("empty.py", "it has no public function"),
        (":", "names no file or module"),
        ("", "names no file or module"),
        ("broken.py:f", "line 1: invalid syntax"),
        ("raising.py:f", "raised RuntimeError while it was imported: at import"),
        ("leaving.py:f", "raised SystemExit while it was imported"),
        ("needs.py:f", "imports 'no_such_library', which is not installed here"),
        ("bad.py:Thing", "is a class"),
        ("bad.py:number", "is a int, not a function"),
        ("bad.py:nan", "returned nan on mild inputs"),
        ("bad.py:inf", "returned inf on mild inputs"),
        ("bad.py:raises", "raised ValueError: my own message (line"),
        ("bad.py:leaves", "raised SystemExit"),
        ("bad.py:deep", "raised RecursionError"),
        ("bad.py:nothing", "returned nothing; it must return the penalty or the loss"),
        ("bad.py:later", "is async; wrap it"),
        ("bad.py:text", "returned str"),
        ("bad.py:integers", "floating-point tensor"),
        ("bad.py:shape", "returned a tensor of shape (3, 1)"),
        ("bad.py:empty", "returned a tensor of shape (0, 2)"),
        ("bad.py:roleless", "--role a=policy"),
        ("bad.py:no_reference", "no parameter is recognised as the reference's"),
        ("bad.py:on_logits", "reference_probabilities, reference_hidden, or log_ratio for log("),
        ("bad.py:wants_more", "--set kl_penalty=VALUE"),
        ("bad.py:twice", "both look like the reference"),
        ("bad.py:device", "raised"),
        ("math:hypot", "no readable signature; wrap it in a small Python function"),
    ],
)
def test_a_mistake_is_said_in_a_line(folder: Path, target: str, words: str) -> None:
    result = run("identify", target)
    assert result.exit_code == 2
    assert words in said(result).replace("-inf", "inf")


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--role", "base=reference"), "has no parameter 'base'; it has logp, ref_logp"),
        (("--role", "ref_logp=referense"), "did you mean 'reference'"),
        (("--role", "ref_logp"), "write --role NAME=VALUE"),
        (("--set", "temperature=1"), "has no parameter 'temperature'"),
        (("--set", "x"), "write --set NAME=VALUE"),
    ],
)
def test_a_wrong_binding(folder: Path, options: tuple[str, ...], words: str) -> None:
    result = run("identify", "good.py:k2", *options)
    assert result.exit_code == 2
    assert words in said(result)


@pytest.mark.parametrize(
    ("args", "words"),
    [
        (("idetify", "good.py:k2"), "did you mean 'identify'"),
        (("identify",), "TARGET"),
        (("identify", "good.py:k2", "--report", "json"), "write FORMAT=PATH"),
        (("identify", "good.py:k2", "--report", "json=no/such/folder.json"), "there is no folder"),
        (("identify", "good.py:k2", "--seed", "-1"), "--seed"),
        (("identify", "good.py:k2", "--max-examples", "none"), "--max-examples"),
        (("identify", "good.py:k2", "--format", "yaml"), "--format"),
        (("check", "good.py:k2", "--claim", ""), "an empty claim"),
        (("check", "good.py:k2", "--claim", "k9 as loss"), "unknown name 'k9'"),
        (("check", "good.py:k2", "--claim", "revers_kl"), "did you mean 'reverse_kl'"),
        (("check", "good.py:k2", "--claim", "k2 as loss, weight detatched"), "did you mean 'detached'"),
        (("check", "good.py:k2", "--claim", "reverse_kl/word"), "write OBJECTIVE[/token|/sequence]"),
        (("libraries", "nope"), "no adapter for 'nope'"),
    ],
)
def test_wrong_usage(folder: Path, args: tuple[str, ...], words: str) -> None:
    result = run(*args)
    assert result.exit_code == 2
    assert words in result.stderr
    assert "Traceback" not in result.stderr


def test_a_broken_target_does_not_stop_the_others(folder: Path) -> None:
    result = run(
        "identify", "good.py:k2", "bad.py:nan", "nofile.py:f", "good.py:k3", "--format", "json", "--placement", "loss"
    )
    assert result.exit_code == 2
    verdicts = json.loads(result.stdout)
    assert [v["subject"]["target"] for v in verdicts] == ["good.py:k2", "bad.py:nan", "nofile.py:f", "good.py:k3"]
    objectives = [v["on_policy"] and v["on_policy"]["objective"] for v in verdicts]
    assert objectives == ["reverse_kl", None, None, "forward_kl"]
    assert "returned nan" in verdicts[1]["error"]


def test_all_functions_of_a_file_and_a_glob(folder: Path) -> None:
    for target in ("good.py", "good.py:k*"):
        verdicts = json.loads(run("identify", target, "--format", "json", "--max-examples", "1").stdout)
        assert [(v["subject"]["target"], v["subject"]["placement"]) for v in verdicts] == [
            ("good.py:k2", "loss"),
            ("good.py:k2", "reward"),
            ("good.py:k3", "loss"),
            ("good.py:k3", "reward"),
        ]


def test_what_a_subject_prints_leaves_the_json_alone(folder: Path) -> None:
    result = run("identify", "good.py:k2", "--format", "json")
    assert result.exit_code == 0
    json.loads(result.stdout)
    assert "a subject may print" in result.stderr


def test_names_are_not_markup(folder: Path) -> None:
    result = run("identify", "[red]odd name.py:k2", "--placement", "loss")
    assert result.exit_code == 0
    assert "[red]odd name.py:k2" in result.stdout


def test_reports_are_written(folder: Path) -> None:
    result = run("identify", "good.py:k3", "--report", "json=out.json", "--report", "text=out.txt")
    assert result.exit_code == 0
    assert json.loads((folder / "out.json").read_text())[0]["on_policy"]["formula"] == "1 - exp(-L)"
    assert (folder / "out.txt").read_text() == result.stdout


@pytest.mark.parametrize(
    ("target", "claim", "status"),
    [
        ("k3", "k3 as loss", 0),
        ("k3", "exp(-L) - 1 + L as loss", 0),
        ("k3", "forward_kl/token", 0),
        ("k3", "reverse_kl", 1),
        ("k3", "k2 as loss", 1),
        ("k3", "reverse_kl/token off-policy", 1),
        ("k3", "k3 in reward", 0),
        ("k2", "k2 as loss", 0),
        ("k2", "reverse_kl", 0),
        ("k2", "reverse_kl/sequence", 1),
        ("k2", "k2 as loss, weight detached", 1),
        ("k2", "zero", 1),
    ],
)
def test_claims(folder: Path, target: str, claim: str, status: int) -> None:
    result = run("check", f"good.py:{target}", "--claim", claim, "--max-examples", "3")
    assert result.exit_code == status
    assert ("conforms" if status == 0 else "violates") in result.stdout


def test_check_without_a_claim_asks_the_checks(folder: Path) -> None:
    (folder / "k1.py").write_text("def k1(logp, ref_logp): return logp - ref_logp\n")
    assert run("check", "k1.py:k1", "--placement", "loss").exit_code == 1
    assert run("check", "k1.py:k1", "--placement", "reward").exit_code == 0
    # what the claim itself says is no failure
    result = run("check", "k1.py:k1", "--claim", "k1 as loss", "--format", "json")
    assert result.exit_code == 0
    (verdict,) = json.loads(result.stdout)
    assert {f["check"]: f["outcome"] for f in verdict["findings"]}["reference.dependence"] == "expected-fail"


def test_strict_counts_warnings(folder: Path) -> None:
    (folder / "c.py").write_text("def k2(logp, ref_logp): return ((logp - ref_logp) ** 2 / 2).clamp(max=10)\n")
    assert run("check", "c.py:k2", "--claim", "k2 as loss").exit_code == 0
    assert run("check", "c.py:k2", "--claim", "k2 as loss", "--strict").exit_code == 1


def test_help_lists_every_command_with_a_line() -> None:
    out = run("--help").stdout
    for command in ("audit", "check", "derive", "identify", "libraries"):
        assert f"\n  {command}" in out


def test_version_loads_nothing_heavy() -> None:
    code = (
        "import sys; sys.argv = ['kl-oracle', '--version']\n"
        "from oracle.cli import main\n"
        "try: main()\n"
        "finally: assert not {'torch', 'sympy', 'hypothesis', 'numpy'} & set(sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("kl-oracle 0.1.0")


def test_a_function_is_taken_alone_where_its_file_cannot_be_imported(folder: Path) -> None:
    needy = "import no_such_library\nHALF = 0.5\ndef k2(logp, ref_logp): return HALF * (logp - ref_logp) ** 2\n"
    (folder / "needy.py").write_text(needy)
    result = run("identify", "needy.py:k2", "--placement", "loss", "--format", "json")
    assert result.exit_code == 0
    assert json.loads(result.stdout)[0]["on_policy"]["objective"] == "reverse_kl"
    assert "taken from its file alone: No module named 'no_such_library'" in result.stderr


@pytest.mark.parametrize("how", [["--placement", "loss"], ["--no-save"]])
def test_nothing_is_left_in_the_folder(folder: Path, how: list[str]) -> None:
    before = sorted(p.name for p in folder.iterdir() if p.name != ".kl-oracle")
    shutil.rmtree(folder / ".kl-oracle", ignore_errors=True)  # where tests before this one saved failures
    command = [sys.executable, "-c", "from oracle.cli import main; main()", "identify", "good.py:k2", *how]
    subprocess.run(command, check=True, capture_output=True, cwd=folder)
    assert [n for n in sorted(p.name for p in folder.iterdir()) if n != "__pycache__"] == before
