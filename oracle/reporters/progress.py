"""Progress on stderr, and only on a terminal."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Iterator


@contextlib.contextmanager
def progress(total: int | None) -> Iterator[Callable[[str], None]]:
    """A function to call with the name of what starts next; one target alone shows nothing."""
    if not sys.stderr.isatty() or total == 1:
        yield lambda _: None
        return
    from rich.console import Console
    from rich.text import Text

    done = 0
    with Console(stderr=True).status("") as status:

        def step(name: str) -> None:
            nonlocal done
            done += 1
            status.update(Text(f"{done}/{total} {name}" if total else name))

        yield step
