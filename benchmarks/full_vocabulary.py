"""The exact float64 gradient of KL(policy||reference) at full vocabulary, as ratios taken in one run.

1. 64 x 131,072 against the copy floor: what memory takes to read both inputs and write the gradient.
2. Against PyTorch's automatic differentiation of the same quantity.
3. The cost for a number at V = 4,096 to 262,144, against that at 131,072.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable

import numpy as np
import torch

from gpu_checks import exact


def median(run: Callable[[], object], runs: int) -> float:
    """Median seconds; one run before it is not counted."""
    run()
    times = []
    for _ in range(runs):
        start = time.perf_counter()
        run()
        times.append(time.perf_counter() - start)
    return statistics.median(times)


def logits(rows: int, vocabulary: int) -> tuple[np.ndarray, np.ndarray]:
    """Two rows of logits near each other."""
    random = np.random.default_rng(0)
    x = random.standard_normal((rows, vocabulary)) * 2
    return x, x + 0.3 * random.standard_normal(x.shape)


def by_autograd(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """The same gradient, by PyTorch."""
    leaf = torch.from_numpy(x).requires_grad_()
    log_p, log_q = leaf.log_softmax(-1), torch.from_numpy(y).log_softmax(-1)
    (log_p.exp() * (log_p - log_q)).sum().backward()
    assert leaf.grad is not None
    return leaf.grad.numpy()


def main() -> None:
    """Run all, print one line each."""
    x, y = logits(64, 131_072)
    out = np.empty_like(x)
    ours = median(lambda: exact.reverse_kl(x, y, out), 9)
    # three streams: two inputs read, one output written; a copy is a read and a write
    floor = median(lambda: np.copyto(out, x), 15) * 1.5
    autograd = median(lambda: by_autograd(x, y), 3)
    worst = float(abs(exact.reverse_kl(x, y)[1] - by_autograd(x, y)).max())
    print(
        f"exact gradient 64 x 131,072 {ours * 1e3:6.1f} ms   copy floor {floor * 1e3:.1f} ms   "
        f"ratio {ours / floor:.2f} (aim: under 3)\n"
        f"autograd of the same        {autograd * 1e3:6.1f} ms   {autograd / ours:.1f} times as long (aim: over 5), "
        f"differs by {worst:.0e}"
    )
    costs = {}
    for vocabulary in (4_096, 16_384, 65_536, 131_072, 262_144):
        rows = 2**22 // vocabulary
        a, b = logits(rows, vocabulary)
        into = np.empty_like(a)
        costs[vocabulary] = median(lambda a=a, b=b, into=into: exact.reverse_kl(a, b, into), 5) / a.size  # type: ignore[misc]
    told = ", ".join(f"{v:,}: {c / costs[131_072]:.2f}" for v, c in costs.items())
    print(f"cost for a number, against V = 131,072   {told}   (linear in V: about 1 each)")


if __name__ == "__main__":
    main()
