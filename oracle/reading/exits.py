"""The ways by which numbers leave tensors unseen by the dispatcher: lists, NumPy arrays, constructors."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode
from torch.utils._pytree import tree_leaves

if TYPE_CHECKING:
    from oracle.reading.mirror import Mirror

_WHOLE = {Tensor.tolist, Tensor.numpy, Tensor.__array__, Tensor.__dlpack__}
_SCALAR = {Tensor.item, Tensor.__float__, Tensor.__int__, Tensor.__bool__, Tensor.__index__, Tensor.__complex__}
_MAKERS = {torch.tensor, torch.as_tensor, torch.asarray, Tensor.new_tensor}


class Exits(TorchFunctionMode):
    """Reports to the mirror each tensor whose numbers the program takes without an operator."""

    def __init__(self, mirror: Mirror) -> None:
        super().__init__()
        self.mirror = mirror

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if func in _WHOLE:
            self.mirror.leave(args[0])
        elif func in _MAKERS:
            # a tensor inside a list is read as a number; a tensor itself is copied by operators
            data = args[1:] if func is Tensor.new_tensor else args
            for given in (*data, *kwargs.values()):
                for t in tree_leaves(given) if isinstance(given, (list, tuple)) else ():
                    if isinstance(t, Tensor):
                        self.mirror.leave(t)
        elif func in _SCALAR:
            before = len(self.mirror.escapes)
            value = func(*args, **kwargs)
            if len(self.mirror.escapes) == before:  # inside a constructor, where no operator is dispatched
                self.mirror.leave(args[0], value)
            return value
        return func(*args, **kwargs)
