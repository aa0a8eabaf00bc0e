"""Text by rich: coloured where stdout is a terminal that shows colours, plain elsewhere."""

from __future__ import annotations

import io
import os
import shutil
import sys
from collections.abc import Callable

from rich.console import Console


def as_text(paint: Callable[[Console], None], narrowest: int, usual: int, widest: int) -> str:
    """What ``paint`` prints, at the terminal's width (``usual`` where there is none), without trailing blanks."""
    colour = sys.stdout.isatty() and "NO_COLOR" not in os.environ
    width = max(narrowest, min(shutil.get_terminal_size((usual, 24)).columns, widest))
    buffer = io.StringIO()
    paint(
        Console(
            file=buffer,
            width=width,
            force_terminal=colour,
            color_system="standard" if colour else None,
            highlight=False,
        )
    )
    return "".join(f"{line.rstrip()}\n" for line in buffer.getvalue().splitlines())
