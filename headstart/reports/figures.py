"""Every figure of the contract as HTML or inline SVG; all text from the user's data is escaped."""

from __future__ import annotations

import html
import math
from collections.abc import Mapping, Sequence
from typing import Any

from headstart.contract import Figure, Json

MAX_POINTS = 600
WIDTH, HEIGHT, LEFT_MARGIN, BOTTOM_MARGIN = 640, 300, 56, 40
TOKEN_WIDTH = 18  # of a token's bar
COLOURS = 4  # series colours in the style sheet: .s0 to .s3


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


def render(figure: Figure) -> str:
    """One figure with title and caption."""
    renderer = {"table": table, "matrix": matrix, "bars": bars, "curve": curve, "scatter": scatter, "texts": texts,
                "words": words, "token_bars": token_bars}[figure.kind]
    caption = f"<figcaption>{escape(figure.caption)}</figcaption>" if figure.caption else ""
    return ('<figure '
            f'id="{escape(figure.name)}"><h3>{escape(figure.title)}</h3>{caption}{renderer(figure.data, figure.title)}</figure>')


def table(data: Mapping[str, Any], title: str) -> str:
    """A table; columns of numbers are right-aligned."""
    numeric = [any(isinstance(row[index], int | float) for row in data["rows"])
               for index in range(len(data["columns"]))]
    head = "".join(f'<th scope="col"{" class=n" if is_numeric else ""}>{escape(name)}</th>'
                   for name, is_numeric in zip(data["columns"], numeric, strict=True))
    body = []
    for row in data["rows"]:
        cells = [f'<th scope="row">{cell(row[0])}</th>'] if row else []
        cells += [f'<td class="{"n" if isinstance(value, int | float) else ""}">{cell(value)}</td>'
                  for value in row[1:]]
        body.append(f"<tr>{''.join(cells)}</tr>")
    return ('<div class="wide"><table '
            f'class="sortable"><thead><tr>{head}</tr></thead><tbody>{"".join(body)}</tbody></table></div>')


def matrix(data: Mapping[str, Any], title: str) -> str:
    """A table of shaded cells up to 12 columns; beyond that an image of it, with a table of the largest cells off the
    diagonal.
    """
    rows, columns, values = data["rows"], data["columns"], data["values"]
    pairs = sorted(((value, row, column) for row, row_values in enumerate(values)
                    for column, value in enumerate(row_values)
                    if value and row != column), reverse=True)[:15]
    pair_table = table({"columns": [data["row_title"], data["column_title"], "rows"],
                    "rows": [[rows[row], columns[column], value] for value, row, column in pairs]},
                       title) if pairs else ""
    if len(columns) > 12:
        return matrix_image(rows, columns, values, title) + "<h4>Most frequent</h4>" + pair_table
    head = "".join(f'<th scope="col">{escape(name)}</th>' for name in columns)
    body = []
    for name, row_values in zip(rows, values, strict=True):
        row_total = max(1, sum(row_values))
        cells = "".join(f'<td class="n shade{" correct" if columns[index] == name else ""}" '
                        f'style="--s:{value / row_total:.3f}">{value:,}</td>'
                        for index, value in enumerate(row_values))
        body.append(f'<tr><th scope="row">{escape(name)}</th>{cells}</tr>')
    corner = f'<th scope="col">{escape(data["row_title"])} ↓ {escape(data["column_title"])} →</th>'
    return ('<div class="wide"><table '
            f'class="matrix"><thead><tr>{corner}{head}</tr></thead><tbody>{"".join(body)}</tbody></table></div>')


def matrix_image(rows: Sequence[str], columns: Sequence[str], values: Sequence[Sequence[int]], title: str) -> str:
    """A matrix of many classes as shaded squares, with names on hover."""
    size = 560 / max(len(rows), len(columns))
    squares = []
    for row, row_values in enumerate(values):
        row_total = max(1, sum(row_values))
        for column, value in enumerate(row_values):
            if value:
                css_class = "correct" if row == column else "wrong"
                hover = f"{rows[row]} → {columns[column]}: {value:,}"
                (squares.append(f'<rect class="{css_class}" x="{column * size:.2f}" y="{row * size:.2f}" '
                               f'width="{size:.2f}" height="{size:.2f}" '
                               f'fill-opacity="{0.15 + 0.85 * math.sqrt(value / row_total):.2f}"><title>{escape(hover)}</title></rect>'))
    return (f'<svg viewBox="0 0 560 560" class="square" role="img" aria-label="{escape(title)}">'
            f'<rect class="frame" width="560" height="560"/>{"".join(squares)}</svg>')


class Axes:
    """Two linear axes with round ticks."""

    def __init__(self, xs: Sequence[float], ys: Sequence[float]) -> None:
        self.x_range, self.y_range = padded_range(xs), padded_range(ys)

    def point(self, x_value: float, y_value: float) -> tuple[float, float]:
        """The pixel of a point: (left, top)."""
        across = (x_value - self.x_range[0]) / (self.x_range[1] - self.x_range[0])
        up = (y_value - self.y_range[0]) / (self.y_range[1] - self.y_range[0])
        return LEFT_MARGIN + across * (WIDTH - LEFT_MARGIN
                                       - 12), HEIGHT - BOTTOM_MARGIN - up * (HEIGHT - BOTTOM_MARGIN - 12)

    def grid(self, x_title: str, y_title: str) -> str:
        """Grid, numbers and titles."""
        elements = []
        for value in ticks(*self.y_range):
            _, position = self.point(self.x_range[0], value)
            elements.append(f'<line class="grid" x1="{LEFT_MARGIN}" x2="{WIDTH - 12}" y1="{position:.1f}" '
                            f'y2="{position:.1f}"/>'
                         f'<text x="{LEFT_MARGIN - 8}" y="{position + 4:.1f}" text-anchor="end">{value:g}</text>')
        for value in ticks(*self.x_range):
            position, _ = self.point(value, self.y_range[0])
            elements.append(f'<text x="{position:.1f}" y="{HEIGHT - BOTTOM_MARGIN + 18}" '
                            f'text-anchor="middle">{value:g}</text>')
        elements.append(f'<text class="axis" x="{(WIDTH + LEFT_MARGIN) / 2}" y="{HEIGHT - 4}" '
                        f'text-anchor="middle">{escape(x_title)}</text>'
                     f'<text class="axis" transform="translate(12 {(HEIGHT - BOTTOM_MARGIN) / 2}) rotate(-90)" '
                     f'text-anchor="middle">{escape(y_title)}</text>')
        return "".join(elements)


def padded_range(values: Sequence[float]) -> tuple[float, float]:
    """The range of the values with a little room around them; from 0 where they are near it."""
    finite = [value for value in values if math.isfinite(value)] or [0.0, 1.0]
    low, high = min(finite), max(finite)
    if low == high:
        return low - 0.5, high + 0.5
    return (0.0 if 0 <= low < 0.4 * high else low - 0.05 * (high - low)), high + 0.05 * (high - low)


def ticks(low: float, high: float) -> list[float]:
    """About five round numbers between two."""
    min_step = (high - low) / 5
    power = 10.0 ** math.floor(math.log10(min_step))
    step = next(factor * power for factor in (1, 2, 5, 10) if factor * power >= min_step)
    return [round(multiple * step, 10) for multiple in range(math.ceil(low / step), math.floor(high / step + 1e-9) + 1)]


def averaged_points(points: Sequence[Sequence[float]]) -> list[tuple[float, float]]:
    """At most MOST_POINTS points: means of neighbours."""
    size = -(-len(points) // MAX_POINTS) if points else 1
    groups = [points[start:start + size] for start in range(0, len(points), size)]
    return [(sum(point[0] for point in group) / len(group), sum(point[1] for point in group) / len(group))
            for group in groups]


def svg(content: str, title: str) -> str:
    """An SVG of the usual size."""
    return f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{escape(title)}">{content}</svg>'


def legend(names: Sequence[str]) -> str:
    """The colour of each series; "" for a single one."""
    if len(names) < 2:
        return ""
    return '<p class="legend">' + "".join(f'<span><i class="s{index % COLOURS}"></i>{escape(name)}</span>'
                                          for index, name in enumerate(names)) + "</p>"


def curve(data: Mapping[str, Any], title: str) -> str:
    """Lines, one for each series."""
    series = {name: averaged_points(points) for name, points in data["series"].items() if points}
    all_points = [point for points in series.values() for point in points]
    if not all_points:
        return "<p>Nothing to plot.</p>"
    diagonal = data.get("diagonal")
    unit = [0.0, 1.0]
    axes = Axes(unit if diagonal else [point[0] for point in all_points],
                unit if diagonal else [point[1] for point in all_points])
    elements = [axes.grid(data["x_title"], data["y_title"])]
    if diagonal:
        (x1, y1), (x2, y2) = axes.point(0, 0), axes.point(1, 1)
        elements.append(f'<line class="diagonal" x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}"/>')
    for series_index, points in enumerate(series.values()):
        pixels = [axes.point(*point) for point in points]
        path = " ".join(f"{across:.1f},{down:.1f}" for across, down in pixels)
        elements.append(f'<polyline class="line s{series_index % COLOURS}" points="{path}"/>')
        if len(pixels) <= 40:
            elements += [f'<circle class="dot s{series_index % COLOURS}" cx="{across:.1f}" cy="{down:.1f}" r="3">'
                      f'<title>{point[0]:.3g}, {point[1]:.4g}</title></circle>'
                      for (across, down), point in zip(pixels, points, strict=True)]
    return svg("".join(elements), title) + legend(list(series))


def scatter(data: Mapping[str, Any], title: str) -> str:
    """Points."""
    points = data["points"][:2000]
    if not points:
        return "<p>Nothing to plot.</p>"
    axes = Axes([point[0] for point in points], [point[1] for point in points])
    pixels = [axes.point(*point) for point in points]
    dots = "".join(f'<circle class="dot s0" cx="{across:.1f}" cy="{down:.1f}" r="2.5"/>' for across, down in pixels)
    return svg(axes.grid(data["x_title"], data["y_title"]) + dots, title)


def bars(data: Mapping[str, Any], title: str) -> str:
    """Horizontal bars, grouped by label; where some numbers are negative, those go to the left of a common zero."""
    names, series = data["labels"], data["series"]
    numbers = [value for values in series.values() for value in values if value is not None]
    low, high = min([*numbers, 0]), max([*numbers, 0])
    value_range, rows = (high - low) or 1, []
    for index, label in enumerate(names):
        strips = "".join(f'<span class="bar s{series_index % COLOURS}" '
                         f'style="--m:{(min(values[index] or 0, 0) - low) / value_range:.4f};'
                         f'--w:{abs(values[index] or 0) / value_range:.4f}"></span><span '
                         f'class="value">{cell(values[index])}</span>'
                         for series_index, values in enumerate(series.values()))
        rows.append(f'<div class="barrow"><span class="name">{escape(label)}</span><span '
                    f'class="strips">{strips}</span></div>')
    return f'<div class="bars" role="img" aria-label="{escape(title)}">{"".join(rows)}</div>' + legend(list(series))


def token_bars(data: Mapping[str, Any], title: str) -> str:
    """A bar for each token, one chart below the other for each series; marked tokens stand out."""
    tokens, (first, last) = data["tokens"], data["marked"] or (len(data["tokens"]), -1)
    label_height = min(110, 14 + 7 * max(map(len, tokens), default=0))
    height, width = 130 + label_height, max(WIDTH, LEFT_MARGIN + TOKEN_WIDTH * len(tokens) + 12)
    largest = max((value for values in data["series"].values() for value in values), default=1.0)
    top = next((share for share in (0.05, 0.1, 0.2, 0.5) if share >= largest), 1.0)
    charts = []
    for series_index, (name, values) in enumerate(data["series"].items()):
        elements = [f'<line class="grid" x1="{LEFT_MARGIN}" x2="{width - 12}" y1="{y}" y2="{y}"/>'
                    f'<text x="{LEFT_MARGIN - 8}" y="{y + 4}" text-anchor="end">{text}</text>'
                    for y, text in ((10, f"{100 * top:g} %"), (65, f"{50 * top:g} %"), (120, "0"))]
        for index, (token, value) in enumerate(zip(tokens, values, strict=True)):
            start, is_marked = LEFT_MARGIN + TOKEN_WIDTH * index, first <= index <= last
            hover = f"<title>{escape(token)}: {100 * value:.2f} %</title>"
            text_class = "label" if is_marked else ""
            elements.append(f'<rect class="token s{1 if is_marked else series_index % COLOURS * 2}" x="{start + 2}" '
                            f'y="{120 - 110 * value / top:.2f}" width="{TOKEN_WIDTH - 4}" '
                            f'height="{110 * value / top:.2f}">{hover}'
                            f'</rect><text class="{text_class}" transform="translate({start + TOKEN_WIDTH / 2 + 4:.1f} '
                            f'128) rotate(-90)" text-anchor="end">{escape(token[:16])}</text>')
        charts.append(f'<h4>{escape(name)}</h4><div class="wide"><svg viewBox="0 0 {width} {height}" role="img" '
                      f'style="width:{width}px" aria-label="{escape(f"{title}: {name}")}">{"".join(elements)}</svg></div>')
    return "".join(charts)


def texts(data: Mapping[str, Any], title: str) -> str:
    """Texts with their fields, long ones folded."""
    items = []
    for item in data["items"][:50]:
        fields = "".join(f"<span><b>{escape(name)}</b> {cell(value)}</span>" for name, value in item["fields"].items())
        text = escape(item["text"])
        body = f"<p>{text}</p>" if len(item[
            "text"]) <= 300 else f"<details><summary>{escape(item['text'][:200])} …</summary><p>{text}</p></details>"
        items.append(f'<li><div class="facts"><span>{escape(item["title"])}</span>{fields}</div>{body}</li>')
    return f'<ol class="texts">{"".join(items)}</ol>' if items else "<p>There are none.</p>"


def words(data: Mapping[str, Any], title: str) -> str:
    """Texts whose words are shaded by their attribution, for or against the output; the strongest are listed."""
    items = []
    for item in data["items"][:50]:
        fields = "".join(f"<span><b>{escape(name)}</b> {cell(value)}</span>" for name, value in item["fields"].items())
        body = "".join(f'{escape(gap)}<mark class="{"for" if share > 0 else "against"}" style="--a:{abs(share):.2f}" '
                       f'title="{share:+.2f}">{escape(word)}</mark>' for gap, word, share in item["words"])
        strongest = sorted(item["words"], key=lambda entry: -abs(entry[2]))[:6]
        strongest_text = ", ".join(f"{escape(word)} {share:+.2f}" for _, word, share in strongest)
        items.append(f'<li><div class="facts"><span>{escape(item["title"])}</span>{fields}</div><p>{body}</p><p '
                     f'class="note">{strongest_text}</p></li>')
    return f'<ol class="texts attributed">{"".join(items)}</ol>' if items else "<p>There are none.</p>"
