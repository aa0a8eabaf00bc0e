"""The precision a subject works in: a cast to fewer digits inside counts, whatever the dtype of the result."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from oracle.probing.signal import kl_part
from oracle.subject.batch import Batch
from oracle.subject.subject import Placement, Subject

_ORDER = (torch.float64, torch.float32, torch.float16, torch.bfloat16)


class _Rounding(TorchDispatchMode):
    """Notes the coarsest format that numbers were rounded to, forward and backward; an exact cast (a mask) is none."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.coarsest = 0

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        return False

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        out = func(*args, **(kwargs or {}))
        finest = min((_rank(a) for a in tree_leaves(args) if isinstance(a, Tensor) and a.dim()), default=len(_ORDER))
        for result in tree_leaves(out):
            rank = _rank(result) if isinstance(result, Tensor) else len(_ORDER)
            if max(finest, self.coarsest) < rank < len(_ORDER):
                source = args[0] if func._schema.name == "aten::_to_copy" else None
                if source is None or not torch.equal(result.double(), source.double()):
                    self.coarsest = rank
        return out


def _rank(t: Tensor) -> int:
    return _ORDER.index(t.dtype) if t.dtype in _ORDER else len(_ORDER)


def working_dtype(subject: Subject, placement: Placement, batch: Batch) -> torch.dtype:
    """The coarsest format among the result and all that float64 numbers are rounded to on the way."""
    with _Rounding() as rounding:
        signal = kl_part(subject, placement, batch)
    return _ORDER[max(rounding.coarsest, min(_rank(signal.value), len(_ORDER) - 1))]
