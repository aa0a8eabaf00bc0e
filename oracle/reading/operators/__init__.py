"""Rules of the mirror: for an ATen operator, what it does to arrays of SymPy expressions.

``OPERATORS`` maps ``name.overload`` (or ``name`` for all overloads) to a function that takes arrays where the operator
takes tensors. In-place operators use the rule of their functional twin. ``CONCRETE`` marks operators whose result is
an index or a count: the reading keeps the numbers and notes that the path depends on them.
"""

from __future__ import annotations

from oracle.reading.operators import creation, layout, logic, pointwise, reductions
from oracle.reading.operators.table import CONCRETE, OPERATORS

__all__ = ["CONCRETE", "OPERATORS", "creation", "layout", "logic", "pointwise", "reductions"]
