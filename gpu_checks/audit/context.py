"""What a check sees."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from gpu_checks.bounds.sampled import Formula
from gpu_checks.bounds.whole import WholeFormula
from gpu_checks.formats import Format
from gpu_checks.subject import Runner, Subject


@dataclass(frozen=True)
class Context:
    """A subject opened on a backend; `formula` for `sampled`, `whole` for `whole`."""

    subject: Subject
    claim: str
    backend: str
    form: Format
    vocabulary: int
    seed: int
    runner: Runner
    reopened: Callable[[dict[str, Any]], Runner]
    """Opens the subject again with other settings (temperature, schedule); the caller closes it."""
    formula: Formula | None = None
    whole: WholeFormula | None = None

    def random(self, stream: int) -> np.random.Generator:
        """Return a generator of its own for each check, the same at each run."""
        return np.random.default_rng([self.seed, stream])
