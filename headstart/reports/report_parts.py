"""The parts of a report's page, as HTML."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from headstart.contract import Figure, Json
from headstart.errors import Finding, finding_groups
from headstart.progress import value_cells
from headstart.reports.card_html import card_html
from headstart.reports.cells import cell, escape, scroll_box, table
from headstart.reports.figures import render
from headstart.reports.fold_words import fold_columns, fold_rows, split_title
from headstart.reports.plots import dot_rows
from headstart.reports.report_content import Report, is_slice
from headstart.reports.score_table import interval_ends, interval_text
from headstart.reports.summary import (
    BETTER,
    VERDICTS,
    WORSE,
    best_baseline,
    evaluation_split,
    first_scores,
    headline_score,
    interval_clause,
    is_frozen,
    points_interval,
    points_text,
    score_sentences,
    splits_by_weight,
    training_series,
    value_text,
)
from headstart.reports.training_words import training_sentences

MAX_SIMILAR = 20  # findings of one code that are listed after the first
SLICE_SCORES = 2  # scores of a slice in the table of slices


def lead_part(report: Report) -> str:
    """The verdict, the figures that it rests on, and what else is to be known of them."""
    sentences = [*score_sentences(report.scores), *report.summary]
    verdict = next((sentence for sentence in sentences if sentence.startswith(VERDICTS)), sentences[0])
    css_class = "worse" if verdict.startswith(WORSE) else "better" if verdict.startswith(BETTER) else "open"
    other_sentences = "".join(f"<p>{escape(text)}</p>" for text in sentences if text != verdict)
    return (f'<div class="lead"><p class="verdict {css_class}">{escape(verdict)}</p>{key_figures(report.scores)}'
            f"{other_sentences}</div>")


def key_figures(scores: Mapping[str, Any]) -> str:
    """The score of the verdict, the best baseline's, the difference, and the rows that they were measured on."""
    split, name = evaluation_split(scores), headline_score(scores)
    score, title = scores[split][name], name.replace("_", " ")
    if score["value"] is None:
        return ""
    entries = [(f"{title} on {split_title(split, scores)}", value_text(name, score["value"]),
                interval_clause(name, score)), ("rows that it was measured on", f"{score['n']:,}", "")]
    baseline = best_baseline(scores, name)
    if baseline is not None:
        reference, difference = baseline[1]["scores"][name], baseline[1]["difference"][name]
        entries[1:1] = [(f"{baseline[0]} (best baseline)", value_text(name, reference["value"]),
                         interval_clause(name, reference)),
                        ("model minus baseline", points_text(name, difference["value"]), "" if difference["low"] is None
                         else points_interval(name, difference["low"], difference["high"]))]
    return f'<dl class="key">{"".join(key_figure(*entry) for entry in entries)}</dl>'


def key_figure(term: str, value: str, note: str) -> str:
    """One of the figures at the top, with its interval."""
    small = f"<small>{escape(note.strip(' ()'))}</small>" if note else ""
    return f"<div><dt>{escape(term)}</dt><dd>{escape(value)}{small}</dd></div>"


def scores_part(report: Report) -> str:
    """The model and baselines as a plot, then every score of every split with its slices; test first."""
    scores, parts = report.scores, []
    for split in splits_by_weight(scores):
        if scores[split] and not is_slice(split, report):
            rows = next(iter(scores[split].values()))["n"]
            parts += [f"<h3>{escape(split_title(split, scores))}, {rows:,} rows</h3>",
                      score_table(scores[split], f"Scores on {split}"), slices_part(report, split)]
    return "".join([comparison_plot(scores), *parts[:2], baseline_table(scores), *parts[2:], fold_table(scores)])


def slices_part(report: Report, split: str) -> str:
    """The slices of a split beside the whole of it, as dots, and with some scores in a table; "" for none."""
    scores = report.scores
    names = [name for name in scores if is_slice(name, report) and name.startswith(f"{split}/")]
    if not names or split not in report.figures_by_split:
        return ""
    score_names, title = list(scores[split])[:SLICE_SCORES], f"Slices of {split}"
    entries = [(f"all of {split}", scores[split])] + [(f"{name} (empty)" if name.endswith("/") else name, scores[name])
                                                      for name in names]
    first = score_names[0]
    dot_entries = [(label, part[first]) for label, part in entries if part[first]["value"] is not None]
    rows = [[label, part[first]["n"], *(score_text(part.get(name)) for name in score_names)]
            for label, part in entries]
    columns = ["slice", "rows", *(score.replace("_", " ") for score in score_names)]
    return (f'<h3>{escape(title)}</h3><p class="note">{escape(first.replace("_", " "))}, with 95 % intervals. '
            f"{len(score_names)} scores of each slice are listed; scores.json has all.</p>"
            f"{dot_rows(dot_entries, title) if dot_entries else ''}{table({'columns': columns, 'rows': rows}, title)}")


def score_text(score: Mapping[str, Any] | None) -> Json:
    """A score with its interval in one cell."""
    return None if score is None or score["value"] is None else interval_text(score)


def fold_table(scores: Mapping[str, Any]) -> str:
    """The folds, each with its scores; "" where there are none."""
    if not scores.get("folds"):
        return ""
    return "<h3>Fold by fold</h3>" + table({"columns": fold_columns(scores), "rows": fold_rows(scores)}, "Folds")


def score_table(split_scores: Mapping[str, Any], title: str) -> str:
    """Scores with intervals; of an undefined one, why."""
    rows = []
    for name, score in split_scores.items():
        note = "" if score["higher_is_better"] else "<small>lower is better</small>"
        _, interval = value_cells(score)
        rows.append(f'<tr><th scope="row">{escape(name.replace("_", " "))}{note}</th><td class="n">'
                    f'{cell(score["value"])}</td><td>{escape(interval)}</td></tr>')
    head = '<th scope="col">score</th><th scope="col" class="n">value</th><th scope="col">95 % interval</th>'
    return scroll_box(f'<table class="sortable"><thead><tr>{head}</tr></thead><tbody>{"".join(rows)}</tbody></table>',
                      title)


def baseline_table(scores: Mapping[str, Any]) -> str:
    """Baselines with the paired difference, time and size."""
    rows = []
    for name, comparison in (scores.get("baselines") or {}).items():
        for score in list(comparison["scores"])[:2]:
            difference = comparison["difference"][score]
            rows.append([name, score.replace("_", " "), comparison["scores"][score]["value"], difference["value"],
                         interval_ends(difference), float(comparison["seconds"]),
                         f"{comparison['size_bytes'] / 1e6:.1f} MB"])
    if not rows:
        return ""
    columns = ["baseline", "score", "value", "model minus baseline", "95 % interval", "seconds", "size"]
    return "<h3>Model and baselines</h3>" + table({"columns": columns, "rows": rows}, "baselines")


def comparison_plot(scores: Mapping[str, Any]) -> str:
    """The first score of the model and of each baseline, with intervals, on one axis."""
    name, model_and_baselines = first_scores(scores)
    entries = [(label, score) for label, score in model_and_baselines if score["value"] is not None]
    if not entries:
        return ""
    title = f"{name.replace('_', ' ')} on {evaluation_split(scores)}"
    return (f"<figure><h3>{escape(title)}</h3><figcaption>Dots are values, lines their 95 % intervals.</figcaption>"
            f"{dot_rows(entries, title)}</figure>")


def training_part(report: Report) -> str:
    """Curves of loss and dev score, and how the training went."""
    facts = [[name.replace("_", " "), value] for name, value in (report.scores.get("training") or {}).items()]
    facts += [[f"{name.replace('_', ' ')}, seconds", float(value)]
              for name, value in (report.scores.get("seconds") or {}).items()]
    fact_table = table({"columns": ["training", ""], "rows": facts}, "training")
    if facts and not report.scores.get("training", {}).get("steps", 1):
        return f"<p>No step was trained: the model's weights are as they were, below a fitted head.</p>{fact_table}"
    notes = "".join(f"<p>{escape(text)}</p>" for text in (*best_note(report.scores),
                                                        *training_sentences(report.scores, report.log)))
    return notes + "".join(render(figure) for figure in training_figures(report)) + fact_table


def best_note(scores: Mapping[str, Any]) -> list[str]:
    """Which checkpoint is the model; [] where it is not known."""
    best = scores.get("best")
    if not best:
        return []
    if not best["split"]:
        origin = "is the last (no dev rows were set aside to choose one)"
    else:
        origin = "was the only one that dev scored" if best.get("candidates") == 1 else "was the best on dev"
    end = ("but the saved model is the frozen encoder, not this one" if is_frozen(scores) else "and is the model")
    return [f"The checkpoint after step {best['step']:,} {origin}, {end}."]


def training_figures(report: Report) -> list[Figure]:
    """The curves of the loss and of the score on dev."""
    series = training_series(report.log, report.scores)
    score = str(report.scores.get("best", {}).get("score") or "score").replace("_", " ")
    figures = [Figure("loss", "Loss", "curve", {"x_title": "step", "y_title": "loss",
                                                "series": {"training loss": series["loss"]}})]
    if not report.scores.get("folds"):  # else nothing is scored while the saved model is trained
        figures.append(Figure("dev", f"{score} on dev", "curve",
                              {"x_title": "step", "y_title": score, "series": {score: series["dev"]}}))
    return figures


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
    similar_list = f"<ul>{similar}{unlisted}</ul>"
    details = f"<details><summary>{count:,} more like it</summary>{similar_list}</details>" if count else ""
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


def card_part(report: Report) -> str:
    """The model card, as it lies beside the saved model."""
    return ('<p>It goes with the model, as README.md of its folder.</p><details><summary>Read the card</summary>'
            f'<div class="card">{card_html(report.card)}</div></details>')
