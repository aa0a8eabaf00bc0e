"""Where saved cases are: the folder that was named, else KL_ORACLE_HOME, else .kl-oracle in the working directory."""

from __future__ import annotations

import os
from pathlib import Path

DEFAULT = ".kl-oracle"


def home(given: str | None = None) -> Path:
    """The folder of the cases; it need not be there yet."""
    return Path(given or os.environ.get("KL_ORACLE_HOME") or DEFAULT)
