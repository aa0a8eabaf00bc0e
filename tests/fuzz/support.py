"""How much is drawn, what is drawn from, and what every answer has to keep to."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Sequence

from click.testing import Result
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

FULL = os.environ.get("HYPOTHESIS_PROFILE") == "fuzz"

cases: Counter[str] = Counter()
"""Name of a test to the number of cases that it ran, for the summary."""

HOSTILE = (
    "\x1b[31m", "\x1b]0;title\x07", "\x9b2J", "\x00", "\r", "\n", "\t", "\x7f", "\u202e", "\u2066", "\u2028", "\ufeff",
    "\ud800", "\udcff", "[bold]", "[/]", "[/bold]", "[link=x]", "<script>", "&amp;", "'", '"', "\\", "%s", "{0}", "{",
    "$HOME", "`x`", ":", ":emoji:", "=", ",", "-", "--", ";", "*", "?", "[", "]", "😀", "é", "ρ", "日本", "x" * 300,
)  # fmt: skip


def drawn(full: int, few: int) -> settings:
    """So many examples under ``make fuzz``, so many in the tests."""
    return settings(
        max_examples=full if FULL else few,
        derandomize=not FULL,
        deadline=None,
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
    )


# no slash: what is drawn may become the path of a report, and must stay in the folder of the test
characters = st.characters(exclude_characters="/~", exclude_categories=())
wild = st.one_of(st.text(characters, max_size=12), st.sampled_from(HOSTILE), st.text("([{,.*+-=:;'\"\\%$ ", max_size=8))


@st.composite
def mutated(draw: st.DrawFn, words: Sequence[str]) -> str:
    """One of the words; as it is, or with something put in, taken out or doubled."""
    word = draw(st.sampled_from(words))
    for _ in range(draw(st.sampled_from((0, 0, 1, 1, 2)))):
        at = draw(st.integers(0, len(word)))
        upto = draw(st.integers(at, min(len(word), at + 3)))
        word = word[:at] + draw(st.one_of(wild, st.just(word[at:upto] * 2), st.just(""))) + word[upto:]
    return word


def obeyed(text: str) -> list[str]:
    """The characters in what was printed that a terminal would act on, or that hide or reorder what is read."""
    acted = set(map(chr, range(0x20))) - {"\n"} | {"\x7f"} | set(map(chr, range(0x80, 0xA0)))
    return sorted((acted | set("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\u2028\u2029")) & set(text))


def one_answer(result: Result) -> None:
    """Exit status 0, 1 or 2, and 2 with what to do; nothing that a terminal acts on."""
    assert result.exception is None or isinstance(result.exception, SystemExit), repr(result.exception)
    assert result.exit_code in (0, 1, 2)
    assert "Traceback" not in result.output
    assert "kl-oracle itself failed" not in result.output
    assert not obeyed(result.stdout), result.stdout
    assert not obeyed(result.stderr), result.stderr
    if result.exit_code == 2:
        said = [s for s in result.stderr.splitlines() if s and not s.startswith(("Usage:", "Try "))]
        assert said or "inconclusive" in result.stdout, result.output


def one_message(message: str) -> None:
    """An error of the library: a line with words in it, that says more than what was typed."""
    assert message.strip()
    assert "Traceback" not in message
    assert any(mark in message for mark in (";", ":", "write", "there is no")), message
