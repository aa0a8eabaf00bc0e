"""Ball arithmetic (python-flint): proves inequalities and signs of numbers, and refutes equalities."""

from __future__ import annotations

from proofs.engines.balls.engine import BALLS
from proofs.engines.balls.instances import counterexample

__all__ = ["BALLS", "counterexample"]
