"""Text, numbers and tables of a page; all text from the user's data is escaped, and read in its own direction."""

from __future__ import annotations

import html
import math
from collections.abc import Mapping, Sequence
from typing import Any

from headstart.contract import Json

MAX_CELL = 80  # characters of a cell beyond which it is folded
MANY_ROWS = 15  # beyond which a table scrolls


def escape(value: object) -> str:
    """Text that is safe anywhere in the page."""
    return html.escape("".join(character if character.isprintable() or character in "\n\t" else "\ufffd"
                               for character in str(value)), quote=True)


def cell(value: Json) -> str:
    """A number rounded for readers, anything else as text."""
    if value is None:
        return "–"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, float):
        return f"{value:.4f}" if math.isfinite(value) and abs(value) < 1000 else f"{value:,.1f}"
    return escape(value)


def scaled(value: float) -> tuple[float, str]:
    """A large number in thousands, millions or billions, with the letter of its unit; "" below 10,000."""
    for least, unit_size, unit in ((1e9, 1e9, "G"), (1e6, 1e6, "M"), (1e4, 1e3, "k")):
        if abs(value) >= least:
            return value / unit_size, unit
    return value, ""


def scroll_box(content: str, title: str, *, tall: bool = False) -> str:
    """What may be wider than the page, or long: it scrolls by itself, with the keyboard too."""
    return (f'<div class="wide{" tall" if tall else ""}" tabindex="0" role="group" '
            f'aria-label="{escape(title)}">{content}</div>')


def table(data: Mapping[str, Any], title: str) -> str:
    """A table that can be sorted; columns of numbers are right-aligned, a long one scrolls."""
    numeric = [any(isinstance(row[index], int | float) and not isinstance(row[index], bool) for row in data["rows"])
               for index in range(len(data["columns"]))]
    head = "".join(header_cell(name, is_numeric) for name, is_numeric in zip(data["columns"], numeric, strict=True))
    body = "".join(f"<tr>{''.join(table_cell(value, index) for index, value in enumerate(row))}</tr>"
                   for row in data["rows"])
    content = f'<table class="sortable"><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>'
    return scroll_box(content, title, tall=len(data["rows"]) > MANY_ROWS)


def header_cell(name: str, is_numeric: bool) -> str:
    """The head of a column; one without a name is no heading."""
    number_class = " class=n" if is_numeric else ""
    return f'<th scope="col"{number_class}>{escape(name)}</th>' if name else f"<td{number_class}></td>"


def table_cell(value: Json, index: int) -> str:
    """One cell; the first of a row is its heading."""
    is_number = value is None or isinstance(value, int | float)
    attribute, content = (' class="n"', cell(value)) if is_number else ("", long_text(str(value)))
    return f"<td{attribute}>{content}</td>" if index else f'<th scope="row"{attribute}>{content}</th>'


def long_text(text: str) -> str:
    """The text of a cell; a long one is folded."""
    if len(text) <= MAX_CELL:
        return f"<bdi>{cell(text)}</bdi>"
    return (f"<details><summary><bdi>{escape(text[:MAX_CELL - 20])}</bdi> …</summary>"
            f"<bdi>{escape(text[MAX_CELL - 20:])}</bdi></details>")


def facts(title: str, fields: Mapping[str, Json]) -> str:
    """What is said of one row: its title and its fields."""
    entries = "".join(f'<span><b>{escape(name)}</b> <bdi>{cell(value)}</bdi></span>' for name, value in fields.items())
    return f'<div class="facts"><span><bdi>{escape(title)}</bdi></span>{entries}</div>'


def clipped(text: str, length: int) -> str:
    """A text of at most so many characters."""
    return text if len(text) <= length else f"{text[:length - 1]}…"


def text_list(items: Sequence[str]) -> str:
    """Entries one below the other, which the page lets one leaf through."""
    return f'<ol class="texts">{"".join(items)}</ol>' if items else "<p>There are none.</p>"
