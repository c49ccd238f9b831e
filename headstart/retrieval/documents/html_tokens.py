"""A web page as tags and text, in time that grows with its length whatever it holds.

Python's own parser looks through the rest of a page again at each unfinished tag, comment or entity. Here every search
ends at a place from which the reading goes on, or is never made again.
"""

from __future__ import annotations

import html
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Literal

RAW_TAGS = ("script", "style", "xmp", "iframe", "noembed", "noframes")  # nothing in them is a tag
TEXT_TAGS = ("title", "textarea")  # only their own end is a tag in them
TAG_NAME = re.compile(r"[A-Za-z][^\s/>]*+")
TAG_MARK = re.compile(r"[>=]")
SPACE = re.compile(r"\s*+")
# A number of ever so many digits is no character, and Python refuses to read it.
LONG_REFERENCE = re.compile(r"&#(?:[0-9]{8,}+|[xX][0-9A-Fa-f]{8,}+);?")


@dataclass(frozen=True)
class HtmlToken:
    """A tag that begins or ends, by its name in small letters, or a text with its entities resolved."""

    kind: Literal["start", "empty", "end", "text"]
    text: str


@dataclass
class TagScanner:
    """Where tags end; what was looked for in vain is not looked for again."""

    page: str
    missing: set[str] = field(default_factory=set)
    reads_quotes: bool = True  # until quotes led past the end of the page: then they are characters

    def find(self, mark: str, start: int) -> int:
        """Where the mark stands next, -1 where it does not."""
        if mark in self.missing:
            return -1
        place = self.page.find(mark, start)
        if place < 0:
            self.missing.add(mark)
        return place

    def tag_end(self, start: int) -> int:
        """The place of the > that ends a tag, not one in a quoted value; -1 where the page ends first."""
        if not self.reads_quotes or ">" in self.missing:
            return self.find(">", start)
        place = start
        while (match := TAG_MARK.search(self.page, place)) is not None:
            if match.group() == ">":
                return match.start()
            space = SPACE.match(self.page, match.end())
            place = space.end() if space is not None else match.end()
            quote = self.page[place:place + 1]
            if quote and quote in "\"'":
                closing = self.find(quote, place + 1)
                place = closing + 1 if closing >= 0 else place + 1  # a quote that nothing closes is a character
        self.reads_quotes = False
        return self.find(">", start)

    def element_end(self, name: str, start: int) -> int:
        """Where </name stands next, -1 where it does not."""
        key = f"</{name}"
        if key in self.missing:
            return -1
        match = re.compile(rf"</{name}(?=[\s/>])", re.I).search(self.page, start)
        if match is None:
            self.missing.add(key)
        return match.start() if match is not None else -1


def html_tokens(page: str) -> Iterator[HtmlToken]:
    """The tags and texts of a page in their order; comments, scripts and styles are left out."""
    scanner, place = TagScanner(page), 0
    while place < len(page):
        tag = page.find("<", place)
        if tag < 0:
            yield HtmlToken("text", resolved(page[place:]))
            return
        if tag > place:
            yield HtmlToken("text", resolved(page[place:tag]))
        token, place = markup_token(scanner, tag)
        if token is None:
            continue
        yield token
        if token.kind == "start" and token.text in (*RAW_TAGS, *TEXT_TAGS):
            end = scanner.element_end(token.text, place)
            if end < 0 and token.text in TEXT_TAGS:
                continue  # without an end it would take the whole page
            content_end = end if end >= 0 else len(page)
            if token.text in TEXT_TAGS and content_end > place:
                yield HtmlToken("text", resolved(page[place:content_end]))
            place = content_end


def markup_token(scanner: TagScanner, start: int) -> tuple[HtmlToken | None, int]:
    """What begins with the < at `start`, and where it ends; None for a comment, a declaration, or what is cut off."""
    page = scanner.page
    if page.startswith("<!--", start):
        end = scanner.find("-->", start + 2)  # <!--> is a whole comment
        return None, end + 3 if end >= 0 else len(page)
    if page.startswith(("<!", "<?"), start):
        end = scanner.find(">", start)
        return (None, end + 1) if end >= 0 else (HtmlToken("text", "<"), start + 1)
    is_end = page.startswith("</", start)
    name = TAG_NAME.match(page, start + 2 if is_end else start + 1)
    end = scanner.tag_end(name.end()) if name is not None else scanner.find(">", start) if is_end else -1
    if end < 0:
        return HtmlToken("text", "<"), start + 1  # nothing ends it: it is no tag
    if name is None:
        return None, end + 1
    kind: Literal["end", "empty", "start"] = "end" if is_end else "empty" if page[end - 1] == "/" else "start"
    return HtmlToken(kind, name.group().lower()), end + 1


def resolved(text: str) -> str:
    """A text with its entities as the characters that they stand for."""
    return html.unescape(LONG_REFERENCE.sub("\ufffd", text)) if "&" in text else text
