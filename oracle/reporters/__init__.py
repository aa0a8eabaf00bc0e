"""Reporters: verdicts as text for a terminal, or as JSON."""

from __future__ import annotations

from collections.abc import Callable

from oracle.records import Verdict, encode
from oracle.reporters.text import render

REPORTERS: dict[str, Callable[[list[Verdict]], str]] = {"text": render, "json": lambda v: encode(v) + "\n"}
"""By format name; each takes the verdicts in order and answers the whole text."""
