"""Markdown and HTML as documents: title, headings, text."""

from __future__ import annotations

import re
from html.parser import HTMLParser

from headstart.retrieval.documents.document import Document
from headstart.retrieval.documents.text_file import stem, text_of
from headstart.settings import Data

HEADING = re.compile(r" {0,3}(#{1,6})[ \t]+(\S.*?)(?:[ \t]+#+)?[ \t]*")
FENCE = re.compile(r" {0,3}(`{3,}|~{3,})")
UNDERLINE = re.compile(r" {0,3}(=+|-+)[ \t]*")
TITLE = re.compile(r"""title:[ \t]*["']?(.*?)["']?[ \t]*""")
DROPPED = frozenset(("script", "style", "template", "noscript", "svg", "iframe", "object", "select", "textarea"))
HEADS = {f"h{level}": level for level in range(1, 7)}
BLOCKS = frozenset((
    "p", "div", "br", "hr", "li", "ul", "ol", "dl", "dt", "dd", "table", "tr", "caption", "thead", "tbody", "tfoot", "section", "article",
    "aside", "header", "footer", "main", "nav", "blockquote", "pre", "figure", "figcaption", "form", "fieldset", "address", "details",
    "summary", "body", "html", "head", "title", *HEADS))
Headings = list[tuple[int, int, str]]  # where it begins, its level, its words


def nested(headings: Headings) -> tuple[tuple[int, str], ...]:
    """Sections with all headings above them: h1 Tea, h2 Green -> "Tea", "Tea > Green"."""
    above: list[tuple[int, str]] = []
    found = []
    for begin, level, words in headings:
        above = [*(one for one in above if one[0] < level), (level, words)]
        found.append((begin, " > ".join(name for _, name in above)))
    return tuple(found)


def read_markdown(path: str, name: str, settings: Data) -> Document:
    """A Markdown file as it stands; its first heading of the highest level is its title."""
    text = text_of(path, settings)
    title, headings = markdown(text)
    first = next((words for _, level, words in headings if level == 1), "")
    return Document(name, title or first or stem(name), text, nested(headings))


def markdown(text: str) -> tuple[str, Headings]:
    """The title that the front matter names ("" without one), and the headings; none is looked for in code."""
    headings: Headings = []
    title, fence, at, before = "", "", 0, (0, "")
    front = text.startswith("---\n")
    for number, whole in enumerate(text.split("\n")):
        found, line = FENCE.match(whole), whole
        if front:
            if number and line.rstrip() in ("---", "..."):
                front = False
            elif held := TITLE.fullmatch(line):
                title = held.group(1)
            line = ""
        elif fence:
            fence = "" if found and found.group(1).startswith(fence) and not line.strip(" `~") else fence
            line = ""
        elif found:
            fence, line = found.group(1), ""
        elif held := HEADING.fullmatch(line):
            headings.append((at, len(held.group(1)), held.group(2)))
            line = ""
        elif (held := UNDERLINE.fullmatch(line)) and before[1].strip() and not before[1].lstrip().startswith(("-", "*", ">", "|")):
            headings.append((before[0], 1 if "=" in held.group(1) else 2, before[1].strip()))
            line = ""
        before = (at, line)
        at += len(whole) + 1
    return title, headings


def read_html(path: str, name: str, settings: Data) -> Document:
    """A web page's words; scripts and styles are left out."""
    page = Page()
    page.feed(text_of(path, settings, markup=True))
    page.close()
    text = "".join(page.parts).rstrip()
    first = next((words for _, level, words in page.headings if level == 1), "")
    return Document(name, " ".join(page.title.split()) or first or stem(name), text, nested(page.headings))


class Page(HTMLParser):
    """Collects the text of a page: a line a block, single spaces, headings with their places."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.parts: list[str] = []
        self.size = 0
        self.title = ""
        self.headings: Headings = []
        self.dropped: list[str] = []  # open elements whose content is no text
        self.titled = False
        self.verbatim = 0
        self.heading: tuple[int, int, list[str]] | None = None
        self.space = self.breaks = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """An element begins."""
        if tag in DROPPED:
            self.dropped.append(tag)
        elif tag == "title" and not self.dropped:
            self.titled = not self.title
        if tag in BLOCKS:
            self.line(2 if tag in HEADS or tag in ("p", "pre", "table", "blockquote") else 1)
        if tag in HEADS and not self.dropped:
            self.end_heading()
            self.heading = (HEADS[tag], -1, [])
        self.verbatim += tag == "pre"

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """An element without content: <br/>."""
        if tag in BLOCKS:
            self.line(1)

    def handle_endtag(self, tag: str) -> None:
        """An element ends."""
        if tag in self.dropped:
            while self.dropped.pop() != tag:
                pass
        if tag == "title":
            self.titled = False
        if tag in HEADS:
            self.end_heading()
        if tag in BLOCKS:
            self.line(2 if tag in HEADS or tag in ("p", "pre", "table", "blockquote") else 1)
        elif tag in ("td", "th"):
            self.space = 1
        self.verbatim = max(0, self.verbatim - (tag == "pre"))

    def handle_data(self, data: str) -> None:
        """Text."""
        if self.titled:
            self.title += data
            return
        if self.dropped:
            return
        if self.verbatim:
            self.put(data)
            return
        words = data.split()
        self.space |= bool(data[:1].isspace())
        if words:
            self.put(" ".join(words))
            self.space = int(data[-1:].isspace())

    def put(self, text: str) -> None:
        """Text at the end, after the space or the breaks that are due."""
        if self.size and self.breaks:
            self.add("\n" * self.breaks)
        elif self.size and self.space:
            self.add(" ")
        self.breaks = self.space = 0
        if self.heading is not None:
            level, begin, words = self.heading
            self.heading = (level, self.size if begin < 0 else begin, [*words, text])
        self.add(text)

    def add(self, text: str) -> None:
        """Text as it is."""
        self.parts.append(text)
        self.size += len(text)

    def line(self, breaks: int) -> None:
        """A new line, or an empty one, before what comes."""
        self.breaks = max(self.breaks, breaks)
        self.space = 0

    def end_heading(self) -> None:
        """A heading is whole."""
        if self.heading is not None and self.heading[1] >= 0:
            level, begin, words = self.heading
            self.headings.append((begin, level, " ".join(" ".join(words).split())))
        self.heading = None
