"""The page of a verdict: well-formed, of one piece, harmless, and readable without colour, mouse or script."""

from __future__ import annotations

import base64
import functools
import hashlib
import re
from collections.abc import Callable
from html.parser import HTMLParser

import pytest
from msgspec import structs

from realmkit.dns.findings import Finding
from realmkit.health.outputs import html
from realmkit.health.verdict import Entry, Verdict
from tests.unit.healthverdicts import NOW, TABLE, bad, good, hostile

VOID = {"meta", "input", "br", "link", "img", "hr", "path", "circle", "rect"}
Node = tuple[str, dict[str, str]]


class Page(HTMLParser):
    """The elements of a page, which must close what they open."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.open: list[str] = []
        self.nodes: list[Node] = []
        self.text: list[str] = []
        self.raw: dict[str, str] = {}
        self.doctype = ""
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_decl(self, decl: str) -> None:
        self.doctype = decl

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = {name: value or "" for name, value in attrs}
        assert len(found) == len(attrs), f"an attribute is there twice in {tag}"
        self.nodes.append((tag, found))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert tag in VOID
        self.nodes.append((tag, {name: value or "" for name, value in attrs}))

    def handle_endtag(self, tag: str) -> None:
        assert self.open, f"</{tag}> closes nothing"
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open[-1:] in (["style"], ["script"]):
            self.raw[self.open[-1]] = self.raw.get(self.open[-1], "") + data
        else:
            self.text.append(data)

    @functools.cached_property
    def words(self) -> str:
        return re.sub(r"\s+", " ", " ".join(self.text))

    def all(self, *tags: str) -> list[dict[str, str]]:
        return [attributes for tag, attributes in self.nodes if tag in tags]


def source(verdict: Verdict) -> str:
    return html.render(verdict, TABLE, set(TABLE) - {"DEL02"}).decode()


def page(verdict: Verdict) -> Page:
    return Page(source(verdict))


each = pytest.mark.parametrize("make", [good, bad, lambda: bad(700), hostile], ids=["good", "bad", "many", "hostile"])
Make = Callable[[], Verdict]


@each
def test_the_page_is_well_formed(make: Make) -> None:
    found = page(make())
    assert found.doctype == "DOCTYPE html"
    ids = [one["id"] for one in found.all(*{tag for tag, _ in found.nodes}) if "id" in one]
    assert len(ids) == len(set(ids))
    assert all(one["href"][1:] in ids for one in found.all("a"))
    assert all(one["for"] in ids for one in found.all("label"))
    for name in ("aria-labelledby",):
        for one in found.all("section", "svg"):
            assert all(part in ids for part in one.get(name, "").split())


@each
def test_the_page_loads_nothing(make: Make) -> None:
    text = source(make())
    found = Page(text)
    assert not found.all("link", "img", "iframe", "object", "embed", "base", "form")
    assert all(not {"src", "srcset", "action", "style", "onclick", "onload"} & one.keys() for _, one in found.nodes)
    assert all(one["href"].startswith("#") for one in found.all("a"))
    assert "http://" not in text
    assert "https://" not in text
    assert "url(" not in found.raw["style"]
    assert "@import" not in found.raw["style"]


@each
def test_the_policy_lets_only_our_own_style_and_script_through(make: Make) -> None:
    found = page(make())
    policy = next(one["content"] for one in found.all("meta") if one.get("http-equiv") == "Content-Security-Policy")
    parts = {part.split()[0]: part.split()[1:] for part in policy.split(";")}
    assert parts["default-src"] == ["'none'"]
    for name, tag in (("style-src", "style"), ("script-src", "script")):
        digest = base64.b64encode(hashlib.sha256(found.raw[tag].encode()).digest()).decode()
        assert parts[name] == [f"'sha256-{digest}'"]
        assert len(found.all(tag)) == 1


def test_hostile_text_is_text() -> None:
    text = source(hostile())
    found = Page(text)
    assert "<script>alert" not in text
    assert not re.search("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e]", text)
    assert "<script>alert(1)</script>" in found.words
    assert "{{ 7*7 }}" in found.words  # it was no template


@each
def test_it_can_be_read_by_ear_and_used_by_keyboard(make: Make) -> None:
    found = page(make())
    assert [tag for tag, _ in found.nodes if tag in ("header", "main", "footer")] == ["header", "main", "footer"]
    assert len(found.all("h1")) == 1
    assert found.all("html")[0]["lang"] == "en"
    assert found.all("a")[0] == {"class": "skip", "href": "#findings"}
    assert len(found.all("caption")) == len(found.all("table"))
    assert all(one.get("scope") in ("col", "row") for one in found.all("th"))
    labels = {one["for"] for one in found.all("label")}
    assert {one["id"] for one in found.all("input")} <= labels
    assert all("aria-hidden" in one or one.get("role") == "img" for one in found.all("svg"))
    assert not [one for one in found.all("div", "span") if "tabindex" in one or "onclick" in one]


def test_filters_work_without_script() -> None:
    found = page(bad())
    radios = [one for one in found.all("input") if one["type"] == "radio"]
    assert {one["name"] for one in radios} == {"level"}
    assert [one["id"] for one in radios if "checked" in one] == ["pick-any"]
    for level in ("critical", "error", "unknown", "warning", "notice"):
        assert f"body:has(#pick-{level}:checked) .row:not(.is-{level})" in found.raw["style"]
    search = next(one for one in found.all("div") if one.get("id") == "search")
    assert "hidden" in search  # only a script can search; without one there is no dead field


def test_it_follows_the_reader_into_the_dark_and_onto_paper() -> None:
    style = page(good()).raw["style"]
    assert "prefers-color-scheme: dark" in style
    assert "@media print" in style
    assert ":focus-visible" in style
    assert "prefers-reduced-motion" in style


def test_the_verdict_comes_first_in_words() -> None:
    found = page(bad())
    assert found.words.index("1 fault to mend") < found.words.index("What changed")
    assert "1 critical, 1 unknown, 1 warning open." in found.words
    assert "In order" in page(good()).words
    assert "Nothing was found." in page(good()).words


@pytest.mark.parametrize(
    ("level", "words"),
    [("error", "1 fault to mend"), ("unknown", "Some of it could not be told"), ("warning", "It works, with warnings"),
     ("notice", "In order")],
)  # fmt: skip
def test_the_headline_is_never_better_than_what_is_known(level: str, words: str) -> None:
    finding = structs.replace(Finding("SIP01", "error", "a.", "x"), level=level)
    verdict = structs.replace(good(), entries=(Entry(finding, "open", NOW, 2),))
    found = page(verdict)
    title = found.words[: found.words.index(" - realmkit health")].strip()
    assert title == words


def test_status_is_never_told_by_colour_alone() -> None:
    found = page(bad())
    for words in ("SIP01 , critical, \u00d71", "SIP08 , nothing found", "DEL02 , not judged", "not confirmed yet",
                  "accepted until 2026-12-31: ticket 4711", "in the baseline", "open, not seen this time"):  # fmt: skip
        assert words in found.words


def test_news_stand_before_all_findings_with_what_they_are() -> None:
    words = page(bad()).words
    changes = words[words.index("What changed") : words.index("Checks at a glance")]
    assert all(word in changes for word in ("new critical SIP01", "worse warning CON01", "recovered error DEL02"))


def test_a_finding_has_all_that_mends_it() -> None:
    words = page(bad()).words
    assert "expected an SRV set seen NXDOMAIN mend realmkit dns apply" in words
    assert "realmkit health explain SIP01" in words
    assert "voice.example.com. 192.0.2.54 no answer" in words


def test_a_page_of_very_many_findings_stays_one_that_a_browser_opens() -> None:
    text = source(bad(20_000))
    assert "… and 19,500 more" in text
    assert "WLD01" in text
    assert "\u00d720,000" in text
    assert len(text) < 1_000_000
