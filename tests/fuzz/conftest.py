"""What ``make fuzz`` says at its end."""

from __future__ import annotations

import pytest

from tests.fuzz.support import FULL, cases


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """How many cases each test ran."""
    if FULL and cases:
        terminalreporter.section("fuzzing")
        for name, count in sorted(cases.items()):
            terminalreporter.line(f"{count:7,} {name}")
        terminalreporter.line(f"{sum(cases.values()):7,} cases in all")
