"""Every engine of the ledger, in the order of its columns. A new engine is one more line here."""

from __future__ import annotations

from collections.abc import Sequence
from difflib import get_close_matches
from importlib import import_module
from typing import TYPE_CHECKING, cast

if TYPE_CHECKING:
    from proofs.ledger import Engine

_WHERE = {
    "sympy": ("proofs.engines.prover", "SYMPY"),
    "explicit": ("proofs.engines.explicit", "EXPLICIT"),
    "rewriting": ("proofs.rewriting", "REWRITING"),
    "z3": ("proofs.engines.smt.engine", "Z3"),
    "cvc5": ("proofs.engines.smt.engine", "CVC5"),
    "modular": ("proofs.engines.modular", "MODULAR"),
    "balls": ("proofs.engines.balls", "BALLS"),
    "coq": ("proofs.engines.coq", "COQ"),
}
NAMES = tuple(_WHERE)
"""The engines' names, in the order of the ledger."""
PREPARE_ALL = frozenset({"coq"})
"""Engines that work on the whole catalogue before they answer the first question."""
IN_ONE_PROCESS = PREPARE_ALL | {"z3", "cvc5"}
"""Engines whose questions are not divided among processes: each would start solvers of its own."""


def engine(name: str) -> Engine:
    """Return the engine of this name; importing it needs no optional package. Raises KeyError for no name."""
    module, attribute = _WHERE[name]
    return cast("Engine", getattr(import_module(module), attribute))


class UnknownEngine(ValueError):
    """No engine has this name, or none is left."""


def select(only: Sequence[str] = (), without: Sequence[str] = (), few: bool = False) -> tuple[str, ...]:
    """Return the engines to ask, in the order of the ledger. Raises UnknownEngine.

    About a `few` theorems those that prepare for all of them are asked only by name.
    """
    for name in (*only, *without):
        if name not in _WHERE:
            close = get_close_matches(name, NAMES, n=1)
            hint = f"did you mean {close[0]!r}?" if close else f"the engines are {', '.join(NAMES)}"
            raise UnknownEngine(f"there is no engine {name!r}; {hint}")
    usual = [name for name in NAMES if not (few and name in PREPARE_ALL)]
    selected = tuple(name for name in NAMES if name in (only or usual) and name not in without)
    if not selected:
        raise UnknownEngine("no engine is left to ask")
    return selected
