"""What a subject changes in the process comes back, and what ends a subject ends nothing else."""

from __future__ import annotations

import contextlib
import os
import random
import signal
import sys
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from oracle.case import Options
from oracle.errors import SubjectError, TargetError
from oracle.judge import judge_target
from oracle.subject.binding import bind
from oracle.subject.guard import Interrupted, guarded, restored
from oracle.subject.subject import open_subject
from oracle.subject.target import Target, resolve

DENORMAL = sys.float_info.min


def _set_item() -> None:
    os.environ["KL_ORACLE_GUARD_TEST"] = "1"


def _other_environment() -> None:
    os.environ = {"PATH": ""}  # type: ignore[assignment]  # noqa: B003


# each: what a subject does, and what must read the same before and after
CHANGES: dict[str, tuple[Callable[[], Any], Callable[[], Any]]] = {
    "default dtype": (lambda: torch.set_default_dtype(torch.float16), torch.get_default_dtype),
    "generator of torch": (lambda: torch.manual_seed(77), lambda: torch.get_rng_state().tolist()),
    "threads": (lambda: torch.set_num_threads(torch.get_num_threads() + 3), torch.get_num_threads),
    "grad mode": (lambda: torch.autograd.set_grad_enabled(False), torch.is_grad_enabled),
    "deterministic": (lambda: torch.use_deterministic_algorithms(True), torch.are_deterministic_algorithms_enabled),
    "anomaly": (lambda: torch.autograd.set_detect_anomaly(True), torch.is_anomaly_enabled),
    "precision": (lambda: torch.set_float32_matmul_precision("medium"), torch.get_float32_matmul_precision),
    "autocast": (lambda: torch.set_autocast_enabled("cpu", True), lambda: torch.is_autocast_enabled("cpu")),
    "denormals": (lambda: torch.set_flush_denormal(True), lambda: DENORMAL / 2 == 0.0),
    "numpy's errors": (lambda: np.seterr(all="raise"), np.geterr),
    "folder": (lambda: os.chdir("/"), os.getcwd),
    "environment": (_set_item, lambda: dict(os.environ)),
    "environment object": (_other_environment, lambda: (id(os.environ), dict(os.environ))),
    "search path": (lambda: sys.path.insert(0, "elsewhere"), lambda: list(sys.path)),
    "search path object": (lambda: setattr(sys, "path", []), lambda: (id(sys.path), list(sys.path))),
    "warnings": (warnings.resetwarnings, lambda: list(warnings.filters)),
    "recursion limit": (lambda: sys.setrecursionlimit(5000), sys.getrecursionlimit),
    "stdout": (lambda: setattr(sys, "stdout", None), lambda: id(sys.stdout)),
    "stderr closed": (lambda: sys.stderr.close(), lambda: sys.stderr.closed),
    "interrupts": (lambda: signal.signal(signal.SIGINT, signal.SIG_IGN), lambda: signal.getsignal(signal.SIGINT)),
}
SLOW_CHANGES: dict[str, tuple[Callable[[], Any], Callable[[], Any]]] = {
    "generator of Python": (lambda: random.seed(5), random.getstate),
    "generator of NumPy": (lambda: np.random.seed(5), lambda: np.random.get_state()[1].tolist()),
    "signal": (lambda: signal.signal(signal.SIGTERM, signal.SIG_IGN), lambda: signal.getsignal(signal.SIGTERM)),
    "alarm": (lambda: signal.setitimer(signal.ITIMER_REAL, 900), lambda: signal.getitimer(signal.ITIMER_REAL)[0] > 0),
}


def _penalty(change: Callable[[], Any], seen: list[Any], look: Callable[[], Any]) -> Callable[..., Any]:
    def k3(logp: torch.Tensor, ref_logp: torch.Tensor) -> torch.Tensor:
        d = ref_logp - logp
        result = d.exp() - 1 - d
        change()
        seen.append(look())
        return result

    return k3


@pytest.mark.parametrize("what", CHANGES)
def test_each_call_leaves_the_process_as_it_was(what: str) -> None:
    change, look = CHANGES[what]
    before, seen = look(), []
    function = _penalty(change, seen, look)
    subject = open_subject(Target("k3", function, None), bind(function))
    assert subject.kind == "penalty"
    assert seen[0] != before, "the subject changed nothing"
    assert look() == before


@pytest.mark.parametrize("what", SLOW_CHANGES)
def test_each_subject_leaves_the_process_as_it_was(what: str) -> None:
    change, look = SLOW_CHANGES[what]
    before = look()
    with restored():
        change()
        assert look() != before
    assert look() == before


def test_a_verdict_does_not_depend_on_what_the_subject_sets() -> None:
    def everything() -> None:
        for name, (change, _) in {**CHANGES, **SLOW_CHANGES}.items():
            if name != "precision":
                change()

    few = Options(max_examples=2)
    quiet = judge_target(Target("k3", _penalty(lambda: None, [], lambda: 0), None), placement="loss", options=few)
    loud = judge_target(Target("k3", _penalty(everything, [], lambda: 0), None), placement="loss", options=few)
    assert [(v.on_policy, v.off_policy, v.findings) for v in loud] == [
        (v.on_policy, v.off_policy, v.findings) for v in quiet
    ]


class _Odd(BaseException):
    def __str__(self) -> str:
        raise RuntimeError("no text for you")


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (SystemExit(3), "raised SystemExit: 3"),
        (KeyboardInterrupt(), "raised KeyboardInterrupt: (no message)"),
        (GeneratorExit(), "raised GeneratorExit"),
        (_Odd(), "raised _Odd: (a message that cannot be shown)"),
        (MemoryError("all of it"), "raised MemoryError: all of it"),
    ],
)
def test_whatever_a_subject_raises_is_an_error_of_the_subject(error: BaseException, words: str) -> None:
    def raising(logp: torch.Tensor, ref_logp: torch.Tensor) -> torch.Tensor:
        raise error

    with pytest.raises(SubjectError) as caught:
        open_subject(Target("raising", raising, None), bind(raising))
    assert words in str(caught.value)


def test_a_real_interrupt_stops_even_where_the_subject_swallows_it() -> None:
    def swallowing(logp: torch.Tensor, ref_logp: torch.Tensor) -> torch.Tensor:
        with contextlib.suppress(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)
        return logp - ref_logp

    with pytest.raises(Interrupted):
        open_subject(Target("swallowing", swallowing, None), bind(swallowing))
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_input_is_at_its_end() -> None:
    def asking(logp: torch.Tensor, ref_logp: torch.Tensor) -> torch.Tensor:
        input("a number? ")
        return logp - ref_logp

    with pytest.raises(SubjectError, match="raised EOFError"):
        open_subject(Target("asking", asking, None), bind(asking))


def test_prints_go_to_stderr(capsys: pytest.CaptureFixture[str]) -> None:
    with guarded():
        print("on stdout")
        print("on stderr", file=sys.stderr)
        sys.stderr.close()
        print("and goes on")
    out = capsys.readouterr()
    assert (out.out, out.err) == ("", "on stdout\non stderr\nand goes on\n")


def test_importing_a_module_undoes_settings_and_keeps_what_its_functions_need(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.setenv("KL_ORACLE_NEEDED", "0")
    (tmp_path / "m.py").write_text(
        "import os, sys, numpy, torch\ntorch.set_default_dtype(torch.float16)\ntorch.set_grad_enabled(False)\n"
        "numpy.random.seed(1)\nos.environ['KL_ORACLE_NEEDED'] = '1'\nsys.path.append('needed later')\n"
        "def f(logp, ref_logp): return logp - ref_logp\n"
    )
    before = (torch.get_default_dtype(), torch.is_grad_enabled(), np.random.get_state()[1].tolist())
    resolve(f"{tmp_path / 'm.py'}:f")
    assert (torch.get_default_dtype(), torch.is_grad_enabled(), np.random.get_state()[1].tolist()) == before
    assert os.environ["KL_ORACLE_NEEDED"] == "1"
    assert "needed later" in sys.path


@pytest.mark.parametrize("statement", ["raise KeyboardInterrupt", "raise SystemExit(2)", "raise GeneratorExit"])
def test_a_module_that_leaves_while_it_is_imported(tmp_path: Path, statement: str) -> None:
    (tmp_path / "m.py").write_text(statement)
    with pytest.raises(TargetError, match="while it was imported"):
        resolve(f"{tmp_path / 'm.py'}:f")
