"""report.html and report.md: one run for a careful reader. One file, no network, every text escaped."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib.resources import files
from typing import Any

from headstart.contract import Figure, Json
from headstart.errors import Finding, finding_groups
from headstart.reports.figures import cell, escape, render, svg, table, ticks
from headstart.reports.fold_words import fold_columns, fold_rows, split_title
from headstart.reports.summary import evaluation_split, score_sentences, splits_by_weight, training_series

MAX_SIMILAR = 20  # findings of one code that are listed after the first


@dataclass(frozen=True)
class Report:
    """Everything that a report shows, as JSON-like data without a task."""

    title: str
    task: str
    model: str
    created: str
    command: str
    scores: Mapping[str, Any]
    summary: Sequence[str] = ()  # sentences after those about the scores
    findings: Sequence[Finding] = ()
    splits: Sequence[Mapping[str, Json]] = ()
    data_notes: Sequence[str] = ()
    log: Sequence[Mapping[str, Any]] = ()
    figures_by_split: Mapping[str, Sequence[Figure]] = field(default_factory=dict)
    settings: str = ""
    environment: Mapping[str, Json] = field(default_factory=dict)


def resource(name: str) -> str:
    """A file of the page."""
    return files("headstart.reports").joinpath("page", name).read_text(encoding="utf-8")


def render_html(report: Report) -> str:
    """The whole page."""
    style, script = resource("report.css"), resource("report.js")
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    policy = (f"default-src 'none'; style-src 'unsafe-inline'; script-src 'sha256-{digest}'; base-uri 'none'; "
              "form-action 'none'")
    sections = [("scores", "Scores", scores_part(report)), ("training", "Training", training_part(report)),
                ("data", "Data", data_part(report))]
    for split, figures in report.figures_by_split.items():
        sections.append((f"on-{split}", f"Details on {split}", "".join(render(figure) for figure in figures)))
    sections.append(("settings", "Settings and machine", settings_part(report)))
    links = "".join(f'<a href="#{escape(name)}">{escape(title)}</a>' for name, title, _ in sections)
    body = "".join(f'<section id="{escape(name)}"><h2>{escape(title)}</h2>{text}</section>'
                   for name, title, text in sections)
    lead = "".join(f"<p>{escape(text)}</p>" for text in [*score_sentences(report.scores), *report.summary])
    return ('<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><meta http-equiv="Content-Security-Policy" '
            f'content="{policy}">'
            '<meta name="viewport" content="width=device-width, '
            f'initial-scale=1"><title>{escape(report.title)}</title><style>{style}</style></head>'
            f'<body><header><h1>{escape(report.title)}</h1><p class="meta">{escape(report.task)} · '
            f'{escape(report.model)} · {escape(report.created)}</p>'
            f'<div class="lead">{lead}</div><nav aria-label="Parts">{links}</nav></header><main>{body}</main>'
            '<footer>Made by headstart. Every interval is a 95 % bootstrap interval; scores.json says how each score '
            'was computed.</footer>'
            f'<script>{script}</script></body></html>\n')


def plain_html(title: str, sentences: Sequence[str]) -> str:
    """A page that says why there is no report, and where its contents are."""
    paragraphs = "".join(f"<p>{escape(text)}</p>" for text in sentences)
    return ('<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><meta http-equiv="Content-Security-Policy" '
            f"content=\"default-src 'none'\"><title>{escape(title)}</title></head><body><h1>{escape(title)}</h1>"
            f"{paragraphs}<p>The scores are in scores.json, the predictions in predictions.jsonl, the model is in "
            "model/.</p></body></html>\n")


def scores_part(report: Report) -> str:
    """The model and baselines as a plot, then every score of every split."""
    return comparison_plot(report.scores) + "".join(
        f"<h3>{escape(split_title(split, report.scores))}, {next(iter(report.scores[split].values()))['n']:,} rows</h3>"
        + score_table(report.scores[split])
        for split in splits_by_weight(report.scores) if report.scores[split]) + fold_table(
            report.scores) + baseline_table(report.scores)


def fold_table(scores: Mapping[str, Any]) -> str:
    """The folds, each with its scores; "" where there are none."""
    if not scores.get("folds"):
        return ""
    return "<h3>Fold by fold</h3>" + table({"columns": fold_columns(scores), "rows": fold_rows(scores)}, "folds")


def score_table(split_scores: Mapping[str, Any]) -> str:
    """Scores with intervals."""
    rows = [[name.replace("_", " "), score["value"], interval_text(score),
             "" if score["higher_is_better"] else "lower is better"]
            if score["value"] is not None else [name.replace("_", " "), None, score.get("reason"), ""]
            for name, score in split_scores.items()]
    return table({"columns": ["score", "value", "95 % interval", ""], "rows": rows}, "scores")


def interval_text(score: Mapping[str, Any]) -> str:
    """The interval as text; "" where there is none."""
    return "" if score["low"] is None else f"{score['low']:.4f} to {score['high']:.4f}"


def baseline_table(scores: Mapping[str, Any]) -> str:
    """Baselines with the paired difference, time and size."""
    rows = []
    for name, comparison in (scores.get("baselines") or {}).items():
        for score in list(comparison["scores"])[:2]:
            difference = comparison["difference"][score]
            rows.append([name, score.replace("_", " "), comparison["scores"][score]["value"], difference["value"],
                         interval_text(difference), float(comparison["seconds"]),
                         f"{comparison['size_bytes'] / 1e6:.1f} MB"])
    if not rows:
        return ""
    columns = ["baseline", "score", "value", "model minus baseline", "95 % interval", "seconds", "size"]
    return "<h3>Model and baselines</h3>" + table({"columns": columns, "rows": rows}, "baselines")


def comparison_plot(scores: Mapping[str, Any]) -> str:
    """The first score of the model and of each baseline, with intervals, on one axis."""
    split = evaluation_split(scores)
    name = next(iter(scores[split]))
    entries = [("this model", scores[split][name])] + [
        (baseline, comparison["scores"][name]) for baseline, comparison in (scores.get("baselines") or {}).items()
        if comparison["split"] == split]
    entries = [(label, score) for label, score in entries if score["value"] is not None]
    if not entries:
        return ""
    values = [end for _, score in entries for end in (score["low"], score["high"], score["value"]) if end is not None]
    low, high = (0.0, 1.0) if min(values) >= 0 and max(values) <= 1 else (min(values), max(values) + 1e-9)
    height = 34 * len(entries) + 40

    def x_position(value: float) -> float:
        return 270 + (value - low) / (high - low) * 300

    elements = [f'<line class="grid" x1="{x_position(tick):.1f}" x2="{x_position(tick):.1f}" y1="6" '
                f'y2="{height - 28}"/>'
             f'<text x="{x_position(tick):.1f}" y="{height - 10}" text-anchor="middle">{tick:g}</text>'
             for tick in ticks(low, high)]
    for index, (label, score) in enumerate(entries):
        y, css_class = 24 + 34 * index, "s0" if not index else "s1"
        if score["low"] is not None:
            elements.append(f'<line class="whisker {css_class}" x1="{x_position(score["low"]):.1f}" '
                            f'x2="{x_position(score["high"]):.1f}" y1="{y}" y2="{y}"/>')
        elements.append(f'<circle class="dot {css_class}" cx="{x_position(score["value"]):.1f}" cy="{y}" r="5"/>'
                     f'<text class="label" x="258" y="{y + 4}" text-anchor="end">{escape(label[:40])}</text>'
                     f'<text class="label" x="632" y="{y + 4}" text-anchor="end">{score["value"]:.3f}</text>')
    picture = svg("".join(elements), f"{name} of the model and of baselines").replace("0 0 640 300",
                                                                                      f"0 0 640 {height}")
    return (f"<figure><h3>{escape(name.replace('_', ' '))} on {escape(split)}</h3><figcaption>Dots are values, lines "
            f"their 95 % intervals.</figcaption>{picture}</figure>")


def training_part(report: Report) -> str:
    """Curves of loss and dev score, and how the training went."""
    series = training_series(report.log)
    score = report.scores.get("best", {}).get("score", "score")
    figures = [Figure("loss", "Loss", "curve", {"x_title": "step", "y_title": "loss",
                                                "series": {"training loss": series["loss"]}})]
    if not report.scores.get("folds"):  # else nothing is scored while the saved model is trained
        figures.append(Figure("dev", f"{score} on dev", "curve",
                              {"x_title": "step", "y_title": score, "series": {score: series["dev"]}}))
    facts = [[name.replace("_", " "), value] for name, value in (report.scores.get("training") or {}).items()]
    facts += [[f"{name.replace('_', ' ')}, seconds", float(value)]
              for name, value in (report.scores.get("seconds") or {}).items()]
    best = report.scores.get("best")
    best_note = ""
    if best:
        origin = "was the best on dev" if best["split"] else "is the last (no dev rows were set aside to choose one)"
        best_note = f"<p>The checkpoint after step {best['step']:,} {origin}, and is the model.</p>"
    return best_note + "".join(render(figure) for figure in figures) + table({"columns": ["training", ""],
                                                                              "rows": facts}, "training")


def data_part(report: Report) -> str:
    """Files, splits, and what the check found."""
    rows = [[split["name"], split["rows"], split["file"], str(split["sha256"])[:12]] for split in report.splits]
    paragraphs = "".join(f"<p>{escape(text)}</p>" for text in report.data_notes)
    items = "".join(map(finding_item, finding_groups(report.findings)))
    check = (f'<h3>Data check</h3><ul class="findings">{items}</ul>' if items
             else "<p>The data check found no problems.</p>")
    return table({"columns": ["split", "rows", "file", "SHA-256"], "rows": rows}, "splits") + paragraphs + check


def finding_item(group: Sequence[Finding]) -> str:
    """Findings of one code: the first in full, the others to be opened, what to do once."""
    finding = group[0]
    similar = "".join(f"<li>{escape(location(similar_finding))}{escape(similar_finding.message)}</li>"
                      for similar_finding in group[1:MAX_SIMILAR + 1])
    unlisted = "<li>… the others are in data.json.</li>" if len(group) > MAX_SIMILAR + 1 else ""
    count = sum(finding.count for finding in group) - 1
    details = f"<details><summary>{count:,} more like it</summary><ul>{similar}{unlisted}</ul></details>" if count else ""
    return (f'<li class="{finding.level}"><b>{escape(finding.code)}</b> {escape(finding.message)}'
            f'<span>{escape(location(finding))}{escape(finding.fix)}</span>{details}</li>')


def location(finding: Finding) -> str:
    """File and line of a finding, for the start of a sentence."""
    return f"{finding.file}:{finding.line}. " if finding.file and finding.line is not None else ""


def settings_part(report: Report) -> str:
    """The command that repeats the run, all settings, the machine."""
    rows = [[name.replace("_", " "), value if isinstance(value, str | int | float) else json.dumps(value)]
            for name, value in report.environment.items() if value is not None]
    return (f"<h3>Reproduce</h3><pre>{escape(report.command)}</pre><details><summary>All "
            f"settings</summary><pre>{escape(report.settings)}</pre>"
            f"</details>{table({'columns': ['machine', ''], 'rows': rows}, 'machine')}")


def render_markdown(report: Report) -> str:
    """The same in text: summary, scores, baselines, data, command."""
    lines = [f"# {markdown_text(report.title)}", "", f"{markdown_text(report.task)} · {markdown_text(report.model)} · "
                                                     f"{report.created}", ""]
    lines += [*[markdown_text(text) for text in score_sentences(report.scores)], *map(markdown_text, report.summary),
              ""]
    for split in splits_by_weight(report.scores):
        lines += [f"## Scores on {markdown_text(split_title(split, report.scores))}", "",
                  "| score | value | 95 % interval |", "|---|---|---|"]
        lines += [f"| {name} | {cell(score['value'])} | "
                  f"{interval_text(score) or markdown_text(score.get('reason') or '')} |"
                  for name, score in report.scores[split].items()]
        lines.append("")
    if report.scores.get("baselines"):
        lines += ["## Baselines", "", "| baseline | score | value | model minus baseline | 95 % interval |",
                  "|---|---|---|---|---|"]
        for name, comparison in report.scores["baselines"].items():
            score_name = next(iter(comparison["scores"]))
            difference = comparison["difference"][score_name]
            lines.append(f"| {markdown_text(name)} | {score_name} | {cell(comparison['scores'][score_name]['value'])} "
                         f"| {cell(difference['value'])} | {interval_text(difference)} |")
        lines.append("")
    lines += ["## Data", "", *[f"- {markdown_text(text)}" for text in report.data_notes],
              *[finding_line(group) for group in finding_groups(report.findings)], "",
              "## Reproduce", "", f"    {markdown_text(report.command)}", ""]
    return "\n".join(lines)


def finding_line(group: Sequence[Finding]) -> str:
    """Findings of one code as a line of Markdown: the first in full, the others counted."""
    count = sum(finding.count for finding in group) - 1
    return f"- {group[0].code} {markdown_text(group[0].message)}" + (f" + {count:,} more like it" if count else "")


def markdown_text(text: str) -> str:
    """Text on one line, escaped for Markdown and HTML."""
    line = " ".join(str(text).split())
    return "".join("\\" + character if character in "\\`*_{}[]|#"
                   else {"<": "&lt;", ">": "&gt;"}.get(character, character) for character in line)
