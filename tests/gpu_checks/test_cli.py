"""`kl-oracle audit` as a user meets it: exit statuses, reports, one or two lines for each mistake."""

from __future__ import annotations

import json
import shutil
from importlib.util import find_spec
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from gpu_checks.backends import device
from gpu_checks.cli import audit
from gpu_checks.subject import Unavailable

LOSSES = Path(__file__).parent / "audit" / "losses.py"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of the user's, with a file of losses; cells are kept in it."""
    shutil.copy(LOSSES, tmp_path / "losses.py")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def run(*arguments: str) -> Result:
    return CliRunner().invoke(audit, [*arguments])


def one_mistake(result: Result, *said: str) -> None:
    """Exit 2, the text of a mistake of usage in at most two lines, no traceback."""
    assert result.exit_code == 2, result.output
    message = result.output.split("Error: ")[-1]
    for part in said:
        assert part in " ".join(message.split()), message
    assert "Traceback" not in result.output
    assert len(message) < 400


def test_help_says_what_a_target_and_the_statuses_are() -> None:
    text = " ".join(run("--help").output.split())
    assert "A TARGET is a bundled subject" in text
    assert "Exit status: 0 all pass" in text


def test_list_shows_every_bundled_subject_with_its_claim() -> None:
    result = run("--list")
    assert result.exit_code == 0
    for name in ("own-kl", "own-whole-kl", "own-gumbel", "array-k3", "liger-grpo", "liger-kl-div", "fla-grpo"):
        assert name in result.output
    assert "k3 as loss" in result.output


def test_a_function_that_passes(folder: Path) -> None:
    result = run("losses.py:k3", "--claim", "k3 as loss", "--vocab", "1003")
    assert result.exit_code == 0, result.output
    assert result.output.startswith("EXECUTED_CPU_SAME_SOURCE 1: 1 pass, 0 fail\n")
    assert "forward_kl" in result.output


def test_a_function_that_fails_says_where_and_what_it_is(folder: Path) -> None:
    result = run("losses.py:k2", "--claim", "k3 as loss", "--vocab", "1003")
    assert result.exit_code == 1
    assert result.output.startswith("EXECUTED_CPU_SAME_SOURCE 1: 0 pass, 1 fail\n")
    assert "it is that of k2 as loss" in " ".join(result.output.split())


def test_a_grid_runs_every_format_and_vocabulary_and_goes_on_where_it_stopped(folder: Path) -> None:
    arguments = ("losses.py:k3", "--claim", "k3 as loss", "--vocab", "67", "--vocab", "131", "--format", "json")
    arguments += ("--dtype", "float32", "--dtype", "bfloat16")
    first = json.loads(run(*arguments).stdout)["cells"]
    assert [(c["dtype"], c["vocabulary"]) for c in first] == [
        ("float32", 67),
        ("float32", 131),
        ("bfloat16", 67),
        ("bfloat16", 131),
    ]
    kept = sorted((folder / ".kl-oracle" / "audit").glob("*.json"))
    assert len(kept) == 4
    kept[0].write_text("{")  # a run that was cut while it wrote
    again = json.loads(run(*arguments).stdout)["cells"]
    assert sum(a["seconds"] == b["seconds"] for a, b in zip(first, again, strict=True)) == 3
    fresh = json.loads(run(*arguments, "--fresh").stdout)["cells"]
    assert not any(a["seconds"] == b["seconds"] for a, b in zip(first, fresh, strict=True))


def test_a_changed_function_is_audited_again(folder: Path) -> None:
    """A kept cell is of the code that it was found on."""
    arguments = ("losses.py:k3", "--claim", "k3 as loss", "--vocab", "67")
    assert run(*arguments).exit_code == 0
    source = (folder / "losses.py").read_text()
    changed = source.replace("torch.exp(ref_logp - logp) - 1 - (ref_logp - logp)", "0.5 * (logp - ref_logp) ** 2", 1)
    assert changed != source
    (folder / "losses.py").write_text(changed)
    assert run(*arguments).exit_code == 1


def test_reports_are_written_beside_the_output(folder: Path) -> None:
    reports = [f"--report={kind}=out.{kind}" for kind in ("json", "html", "sarif", "text")]
    result = run("losses.py:k3_swapped", "--claim", "k3 as loss", "--vocab", "67", *reports)
    assert result.exit_code == 1
    assert json.loads((folder / "out.json").read_text())["schema"] == "kl-oracle/audit/1"
    assert (folder / "out.html").read_text().startswith("<!doctype html>")
    assert json.loads((folder / "out.sarif").read_text())["version"] == "2.1.0"
    assert (folder / "out.text").read_text() == result.stdout


def test_a_device_that_is_not_here_is_one_clear_line_and_status_2(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    absent = device.DeviceState("no driver", "no CUDA driver answers (test): run it on a machine with a GPU")
    monkeypatch.setattr("gpu_checks.backends.cuda.device_state", lambda: absent)
    result = run("array-k3", "--backend", "cuda", "--vocab", "67")
    assert result.exit_code == 2
    assert result.output.startswith("NOT_RUN 1: 0 pass, 0 fail, 1 did not run\n")
    assert absent.reason in " ".join(result.output.split())


@pytest.mark.skipif(find_spec("cuda") is None, reason="cuda-bindings is not installed")
def test_our_kernels_are_compiled_where_no_device_runs_them(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    absent = device.DeviceState("no driver", "no CUDA driver answers (test): run it on a machine with a GPU")
    monkeypatch.setattr("gpu_checks.backends.cuda.device_state", lambda: absent)
    arguments = ("--backend", "cuda", "--dtype", "bfloat16", "--vocab", "67")
    result = run("own-kl", *arguments, "--claim", "k2 as loss, weight detached")
    assert result.exit_code == 2
    assert result.output.startswith("COMPILED_ONLY 1: 0 pass, 0 fail, 1 did not run\n")
    text = " ".join(result.output.split())
    assert "for sm_80, sm_90, sm_100, sm_120: at most" in text
    assert absent.reason in text
    monkeypatch.setattr("gpu_checks.compiling.nvrtc.bindings", _no_nvrtc)
    assert run("own-kl", *arguments).output.startswith("NOT_RUN 1")


def _no_nvrtc() -> None:
    raise Unavailable("NVRTC is not installed")


def test_without_the_library_the_others_run(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One absence is a line of its own, and the other cells are there."""
    import importlib.util

    found = importlib.util.find_spec

    def find(name: str, *rest: object) -> object:
        return None if name.split(".")[0] in ("triton", "liger_kernel") else found(name, *rest)  # type: ignore[arg-type]

    monkeypatch.setattr("importlib.util.find_spec", find)
    monkeypatch.setattr("gpu_checks.backends.triton_interpreter.find_spec", find, raising=False)
    result = run("array-k3", "liger-grpo", "--backend", "torch", "--backend", "triton-interpreter", "--vocab", "67")
    assert result.exit_code == 2
    assert "1 pass" in result.output.splitlines()[0]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ((), ["name a TARGET"]),
        (("own-kll",), ["there is no bundled subject 'own-kll'", "did you mean 'own-kl'"]),
        (("zzz",), ["--list shows them"]),
        (("losses.py:k3",), ["losses.py:k3 needs a --claim"]),
        (("losses.py:k9", "--claim", "k3 as loss"), ["k9"]),
        (("nowhere.py:k3", "--claim", "k3 as loss"), ["nowhere.py"]),
        (("losses.py:k3", "--claim", "k3 as los"), ["k3 as los"]),
        (("losses.py:k3", "--claim", "reverse_kl"), ["names an objective"]),
        (("losses.py:full_kl", "--claim", "reverse_kll"), ["did you mean 'reverse_kl'"]),
        (("losses.py:k3", "--claim", "k3 as loss", "--role", "logp=polcy"), ["polcy"]),
        (("own-gumbel", "--claim", "k3 as loss"), ["leave --claim out"]),
        (("own-kl", "--set", "beta=1"), ["is a bundled subject"]),
        (("own-kl", "--vocab", "7"), ["7"]),
        (("own-kl", "--dtype", "float8"), ["float8"]),
        (("own-kl", "--backend", "gpu"), ["gpu"]),
        (("own-kl", "--report", "pdf=x.pdf"), ["write FORMAT=PATH"]),
        (("own-kl", "--report", "json=no/such/folder/x.json"), ["no folder"]),
        (("--faults", "--vocab", "100"), ["--vocab is about auditing a TARGET"]),
        (("array-k3", "--faults"), ["no faults are planted in array-k3"]),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
)
def test_a_mistake_is_one_line_with_what_to_do(folder: Path, arguments: tuple[str, ...], said: list[str]) -> None:
    one_mistake(run(*arguments), *said)
