"""report.html and report.md: one run for a careful reader. One file, no network, every text escaped."""

from __future__ import annotations

from collections.abc import Sequence

from headstart.reports.cells import escape
from headstart.reports.figures import render
from headstart.reports.markdown_report import finding_line, render_markdown
from headstart.reports.page_frame import whole_page
from headstart.reports.report_content import Report
from headstart.reports.report_parts import (
    card_part,
    data_part,
    finding_item,
    lead_part,
    scores_part,
    settings_part,
    training_part,
)
from headstart.reports.summary import evaluation_split, splits_by_weight

__all__ = ["Report", "finding_item", "finding_line", "plain_html", "render_html", "render_markdown"]


def render_html(report: Report) -> str:
    """The whole page: the verdict, what it rests on, test before dev, then how the model came about."""
    sections = [("scores", "Scores", scores_part(report)), *detail_sections(report),
                ("training", "Training", training_part(report)), ("data", "Data", data_part(report)),
                ("settings", "Settings and machine", settings_part(report))]
    if report.card:
        sections.append(("card", "Model card", card_part(report)))
    links = "".join(f'<a href="#{escape(name)}">{escape(title)}</a>' for name, title, _ in sections)
    body = "".join(f'<section id="{escape(name)}"><h2>{escape(title)}</h2>{text}</section>'
                   for name, title, text in sections)
    header = (f'<h1>{escape(report.title)}</h1><p class="meta">{escape(report.task)} · {escape(report.model)} · '
              f'{escape(report.created)}</p>{lead_part(report)}<nav aria-label="Parts">{links}</nav>')
    return whole_page(report.title, header, body, "Made by headstart. Every interval is a 95 % bootstrap interval; "
                                                  "scores.json says how each score was computed.")


def detail_sections(report: Report) -> list[tuple[str, str, str]]:
    """The figures of each split: of the one that the run is judged on in full, of the others to be opened."""
    judged, sections = evaluation_split(report.scores), []
    order = splits_by_weight(report.scores)
    for split in sorted(report.figures_by_split, key=lambda name: (name != judged, order.index(name)
                                                                   if name in order else len(order))):
        figures = report.figures_by_split[split]
        if split == judged:
            text = "".join(map(render, figures))
        else:
            prefix = "".join(letter if letter.isalnum() else "-" for letter in split)
            content = "".join(render(figure, f"{prefix}-") for figure in figures)
            text = f"<details><summary>{len(figures)} figures of {escape(split)}</summary>{content}</details>"
        if figures:
            sections.append((f"on-{split}", f"Details on {split}", text))
    return sections


def plain_html(title: str, sentences: Sequence[str]) -> str:
    """A page that says why there is no report, and where its contents are."""
    paragraphs = "".join(f"<p>{escape(text)}</p>" for text in sentences)
    return ('<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><meta http-equiv="Content-Security-Policy" '
            f"content=\"default-src 'none'\"><title>{escape(title)}</title></head><body><main><h1>{escape(title)}</h1>"
            f"{paragraphs}<p>The scores are in scores.json, the predictions in predictions.jsonl, the model is in "
            "model/.</p></main></body></html>\n")
