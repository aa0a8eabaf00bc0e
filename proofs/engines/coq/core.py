"""The hand-written theory under proofs/coq: its files in order, the theorems it marks, and its gate."""

from __future__ import annotations

import re
from dataclasses import dataclass
from importlib import resources
from pathlib import Path

LIBRARY = "KLOracle"
"""The logical name under which the files are compiled."""
FOLDER = Path(str(resources.files("proofs") / "coq"))

_REQUIRE = re.compile(rf"From {LIBRARY} Require Import ([\w ]+)\.")
_MARKER = re.compile(r"\(\* kl-oracle: ([\w.-]+) \*\)(.*?)\n(?:Theorem|Lemma) (\w+)(.*?)\.\s*\nProof\.", re.DOTALL)
_FORBIDDEN = re.compile(
    r"\b(Admitted|admit|give_up|Axioms?|Parameters?|Conjecture|Primitive|bypass_check|"
    r"Guard Checking|Positivity Checking|Universe Checking|type_in_type|impredicative_set|Declare ML Module|"
    r"Load|Add LoadPath|Extract|Redirect)\b"
)
_COMMENT = re.compile(r"\(\*.*?\*\)", re.DOTALL)


class Refused(Exception):
    """The text or what it rests on is not admitted: nothing of it counts as proved."""


@dataclass(frozen=True)
class Marked:
    """A theorem that says, in a comment above it, which theorem of the catalogue it is."""

    theorem_id: str
    name: str
    file: str
    claim: str
    """Its binders and its statement."""


def sources(folder: Path = FOLDER) -> dict[str, str]:
    """Return the text of each file by its name without suffix, what is needed first."""
    texts = {path.stem: path.read_text() for path in sorted(folder.glob("*.v"))}
    ordered: dict[str, str] = {}

    def add(name: str, above: tuple[str, ...]) -> None:
        if name in above:
            raise Refused(f"{name}.v needs itself")
        for needed in needs(texts[name]):
            add(needed, (*above, name))
        ordered.setdefault(name, texts[name])

    for name in texts:
        add(name, ())
    return ordered


def needs(text: str) -> list[str]:
    """Return the files of the theory that a text imports."""
    return [name for names in _REQUIRE.findall(text) for name in names.split()]


def marked(texts: dict[str, str]) -> dict[str, Marked]:
    """Return the marked theorems by the id in the catalogue."""
    found: dict[str, Marked] = {}
    for file, text in texts.items():
        for theorem_id, between, name, claim in _MARKER.findall(text):
            if between.strip() or theorem_id in found:
                raise Refused(f"{file}.v: the mark of {theorem_id} is not right above one theorem")
            found[theorem_id] = Marked(theorem_id, name, file, claim)
    return found


def gate(name: str, text: str) -> None:
    """Refuse a text that assumes what it should prove. What hides from here, coqchk's list of axioms shows."""
    found = _FORBIDDEN.search(_COMMENT.sub(" ", text))
    if found:
        raise Refused(f"{name}.v has {found.group()}")
