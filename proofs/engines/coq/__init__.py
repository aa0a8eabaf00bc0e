"""Coq: the statements as theorems over every vocabulary and every differentiable policy, re-checked by its kernel.

`printer` writes an expression in Gallina, `parser` reads it back, `fidelity` compares the two; `goals` makes a
theorem and a script of each statement; `development` has coqc and coqchk accept them, and refuses any axiom that
is not of Coq's classical real numbers. The hand-written theory is proofs/coq.
"""

from __future__ import annotations

from proofs.engines.coq.engine import COQ

__all__ = ["COQ"]
