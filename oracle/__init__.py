"""kl-oracle: names the objective that the KL term of an RLHF loss really descends.

``import oracle`` loads neither torch nor SymPy; the functions below do so when they are first called.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from oracle.api import identify_callable as identify

__all__ = ["__version__", "identify"]
__version__ = "0.1.0"


def __getattr__(name: str) -> Any:
    if name == "identify":
        from oracle.api import identify_callable

        return identify_callable
    raise AttributeError(f"module 'oracle' has no attribute {name!r}")
