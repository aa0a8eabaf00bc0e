"""What every test runs under: checked shapes, and Hypothesis that repeats itself.

The import hook has to be installed before any of the packages is imported, so this module imports
none of them, and nothing that would.
"""

import os

# The workers share the cores: threads inside each would only get in each other's way. PyTorch and
# BLAS read this once, when they are first imported.
if "PYTEST_XDIST_WORKER" in os.environ:
    os.environ.setdefault("OMP_NUM_THREADS", "1")

import jaxtyping
from hypothesis import settings

# the modules that say shapes; a check at each call of what only handles formulas would double the time, and of
# guard.py, which defines functions at each call, multiply it
_SHAPED = [
    *(f"oracle.subject.{m}" for m in ("arguments", "batch", "frames", "opening", "subject", "vocabulary")),
    "oracle.probing",
    "oracle.checks.profile",
    "oracle.crosscheck",
]
jaxtyping.install_import_hook(_SHAPED, "beartype.beartype")

settings.register_profile("ci", derandomize=True, deadline=None)
settings.register_profile("dev", deadline=None, print_blob=True)
settings.register_profile("fuzz", deadline=None, print_blob=True)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "ci"))
