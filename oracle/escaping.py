"""Escaping: what a subject's name or message contains is shown, and never obeyed, by terminals and documents.

Markup of rich and HTML is for the reporters, which show texts as texts; here are the characters that a terminal acts on
(control characters, escapes), that reorder or hide what is read (bidirectional controls, zero width), and halves of
surrogate pairs, which no encoding holds.
"""

from __future__ import annotations

import re
import unicodedata
from typing import Any, TypeVar

import msgspec

T = TypeVar("T")

_UNSEEN = {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}
_PLAIN = re.compile(r"[ -~]*")
_IN_JSON = re.compile("[\x7f-\x9f\xad\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb]")


def plain(text: str, longest: int | None = None) -> str:
    r"""The text on one line, with ``\n``, ``\x1b``, ``\u202e`` for what is not seen; its middle cut where long."""
    if longest is not None and len(text) > longest:
        half = (longest - 5) // 2
        text = f"{text[:half]} ... {text[-half:]}"
    if _PLAIN.fullmatch(text):
        return text
    return "".join(_escaped(c) if unicodedata.category(c) in _UNSEEN else c for c in text)


def _escaped(character: str) -> str:
    return character.encode("unicode_escape").decode("ascii")


def plain_record(record: T, longest: int = 2000) -> T:
    """A record with every text in it plain, the keys of its dictionaries too; the rest is as it was."""
    return _mapped(record, lambda text: plain(text, longest))  # type: ignore[no-any-return]


def encodable(record: T) -> T:
    r"""A record that JSON can hold: half a surrogate pair as the six characters ``\udc80``, 65 bits as text."""
    return _mapped(record, lambda text: text.encode("utf-8", "backslashreplace").decode("utf-8"))  # type: ignore[no-any-return]


def safe_json(text: str) -> str:
    r"""JSON text with ``\u009b`` and the like for what JSON leaves as it is and a terminal acts on; its value is the
    same."""
    return _IN_JSON.sub(lambda m: f"\\u{ord(m[0]):04x}", text)


def _mapped(value: Any, change: Any) -> Any:
    if isinstance(value, str):
        return change(value)
    if isinstance(value, int) and not -(2**63) <= value < 2**64:
        return str(value) if value.bit_length() < 10_000 else f"a number of {value.bit_length()} bits"
    if isinstance(value, msgspec.Struct):
        fields = {f: getattr(value, f) for f in value.__struct_fields__}
        return msgspec.structs.replace(value, **{f: _mapped(v, change) for f, v in fields.items()})
    if isinstance(value, dict):
        return {_mapped(k, change): _mapped(v, change) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return type(value)(_mapped(v, change) for v in value)
    return value
