"""Where a report goes: its format and its file, checked before anything is computed."""

from __future__ import annotations

from pathlib import Path

from proofs.report.errors import ReportError

FORMATS = ("html", "pdf", "tex", "md", "json")
"""What a report can be written as."""


def parse_destination(text: str) -> tuple[str, Path]:
    """Return format and path of FORMAT=PATH. Raises ReportError for anything else.

    >>> parse_destination("html=report.html")[0]
    'html'
    """
    form, separator, path = text.partition("=")
    if not separator or not path:
        raise ReportError(f"a report is FORMAT=PATH, not {text!r}")
    _known(form)
    return form, Path(path)


def _known(form: str) -> None:
    if form not in FORMATS:
        raise ReportError(f"unknown format {form!r}: choose one of {', '.join(FORMATS)}")


def check_destination(form: str, path: Path) -> None:
    """Before anything is computed: is this a format, and a place for a file? Raises ReportError if not."""
    _known(form)
    try:
        is_folder, has_parent = path.is_dir(), path.absolute().parent.is_dir()
    except OSError as error:
        raise unwritable(path, error) from error
    if is_folder:
        raise ReportError(f"{path} is a folder")
    if not has_parent:
        raise ReportError(f"there is no folder {path.parent}")


def unwritable(path: Path, error: OSError) -> ReportError:
    """Return what to say about a file that could not be written."""
    return ReportError(f"{path} cannot be written: {error.strerror}")
