"""Tables of texts, as a terminal and a notebook show them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from typing import Any


@dataclass(frozen=True)
class Table:
    """Rows of texts under the names of their columns; the first column says what a row is."""

    title: str
    columns: Sequence[str]
    rows: Sequence[Sequence[str]]

    def html(self) -> str:
        """The table as HTML, every text escaped."""
        head = "".join(f"<th>{escape(name)}</th>" for name in self.columns)
        body = "".join("<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in row) + "</tr>" for row in self.rows)
        return (f"<table><caption>{escape(self.title)}</caption><thead><tr>{head}</tr></thead>"
                f"<tbody>{body}</tbody></table>")


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
