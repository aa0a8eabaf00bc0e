"""Numeric code from the formulas, accurate to the last digits.

`compile_numpy` makes a NumPy function of any formula when it is asked for. For the estimators, their
coefficients and the named objectives the code is generated once, for NumPy, PyTorch, CuPy and CUDA,
and committed (`python -m proofs.lowering.regenerate`); `coefficient_function`, `estimator_function`
and `divergence_function` use the part for NumPy.
"""

from __future__ import annotations

from proofs.lowering.compiled import Array, Function, Input, compile_numpy, series_coefficients
from proofs.lowering.named import coefficient_function, divergence_function, estimator_function

__all__ = [
    "Array",
    "Function",
    "Input",
    "coefficient_function",
    "compile_numpy",
    "divergence_function",
    "estimator_function",
    "series_coefficients",
]
