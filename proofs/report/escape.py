"""Text made harmless for LaTeX and for Markdown. HTML is escaped by Jinja."""

from __future__ import annotations

import re

_LATEX = {
    "\\": r"\textbackslash{}",
    "{": r"\{",
    "}": r"\}",
    "$": r"\$",
    "&": r"\&",
    "%": r"\%",
    "#": r"\#",
    "_": r"\_\allowbreak{}",
    "^": r"\textasciicircum{}",
    "~": r"\textasciitilde{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    '"': r"{\ttfamily\char34}",
    "`": r"{\ttfamily\char96}",
    "-": r"{-}",
    ".": r".\allowbreak{}",
}


def anchor(text: str) -> str:
    """Return a name for a place in a document: letters, digits, dots and dashes. A theorem's id stays as it is."""
    return re.sub(r"[^A-Za-z0-9._-]", ".", text)


def latex(text: str) -> str:
    """Return plain text that LaTeX sets as it is; what its fonts lack is shown by its code point."""
    return "".join(_latex_sign(sign) for sign in text)


def _latex_sign(sign: str) -> str:
    if sign in _LATEX:
        return _LATEX[sign]
    if sign.isspace():
        return " "
    if 32 <= ord(sign) < 127 or sign in "äöüßÄÖÜéèáàóòñç":
        return sign
    return rf"\texttt{{U+{ord(sign):04X}}}"


def markdown(text: str) -> str:
    """Return plain text that Markdown shows as it is, on one line."""
    flat = " ".join(text.split())
    flat = re.sub(r"([\\`*_{}\[\]()#+!|$~^-])", r"\\\1", flat)
    return flat.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;").replace("@", "&#64;")


def markdown_code(text: str) -> str:
    """Return text as inline code, whatever backquotes it has."""
    flat = " ".join(text.split()).replace("|", "\\|")
    longest = max((len(run) for run in re.findall("`+", flat)), default=0)
    fence = "`" * (longest + 1)
    return f"{fence} {flat} {fence}" if longest else f"`{flat}`"
