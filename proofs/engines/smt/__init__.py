"""SMT solvers: a statement's negation as SMT-LIB text, which z3 and cvc5 both read.

Unsat proves. The texts of what is proved are committed under proofs/smt, for any solver to check.
"""

from __future__ import annotations

from proofs.engines.smt.engine import CVC5, Z3

__all__ = ["CVC5", "Z3"]
