"""Isolation: each subject in a process of its own, with a limit on time and memory (``--isolate``).

A subject that hangs, exits, crashes or eats memory costs its own verdict alone. It is no sandbox against malice: the
process may do whatever its user may.
"""

from __future__ import annotations

from oracle.isolation.limits import Limits, explain_absence
from oracle.isolation.process import judge_isolated

__all__ = ["Limits", "explain_absence", "judge_isolated"]
