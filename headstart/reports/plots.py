"""Curves, points, bars and dots as inline SVG whose text keeps its size at any width, with their numbers in tables.

Places are per cent of the drawing; lines stand on a square of 1,000 that stretches; their width and all text do not.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from headstart.contract import Json
from headstart.reports import reading
from headstart.reports.cells import MANY_ROWS, cell, escape, scaled, scroll_box

MAX_POINTS, MAX_DOTS, MAX_SCATTER, MAX_BARS = 600, 40, 2000, 25
TOKEN_WIDTH, TOKEN_MARGIN = 18, 56  # pixels of a token's bar, and of the numbers beside the first
COLOURS = 4  # series colours in the style sheet: .s0 to .s3


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
    """At most MAX_POINTS finite points: means of neighbours."""
    points = [point for point in points if all(map(math.isfinite, point))]
    size = -(-len(points) // MAX_POINTS) if points else 1
    groups = [points[start:start + size] for start in range(0, len(points), size)]
    return [(sum(point[0] for point in group) / len(group), sum(point[1] for point in group) / len(group))
            for group in groups]


def legend(names: Sequence[str]) -> str:
    """The colour of each series; "" for a single one."""
    if len(names) < 2:
        return ""
    return '<p class="legend">' + "".join(f'<span><i class="s{index % COLOURS}"></i>{escape(name)}</span>'
                                          for index, name in enumerate(names)) + "</p>"


class Axes:
    """Two linear axes with round ticks; places are per cent from the left and from the top."""

    def __init__(self, xs: Sequence[float], ys: Sequence[float]) -> None:
        self.x_range, self.y_range = padded_range(xs), padded_range(ys)

    def point(self, x_value: float, y_value: float) -> tuple[float, float]:
        """The place of a point: (across, top)."""
        across = (x_value - self.x_range[0]) / (self.x_range[1] - self.x_range[0])
        up = (y_value - self.y_range[0]) / (self.y_range[1] - self.y_range[0])
        return 100 * across, 100 * (1 - up)

    def plot(self, content: str, data: Mapping[str, Any], title: str) -> str:
        """The drawing between its axes; `data` has their titles."""
        rows = [(self.point(self.x_range[0], value)[1], value) for value in ticks(*self.y_range)]
        columns = [(self.point(value, self.y_range[0])[0], value) for value in ticks(*self.x_range)]
        grid = "".join(f'<line class="grid" x1="0" x2="100%" y1="{top:.2f}%" y2="{top:.2f}%"/>' for top, _ in rows)
        y_numbers = "".join(f'<text x="100%" y="{top:.2f}%" dy="4" dx="-8" text-anchor="end">{tick_text(value)}</text>'
                            for top, value in rows)
        x_numbers = "".join(f'<text x="{across:.2f}%" y="18" text-anchor="{anchor(across)}">{tick_text(value)}</text>'
                            for across, value in columns)
        label = f"{title}: {data['y_title']} by {data['x_title']}"
        return (f'<p class="axis-title">↑ {escape(data["y_title"])}</p><div class="plot" '
                f'data-low="{self.x_range[0]!r}" data-high="{self.x_range[1]!r}">'
                f'<svg class="y-numbers" aria-hidden="true">{y_numbers}</svg>'
                f'<svg class="area" role="img" aria-label="{escape(label)}">{grid}{content}</svg>'
                f'<svg class="x-numbers" aria-hidden="true">{x_numbers}</svg></div>'
                f'<p class="axis-title x">{escape(data["x_title"])} →</p>')


def tick_text(value: float) -> str:
    """A number of an axis, short enough for a phone."""
    number, unit = scaled(value)
    return f"{number:g}{unit}"


def anchor(across: float) -> str:
    """How a number stands at its tick, so that none is cut at the ends."""
    return "start" if across < 3 else "end" if across > 97 else "middle"


def stretched(lines: str) -> str:
    """Lines on a square of 1,000 that fills the drawing."""
    return f'<svg viewBox="0 0 1000 1000" preserveAspectRatio="none" width="100%" height="100%">{lines}</svg>'


def curve(data: Mapping[str, Any], title: str) -> str:
    """Lines, one for each series, and the same as a table, which the reading below the lines is taken from."""
    series = {name: averaged_points(points) for name, points in data["series"].items()}
    series = {name: points for name, points in series.items() if points}
    all_points = [point for points in series.values() for point in points]
    if not all_points:
        return "<p>Nothing to plot.</p>"
    unit = [0.0, 1.0] if data.get("diagonal") else []
    axes = Axes(unit or [point[0] for point in all_points], unit or [point[1] for point in all_points])
    lines, dots = [diagonal_line(axes)] if data.get("diagonal") else [], []
    for index, points in enumerate(series.values()):
        places = [axes.point(*point) for point in points]
        path = " ".join(f"{10 * across:.1f},{10 * top:.1f}" for across, top in places)
        lines.append(f'<polyline class="line s{index % COLOURS}" points="{path}"/>')
        if len(places) <= MAX_DOTS:
            dots += [f'<circle class="dot s{index % COLOURS}" cx="{across:.2f}%" cy="{top:.2f}%" r="3">'
                     f'<title>{point[0]:.6g}, {point[1]:.4g}</title></circle>'
                     for (across, top), point in zip(places, points, strict=True)]
    drawing = axes.plot(stretched("".join(lines)) + "".join(dots), data, title)
    return (f'<div class="curve">{drawing}{legend(list(series))}'
            f'{values_table(series, data.get("more") or {}, data["x_title"], title)}</div>')


def diagonal_line(axes: Axes) -> str:
    """The line of equal numbers, as far as both axes go."""
    low, high = max(axes.x_range[0], axes.y_range[0]), min(axes.x_range[1], axes.y_range[1])
    (x1, y1), (x2, y2) = axes.point(low, low), axes.point(high, high)
    return f'<polyline class="diagonal" points="{10 * x1:.1f},{10 * y1:.1f} {10 * x2:.1f},{10 * y2:.1f}"/>'


def values_table(series: Mapping[str, Sequence[tuple[float, float]]], columns: Mapping[str, Mapping[float, Json]],
                 x_title: str, title: str) -> str:
    """The points as a table: a row for each place on the x axis; `columns` are those that are not drawn."""
    by_name: dict[str, Mapping[float, Json]] = {name: dict(points) for name, points in series.items()} | dict(columns)
    places = sorted({x_value for points in series.values() for x_value, _ in points})
    are_steps = all(float(place).is_integer() for place in places) and places[-1] > 1
    rows = [[int(place) if are_steps else float(place), *(values.get(place) for values in by_name.values())]
            for place in places]
    head = "".join(f'<th scope="col">{escape(name)}</th>' for name in (x_title, *by_name))
    body = "".join("<tr>" + f'<th scope="row" class="n">{cell(row[0])}</th>'
                   + "".join(f'<td class="n">{cell(value)}</td>' for value in row[1:]) + "</tr>" for row in rows)
    table = f'<table class="values"><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>'
    box = scroll_box(table, f"{title}, in numbers", tall=len(rows) > MANY_ROWS)
    return f"<details><summary>In numbers</summary>{box}</details>"


def scatter(data: Mapping[str, Any], title: str) -> str:
    """Points, and where they would be if both numbers were equal."""
    points = data["points"][:MAX_SCATTER]
    if not points:
        return "<p>Nothing to plot.</p>"
    axes = Axes([point[0] for point in points], [point[1] for point in points])
    places = [axes.point(*point) for point in points]
    dots = "".join(f'<circle class="dot s0 faint" cx="{across:.2f}%" cy="{top:.2f}%" r="3"/>' for across, top in places)
    line = stretched(diagonal_line(axes)) if data.get("diagonal") else ""
    left_out = len(data["points"]) - len(points)
    note = f"<p>The first {len(points):,} rows are drawn; {left_out:,} are not.</p>" if left_out else ""
    return axes.plot(line + dots, data, title) + note


def strip(start: float, share: float, css_class: str) -> str:
    """A bar of a share of the width, from `start` on."""
    return (f'<svg class="strip" aria-hidden="true"><rect class="{css_class}" x="{100 * start:.2f}%" '
            f'width="{max(100 * share, 0.2):.2f}%" height="100%" rx="2"></rect></svg>')


def bars(data: Mapping[str, Any], title: str) -> str:
    """Horizontal bars, grouped by label; where some numbers are negative, those go to the left of a common zero."""
    names, series = data["labels"], data["series"]
    numbers = [value for values in series.values() for value in values if value is not None]
    low, high = min([*numbers, 0]), max([*numbers, 0])
    value_range, rows = (high - low) or 1, []
    for index, label in enumerate(names):
        strips = "".join(strip((min(values[index] or 0, 0) - low) / value_range, abs(values[index] or 0) / value_range,
                               f"bar s{number % COLOURS}") + f'<span class="value">{cell(values[index])}</span>'
                         for number, values in enumerate(series.values()))
        rows.append(f'<li class="barrow"><span class="name"><bdi>{escape(label)}</bdi></span>'
                    f'<span class="strips">{strips}</span></li>')
    bar_list = f'<ul class="bars" aria-label="{escape(title)}">{"".join(rows)}</ul>'
    if len(rows) > MAX_BARS:
        bar_list = f"<details><summary>All {len(rows):,} bars</summary>{bar_list}</details>"
    return legend(list(series)) + bar_list


def dot_rows(entries: Sequence[tuple[str, Mapping[str, Any]]], title: str) -> str:
    """Scores with their intervals on one axis, a row each; the first is the one that the others are compared with."""
    values = [end for _, score in entries for end in (score["low"], score["high"], score["value"]) if end is not None]
    low, high = (0.0, 1.0) if min(values) >= 0 and max(values) <= 1 else padded_range(values)
    rows = []

    def place(value: float) -> str:
        return f"{100 * (value - low) / (high - low):.2f}%"

    grid = "".join(f'<line class="grid" x1="{place(tick)}" x2="{place(tick)}" y1="0" y2="100%"/>'
                   for tick in ticks(low, high))
    for index, (label, score) in enumerate(entries):
        css_class = "s0" if not index else "s1"
        whisker = "" if score["low"] is None else (f'<line class="whisker {css_class}" x1="{place(score["low"])}" '
                                                   f'x2="{place(score["high"])}" y1="50%" y2="50%"/>')
        rows.append(f'<li class="barrow"><span class="name"><bdi>{escape(label)}</bdi></span><span class="strips">'
                    f'<svg class="dots" aria-hidden="true">{grid}{whisker}<circle class="dot {css_class}" '
                    f'cx="{place(score["value"])}" cy="50%" r="5"/></svg>'
                    f'<span class="value">{score["value"]:.4f}</span></span></li>')
    numbers = "".join(f'<text x="{place(tick)}" y="14" text-anchor="{anchor(float(place(tick)[:-1]))}">'
                      f"{tick_text(tick)}</text>" for tick in ticks(low, high))
    axis = ('<li class="barrow axis" aria-hidden="true"><span class="name"></span><span class="strips">'
            f'<svg class="dots">{numbers}</svg><span class="value"></span></span></li>')
    return f'<ul class="bars" aria-label="{escape(title)}">{"".join(rows)}{axis}</ul>'


def token_bars(data: Mapping[str, Any], title: str) -> str:
    """A bar for each token, one chart below the other for each series; marked tokens stand out, and so does the answer
    in the passage above, where there is one.
    """
    tokens, (first, last) = data["tokens"], data["marked"] or (len(data["tokens"]), -1)
    height = 144 + min(110, 7 * max(map(len, tokens), default=0))
    width = TOKEN_MARGIN + TOKEN_WIDTH * len(tokens) + 12
    largest = max((value for values in data["series"].values() for value in values), default=1.0)
    top = next((share for share in (0.05, 0.1, 0.2, 0.5) if share >= largest), 1.0)
    charts = []
    for number, (name, values) in enumerate(data["series"].items()):
        grid = "".join(f'<line class="grid" x1="{TOKEN_MARGIN}" x2="{width - 12}" y1="{y}" y2="{y}"/>'
                       f'<text x="{TOKEN_MARGIN - 8}" y="{y + 4}" text-anchor="end">{text}</text>'
                       for y, text in ((10, f"{100 * top:g} %"), (65, f"{50 * top:g} %"), (120, "0")))
        place_bar = token_bar_at(top, number)
        token_rectangles = "".join(place_bar(index, token, value, first <= index <= last)
                        for index, (token, value) in enumerate(zip(tokens, values, strict=True)))
        picture = (f'<svg viewBox="0 0 {width} {height}" width="{width}" height="{height}" class="fixed" role="img" '
                   f'aria-label="{escape(f"{title}: {name}")}">{grid}{token_rectangles}</svg>')
        charts.append(f"<h4>{escape(name)}</h4>{scroll_box(picture, f'{title}: {name}')}")
    passage = reading.passage_with_key(data["passage"]) if data.get("passage") else ""
    return passage + "".join(charts)


def token_bar_at(top: float, series_number: int) -> Callable[[int, str, float, bool], str]:
    """Draws the bar of one token with its name below; `top` is the share that fills the height."""
    def draw(index: int, token: str, value: float, is_marked: bool) -> str:
        start = TOKEN_MARGIN + TOKEN_WIDTH * index
        css_class = f"token s{1 if is_marked else series_number % COLOURS * 2}"
        return (f'<rect class="{css_class}" x="{start + 2}" y="{120 - 110 * value / top:.2f}" '
                f'width="{TOKEN_WIDTH - 4}" height="{110 * value / top:.2f}"><title>{escape(token)}: '
                f'{100 * value:.2f} %</title></rect><text class="{"label" if is_marked else ""}" '
                f'transform="translate({start + TOKEN_WIDTH / 2 + 4:.1f} 128) rotate(-90)" '
                f'text-anchor="end">{escape(token[:16])}</text>')
    return draw
