"""Whatever a subject is called, and whatever it says, reports show it and terminals do not act on it."""

from __future__ import annotations

import html.parser
import io
import json
import sys
import unicodedata
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from oracle.escaping import encodable, plain, plain_record
from oracle.records import Finding, ObjectiveRecord, SubjectRecord, Verdict, encode
from oracle.reporters import REPORTERS
from oracle.reporters.notebook import render as as_html
from oracle.streams import say

HOSTILE = (
    "\x1b[31mred\x1b[0m", "\x1b]0;title\x07", "\x9b2J", "a\nb\r\nc\td", "\x00", "[bold]x[/bold]", "[/]", "[link=x]y",
    "\u202egnp", "\u2066x\u2069", "\u2028", "\ud800", "\udcff", "<script>alert(1)</script>", "&lt;", "\\x1b",
    "é ρ 日本 😀", "n" * 5000,
)  # fmt: skip
texts = st.one_of(st.sampled_from(HOSTILE), st.text(st.characters(exclude_categories=()), max_size=30))


def verdict(text: str) -> Verdict:
    """A verdict that says it wherever a subject's text can come."""
    side = ObjectiveRecord(objective="unnamed", level=None, scale=None, evidence="tested", formula=text)
    finding = Finding(
        check="claim", outcome="fail", severity="error", message=text, evidence="tested", remedy=text,
        counterexample={text: text, "n": 10**30, "x": float("inf")},
    )  # fmt: skip
    subject = SubjectRecord(
        target=text, kind="penalty", placement="loss", roles={text: text}, sha256=None, settings={text: text}
    )
    return Verdict(
        subject=subject, on_policy=side, off_policy=side, depends_on_reference=True, aggregation="sum",
        findings=[finding], outcome="violates", path=[text], unread=text, claims=[text],
    )  # fmt: skip


def acted_on(text: str) -> set[str]:
    """The characters of a text that a terminal acts on, or that reorder it; line ends apart."""
    return {c for c in text if c != "\n" and unicodedata.category(c) in ("Cc", "Cf", "Cs", "Zl", "Zp")}


@given(texts)
def test_plain_is_one_visible_line_and_says_which_character_it_was(text: str) -> None:
    shown = plain(text)
    assert not acted_on(shown)
    assert "\n" not in shown
    shown.encode("utf-8")
    seen = "".join(c for c in text if not acted_on(c) and c != "\n")
    if all(unicodedata.category(c) not in ("Cn", "Co") for c in text):
        assert len(shown) >= len(text)
        assert (shown == text) == (seen == text)


def test_plain_keeps_what_is_seen_and_cuts_what_is_long() -> None:
    assert plain("é ρ 日本 [bold] <b> \\x1b") == "é ρ 日本 [bold] <b> \\x1b"
    assert plain("a\n\x1b[0m\u202e\ud800") == "a\\n\\x1b[0m\\u202e\\ud800"
    assert plain("a" * 50 + "z" * 50, 25) == "a" * 10 + " ... " + "z" * 10


@given(texts)
def test_text_and_html_show_it_and_json_holds_it(text: str) -> None:
    told = verdict(text)
    printed = REPORTERS["text"]([told])
    assert not acted_on(printed)
    printed.encode("utf-8")
    shown = as_html(told)
    assert not acted_on(shown)
    shown.encode("utf-8")
    tags: set[str] = set()
    parser = html.parser.HTMLParser()
    parser.handle_starttag = lambda tag, _: tags.add(tag)  # type: ignore[method-assign]
    parser.feed(shown)
    assert tags <= {"div", "p", "code", "table", "thead", "tbody", "tr", "th", "td", "ul", "li", "strong", "br"}
    written = encode([told])
    assert not {c for c in acted_on(written) if ord(c) < 0x2070}
    (back,) = json.loads(written)
    assert back["subject"]["target"] == text.encode("utf-8", "backslashreplace").decode()
    assert back["findings"][0]["counterexample"]["n"] == str(10**30)


def test_markup_is_shown_as_it_stands() -> None:
    printed = REPORTERS["text"]([verdict("[bold]x[/bold] [/]")])
    assert "[bold]x[/bold] [/]  as loss" in printed
    assert "&lt;script&gt;" in as_html(verdict("<script>"))


def test_records_keep_all_but_their_texts() -> None:
    class Other(msgspec.Struct):
        a: dict[str, Any]
        b: list[Any]
        c: tuple[Any, ...] = ()

    given_record = Other({"x\n": [1, None, True, 2.5, {"y": "\x1b"}]}, ["\t", 3], (1, "\r"))
    assert plain_record(given_record) == Other({"x\\n": [1, None, True, 2.5, {"y": "\\x1b"}]}, ["\\t", 3], (1, "\\r"))
    numbers = [2**64, -(2**63), True]
    assert encodable({"a": "\n\ud800", "b": numbers}) == {"a": "\n\\ud800", "b": [str(2**64), -(2**63), True]}


ENCODED = [("ascii", "\\u03c1 \\xe9"), ("utf-8", "ρ é"), ("latin-1", "\\u03c1 é")]


@pytest.mark.parametrize(("encoding", "shown"), ENCODED)
def test_a_report_can_be_printed_in_any_encoding(encoding: str, shown: str, monkeypatch: pytest.MonkeyPatch) -> None:
    raw = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(raw, encoding, write_through=True))
    say("ρ é\n")
    assert raw.getvalue().decode(encoding) == f"{shown}\n"
