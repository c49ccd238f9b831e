"""The page of an answer: start and end probabilities over the passage's tokens, and words' scores. No network, all text
escaped.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from headstart.contract import Figure, Json
from headstart.files import write_text
from headstart.reports.cells import escape
from headstart.reports.figures import render
from headstart.reports.page_frame import whole_page
from headstart.reports.word_gaps import word_shares

if TYPE_CHECKING:
    from headstart.inspection.attribution import Attribution
    from headstart.prediction.inspected_answer import InspectedAnswer


def answer_figures(inspected: InspectedAnswer) -> list[Figure]:
    """The charts, and the words where they were scored; all numbers as a table."""
    chart = inspected.chart
    rows = [[chart.first_token + index, piece, start, end] for index, (piece, start, end)
            in enumerate(zip(chart.pieces, chart.starts, chart.ends, strict=True))]
    table = Figure("tokens", "In numbers", "table", {"columns": ["token", "piece", "start", "end"], "rows": rows})
    words = [] if inspected.attribution is None else [word_figure(inspected.attribution)]
    return [chart.figure("probabilities", "Where the answer begins and ends"), *words, table]


def word_figure(attribution: Attribution) -> Figure:
    """Question and passage with each word under its score."""
    words = word_shares(attribution.encoded.text, attribution.encoded.pair, attribution.words)
    fields: dict[str, Json] = {"output": attribution.value, "on the baseline": attribution.baseline_value,
                               "attribution error": attribution.error}
    return Figure("words", "What the answer rests on", "words",
                  {"items": [{"title": attribution.label, "fields": fields, "words": words}]},
                  f"{attribution.sentence()} {attribution.method_sentence()} Words with a solid underline speak for "
                  "the answer, words with a dotted one against it; the strongest are listed, as shares of the "
                  "strongest.")


def write_answer_page(inspected: InspectedAnswer, path: Path, model: str) -> Path:
    """Write the page, whole or not at all; raises UserError (74)."""
    chart = inspected.chart
    header = (f'<h1><bdi>{escape(chart.question)}</bdi></h1><p class="meta">{escape(model)}</p>'
              f'<div class="lead"><p class="verdict open" dir="auto">{escape(chart.answer or "No answer")}</p></div>')
    figure_html = "".join(map(render, answer_figures(inspected)))
    text = whole_page(chart.question, header, f"<section><h2>How it came about</h2>{figure_html}</section>",
                      "Made by headstart. Probabilities are a softmax over the tokens of the window; the answer's own "
                      "is among the likeliest spans.")
    write_text(path, text, "Choose another place.")
    return path
