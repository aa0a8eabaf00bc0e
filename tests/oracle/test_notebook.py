"""What a notebook shows of a verdict: valid HTML, and no text of a target or a check is markup."""

from html.parser import HTMLParser

import pytest

from oracle.records import Finding, ObjectiveRecord, SubjectRecord, Verdict, encode

BAD = "<script>alert('1')</script> & \"x\""


class Strict(HTMLParser):
    """Raises where a tag is not closed in order."""

    def __init__(self, text):
        super().__init__(convert_charrefs=True)
        self.tags, self.open, self.text = [], [], ""
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        if tag != "br":
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text += data


def verdict(**changes):
    on_policy = ObjectiveRecord(
        objective="forward_kl", level="token", scale=1.0, evidence="proved", formula=f"1 - exp(-L) {BAD}"
    )
    off_policy = ObjectiveRecord(objective="unnamed", level=None, scale=None, evidence="tested", formula=None)
    findings = [
        Finding(check="clamp", outcome="fail", severity="error", message=BAD, evidence="tested", remedy=BAD),
        Finding(check="sign", outcome="pass", severity="error", message="unseen", evidence="proved"),
        Finding(check="mask.leak", outcome="inconclusive", severity="error", message="late", evidence="tested"),
    ]
    subject = SubjectRecord(target=f"a.py:{BAD}", kind="penalty", placement="loss", roles={}, sha256=None)
    fields = {
        "subject": subject,
        "on_policy": on_policy,
        "off_policy": off_policy,
        "depends_on_reference": True,
        "aggregation": "sum",
        "findings": findings,
        "outcome": "violates",
    }
    return Verdict(**{**fields, **changes})


def test_a_verdict_says_what_it_descends_and_what_failed():
    shown = Strict(verdict()._repr_html_())
    assert "descends KL(reference||policy), token level" in shown.text
    assert "as loss, sum" in shown.text
    assert "no objective it knows" in shown.text
    assert "violates" in shown.text
    assert "inconclusive mask.leak: late" in shown.text
    assert "unseen" not in shown.text


@pytest.mark.parametrize("changes", [{}, {"error": BAD, "on_policy": None, "off_policy": None, "findings": []}])
def test_no_text_becomes_markup(changes):
    shown = Strict(verdict(**changes)._repr_html_())
    assert "script" not in shown.tags
    assert shown.text.count("alert('1')") == (2 if changes else 4)


def test_what_was_only_described_has_no_outcome_and_an_empty_verdict_no_table():
    described = Strict(verdict(outcome="described", on_policy=None, off_policy=None, findings=[])._repr_html_())
    assert "described" not in described.text
    assert set(described.tags) == {"div", "p", "code"}


def test_the_record_is_what_it_was():
    assert "_repr_html_" not in encode([verdict()])
