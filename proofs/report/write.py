"""One door to every format."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from proofs.derivation import Derivation, to_json
from proofs.ledger import Entry
from proofs.report.content import Document
from proofs.report.destination import check_destination, unwritable
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


# by the formats of proofs.report.destination, without json
_RENDERERS: Mapping[str, Callable[[Document], bytes]] = {"html": _html, "pdf": _pdf, "tex": _latex, "md": _markdown}


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


def _json(record: object) -> bytes:
    return (json.dumps(record, indent=2, ensure_ascii=False) + "\n").encode("utf-8")


def _save(path: Path, content: bytes) -> None:
    try:
        path.write_bytes(content)
    except OSError as error:
        raise unwritable(path, error) from error
