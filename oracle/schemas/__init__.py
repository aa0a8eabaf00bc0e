"""The committed JSON Schemas of what the commands print; ``python -m oracle.schemas`` writes them anew."""

from __future__ import annotations

from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parent


def schemas() -> dict[str, dict[str, Any]]:
    """File name to the schema that the records have now."""
    from oracle.libraries import Listing
    from oracle.records import schema
    from oracle.selftest.report import Report

    return {"verdict-1.json": schema(), "libraries-1.json": schema(Listing), "selftest-1.json": schema(Report)}
