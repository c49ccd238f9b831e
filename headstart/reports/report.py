"""report.html and report.md: one run, told to a careful reader. One file, no network, every text escaped."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib.resources import files
from typing import Any

from headstart.contract import Figure, Json
from headstart.errors import Finding
from headstart.reports.figures import cell, escape, render, svg, table, ticks
from headstart.reports.summary import NOT_SPLITS, curves, judged, sentences


@dataclass(frozen=True)
class Report:
    """Everything that a report shows, as JSON-like data: it knows no task."""

    title: str
    task: str
    model: str
    created: str
    command: str
    scores: Mapping[str, Any]
    summary: Sequence[str] = ()  # sentences after those about the scores
    findings: Sequence[Finding] = ()
    splits: Sequence[Mapping[str, Json]] = ()
    data_words: Sequence[str] = ()
    log: Sequence[Mapping[str, Any]] = ()
    figures_by_split: Mapping[str, Sequence[Figure]] = field(default_factory=dict)
    settings: str = ""
    environment: Mapping[str, Json] = field(default_factory=dict)


def resource(name: str) -> str:
    """A file of the page."""
    return files("headstart.runs").joinpath("page", name).read_text(encoding="utf-8")


def render_html(report: Report) -> str:
    """The whole page."""
    style, script = resource("report.css"), resource("report.js")
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    policy = f"default-src 'none'; style-src 'unsafe-inline'; script-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'"
    sections = [("scores", "Scores", scores_part(report)), ("training", "Training", training_part(report)), ("data", "Data", data_part(report))]
    for split, figures in report.figures_by_split.items():
        sections.append((f"on-{split}", f"A closer look at {split}", "".join(render(figure) for figure in figures)))
    sections.append(("settings", "Settings and machine", settings_part(report)))
    links = "".join(f'<a href="#{escape(name)}">{escape(title)}</a>' for name, title, _ in sections)
    body = "".join(f'<section id="{escape(name)}"><h2>{escape(title)}</h2>{text}</section>' for name, title, text in sections)
    lead = "".join(f"<p>{escape(text)}</p>" for text in [*sentences(report.scores), *report.summary])
    return (f'<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><meta http-equiv="Content-Security-Policy" content="{policy}">'
            f'<meta name="viewport" content="width=device-width, initial-scale=1"><title>{escape(report.title)}</title><style>{style}</style></head>'
            f'<body><header><h1>{escape(report.title)}</h1><p class="meta">{escape(report.task)} · {escape(report.model)} · {escape(report.created)}</p>'
            f'<div class="lead">{lead}</div><nav aria-label="Parts">{links}</nav></header><main>{body}</main>'
            f'<footer>Made by headstart. Every interval is a 95 % bootstrap interval; how each score was made stands in scores.json.</footer>'
            f'<script>{script}</script></body></html>\n')


def splits_of(scores: Mapping[str, Any]) -> list[str]:
    """The splits that have scores, test first."""
    return sorted((name for name in scores if name not in NOT_SPLITS), key=lambda name: (not name.startswith("test"), name))


def scores_part(report: Report) -> str:
    """Ours against baselines as a picture, then every score of every split."""
    return whiskers(report.scores) + "".join(
        f"<h3>{escape(split)}, {next(iter(report.scores[split].values()))['n']:,} rows</h3>" + score_table(report.scores[split])
        for split in splits_of(report.scores) if report.scores[split]) + baseline_table(report.scores)


def score_table(held: Mapping[str, Any]) -> str:
    """Scores with intervals."""
    rows = [[name.replace("_", " "), score["value"], span(score), "" if score["higher_is_better"] else "lower is better"]
            if score["value"] is not None else [name.replace("_", " "), None, score.get("reason"), ""] for name, score in held.items()]
    return table({"columns": ["score", "value", "95 % interval", ""], "rows": rows}, "scores")


def span(score: Mapping[str, Any]) -> str:
    """An interval in short."""
    return "" if score["low"] is None else f"{score['low']:.4f} to {score['high']:.4f}"


def baseline_table(scores: Mapping[str, Any]) -> str:
    """Baselines with the paired difference, time and size."""
    rows = []
    for name, held in (scores.get("baselines") or {}).items():
        for score in list(held["scores"])[:2]:
            gap = held["difference"][score]
            rows.append([name, score.replace("_", " "), held["scores"][score]["value"], gap["value"], span(gap), float(held["seconds"]),
                         f"{held['size_bytes'] / 1e6:.1f} MB"])
    if not rows:
        return ""
    columns = ["baseline", "score", "value", "ours minus it", "95 % interval", "seconds", "size"]
    return "<h3>Was it worth it?</h3>" + table({"columns": columns, "rows": rows}, "baselines")


def whiskers(scores: Mapping[str, Any]) -> str:
    """The first score of the model and of each baseline, with intervals, on one axis."""
    split = judged(scores)
    name = next(iter(scores[split]))
    entries = [("this model", scores[split][name])] + [
        (rival, held["scores"][name]) for rival, held in (scores.get("baselines") or {}).items() if held["split"] == split]
    entries = [(label, score) for label, score in entries if score["value"] is not None]
    if not entries:
        return ""
    ends = [end for _, score in entries for end in (score["low"], score["high"], score["value"]) if end is not None]
    low, high = (0.0, 1.0) if min(ends) >= 0 and max(ends) <= 1 else (min(ends), max(ends) + 1e-9)
    height = 34 * len(entries) + 40

    def at(value: float) -> float:
        return 270 + (value - low) / (high - low) * 300

    parts = [f'<line class="grid" x1="{at(tick):.1f}" x2="{at(tick):.1f}" y1="6" y2="{height - 28}"/>'
             f'<text x="{at(tick):.1f}" y="{height - 10}" text-anchor="middle">{tick:g}</text>' for tick in ticks(low, high)]
    for place, (label, score) in enumerate(entries):
        y, kind = 24 + 34 * place, "s0" if not place else "s1"
        if score["low"] is not None:
            parts.append(f'<line class="whisker {kind}" x1="{at(score["low"]):.1f}" x2="{at(score["high"]):.1f}" y1="{y}" y2="{y}"/>')
        parts.append(f'<circle class="dot {kind}" cx="{at(score["value"]):.1f}" cy="{y}" r="5"/>'
                     f'<text class="label" x="258" y="{y + 4}" text-anchor="end">{escape(label[:40])}</text>'
                     f'<text class="label" x="632" y="{y + 4}" text-anchor="end">{score["value"]:.3f}</text>')
    picture = svg("".join(parts), f"{name} of the model and of baselines").replace("0 0 640 300", f"0 0 640 {height}")
    return (f"<figure><h3>{escape(name.replace('_', ' '))} on {escape(split)}</h3><figcaption>Dots are values, lines their 95 % "
            f"intervals.</figcaption>{picture}</figure>")


def training_part(report: Report) -> str:
    """Curves of loss and dev score, and how the training went."""
    held = curves(report.log)
    score = report.scores.get("best", {}).get("score", "score")
    figures = [Figure("loss", "Loss", "curve", {"x_title": "update", "y_title": "loss", "series": {"training loss": held["loss"]}}),
               Figure("dev", f"{score} on dev", "curve", {"x_title": "update", "y_title": score, "series": {score: held["dev"]}})]
    facts = [[name.replace("_", " "), value] for name, value in (report.scores.get("training") or {}).items()]
    facts += [[f"{name.replace('_', ' ')}, seconds", float(value)] for name, value in (report.scores.get("seconds") or {}).items()]
    best = report.scores.get("best")
    words = f"<p>The checkpoint after update {best['update']:,} was the best on dev, and is the model.</p>" if best else ""
    return words + "".join(render(figure) for figure in figures) + table({"columns": ["training", ""], "rows": facts}, "training")


def data_part(report: Report) -> str:
    """Files, splits, and what the check found."""
    rows = [[one["name"], one["rows"], one["file"], str(one["sha256"])[:12]] for one in report.splits]
    words = "".join(f"<p>{escape(text)}</p>" for text in report.data_words)
    listed = "".join(f'<li class="{finding.level}"><b>{escape(finding.code)}</b> {escape(finding.text().split("] ", 1)[-1].split(chr(10))[0])}'
                     f'<span>{escape(place(finding))}{escape(finding.fix)}</span></li>' for finding in report.findings[:60])
    rest = f"<p>… and {len(report.findings) - 60} more, in data.json.</p>" if len(report.findings) > 60 else ""
    found = f'<h3>What the check found</h3><ul class="findings">{listed}</ul>{rest}' if listed else "<p>The check found nothing to complain about.</p>"
    return table({"columns": ["split", "rows", "file", "SHA-256"], "rows": rows}, "splits") + words + found


def place(finding: Finding) -> str:
    """File and line in front of a finding's advice."""
    return f"{finding.file}:{finding.line}. " if finding.file and finding.line is not None else ""


def settings_part(report: Report) -> str:
    """The command that repeats the run, all settings, the machine."""
    rows = [[name.replace("_", " "), value if isinstance(value, str | int | float) else json.dumps(value)]
            for name, value in report.environment.items() if value is not None]
    return (f"<h3>Do it again</h3><pre>{escape(report.command)}</pre><details><summary>All settings</summary><pre>{escape(report.settings)}</pre>"
            f"</details>{table({'columns': ['machine', ''], 'rows': rows}, 'machine')}")


def render_markdown(report: Report) -> str:
    """The same in text: summary, scores, baselines, data, command."""
    lines = [f"# {flat(report.title)}", "", f"{flat(report.task)} · {flat(report.model)} · {report.created}", ""]
    lines += [*[flat(text) for text in sentences(report.scores)], *map(flat, report.summary), ""]
    for split in splits_of(report.scores):
        lines += [f"## Scores on {flat(split)}", "", "| score | value | 95 % interval |", "|---|---|---|"]
        lines += [f"| {name} | {cell(score['value'])} | {span(score) or flat(score.get('reason') or '')} |"
                  for name, score in report.scores[split].items()]
        lines.append("")
    if report.scores.get("baselines"):
        lines += ["## Baselines", "", "| baseline | score | value | ours minus it | 95 % interval |", "|---|---|---|---|---|"]
        for name, held in report.scores["baselines"].items():
            first = next(iter(held["scores"]))
            gap = held["difference"][first]
            lines.append(f"| {flat(name)} | {first} | {cell(held['scores'][first]['value'])} | {cell(gap['value'])} | {span(gap)} |")
        lines.append("")
    lines += ["## Data", "", *[f"- {flat(text)}" for text in report.data_words],
              *[f"- {finding.code} {flat(finding.message)}" for finding in report.findings[:60]], "", "## Do it again", "",
              f"    {flat(report.command)}", ""]
    return "\n".join(lines)


def flat(text: str) -> str:
    """Text on one line that means nothing to Markdown or HTML."""
    one = " ".join(str(text).split())
    return "".join("\\" + mark if mark in "\\`*_{}[]|#" else {"<": "&lt;", ">": "&gt;"}.get(mark, mark) for mark in one)
