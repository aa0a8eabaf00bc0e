"""One door to every format."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from proofs.derivation import Derivation, to_json
from proofs.ledger import Entry
from proofs.report.content import Document
from proofs.report.errors import ReportError
from proofs.theorem import Theorem


def _html(document: Document) -> bytes:
    from proofs.report.html import render

    return render(document).encode("utf-8")


def _latex(document: Document) -> bytes:
    from proofs.report.latex import render

    return render(document).encode("utf-8")


def _markdown(document: Document) -> bytes:
    from proofs.report.markdown import render

    return render(document).encode("utf-8")


def _pdf(document: Document) -> bytes:
    from proofs.report.pdf import render

    return render(document)


_RENDERERS: Mapping[str, Callable[[Document], bytes]] = {"html": _html, "pdf": _pdf, "tex": _latex, "md": _markdown}
FORMATS = (*_RENDERERS, "json")
"""What a report can be written as."""


def write_report(
    form: str,
    path: Path,
    theorems: Sequence[Theorem],
    entries: Sequence[Entry],
    titles: Mapping[str, str] | None = None,
) -> None:
    """Write the report on the catalogue; `titles` says of each engine what it is.

    Raises ReportError for an unknown format, a missing package or a path that cannot be written.
    """
    check_destination(form, path)
    if form == "json":
        from proofs.report.record import ledger_record

        _save(path, _json(ledger_record(theorems, entries, titles)))
        return
    from proofs.report.catalogue import catalogue_document

    _save(path, _RENDERERS[form](catalogue_document(theorems, entries, titles)))


def write_derivation(form: str, path: Path, derivation: Derivation, written: str) -> None:
    """Write the report on one estimator, `written` as it was asked for.

    Raises ReportError for an unknown format, a missing package or a path that cannot be written.
    """
    check_destination(form, path)
    if form == "json":
        _save(path, _json(to_json(derivation, written)))
        return
    from proofs.report.estimator import derivation_document

    _save(path, _RENDERERS[form](derivation_document(derivation, written)))


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
        raise _unwritable(path, error) from error
    if is_folder:
        raise ReportError(f"{path} is a folder")
    if not has_parent:
        raise ReportError(f"there is no folder {path.parent}")


def _json(record: object) -> bytes:
    return (json.dumps(record, indent=2, ensure_ascii=False) + "\n").encode("utf-8")


def _save(path: Path, content: bytes) -> None:
    try:
        path.write_bytes(content)
    except OSError as error:
        raise _unwritable(path, error) from error


def _unwritable(path: Path, error: OSError) -> ReportError:
    return ReportError(f"{path} cannot be written: {error.strerror}")
