"""What a process that proves has to have imported: the catalogue and the engines.

Imported by the process from which the others come (`proofs.prove.processes`), once for all of them.
"""

from __future__ import annotations

from proofs.engines.registry import NAMES, engine
from proofs.prove import everything

STATEMENTS = everything()
ENGINES = tuple(engine(name) for name in NAMES)
