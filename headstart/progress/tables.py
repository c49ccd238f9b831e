"""Tables of texts, as a terminal and a notebook show them."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from typing import Any

NUMBER = re.compile(r"[+-]?\d[\d,]*(?:\.\d+)?(?: %)?")


@dataclass(frozen=True)
class Table:
    """Rows of texts under the names of their columns; the first column says what a row is."""

    title: str
    columns: Sequence[str]
    rows: Sequence[Sequence[str]]

    def html(self, pictures: Sequence[str] = ()) -> str:
        """The table as HTML, every text escaped, numbers to the right; `pictures` are HTML, one more cell in each row.
        """
        head = "".join(f"<th>{escape(name)}</th>" for name in self.columns) + ("<th></th>" if pictures else "")
        body = "".join(f"<tr>{''.join(map(cell_html, row))}{picture_cell}</tr>" for row, picture_cell in zip(
            self.rows, [f"<td>{picture}</td>" for picture in pictures] or [""] * len(self.rows), strict=True))
        caption = f"<caption>{escape(self.title)}</caption>" if self.title else ""
        return f"<table>{caption}<thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


def cell_html(text: str) -> str:
    """A cell with its text escaped; a number stands to the right."""
    return f"<td{' class=n' if NUMBER.fullmatch(text) else ''}>{escape(text)}</td>"


def aligned(rows: Sequence[Sequence[str]], right_aligned: Sequence[bool]) -> str:
    """Rows of cells as lines of columns."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join("  ".join(cell.rjust(width) if right else cell.ljust(width)
                               for cell, width, right in zip(row, widths, right_aligned, strict=True)).rstrip()
                     for row in rows)


def split_table(split: str, split_scores: Mapping[str, Any]) -> Table:
    """A split's scores with their intervals, as scores.json has them."""
    title = split
    if split_scores:
        first_score = next(iter(split_scores.values()))
        title += ", out of fold" if "out of fold" in first_score.get("signature", "") else ""
        title += f" ({first_score['n']:,} rows)"
    return Table(title, ("score", "value", "95 % interval"),
                 [[name, *value_cells(score)] for name, score in split_scores.items()])


def value_cells(score: Mapping[str, Any], sign: str = "") -> tuple[str, str]:
    """A score's value and its interval; the reason instead of the interval where the score is undefined."""
    if score["value"] is None:
        return "undefined", score.get("reason") or ""
    interval = "" if score["low"] is None else f"{score['low']:{sign}.4f} to {score['high']:{sign}.4f}"
    return f"{score['value']:{sign}.4f}", interval
