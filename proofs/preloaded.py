"""What a process that proves has to have imported: the catalogue and the engines.

Imported by the process from which the others come (`proofs.prove.processes`), once for all of them.
"""

from __future__ import annotations

import gc

# What is loaded stays, and what proofs make ends with the process: nothing that a search for garbage finds is worth it.
gc.disable()

from proofs.engines.registry import NAMES, engine  # noqa: E402
from proofs.prove import everything  # noqa: E402

STATEMENTS = everything()
ENGINES = tuple(engine(name) for name in NAMES)
