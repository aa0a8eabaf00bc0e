"""Speed, as ratios taken in one run: ``make bench``.

1. ``identify`` of one penalty as a whole process, against ``python -c "import torch"``.
2. A hundred penalties in one call, against one.
3. ``kl-oracle --version`` as a whole process, in seconds.
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

_ROOT = Path(__file__).resolve().parent.parent
_COMMAND = str(Path(sys.executable).parent / "kl-oracle")
_PENALTY = "def k{i}(logp, ref_logp):\n    d = ref_logp - logp\n    return {i} * (d.exp() - 1 - d)\n\n\n"


def seconds(*command: str) -> float:
    """Wall time of one process."""
    start = time.perf_counter()
    subprocess.run(command, check=True, cwd=_ROOT, stdout=subprocess.DEVNULL)
    return time.perf_counter() - start


def paired(a: list[str], b: list[str], runs: int) -> tuple[float, float, float]:
    """Medians of two commands run in turn, and the median of their ratios."""
    seconds(*a), seconds(*b)
    times = [(seconds(*a), seconds(*b)) for _ in range(runs)]
    return (
        statistics.median(t for t, _ in times),
        statistics.median(t for _, t in times),
        statistics.median(x / y for x, y in times),
    )


def main() -> None:
    """Run all, print one line each."""
    one = [_COMMAND, "identify", "examples/penalties.py:k3"]
    ours, torch, ratio = paired(one, [sys.executable, "-c", "import torch"], 5)
    print(f"identify one penalty        {ours:6.2f} s   import torch {torch:.2f} s   ratio {ratio:.2f} (aim: under 3)")
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "hundred.py"
        file.write_text("".join(_PENALTY.format(i=i) for i in range(1, 101)))
        many, single, ratio = paired([_COMMAND, "identify", str(file)], [_COMMAND, "identify", f"{file}:k1"], 3)
    print(
        f"identify a hundred penalties{many:6.2f} s   one {single:.2f} s   ratio {ratio:.2f}   {many * 10:.0f} ms each"
    )
    version = statistics.median(seconds(_COMMAND, "--version") for _ in range(5))
    print(f"kl-oracle --version         {version:6.2f} s   (aim: under 0.2)")


if __name__ == "__main__":
    main()
