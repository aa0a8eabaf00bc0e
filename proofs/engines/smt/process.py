"""Solvers in processes of their own: one that runs past its limit is ended, whatever it is doing.

A solver checks its own time limit only between steps, and single steps of polynomial arithmetic may
take minutes.

python -m proofs.engines.smt.process MODULE    reads scripts, writes answers, each a line of JSON
"""

from __future__ import annotations

import atexit
import json
import queue
import subprocess
import sys
import threading
from fractions import Fraction

from proofs.engines.smt.solvers import SOLVERS, UNKNOWN, Answer

_SECONDS = 6.0
"""Longer than the limit that the solver itself is given."""
_START_SECONDS = 60.0


class Process:
    """A solver that is started when it is first asked, and again after it was ended."""

    def __init__(self, solver: str, seconds: float = _SECONDS) -> None:
        self.solver = solver
        self.seconds = seconds
        self._child: subprocess.Popen[str] | None = None
        self._ready = False
        self._lines: queue.SimpleQueue[str] = queue.SimpleQueue()
        atexit.register(self.close)

    def __call__(self, script: str) -> Answer:
        """Ask about a script; unknown if there is no answer in time."""
        for _ in range(2):  # a child that died between two questions is replaced once
            child = self._running()
            try:
                assert child.stdin is not None
                child.stdin.write(json.dumps(script) + "\n")
                child.stdin.flush()
                line = self._lines.get(timeout=self.seconds)
            except queue.Empty:
                self.close()
                return Answer(UNKNOWN, {})
            except BrokenPipeError:
                line = ""
            if line:
                verdict, model = json.loads(line)
                return Answer(verdict, {name: Fraction(value) for name, value in model.items()})
            self.close()
        return Answer(UNKNOWN, {})

    def close(self) -> None:
        """End the solver."""
        if self._child is not None:
            self._child.kill()
            self._child.communicate()
            self._child = None

    def start(self) -> subprocess.Popen[str]:
        """Start the solver, unless it runs, and do not wait until it is ready."""
        if self._child is None:
            self._lines, self._ready = queue.SimpleQueue(), False
            self._child = subprocess.Popen(
                [sys.executable, "-m", __name__, self.solver],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                text=True,
                encoding="utf-8",
            )
            threading.Thread(target=_read, args=(self._child, self._lines), daemon=True).start()
        return self._child

    def _running(self) -> subprocess.Popen[str]:
        child = self.start()
        if not self._ready:
            try:
                self._lines.get(timeout=_START_SECONDS)  # it says when it is ready
            except queue.Empty:
                self.close()
                raise RuntimeError(f"{self.solver} did not start within {_START_SECONDS:g} s") from None
            self._ready = True
        return child


def _read(child: subprocess.Popen[str], lines: queue.SimpleQueue[str]) -> None:
    assert child.stdout is not None
    for line in child.stdout:
        lines.put(line)
    lines.put("")  # the child has ended


def _serve(solver: str) -> None:
    ask = SOLVERS[solver]
    print("ready", flush=True)
    for line in sys.stdin:
        answer = ask(json.loads(line))
        model = {name: str(value) for name, value in answer.model.items()}
        print(json.dumps([answer.verdict, model]), flush=True)


if __name__ == "__main__":
    _serve(sys.argv[1])
