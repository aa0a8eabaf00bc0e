"""A report as PDF: through LaTeX where there is one, else through WeasyPrint."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from pathlib import Path

from proofs.report import html, latex
from proofs.report.content import Document
from proofs.report.errors import ReportError

_SECONDS = 240
_LATEX_RUNS = 2  # the second one knows the table of contents
_INSTALL = "install tectonic or pdflatex (TeX Live), or WeasyPrint: pip install 'kl-oracle[report]'"


def render(document: Document) -> bytes:
    """Return the PDF. Raises ReportError where nothing here can make one, or where LaTeX fails."""
    for program, arguments, runs in (
        ("tectonic", ["--untrusted", "--chatter", "minimal"], 1),
        ("pdflatex", ["-interaction=nonstopmode", "-halt-on-error", "-no-shell-escape"], _LATEX_RUNS),
    ):
        found = shutil.which(program)
        if found is not None:
            return _compiled([found, *arguments], latex.render(document), runs)
    return _through_weasyprint(document)


def _compiled(command: list[str], source: str, runs: int) -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "report.tex"
        path.write_text(source, "utf-8")
        for _ in range(runs):
            try:
                done = subprocess.run(
                    [*command, path.name], cwd=folder, capture_output=True, stdin=subprocess.DEVNULL, timeout=_SECONDS
                )
            except subprocess.TimeoutExpired as error:
                raise ReportError(f"{Path(command[0]).name} took longer than {_SECONDS} s") from error
            if done.returncode != 0:
                raise ReportError(f"{Path(command[0]).name} failed: {_complaint(done.stdout + done.stderr)}")
        return path.with_suffix(".pdf").read_bytes()


def _complaint(output: bytes) -> str:
    lines = output.decode("utf-8", "replace").splitlines()
    return next((line.lstrip("! ") for line in lines if line.startswith(("!", "error:"))), "no message")


def _through_weasyprint(document: Document) -> bytes:
    try:
        import weasyprint  # type: ignore[import-untyped,unused-ignore]
    except (ImportError, OSError) as error:  # OSError: its own libraries are missing
        raise ReportError(f"a report in PDF needs LaTeX or WeasyPrint: {_INSTALL}") from error
    return bytes(weasyprint.HTML(string=html.render(document, formulas=False)).write_pdf())
