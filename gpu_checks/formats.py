"""The formats in which kernels store numbers: float32, bfloat16, float16."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, TypeAlias

import ml_dtypes
import numpy as np

Array: TypeAlias = "np.ndarray[Any, Any]"

SINGLE_UNIT = 2.0**-24
"""The unit roundoff of float32, in which the kernels add up."""


@dataclass(frozen=True)
class Format:
    """A binary format: `unit` is its unit roundoff (half an ulp of 1), `tiny` half its least subnormal number."""

    name: str
    dtype: np.dtype[Any]
    unit: float
    tiny: float
    largest: float

    def store(self, values: Array) -> Array:
        """Return the values rounded to nearest even, as an array of this format."""
        with np.errstate(over="ignore"):
            return np.asarray(values).astype(self.dtype)

    def rounded(self, values: Array) -> Array:
        """Return the values that the format holds in place of these, in float64."""
        return self.store(values).astype(np.float64)


FLOAT32 = Format("float32", np.dtype(np.float32), 2.0**-24, 2.0**-150, float(np.finfo(np.float32).max))
BFLOAT16 = Format("bfloat16", np.dtype(ml_dtypes.bfloat16), 2.0**-8, 2.0**-134, (2 - 2.0**-7) * 2.0**127)
FLOAT16 = Format("float16", np.dtype(np.float16), 2.0**-11, 2.0**-25, float(np.finfo(np.float16).max))

FORMATS: Mapping[str, Format] = MappingProxyType({f.name: f for f in (FLOAT32, BFLOAT16, FLOAT16)})
"""Every storage format, by the name that `--dtype` takes."""


def format_of(array: Array) -> Format:
    """Return the format of an array; raises KeyError for one that no kernel stores."""
    return FORMATS[array.dtype.name]
