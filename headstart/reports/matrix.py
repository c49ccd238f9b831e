"""A confusion matrix that is whole at any width: numbers for few classes, shades for many, and of
more the most confused."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import Any

from headstart.reports.cells import clipped, escape, scaled, scroll_box, table

MAX_NUMBERED = 8  # classes whose numbers fit beside each other on a phone
MAX_DRAWN = 100  # classes that are drawn; of more the most confused, with the rest as one
KEPT_OF_MORE = 40
MAX_PAIRS, LABEL_LENGTH = 25, 80
SHADES = 20  # steps in the style sheet: .k1 to .k20


def matrix(data: Mapping[str, Any], title: str) -> str:
    """The matrix, a sentence on what is shown of it, and the pairs that are confused most."""
    rows, columns, values = data["rows"], data["columns"], data["values"]
    picture_data = data if max(len(rows), len(columns)) <= MAX_DRAWN else most_confused(data)
    picture = numbered(picture_data) if len(picture_data["rows"]) <= MAX_NUMBERED else shaded(picture_data, title)
    note = "" if picture_data is data else (
        f'<p>Of {len(rows):,} classes the {len(picture_data["rows"]) - 1} that are confused most are drawn, all others '
        "together as one. The whole matrix is in scores.json.</p>")
    pairs = sorted(((-value, row, column) for row, row_values in enumerate(values)
                    for column, value in enumerate(row_values) if value and row != column))
    pair_rows = [[clipped(rows[row], LABEL_LENGTH), clipped(columns[column], LABEL_LENGTH), -value,
                  -value / max(1, sum(values[row]))] for value, row, column in pairs[:MAX_PAIRS]]
    names = [data["row_title"], data["column_title"], "rows", "share of the label's rows"]
    limit_note = f" The {MAX_PAIRS} most frequent of {len(pairs):,}." if len(pairs) > MAX_PAIRS else ""
    pair_part = f"<h4>Most confused</h4><p class=note>What was taken for what.{limit_note}</p>" + table(
        {"columns": names, "rows": pair_rows}, "Most confused") if pairs else "<p>Nothing is confused.</p>"
    return f"{note}{picture}{pair_part}"


def most_confused(data: Mapping[str, Any]) -> Mapping[str, Any]:
    """The classes that are confused most, and all others added up as the last."""
    rows, columns, values = data["rows"], data["columns"], data["values"]
    confused = [0] * len(rows)
    for row, row_values in enumerate(values):
        for column, value in enumerate(row_values):
            if value and row != column:
                confused[row] += value
                confused[column] += value
    drawn_classes = sorted(sorted(range(len(columns)), key=lambda index: -confused[index])[:KEPT_OF_MORE])
    place = {index: number for number, index in enumerate(drawn_classes)}
    sums = [[0] * (len(drawn_classes) + 1) for _ in range(len(drawn_classes) + 1)]
    for row, row_values in enumerate(values):
        for column, value in enumerate(row_values):
            sums[place.get(row, len(drawn_classes))][place.get(column, len(drawn_classes))] += value
    rest_label = f"all {len(rows) - len(drawn_classes):,} others"
    return {**data, "rows": [*(rows[index] for index in drawn_classes), rest_label],
            "columns": [*(columns[index] for index in drawn_classes), rest_label], "values": sums}


def shade(value: int, total: int) -> int:
    """A step from 0 to SHADES for a share of a row; what is there at all has one."""
    return math.ceil(SHADES * math.sqrt(value / total)) if value else 0


def short(value: int) -> str:
    """A count in at most five characters."""
    number, unit = scaled(value)
    return f"{number:.3g}{unit}" if unit else f"{value:,}"


def numbered(data: Mapping[str, Any]) -> str:
    """Counts under the numbers of the labels, which stand beside the rows."""
    head = "".join(f'<th scope="col" title="{escape(name)}">{number}</th>'
                   for number, name in enumerate(data["columns"], 1))
    body = []
    for number, (name, row_values) in enumerate(zip(data["rows"], data["values"], strict=True), 1):
        total = max(1, sum(row_values))
        cells = "".join(f'<td class="k{shade(value, total)}{" correct" if index == number else ""}" '
                        f'title="{value:,}">{short(value)}</td>' for index, value in enumerate(row_values, 1))
        body.append(f'<tr><th scope="row" title="{escape(name)}"><b>{number}</b> '
                    f'<span><bdi>{escape(clipped(name, LABEL_LENGTH))}</bdi></span></th>{cells}</tr>')
    key = "".join(f"<li><bdi>{escape(clipped(name, LABEL_LENGTH))}</bdi></li>" for name in data["rows"])
    note = (f'<p class="note">Rows: {escape(data["row_title"])}. Columns, by the same numbers: '
            f'{escape(data["column_title"])}.')
    return (f'{note}</p><div class="matrix-box"><table class="matrix"><thead><tr><td></td>{head}</tr></thead><tbody>'
            f'{"".join(body)}</tbody></table><ol class="key" aria-hidden="true">{key}</ol></div>')


def shaded(data: Mapping[str, Any], title: str) -> str:
    """A square of shades; the page's script reads its cells out, and draws it larger."""
    rows, columns, values = data["rows"], data["columns"], data["values"]
    paths: dict[tuple[bool, int], list[str]] = {}
    for row, row_values in enumerate(values):
        total = max(1, sum(row_values))
        for column, value in enumerate(row_values):
            if value:
                paths.setdefault((row == column, shade(value, total)), []).append(f"M{column} {row}h1v1h-1z")
    squares = "".join(f'<path class="{"right" if is_right else "wrong"} k{step}" d="{"".join(path)}"/>'
                      for (is_right, step), path in sorted(paths.items()))
    picture = (f'<svg viewBox="0 0 {len(columns)} {len(rows)}" class="heat" role="img" aria-label="{escape(title)}">'
               f'{squares}<rect class="frame" width="{len(columns)}" height="{len(rows)}"/></svg>')
    content = {"rows": [clipped(name, LABEL_LENGTH) for name in rows], "values": values}
    text = json.dumps(content, ensure_ascii=False, separators=(",", ":")).replace("<", "\\u003c")
    order = f"Rows from above, columns from the left: {clipped(rows[0], 40)} first, {clipped(rows[-1], 40)} last."
    return (f'<div class="heat-box"><p class="note">{escape(data["row_title"])} ↓ {escape(data["column_title"])} →. A '
            f'stronger shade is a larger share of the row. {escape(order)}</p>{scroll_box(picture, title)}'
            f'<script type="application/json">{text}</script></div>')

