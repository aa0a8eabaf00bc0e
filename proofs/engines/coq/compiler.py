"""Runs coqc, coqtop and coqchk in a folder that holds one development."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

from proofs.engines.coq.core import LIBRARY, Refused, needs
from proofs.engines.coq.goals import Goal

T = TypeVar("T")
JOBS = 2
_SECONDS = 900.0
_GOAL_SECONDS = 60
HOW_TO_INSTALL = "apt-get install coq libcoq-coquelicot"
AXIOMS = frozenset(
    {
        "Coq.Logic.Classical_Prop.classic",
        "Coq.Logic.FunctionalExtensionality.functional_extensionality_dep",
        "Coq.Reals.ClassicalDedekindReals.sig_forall_dec",
        "Coq.Reals.ClassicalDedekindReals.sig_not_dec",
    }
)
"""What Coq's classical real numbers rest on; nothing else may be assumed."""
HEADER = f"""From Coq Require Import Reals Lra Lia.
From Coquelicot Require Import Coquelicot.
From {LIBRARY} Require Import Sums Tokens Tactics.
Open Scope R_scope.
"""


class Rejected(Exception):
    """coqc or coqchk did not accept a file; the first line of what it said."""


def missing() -> str | None:
    """Return what has to be installed, in one line; None if nothing."""
    absent = [tool for tool in ("coqc", "coqtop", "coqchk") if shutil.which(tool) is None]
    if absent:
        return f"{', '.join(absent)} not found: {HOW_TO_INSTALL}"
    where = subprocess.run(["coqc", "-where"], capture_output=True, text=True, check=False).stdout.strip()
    if not (Path(where) / "user-contrib" / "Coquelicot").is_dir():
        return f"Coquelicot, a library for Coq, not found: {HOW_TO_INSTALL}"
    return None


def in_parallel(work: Callable[[str], T], names: Iterable[str]) -> list[T]:
    """Do the work for each name, two at a time."""
    with ThreadPoolExecutor(JOBS) as pool:
        return list(pool.map(work, names))


def write(folder: Path, texts: Mapping[str, str]) -> None:
    """Write the files of a development."""
    for name, text in texts.items():
        (folder / f"{name}.v").write_text(text)


def compile_all(folder: Path, texts: Mapping[str, str]) -> None:
    """Compile files that need one another, as many at a time as their order allows. Raises Rejected."""
    done: set[str] = set()
    while len(done) < len(texts):
        ready = [n for n, text in texts.items() if n not in done and {*needs(text)} & {*texts} <= done]
        in_parallel(lambda name: compile_one(folder, name), ready)
        done |= {*ready}


def compile_one(folder: Path, name: str) -> None:
    """Compile one file. Raises Rejected."""
    done = _run(folder, ["coqc", "-q", "-w", "-all", "-Q", ".", LIBRARY, f"{name}.v"])
    if done.returncode != 0:
        raise Rejected(f"{name}.v: {first_error(done.stdout)}")


def axioms(folder: Path, names: Sequence[str]) -> frozenset[str]:
    """Have coqchk check the compiled files and all that they rest on; return the axioms. Raises Rejected."""
    done = _run(folder, ["coqchk", "-silent", "-o", "-Q", ".", LIBRARY, *(f"{LIBRARY}.{n}" for n in names)])
    said = done.stdout
    if done.returncode != 0 or "CONTEXT SUMMARY" not in said:
        raise Rejected(f"coqchk: {first_error(said)}")
    for question in re.findall(r"\* ([^\n]*relying on[^\n:]*|[^\n]*is assumed):(.*)", said):
        if question[1].strip() != "<none>":
            raise Refused(f"{question[0]}: {question[1].strip() or 'see coqchk'}")
    listed = re.search(r"\* Axioms:(.*?)\n\s*\n", said, re.DOTALL)
    return frozenset(word for word in listed.group(1).split() if word != "<none>") if listed else frozenset()


def sort_out(folder: Path, goals: Mapping[str, Goal]) -> dict[str, str]:
    """Return, for each goal that its script does not prove, Coq's first complaint. coqtop goes on after an error."""
    text = HEADER
    for key, goal in goals.items():
        script = f"timeout {_GOAL_SECONDS} ({goal.script.rstrip('.')})"
        text += f'Goal True. idtac "THE-GOAL" "{key}". Abort.\nGoal {goal.claim}.\nProof. {script}. Qed.\nAbort All.\n'
    said = _run(folder, ["coqtop", "-q", "-w", "-all", "-Q", ".", LIBRARY], text).stdout
    parts = {part.split()[0]: part for part in said.split("\nTHE-GOAL ")[1:]}
    if parts.keys() != goals.keys():
        raise Rejected(f"coqtop: {first_error(said)}")
    return {key: first_error(part) for key, part in parts.items() if "Error:" in part}


def first_error(said: str) -> str:
    """Return the first complaint in what Coq said, on one line."""
    match = re.search(r"Error:\s*(.+?)(?:\n\s*\n|\Z)", said, re.DOTALL)
    return " ".join(match.group(1).split())[:200] if match else " ".join(said.split())[:200]


def _run(folder: Path, command: Sequence[str], given: str | None = None) -> subprocess.CompletedProcess[str]:
    try:
        return subprocess.run(
            command,
            cwd=folder,
            input=given,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
            timeout=_SECONDS,
        )
    except subprocess.TimeoutExpired as late:
        raise Rejected(f"{command[0]}: no answer within {_SECONDS:g} s") from late
