"""Every format, from the whole catalogue and from hostile texts."""

import dataclasses
import doctest
import json
import re
import shutil
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path

import jsonschema
import pytest
from click.testing import CliRunner
from sympy import Integer

import proofs
from proofs.cli import derive as derive_command
from proofs.derivation import derive
from proofs.estimators import Estimator, parse_estimator
from proofs.ledger import Entry, Finding, Outcome
from proofs.report import destination, html, latex, markdown, pdf
from proofs.report.catalogue import catalogue_document
from proofs.report.content import Chain, Display, Document, Facts, Formula, Section
from proofs.report.destination import FORMATS, parse_destination
from proofs.report.errors import ReportError
from proofs.report.notation import latex_of, text_of
from proofs.report.record import ledger_record
from proofs.report.write import write_derivation, write_report
from proofs.statements import Identity, SequenceGradient, SequenceValue
from proofs.symbols import BETA, L
from proofs.theorems import catalogue, false_statements
from tests.proofs.report.support import entries_for, theorem

HOSTILE = (
    "<script>alert('1')</script> & \"x\" $\\input{/etc/passwd}$ %_#{}~^ | `a` [b](http://c.de) \u2603 ![i](j) \n# h"
)
VOID = {"meta", "br", "link", "img", "input", "hr", "mspace"}
SCHEMA = json.loads((Path(proofs.__file__).parent / "schemas" / "ledger-1.json").read_text("utf-8"))


class Page(HTMLParser):
    """What is in a page; raises where a tag is not closed in order."""

    def __init__(self, text):
        super().__init__(convert_charrefs=True)
        self.tags, self.ids, self.headings, self.links, self.attributes, self.open, self.text = (
            [],
            [],
            [],
            [],
            [],
            [],
            "",
        )
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attributes):
        self.tags.append(tag)
        self.attributes += attributes
        given = dict(attributes)
        if "id" in given:
            self.ids.append(given["id"])
        if tag == "a":
            self.links.append(given["href"])
        if re.fullmatch("h[1-6]", tag):
            self.headings.append(int(tag[1]))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attributes):
        self.handle_starttag(tag, attributes)
        if tag not in VOID:
            self.open.pop()

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if not self.open or self.open[-1] != "style":
            self.text += data


@pytest.fixture(scope="module")
def theorems():
    return (*catalogue(), *false_statements())


@pytest.fixture(scope="module")
def entries(theorems):
    return entries_for(theorems)


@pytest.fixture(scope="module")
def document(theorems, entries):
    return catalogue_document(theorems, entries, {"one": "the first"})


@pytest.fixture(scope="module")
def page(document):
    return html.render(document)


@pytest.fixture(scope="module")
def parsed(page):
    return Page(page)


def hostile_document():
    bad = theorem(
        Identity(L, L),
        name=HOSTILE,
        words=HOSTILE,
        source=HOSTILE,
        refutes=HOSTILE,
    )
    found = Finding(Outcome.INCONCLUSIVE, HOSTILE, HOSTILE, {HOSTILE: HOSTILE})
    return catalogue_document([bad], [Entry(bad, HOSTILE, found, 0.1)], {HOSTILE: HOSTILE}, plots=())


def formulas(sections):
    for section in sections:
        for block in section.blocks:
            if isinstance(block, Display):
                yield block.formula
            elif isinstance(block, Chain):
                for line in block.lines:
                    yield from (f for f in (line.before, line.after) if f is not None)
        yield from formulas(section.sections)


def test_the_page_runs_nothing_and_loads_nothing(page, parsed):
    assert not set(parsed.tags) & {"script", "link", "iframe", "object", "embed", "img", "form"}
    assert not [name for name, _ in parsed.attributes if name.startswith("on") or name in ("src", "srcset")]
    assert "http:" not in page
    assert "https:" not in page
    assert "@import" not in page
    assert set(re.findall(r"url\((.)", page)) <= {"#"}


def test_ids_are_unique_and_every_theorem_has_its_own(parsed, theorems):
    assert len(parsed.ids) == len(set(parsed.ids))
    assert {theorem.id for theorem in theorems} <= set(parsed.ids)
    assert {link.removeprefix("#") for link in parsed.links} <= set(parsed.ids)
    assert {theorem.id for theorem in theorems} <= {link.removeprefix("#") for link in parsed.links}


def test_the_page_says_its_language_and_its_headings_are_in_order(page, parsed):
    assert '<html lang="en">' in page
    assert parsed.headings.count(1) == 1
    assert all(after <= before + 1 for before, after in zip(parsed.headings, parsed.headings[1:], strict=False))
    assert parsed.tags.count("svg") == page.count('<svg role="img" aria-label="')
    assert parsed.tags.count("svg") == 5
    assert parsed.tags.count("th") == page.count('scope="')


def test_every_formula_is_mathml(document, parsed):
    shown = list(formulas(document.sections))
    assert len(shown) > 700
    assert all(html.to_mathml(formula.latex) for formula in shown)
    assert parsed.tags.count("math") >= len(shown)


def test_a_formula_that_cannot_be_converted_is_text():
    assert html.math(Formula(r"\left( x", "x < 1")) == "<code>x &lt; 1</code>"
    assert html.math(Formula(r"\unknowncommand x", "x")) == "<code>x</code>"
    assert html.math(Formula("x", 'a "b"')).startswith('<math aria-label="a &quot;b&quot;"')


def test_hostile_texts_stay_texts_in_html():
    rendered = html.render(hostile_document())
    page = Page(rendered)
    assert "script" not in page.tags
    assert "alert('1')" in page.text
    assert page.links.count("http://c.de") == 0


def test_hostile_texts_stay_texts_in_markdown():
    rendered = markdown.render(hostile_document())
    assert "``" in rendered
    assert "<script" in rendered  # in the heading, as code
    text = re.sub(r"(?<![\\`])(`+)(?!`).*?(?<!`)\1(?!`)", "", rendered)
    assert "<script" not in text
    assert "[b]" not in text
    assert "\n# h" not in rendered


def test_hostile_texts_stay_texts_in_latex():
    rendered = latex.render(hostile_document())
    body = rendered[rendered.index(r"\begin{document}") :]
    assert r"\input" not in body
    assert r"\textbackslash{}input\{" in body
    assert r"\texttt{U+2603}" in body


@pytest.mark.skipif(shutil.which("pdflatex") is None, reason="pdflatex is not installed")
def test_hostile_texts_compile(tmp_path):
    (tmp_path / "r.tex").write_text(latex.render(hostile_document()), "utf-8")
    compiled(tmp_path)


def compiled(folder):
    command = ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "-no-shell-escape", "r.tex"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, errors="replace", check=False)
    assert done.returncode == 0, [line for line in done.stdout.splitlines() if line.startswith("!")]
    return done.stdout


@pytest.mark.skipif(shutil.which("pdflatex") is None, reason="pdflatex is not installed")
def test_the_whole_report_compiles_and_fits_the_paper(document, tmp_path):
    (tmp_path / "r.tex").write_text(latex.render(document), "utf-8")
    log = compiled(tmp_path).replace("\n", "")
    too_wide = [float(points) for points in re.findall(r"Overfull \\hbox \(([\d.]+)pt too wide", log)]
    assert max(too_wide, default=0) < 20
    assert (tmp_path / "r.pdf").read_bytes().startswith(b"%PDF")


@pytest.mark.skipif(shutil.which("pdflatex") is None, reason="pdflatex is not installed")
def test_latex_that_does_not_compile_is_an_error_of_one_line():
    if shutil.which("tectonic"):
        pytest.skip("tectonic is taken first")
    broken = Document("t", "s", (Section("a", "a", (Display(Formula(r"\nosuchcommand", "x")),)),))
    with pytest.raises(ReportError, match=r"pdflatex failed: Undefined control sequence\."):
        pdf.render(broken)


def test_without_latex_weasyprint_makes_the_pdf(monkeypatch):
    pytest.importorskip("weasyprint")
    monkeypatch.setattr(pdf.shutil, "which", lambda _: None)
    one = theorem(Identity(L, L))
    made = pdf.render(catalogue_document([one], entries_for([one])))
    assert made.startswith(b"%PDF")


@pytest.mark.parametrize(
    ("missing", "form", "said"),
    [
        ("jinja2", "html", "needs jinja2"),
        ("latex2mathml.converter", "html", "needs latex2mathml"),
        ("matplotlib", "html", "needs matplotlib"),
        ("weasyprint", "pdf", "needs LaTeX or WeasyPrint"),
    ],
)
def test_a_missing_package_is_named(monkeypatch, tmp_path, missing, form, said):
    html.to_mathml.cache_clear()
    monkeypatch.setattr(pdf.shutil, "which", lambda _: None)
    monkeypatch.setitem(sys.modules, missing, None)
    one = theorem(Identity(L, L))
    with pytest.raises(ReportError, match=said) as raised:
        write_report(form, tmp_path / "r", [one], entries_for([one]))
    assert "\n" not in str(raised.value)
    assert "pip install 'kl-oracle[report]'" in str(raised.value)
    assert not (tmp_path / "r").exists()


def test_numbers_are_those_of_the_entries(document, theorems, entries):
    proved = {
        t.id: {e.engine for e in entries if e.theorem is t and e.finding.outcome is Outcome.PROVED} for t in theorems
    }
    true = [t for t in theorems if t.holds]
    twice = sum(len(proved[t.id]) >= 2 for t in true)
    assert 0 < twice < len(true)
    assert f"{len(true)} theorems, {twice} of them proved on two independent paths or more." in document.summary
    assert f"{len(entries)} verdicts" in document.summary
    record = ledger_record(theorems, entries)
    assert record["summary"]["theorems"] == len(true)
    assert record["summary"]["proved_twice"] == twice
    for engine in ("one", "two", "three"):
        own = [e for e in entries if e.engine == engine]
        counted = record["summary"]["engines"][engine]
        assert counted["outcomes"] == {str(o): sum(e.finding.outcome is o for e in own) for o in Outcome}
        assert counted["seconds"] == pytest.approx(sum(e.seconds for e in own))


def test_a_summary_counts_only_what_was_caught():
    false = theorem(Identity(L, Integer(0)), "f", holds=False)
    caught = Entry(false, "one", Finding(Outcome.REFUTED), 0.0)
    believed = Entry(false, "two", Finding(Outcome.PROVED), 0.0)
    assert "1 of them refuted" in catalogue_document([false], [caught], plots=()).summary
    both = catalogue_document([false], [caught, believed], plots=())
    assert "0 of them refuted" in both.summary
    assert 'class="proved unexpected"' in html.render(both)
    assert ledger_record([false], [caught, believed])["summary"]["refused"] == 0


def test_the_record_is_as_its_schema_says(theorems, entries):
    jsonschema.Draft202012Validator.check_schema(SCHEMA)
    record = json.loads(json.dumps(ledger_record(theorems, entries)))
    jsonschema.validate(record, SCHEMA)
    assert set(SCHEMA["$defs"]["outcome"]["enum"]) == {str(outcome) for outcome in Outcome}
    assert [t["id"] for t in record["theorems"]] == [t.id for t in theorems]
    record["theorems"][0]["engines"]["one"]["outcome"] = "believed"
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(record, SCHEMA)


@pytest.mark.parametrize("module", [html, destination])
def test_examples_run(module):
    results = doctest.testmod(module)
    assert results.attempted > 0
    assert results.failed == 0


@pytest.mark.parametrize("form", FORMATS)
def test_a_derivation_in_every_format(form, tmp_path):
    if form == "pdf" and not shutil.which("pdflatex") and not shutil.which("tectonic"):
        pytest.skip("no LaTeX")
    path = tmp_path / f"r.{form}"
    write_derivation(form, path, derive(parse_estimator("k3")), "k3")
    content = path.read_bytes()
    if form == "pdf":
        assert content.startswith(b"%PDF")
    elif form == "json":
        assert json.loads(content)["as_loss"]["objective"] == "forward_kl"
    else:
        text = content.decode("utf-8").replace(r"\textbar{}", "|").replace("\\", "")
        assert "KL(reference||policy)" in text
        assert "sg(min(rho, C))" in text


def test_an_estimator_without_plots_still_has_a_page():
    from proofs.report.estimator import derivation_document

    scaled = Estimator("scaled", BETA * L, "made for this test")
    document = derivation_document(derive(scaled), "beta*L")
    assert "plots" not in [section.anchor for section in document.sections]
    assert Page(html.render(document)).headings[0] == 1


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("html", "a report is FORMAT=PATH, not 'html'"),
        ("html=", "a report is FORMAT=PATH"),
        ("docx=a.docx", "unknown format 'docx': choose one of html, pdf, tex, md, json"),
    ],
)
def test_destinations_that_are_none(text, said):
    with pytest.raises(ReportError, match=said):
        parse_destination(text)


def test_paths_that_cannot_be_written(tmp_path):
    with pytest.raises(ReportError, match="is a folder"):
        write_report("md", tmp_path, [], [])
    with pytest.raises(ReportError, match="there is no folder"):
        write_report("md", tmp_path / "a" / "b.md", [], [])
    with pytest.raises(ReportError, match="unknown format"):
        write_report("docx", tmp_path / "b", [], [])
    with pytest.raises(ReportError, match="cannot be written: File name too long"):
        write_report("json", tmp_path / ("a" * 300), [], [])


def test_the_command_writes_reports(tmp_path):
    page, text = tmp_path / "r.html", tmp_path / "r.md"
    result = CliRunner().invoke(derive_command, ["k2", "--report", f"html={page}", "--report", f"md={text}"])
    assert result.exit_code == 0, result.output
    assert "k2" in Page(page.read_text("utf-8")).text
    assert text.read_text("utf-8").startswith("# ")


@pytest.mark.parametrize("report", ["docx=a", "html", "md=/no/such/folder/a.md"])
def test_the_command_refuses_what_it_cannot_write(report):
    result = CliRunner().invoke(derive_command, ["k2", "--report", report])
    assert result.exit_code == 2
    assert result.stderr.startswith("kl-oracle derive: ")
    assert "Traceback" not in result.stderr
    assert result.stderr.count("\n") == 1


def test_numbers_follow_the_entries():
    """One verdict changed, and the page, the LaTeX and the record say another number."""
    two = catalogue()[:2]
    proved = [Entry(t, e, Finding(Outcome.PROVED, "any"), 0.25) for e in ("one", "two") for t in two]
    doubted = [*proved[:-1], Entry(two[1], "two", Finding(Outcome.INCONCLUSIVE), 0.25)]
    shared = [dataclasses.replace(entry, path="the same") for entry in proved]
    said = {}
    for name, entries in (("proved", proved), ("doubted", doubted), ("shared", shared)):
        document = catalogue_document(two, entries, plots=())
        count = ledger_record(two, entries)["summary"]["proved_twice"]
        sentence = f"2 theorems, {count} of them proved on two independent paths or more."
        for rendered in (html.render(document), latex.render(document), markdown.render(document)):
            assert sentence in rendered.replace(r".\allowbreak{}", ".").replace("\\", "")
        said[name] = count
        assert "1.0 s of work" in document.summary
    assert said == {"proved": 2, "doubted": 1, "shared": 0}


def test_every_theorem_has_a_formula_in_both_notations(theorems):
    for one in theorems:
        latex_formula, text = latex_of(one.statement), text_of(one.statement)
        assert latex_formula
        assert text
        assert "\\" not in text
        assert html.to_mathml(latex_formula), one.id
        assert "KLref" not in text + latex_formula
        assert not re.search(r"KL\d|\\mathrm\{KL\}_", text + latex_formula), "a direction without its distributions"


def test_statements_on_whole_answers_say_the_horizon_that_is_shown(theorems, document):
    sections = {sub.title: sub for section in document.sections for sub in section.sections}
    shown = [t for t in theorems if isinstance(t.statement, SequenceGradient | SequenceValue)]
    assert len(shown) > 70
    for one in shown:
        assert re.search(r"shown for answers of (at most )?2 tokens$", text_of(one.statement))
        facts = next(block for block in sections[one.id].blocks if isinstance(block, Facts))
        assert ("claimed for", ("every number T of tokens; written out here for T = 2",)) in facts.rows


def test_every_theorem_shows_its_rules(theorems, document):
    sections = {sub.title: sub for section in document.sections for sub in section.sections}
    for one in theorems:
        chains = [block for block in sections[one.id].blocks if isinstance(block, Chain)]
        assert bool(chains) == one.holds, one.id
        assert all(line.rule for chain in chains for line in chain.lines)


@pytest.mark.skipif(shutil.which("pdftotext") is None, reason="pdftotext is not installed")
@pytest.mark.skipif(shutil.which("pdflatex") is None, reason="pdflatex is not installed")
def test_the_pdf_says_what_the_entries_say(theorems, entries, tmp_path):
    some = [t for t in theorems if t.family in ("sequences", "identities")]
    own = [entry for entry in entries if entry.theorem in some]
    document = catalogue_document(some, own)
    (tmp_path / "r.pdf").write_bytes(pdf.render(document))
    text = subprocess.run(
        ["pdftotext", "-raw", tmp_path / "r.pdf", "-"], capture_output=True, text=True, check=True
    ).stdout
    assert text.count("\f") > len(some) / 4
    flat = " ".join(text.split())
    assert document.summary in flat
    for one in some:
        assert one.id in flat
    for kind in ("proved", "refuted", "unsupported"):
        found = sum(str(entry.finding.outcome) == kind for entry in own)
        assert len(re.findall(rf"(?:one|two|three): {kind}\b", flat)) == found


@pytest.mark.skipif(shutil.which("chromium") is None, reason="chromium is not installed")
def test_a_browser_runs_no_script_of_the_page_and_lays_out_its_formulas(page, tmp_path):
    """A hostile script would change the title; a formula that is not MathML to the browser has no height."""
    probe = (
        "<script>onload = () => { const d = document.getElementById('f').contentDocument;"
        "const all = [...d.querySelectorAll('math')];"
        "document.getElementById('w').textContent = [d.scripts.length, d.title, all.length,"
        "all.filter(m => m.namespaceURI !== 'http://www.w3.org/1998/Math/MathML').length,"
        "d.defaultView.performance.getEntriesByType('resource').length].join('|'); };</script>"
    )
    (tmp_path / "report.html").write_text(page, "utf-8")
    scripts, title, formulas_shown, not_math, loaded = probed(tmp_path, "report.html", probe).split("|")
    assert (scripts, not_math, loaded) == ("0", "0", "0")
    assert title == "What the gradients of KL estimators really are"
    assert int(formulas_shown) == page.count("<math")


@pytest.mark.skipif(shutil.which("chromium") is None, reason="chromium is not installed")
def test_a_phone_shows_the_page_without_scrolling_sideways(page, tmp_path):
    """A frame of 390 px says how wide its content is."""
    (tmp_path / "report.html").write_text(page, "utf-8")
    wide = page.replace("<main>", '<main><div style="width: 900px">x</div>')
    (tmp_path / "wide.html").write_text(wide, "utf-8")
    assert width_at_390(tmp_path, "report.html") <= 390
    assert width_at_390(tmp_path, "wide.html") > 390


def width_at_390(folder, name):
    probe = (
        "<script>onload = () => { const d = document.getElementById('f').contentDocument;"
        "document.getElementById('w').textContent = d.documentElement.scrollWidth; };</script>"
    )
    return int(probed(folder, name, probe))


def probed(folder, name, script):
    """What a page around a frame of 390 px writes down of the frame's content."""
    probe = folder / f"probe-{name}"
    frame = f'<iframe id="f" src="{name}" style="width:390px;height:800px;border:0"></iframe>'
    probe.write_text(f'{frame}<p id="w"></p>{script}', "utf-8")
    flags = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync"]
    flags += ["--disable-background-networking", "--disable-component-update", "--allow-file-access-from-files"]
    flags += [f"--user-data-dir={folder / 'profile'}", "--virtual-time-budget=5000", "--dump-dom"]
    done = subprocess.run(["chromium", *flags, probe.as_uri()], capture_output=True, text=True, timeout=120, check=True)
    return re.search(r'<p id="w">([^<]+)</p>', done.stdout)[1]
