"""Every figure of the contract as HTML or inline SVG; all text from the user's data is escaped."""

from __future__ import annotations

import html
import math
from collections.abc import Mapping, Sequence
from typing import Any

from headstart.contract import Figure, Json

MOST_POINTS = 600
WIDTH, HEIGHT, LEFT, BOTTOM = 640, 300, 56, 40
COLOURS = 4  # series colours in the style sheet: .s0 to .s3


def escape(value: object) -> str:
    """Text that is safe anywhere in the page."""
    return html.escape("".join(mark if mark.isprintable() or mark in "\n\t" else "\ufffd" for mark in str(value)), quote=True)


def cell(value: Json) -> str:
    """A number as a reader wants it, other things as text."""
    if value is None:
        return "–"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, float):
        return f"{value:.4f}" if math.isfinite(value) and abs(value) < 1000 else f"{value:,.1f}"
    return escape(value)


def render(figure: Figure) -> str:
    """One figure with title and caption."""
    drawn = {"table": table, "matrix": matrix, "bars": bars, "curve": curve, "scatter": scatter, "texts": texts, "words": words}[figure.kind]
    caption = f"<figcaption>{escape(figure.caption)}</figcaption>" if figure.caption else ""
    return f'<figure id="{escape(figure.name)}"><h3>{escape(figure.title)}</h3>{caption}{drawn(figure.data, figure.title)}</figure>'


def table(data: Mapping[str, Any], title: str) -> str:
    """A table; columns of numbers stand right."""
    numeric = [any(isinstance(row[place], int | float) for row in data["rows"]) for place in range(len(data["columns"]))]
    head = "".join(f'<th scope="col"{" class=n" if right else ""}>{escape(name)}</th>' for name, right in zip(data["columns"], numeric, strict=True))
    body = []
    for row in data["rows"]:
        cells = [f'<th scope="row">{cell(row[0])}</th>'] if row else []
        cells += [f'<td class="{"n" if isinstance(value, int | float) else ""}">{cell(value)}</td>' for value in row[1:]]
        body.append(f"<tr>{''.join(cells)}</tr>")
    return f'<div class="wide"><table class="sortable"><thead><tr>{head}</tr></thead><tbody>{"".join(body)}</tbody></table></div>'


def matrix(data: Mapping[str, Any], title: str) -> str:
    """A table of shaded cells up to 12 columns; beyond that a picture of it, with its largest cells off the diagonal."""
    rows, columns, values = data["rows"], data["columns"], data["values"]
    pairs = sorted(((value, row, column) for row, line in enumerate(values) for column, value in enumerate(line)
                    if value and row != column), reverse=True)[:15]
    listed = table({"columns": [data["row_title"], data["column_title"], "rows"],
                    "rows": [[rows[row], columns[column], value] for value, row, column in pairs]}, title) if pairs else ""
    if len(columns) > 12:
        return picture(rows, columns, values, title) + "<h4>Most frequent</h4>" + listed
    head = "".join(f'<th scope="col">{escape(name)}</th>' for name in columns)
    body = []
    for name, line in zip(rows, values, strict=True):
        top = max(1, sum(line))
        cells = "".join(f'<td class="n shade{" own" if columns[place] == name else ""}" style="--s:{value / top:.3f}">{value:,}</td>'
                        for place, value in enumerate(line))
        body.append(f'<tr><th scope="row">{escape(name)}</th>{cells}</tr>')
    corner = f'<th scope="col">{escape(data["row_title"])} ↓ {escape(data["column_title"])} →</th>'
    return f'<div class="wide"><table class="matrix"><thead><tr>{corner}{head}</tr></thead><tbody>{"".join(body)}</tbody></table></div>'


def picture(rows: Sequence[str], columns: Sequence[str], values: Sequence[Sequence[int]], title: str) -> str:
    """A matrix of many classes as shaded squares, with names on hover."""
    size = 560 / max(len(rows), len(columns))
    squares = []
    for row, line in enumerate(values):
        top = max(1, sum(line))
        for column, value in enumerate(line):
            if value:
                kind = "own" if row == column else "off"
                hover = f"{rows[row]} → {columns[column]}: {value:,}"
                squares.append(f'<rect class="{kind}" x="{column * size:.2f}" y="{row * size:.2f}" width="{size:.2f}" height="{size:.2f}" '
                               f'fill-opacity="{0.15 + 0.85 * math.sqrt(value / top):.2f}"><title>{escape(hover)}</title></rect>')
    return (f'<svg viewBox="0 0 560 560" class="square" role="img" aria-label="{escape(title)}">'
            f'<rect class="frame" width="560" height="560"/>{"".join(squares)}</svg>')


class Axes:
    """Two linear axes with round ticks."""

    def __init__(self, xs: Sequence[float], ys: Sequence[float]) -> None:
        self.x, self.y = span(xs), span(ys)

    def place(self, x: float, y: float) -> tuple[float, float]:
        """A point of the picture."""
        across = (x - self.x[0]) / (self.x[1] - self.x[0])
        up = (y - self.y[0]) / (self.y[1] - self.y[0])
        return LEFT + across * (WIDTH - LEFT - 12), HEIGHT - BOTTOM - up * (HEIGHT - BOTTOM - 12)

    def drawn(self, x_title: str, y_title: str) -> str:
        """Grid, numbers and titles."""
        parts = []
        for value in ticks(*self.y):
            _, at = self.place(self.x[0], value)
            parts.append(f'<line class="grid" x1="{LEFT}" x2="{WIDTH - 12}" y1="{at:.1f}" y2="{at:.1f}"/>'
                         f'<text x="{LEFT - 8}" y="{at + 4:.1f}" text-anchor="end">{value:g}</text>')
        for value in ticks(*self.x):
            at, _ = self.place(value, self.y[0])
            parts.append(f'<text x="{at:.1f}" y="{HEIGHT - BOTTOM + 18}" text-anchor="middle">{value:g}</text>')
        parts.append(f'<text class="axis" x="{(WIDTH + LEFT) / 2}" y="{HEIGHT - 4}" text-anchor="middle">{escape(x_title)}</text>'
                     f'<text class="axis" transform="translate(12 {(HEIGHT - BOTTOM) / 2}) rotate(-90)" text-anchor="middle">{escape(y_title)}</text>')
        return "".join(parts)


def span(values: Sequence[float]) -> tuple[float, float]:
    """A little more than the values take."""
    held = [value for value in values if math.isfinite(value)] or [0.0, 1.0]
    low, high = min(held), max(held)
    if low == high:
        return low - 0.5, high + 0.5
    return (0.0 if 0 <= low < 0.4 * high else low - 0.05 * (high - low)), high + 0.05 * (high - low)


def ticks(low: float, high: float) -> list[float]:
    """About five round numbers between the borders."""
    raw = (high - low) / 5
    power = 10.0 ** math.floor(math.log10(raw))
    step = next(factor * power for factor in (1, 2, 5, 10) if factor * power >= raw)
    return [round(place * step, 10) for place in range(math.ceil(low / step), math.floor(high / step + 1e-9) + 1)]


def thinned(points: Sequence[Sequence[float]]) -> list[tuple[float, float]]:
    """At most MOST_POINTS points: means of neighbours."""
    size = -(-len(points) // MOST_POINTS) if points else 1
    groups = [points[begin:begin + size] for begin in range(0, len(points), size)]
    return [(sum(x for x, _ in group) / len(group), sum(y for _, y in group) / len(group)) for group in groups]


def svg(inside: str, title: str) -> str:
    """A picture of the usual size."""
    return f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{escape(title)}">{inside}</svg>'


def legend(names: Sequence[str]) -> str:
    """Which colour is what."""
    if len(names) < 2:
        return ""
    return '<p class="legend">' + "".join(f'<span><i class="s{place % COLOURS}"></i>{escape(name)}</span>' for place, name in enumerate(names)) + "</p>"


def curve(data: Mapping[str, Any], title: str) -> str:
    """Lines, one for each series."""
    series = {name: thinned(points) for name, points in data["series"].items() if points}
    every = [point for points in series.values() for point in points]
    if not every:
        return "<p>There is nothing to draw.</p>"
    diagonal = data.get("diagonal")
    axes = Axes([0.0, 1.0] if diagonal else [x for x, _ in every], [0.0, 1.0] if diagonal else [y for _, y in every])
    parts = [axes.drawn(data["x_title"], data["y_title"])]
    if diagonal:
        (x1, y1), (x2, y2) = axes.place(0, 0), axes.place(1, 1)
        parts.append(f'<line class="diagonal" x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}"/>')
    for number, points in enumerate(series.values()):
        placed = [axes.place(x, y) for x, y in points]
        path = " ".join(f"{x:.1f},{y:.1f}" for x, y in placed)
        parts.append(f'<polyline class="line s{number % COLOURS}" points="{path}"/>')
        if len(placed) <= 40:
            parts += [f'<circle class="dot s{number % COLOURS}" cx="{x:.1f}" cy="{y:.1f}" r="3"><title>{px:.3g}, {py:.4g}</title></circle>'
                      for (x, y), (px, py) in zip(placed, points, strict=True)]
    return svg("".join(parts), title) + legend(list(series))


def scatter(data: Mapping[str, Any], title: str) -> str:
    """Points."""
    points = data["points"][:2000]
    if not points:
        return "<p>There is nothing to draw.</p>"
    axes = Axes([x for x, _ in points], [y for _, y in points])
    dots = "".join(f'<circle class="dot s0" cx="{x:.1f}" cy="{y:.1f}" r="2.5"/>' for x, y in (axes.place(*point) for point in points))
    return svg(axes.drawn(data["x_title"], data["y_title"]) + dots, title)


def bars(data: Mapping[str, Any], title: str) -> str:
    """Horizontal bars, grouped by label; where some numbers are negative, those go to the left of a common zero."""
    names, series = data["labels"], data["series"]
    held = [value for values in series.values() for value in values if value is not None]
    low, high = min(held, default=0), max(held, default=0)
    low, high = min(low, 0), max(high, 0)
    size, rows = (high - low) or 1, []
    for place, label in enumerate(names):
        strips = "".join(f'<span class="bar s{number % COLOURS}" style="--m:{(min(values[place] or 0, 0) - low) / size:.4f};'
                         f'--w:{abs(values[place] or 0) / size:.4f}"></span><span class="value">{cell(values[place])}</span>'
                         for number, values in enumerate(series.values()))
        rows.append(f'<div class="barrow"><span class="name">{escape(label)}</span><span class="strips">{strips}</span></div>')
    return f'<div class="bars" role="img" aria-label="{escape(title)}">{"".join(rows)}</div>' + legend(list(series))


def texts(data: Mapping[str, Any], title: str) -> str:
    """Texts with facts beside them, long ones folded."""
    items = []
    for item in data["items"][:50]:
        facts = "".join(f"<span><b>{escape(name)}</b> {cell(value)}</span>" for name, value in item["fields"].items())
        text = escape(item["text"])
        body = f"<p>{text}</p>" if len(item["text"]) <= 300 else f"<details><summary>{escape(item['text'][:200])} …</summary><p>{text}</p></details>"
        items.append(f'<li><div class="facts"><span>{escape(item["title"])}</span>{facts}</div>{body}</li>')
    return f'<ol class="texts">{"".join(items)}</ol>' if items else "<p>There are none.</p>"


def words(data: Mapping[str, Any], title: str) -> str:
    """Texts whose words are shaded by how much they speak for something, or against it; the strongest are listed in words."""
    items = []
    for item in data["items"][:50]:
        facts = "".join(f"<span><b>{escape(name)}</b> {cell(value)}</span>" for name, value in item["fields"].items())
        body = "".join(f'{escape(gap)}<mark class="{"for" if share > 0 else "against"}" style="--a:{abs(share):.2f}" '
                       f'title="{share:+.2f}">{escape(word)}</mark>' for gap, word, share in item["words"])
        top = sorted(item["words"], key=lambda entry: -abs(entry[2]))[:6]
        listed = ", ".join(f"{escape(word)} {share:+.2f}" for _, word, share in top)
        items.append(f'<li><div class="facts"><span>{escape(item["title"])}</span>{facts}</div><p>{body}</p><p class="note">{listed}</p></li>')
    return f'<ol class="texts weighed">{"".join(items)}</ol>' if items else "<p>There are none.</p>"
