"""A subject in a process of its own: whatever it does, its verdict says so in a line; its neighbours have theirs."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path

import pytest
from click.testing import CliRunner
from msgspec import UNSET

from oracle.cli import main
from oracle.isolation import Limits, judge_isolated
from oracle.records import Verdict
from oracle.running import Request

BAD = """
import ctypes, os, signal, sys, threading, time, torch
KEEP = []
def hangs(logp, ref_logp):
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    while True:
        try: time.sleep(1)
        except BaseException: pass
def prints_for_ever(logp, ref_logp):
    while True: print("x" * 1000)
def crashes(logp, ref_logp): ctypes.string_at(0)
def aborts(logp, ref_logp): os.abort()
def exits(logp, ref_logp): os._exit(0)
def exits_with_3(logp, ref_logp): os._exit(3)
def leaves(logp, ref_logp): sys.exit(3)
def is_killed(logp, ref_logp): os.kill(os.getpid(), signal.SIGKILL)
def kills_its_group(logp, ref_logp): os.kill(0, signal.SIGKILL)
def eats(logp, ref_logp):
    while True: KEEP.append(bytearray(10 ** 7))
def eats_at_once(logp, ref_logp): return torch.ones(10 ** 11)
def interrupts(logp, ref_logp): signal.raise_signal(signal.SIGINT)
def prints(logp, ref_logp):
    print("from Python \\x1b[31m")
    ctypes.CDLL(None).puts(b"from C")
    os.write(1, b"by number\\n")
    os.closerange(0, 200)
    raise ValueError("done [bold]")
def leaves_a_thread(logp, ref_logp):
    threading.Thread(target=time.sleep, args=(10 ** 6,)).start()
    raise ValueError("done")
def leaves_a_process(logp, ref_logp):
    child = os.fork()
    if child == 0: time.sleep(10 ** 6)
    raise ValueError(f"child {child}")
"""
GOOD = "def k{i}(logp, ref_logp):\n    d = ref_logp - logp\n    return {i} * (d.exp() - 1 - d)\n"
STATE = "[str(torch.get_default_dtype()), torch.get_num_threads(), os.getcwd(), 'X' in os.environ, 'X' in sys.path]"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "bad.py").write_text(BAD)
    (tmp_path / "good.py").write_text("".join(GOOD.format(i=i) for i in range(1, 11)))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def judged(target: str, timeout: float = 120, memory: int | None = 300) -> tuple[str, list[str]]:
    """The error of the one verdict on a target, and what was said beside it."""
    heard: list[str] = []
    found = list(judge_isolated(Request(target=target), Limits(timeout=timeout, memory=memory), heard.append))
    assert len(found) == 1
    (verdict,) = found
    assert isinstance(verdict, Verdict)
    assert verdict.error is not UNSET, "it was judged"
    return str(verdict.error), heard


@pytest.mark.parametrize(
    ("function", "words"),
    [
        ("crashes", "crashed its process, by signal 11 (SIGSEGV)"),
        ("aborts", "crashed its process, by signal 6 (SIGABRT)"),
        ("exits", "ended its process with exit status 0 before it was judged"),
        ("exits_with_3", "ended its process with exit status 3 before it was judged"),
        ("leaves", "raised SystemExit: 3"),
        ("is_killed", "was killed"),
        ("kills_its_group", "was killed"),
        ("eats", "used more than the 300 MiB it may; raise the limit with --memory"),
        ("eats_at_once", "used more than the 300 MiB it may; raise the limit with --memory"),
    ],
)
def test_each_end_has_its_line(folder: Path, function: str, words: str) -> None:
    error, _ = judged(f"bad.py:{function}")
    assert error.startswith(f"bad.py:{function} ")
    assert words in error
    assert "\n" not in error


@pytest.mark.parametrize("function", ["hangs", "prints_for_ever"])
def test_time_is_limited(folder: Path, function: str) -> None:
    error, heard = judged(f"bad.py:{function}", timeout=2)
    assert error == f"bad.py:{function} did not finish within 2 s and was stopped; raise the limit with --timeout"
    assert sum(map(len, heard)) < 10_000


def test_an_interrupt_that_the_subject_raises_is_its_own(folder: Path) -> None:
    assert "bad.py:interrupts" in judged("bad.py:interrupts")[0]


def test_what_is_printed_is_passed_on_and_the_records_are_whole(folder: Path) -> None:
    error, heard = judged("bad.py:prints")
    assert "raised ValueError: done [bold]" in error
    told = "\n".join(heard)
    assert all(words in told for words in ("from Python \x1b[31m", "from C", "by number"))


def test_threads_and_processes_that_are_left_end_with_it(folder: Path) -> None:
    assert "raised ValueError: done" in judged("bad.py:leaves_a_thread")[0]
    error, _ = judged("bad.py:leaves_a_process")
    child = int(error.partition("child ")[2].split()[0])
    for _ in range(100):
        try:
            os.kill(child, 0)
        except ProcessLookupError:
            return
        if Path(f"/proc/{child}/stat").read_text().rpartition(")")[2].split()[0] == "Z":
            return  # ended, and not yet fetched by the system's first process
        time.sleep(0.1)
    pytest.fail("the child of the subject still runs")


def test_neighbours_and_the_run_keep_their_settings(folder: Path) -> None:
    (folder / "messy.py").write_text(
        "import os, sys, torch\n"
        "def f(logp, ref_logp):\n"
        "    torch.set_default_dtype(torch.float16); torch.set_num_threads(7); torch.manual_seed(1); os.chdir('/')\n"
        f"    os.environ['X'] = '1'; sys.path.append('X'); raise ValueError({STATE})\n"
    )
    (folder / "neat.py").write_text(f"import os, sys, torch\ndef f(logp, ref_logp):\n    raise ValueError({STATE})\n")
    before, _ = judged("neat.py:f")
    messy, _ = judged("messy.py:f")
    after, _ = judged("neat.py:f")
    assert "float16" in messy
    assert "['torch.float32', 1, " in before
    assert str(folder) in before
    assert after == before
    assert Path.cwd() == folder


def test_the_environment_is_that_of_the_run(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    look = "import os\ndef f(logp, ref_logp): raise ValueError(os.environ.get('KL_TEST_SET'))\n"
    (folder / "env.py").write_text(look)
    assert "ValueError: None" in judged("env.py:f")[0]
    monkeypatch.setenv("KL_TEST_SET", "there")
    assert "ValueError: there" in judged("env.py:f")[0]


def test_a_file_that_hangs_or_exits_while_it_is_imported(folder: Path) -> None:
    (folder / "stuck.py").write_text("import time\nwhile True: time.sleep(1)\n")
    (folder / "gone.py").write_text("import os\nos._exit(0)\n")
    assert "did not finish within 2 s" in judged("stuck.py", timeout=2)[0]
    assert "ended its process with exit status 0" in judged("gone.py:k*")[0]


def test_limits_need_isolation(folder: Path) -> None:
    for option in ("--timeout", "--memory"):
        result = CliRunner().invoke(main, ["identify", "good.py:k1", option, "5"])
        assert result.exit_code == 2
        assert f"{option} is the limit of a process; add --isolate" in result.stderr


@pytest.mark.parametrize(
    "option", ["--timeout=nan", "--timeout=inf", "--timeout=0", "--memory=0", "--memory=" + "9" * 30]
)
def test_limits_that_no_process_can_have(folder: Path, option: str) -> None:
    result = CliRunner().invoke(main, ["identify", "good.py:k1", "--isolate", option])
    assert result.exit_code == 2
    assert option.partition("=")[0] in result.stderr
    assert "Traceback" not in result.output


def test_four_bad_subjects_among_ten_good_ones(folder: Path) -> None:
    good = [f"good.py:k{i}" for i in range(1, 11)]
    bad = {"hangs": "did not finish within 20 s", "crashes": "SIGSEGV", "eats": "than the 300 MiB", "exits": "status 0"}
    order = list(good)
    for place, function in zip((3, 6, 10, 13), bad, strict=True):
        order.insert(place, f"bad.py:{function}")
    options = ["--isolate", "--timeout", "20", "--memory", "300", "--format", "json", "--placement", "loss"]
    result = CliRunner().invoke(main, ["identify", *order, *options, "--max-examples", "1"])
    assert result.exit_code == 2
    verdicts = {v["subject"]["target"]: v for v in json.loads(result.stdout)}
    assert list(verdicts) == order
    for number, target in enumerate(good, 1):
        side = verdicts[target]["on_policy"]
        assert (side["objective"], side["scale"], side["evidence"]) == ("forward_kl", float(number), "proved")
    for function, words in bad.items():
        assert words in verdicts[f"bad.py:{function}"]["error"]
    lines = [line for line in result.stderr.splitlines() if line]
    assert len(lines) == 4, lines
