"""Pages as a program that assists a reader sees them: headings, tables with their heads, landmarks, names, no script."""

import re
from collections import Counter
from dataclasses import dataclass, field
from html.parser import HTMLParser

VOID = {"meta", "link", "br", "img", "input", "hr"}


@dataclass
class Page:
    """What was found. tables: by the id of the caption, rows by the text of their heads; alarms: marked words."""

    lang: str = ""
    title: str = ""
    text: str = ""
    tags: Counter[str] = field(default_factory=Counter)
    headings: list[int] = field(default_factory=list)
    ids: list[str] = field(default_factory=list)
    referred: list[str] = field(default_factory=list)
    tables: dict[str, list[dict[str, str]]] = field(default_factory=dict)
    headless: int = 0
    unnamed: int = 0
    alarms: int = 0
    landmarks: list[str] = field(default_factory=list)
    undated: int = 0
    style: str = ""
    unclosed: list[str] = field(default_factory=list)

    def sound(self, lang: str) -> None:
        """Hold it to what RGAA asks of such a page: language, title, landmarks, headings in order, headed tables, names."""
        assert self.lang == lang
        assert self.title
        assert not self.tags.keys() & {"script", "iframe", "img", "link", "object", "embed", "form", "input"}
        assert self.tags["main"] == self.tags["h1"] == 1
        assert all(after - before <= 1 for before, after in zip(self.headings, self.headings[1:], strict=False))
        assert self.tags["table"] == self.tags["caption"] == self.tags["thead"]
        assert self.headless == self.unnamed == 0
        assert [each for each, count in Counter(self.ids).items() if count > 1] == []
        assert set(self.referred) - set(self.ids) == set()
        assert self.unclosed == []
        assert [each for each, count in Counter(self.landmarks).items() if count > 1] == [], "landmarks of one name"
        assert self.undated == 0
        self._fits()

    def _fits(self) -> None:
        """Hold it to be read in the dark, on paper, and at 400 %, where a table is told row by row under its titles."""
        for rule in ("(prefers-color-scheme: dark)", "(max-width: 40rem)", "@media print"):
            assert rule in self.style
        for caption, rows in self.tables.items():
            told = re.findall(rf"#t-{re.escape(caption)} td:nth-child\((\d+)\)::before", self.style)
            assert told == [str(number) for number in range(1, len(rows[0]) + 1)], caption


class _Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.page, self._open = Page(), list[str]()
        self._heads: list[str] = []
        self._row: list[str] = []
        self._caption = self._cell = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        page, held = self.page, dict(attrs)
        page.tags[tag] += 1
        if tag not in VOID:
            self._open.append(tag)
        self._named(tag, held)
        if tag == "html":
            page.lang = str(held.get("lang"))
        elif tag in ("h1", "h2", "h3"):
            page.headings.append(int(tag[1]))
        elif tag == "caption":
            self._caption, self._heads = str(held.get("id")), []
            page.tables[self._caption] = []
        elif tag in ("th", "td"):
            self._cell = ""
        elif tag == "li":
            self._cell += " "

    def _named(self, tag: str, held: dict[str, str | None]) -> None:
        page = self.page
        if tag == "section" or held.get("role") == "region":
            page.landmarks.append(str(held.get("aria-labelledby") or held.get("aria-label")))
        page.undated += tag == "time" and not held.get("datetime")
        if held.get("id"):
            page.ids.append(str(held["id"]))
        for name in ("aria-labelledby", "aria-describedby"):
            page.referred += str(held.get(name) or "").split()
        if tag == "a" and str(held.get("href", "")).startswith("#"):
            page.referred.append(str(held["href"])[1:])
        if held.get("tabindex") == "0" and not (held.get("aria-labelledby") or held.get("aria-label")):
            page.unnamed += 1
        page.headless += tag == "th" and held.get("scope") not in ("col", "row")
        page.alarms += "alarm" in str(held.get("class", ""))

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        if tag not in VOID:
            self.handle_endtag(tag)

    def handle_endtag(self, tag: str) -> None:
        if not self._open or self._open.pop() != tag:
            self.page.unclosed.append(tag)
        if tag == "th":
            self._heads.append(self._cell.strip())
        elif tag == "td":
            self._row.append(self._cell.strip())
        elif tag == "tr" and self._row:
            self.page.tables[self._caption].append(dict(zip(self._heads, self._row, strict=True)))
            self._row = []

    def handle_data(self, data: str) -> None:
        if self._open[-1:] == ["style"]:
            self.page.style += data
            return
        self.page.text += data
        self._cell += data
        if self._open and self._open[-1] == "title" and "svg" not in self._open:
            self.page.title += data


def read(text: str) -> Page:
    """Read a page."""
    reader = _Reader()
    reader.feed(text)
    reader.close()
    reader.page.unclosed += reader._open
    return reader.page
