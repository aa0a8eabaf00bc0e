"""Exact arithmetic modulo 2^61 - 1 at the size of a real vocabulary."""

from __future__ import annotations

from proofs.engines.modular.engine import MODULAR, SCOPE, SIZE

__all__ = ["MODULAR", "SCOPE", "SIZE"]
