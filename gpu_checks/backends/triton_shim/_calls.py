"""How a kernel is called: float scalars, and autotuning without a device to measure on."""

from __future__ import annotations

from typing import Any

import numpy as np

from gpu_checks.backends.triton_shim._internals import Internals

_chosen: dict[str, str] = {}


def first_configurations() -> dict[str, str]:
    """Return the autotuned kernels that ran in this process, each with the configuration taken for it."""
    return dict(_chosen)


def patch(internals: Internals) -> None:
    """Pass Python floats as float32, and let autotuning take its first configuration."""
    tl, interpreter = internals.language, internals.interpreter
    stock_convert, stock_run = interpreter._implicit_cvt, internals.autotuner.Autotuner.run

    def convert(argument: Any) -> Any:
        if isinstance(argument, float):
            handle = interpreter.TensorHandle(np.array([argument], dtype=np.float32), tl.float32)
            return tl.tensor(handle, tl.float32)
        return stock_convert(argument)

    def run(self: Any, *arguments: Any, **named: Any) -> Any:
        first = self.configs[0]
        if len(self.configs) > 1:
            _chosen[self.base_fn.__name__] = f"{first} (the first of {len(self.configs)})"
            self.configs = [first]
        return stock_run(self, *arguments, **named)

    interpreter._implicit_cvt = convert
    internals.autotuner.Autotuner.run = run
