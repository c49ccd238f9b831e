"""Markdown and HTML as documents: title, headings, text."""

from __future__ import annotations

import re
from collections import Counter

from headstart.retrieval.documents.document import Document, shortened
from headstart.retrieval.documents.html_tokens import html_tokens
from headstart.retrieval.documents.text_file import text_of, title_of
from headstart.settings import Data

HEADING = re.compile(r" {0,3}(#{1,6})[ \t]++(?=\S)")
FENCE = re.compile(r" {0,3}(`{3,}|~{3,})")
UNDERLINE = re.compile(r" {0,3}(=+|-+)[ \t]*")
BLANKS = " \t"
DROPPED_TAGS = frozenset(("script", "style", "template", "noscript", "svg", "iframe", "object", "select", "textarea"))
HEADING_LEVELS = {f"h{level}": level for level in range(1, 7)}
BLOCK_TAGS = frozenset((
    "p", "div", "br", "hr", "li", "ul", "ol", "dl", "dt", "dd", "table", "tr", "caption", "thead", "tbody", "tfoot",
    "section", "article",
    "aside", "header", "footer", "main", "nav", "blockquote", "pre", "figure", "figcaption", "form", "fieldset",
    "address", "details", "summary", "body", "html", "head", "title", *HEADING_LEVELS))
Headings = list[tuple[int, int, str]]  # where it begins, its level, its text


def section_paths(headings: Headings) -> tuple[tuple[int, str], ...]:
    """Sections with all headings above them: h1 Tea, h2 Green -> "Tea", "Tea > Green"."""
    path: list[tuple[int, str]] = []
    sections = []
    for begin, level, heading in headings:
        path = [*(parent for parent in path if parent[0] < level), (level, shortened(heading))]
        sections.append((begin, " > ".join(title for _, title in path)))
    return tuple(sections)


def read_markdown(path: str, name: str, settings: Data) -> Document:
    """A Markdown file as it stands; its first heading of the highest level is its title."""
    text = text_of(path, settings)
    title, headings = markdown_headings(text)
    first_heading = next((heading for _, level, heading in headings if level == 1), "")
    return Document(name, title or first_heading or title_of(name), text, section_paths(headings))


def markdown_headings(text: str) -> tuple[str, Headings]:
    """The title that the front matter names ("" without one), and the headings; none is looked for in code."""
    headings: Headings = []
    title, fence, offset, previous_offset, previous = "", "", 0, 0, ""
    in_front_matter = text.startswith("---\n")
    for index, source_line in enumerate(text.split("\n")):
        fence_match, line = FENCE.match(source_line), source_line
        if in_front_matter:
            if index and line.rstrip() in ("---", "..."):
                in_front_matter = False
            elif line.startswith("title:"):
                title = unquoted(line.removeprefix("title:").strip(BLANKS))
            line = ""
        elif fence:
            fence = "" if fence_match and fence_match.group(1).startswith(fence) and not line.strip(" `~") else fence
            line = ""
        elif fence_match:
            fence, line = fence_match.group(1), ""
        elif match := HEADING.match(line):
            headings.append((offset, len(match.group(1)), heading_text(line[match.end():])))
            line = ""
        elif (match := UNDERLINE.fullmatch(line)) and previous.strip() and not previous.lstrip().startswith(
            ("-", "*", ">", "|")):
            headings.append((previous_offset, 1 if "=" in match.group(1) else 2, previous.strip()))
            line = ""
        previous_offset, previous = offset, line
        offset += len(source_line) + 1
    return title, headings


def heading_text(text: str) -> str:
    """What stands after the marks of a heading, without the marks that may close it: "Tea ##" -> "Tea"."""
    heading = text.rstrip(BLANKS)
    without_marks = heading.rstrip("#")
    return without_marks.rstrip(BLANKS) if without_marks[-1:] in (" ", "\t") else heading


def unquoted(text: str) -> str:
    """A value of the front matter without the quote at either end."""
    begin = text[:1] in ('"', "'")
    return text[begin:len(text) - (len(text) > begin and text[-1:] in ('"', "'"))]


def read_html(path: str, name: str, settings: Data) -> Document:
    """A web page's words; scripts and styles are left out."""
    parser = TextExtractor()
    parser.read(text_of(path, settings, markup=True))
    text = "".join(parser.pieces).rstrip()
    first_heading = next((heading for _, level, heading in parser.headings if level == 1), "")
    return Document(name, " ".join("".join(parser.title_pieces).split()) or first_heading or title_of(name), text,
                    section_paths(parser.headings))


class TextExtractor:
    """Collects the text of a page: a line a block, single spaces, headings with their offsets."""

    def __init__(self) -> None:
        self.pieces: list[str] = []
        self.length = 0
        self.title_pieces: list[str] = []
        self.headings: Headings = []
        self.dropped_tags: list[str] = []  # open elements whose content is no text
        self.dropped_counts: Counter[str] = Counter()
        self.in_title = False
        self.pre_depth = 0
        self.heading: tuple[int, int, list[str]] | None = None
        self.pending_space = self.pending_breaks = 0

    def read(self, page: str) -> None:
        """Take the tags and texts of a page."""
        for token in html_tokens(page):
            if token.kind == "text":
                self.take_text(token.text)
            elif token.kind == "end":
                self.end_tag(token.text)
            elif token.kind == "start":
                self.start_tag(token.text)
            elif token.text in BLOCK_TAGS:  # an element without content: <br/>
                self.break_line(1)

    def start_tag(self, tag: str) -> None:
        """An element begins."""
        if tag in DROPPED_TAGS:
            self.dropped_tags.append(tag)
            self.dropped_counts[tag] += 1
        elif tag == "title" and not self.dropped_tags:
            self.in_title = not self.title_pieces
        if tag in BLOCK_TAGS:
            self.break_line(2 if tag in HEADING_LEVELS or tag in ("p", "pre", "table", "blockquote") else 1)
        if tag in HEADING_LEVELS and not self.dropped_tags:
            self.end_heading()
            self.heading = (HEADING_LEVELS[tag], -1, [])
        self.pre_depth += tag == "pre"

    def end_tag(self, tag: str) -> None:
        """An element ends, and what was left open in it."""
        while self.dropped_counts[tag]:
            self.dropped_counts[last := self.dropped_tags.pop()] -= 1
            if last == tag:
                break
        if tag == "title":
            self.in_title = False
        if tag in HEADING_LEVELS:
            self.end_heading()
        if tag in BLOCK_TAGS:
            self.break_line(2 if tag in HEADING_LEVELS or tag in ("p", "pre", "table", "blockquote") else 1)
        elif tag in ("td", "th"):
            self.pending_space = 1
        self.pre_depth = max(0, self.pre_depth - (tag == "pre"))

    def take_text(self, data: str) -> None:
        """Text."""
        if self.in_title:
            self.title_pieces.append(data)
            return
        if self.dropped_tags:
            return
        if self.pre_depth:
            self.add_text(data)
            return
        words = data.split()
        self.pending_space |= bool(data[:1].isspace())
        if words:
            self.add_text(" ".join(words))
            self.pending_space = int(data[-1:].isspace())

    def add_text(self, text: str) -> None:
        """Text at the end, after the space or the breaks that are due."""
        if self.length and self.pending_breaks:
            self.add_raw("\n" * self.pending_breaks)
        elif self.length and self.pending_space:
            self.add_raw(" ")
        self.pending_breaks = self.pending_space = 0
        if self.heading is not None:
            level, begin, texts = self.heading
            texts.append(text)
            self.heading = (level, self.length if begin < 0 else begin, texts)
        self.add_raw(text)

    def add_raw(self, text: str) -> None:
        """Text as it is."""
        self.pieces.append(text)
        self.length += len(text)

    def break_line(self, breaks: int) -> None:
        """A new line, or an empty one, before what comes."""
        self.pending_breaks = max(self.pending_breaks, breaks)
        self.pending_space = 0

    def end_heading(self) -> None:
        """A heading is whole."""
        if self.heading is not None and self.heading[1] >= 0:
            level, begin, texts = self.heading
            self.headings.append((begin, level, " ".join(" ".join(texts).split())))
        self.heading = None
