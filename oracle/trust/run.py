"""A run: programs in processes, one line of JSON for each in a file, so that a run that was stopped goes on."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from oracle.processes import in_processes
from oracle.trust.grammar import program
from oracle.trust.judging import Outcome, judged

_CHUNK = 10


def _judge(task: tuple[int, int, int]) -> list[Outcome]:
    seed, first, last = task
    return [judged(program(seed, i)) for i in range(first, last)]


def run(seed: int, count: int, jobs: int, folder: Path, step: Callable[[int], None]) -> list[dict[str, Any]]:
    """Judge programs 0 to ``count`` - 1 of a seed, those that the folder has not yet; all their outcomes.

    ``step`` hears how many are there. A program whose verdict is wrong is saved as a file.
    """
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"seed-{seed}.jsonl"
    there = {o["index"]: o for o in outcomes(path)}
    missing = [i for i in range(count) if i not in there]
    tasks = list(_runs(seed, missing))
    with path.open("a", encoding="utf-8") as file:
        for group in in_processes(_judge, tasks, jobs):
            for outcome in group:
                line = outcome.encode()
                file.write(line + "\n")
                there[outcome.index] = json.loads(line)
                if outcome.wrong or outcome.disagreements or outcome.known_is_wrong:
                    _save(folder, outcome)
            file.flush()
            step(len(there))
    return [there[i] for i in sorted(there) if i < count]


def _runs(seed: int, missing: list[int]) -> Iterator[tuple[int, int, int]]:
    """Neighbouring programs as one task of at most ten."""
    at = 0
    while at < len(missing):
        first, last = missing[at], missing[at] + 1
        while at + 1 < len(missing) and missing[at + 1] == last and last - first < _CHUNK:
            at, last = at + 1, last + 1
        yield seed, first, last
        at += 1


def outcomes(path: Path) -> list[dict[str, Any]]:
    """The outcomes that a file holds; a line cut short when a run was stopped is left out."""
    out = []
    for line in path.read_text(encoding="utf-8").splitlines() if path.exists() else []:
        try:
            out.append(json.loads(line))
        except json.JSONDecodeError:
            continue
    return out


def _save(folder: Path, outcome: Outcome) -> None:
    found = program(outcome.seed, outcome.index)
    said = [*outcome.wrong, *outcome.disagreements, *outcome.known_is_wrong]
    head = "".join(f"# {' '.join(line.split())}\n" for line in [*said, f"due: {found.known}"])
    (folder / f"program-{outcome.seed}-{outcome.index}.py").write_text(head + found.source, encoding="utf-8")


def report(found: list[dict[str, Any]]) -> dict[str, Any]:
    """The numbers of a run."""
    read = [o for o in found if not o["unread"]]
    return {
        "programs": len(found),
        "wrong": [o["index"] for o in found if o["wrong"]],
        "disagreements": [o["index"] for o in found if o["disagreements"]],
        "known_is_wrong": [o["index"] for o in found if o["known_is_wrong"]],
        "read": len(read),
        "only_probed": len(found) - len(read),
        "evidence": dict(Counter(o["evidence"] for o in found).most_common()),
        "unread": dict(Counter(o["unread"] for o in found if o["unread"]).most_common()),
        "tested_though_read": dict(
            Counter(" ".join(o["traits"][:3]) for o in read if "tested" in o["evidence"]).most_common(20)
        ),
        "processor_seconds": round(sum(o["seconds"] for o in found), 1),
    }
