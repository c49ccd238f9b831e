"""report.md: the same run in text."""

from __future__ import annotations

from collections.abc import Sequence

from headstart.errors import Finding, finding_groups
from headstart.reports.cells import cell
from headstart.reports.fold_words import split_title
from headstart.reports.report_content import Report
from headstart.reports.score_table import interval_ends
from headstart.reports.summary import score_sentences, splits_by_weight


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
                  f"{interval_ends(score) or markdown_text(score.get('reason') or '')} |"
                  for name, score in report.scores[split].items()]
        lines.append("")
    if report.scores.get("baselines"):
        lines += ["## Baselines", "", "| baseline | score | value | model minus baseline | 95 % interval |",
                  "|---|---|---|---|---|"]
        for name, comparison in report.scores["baselines"].items():
            score_name = next(iter(comparison["scores"]))
            difference = comparison["difference"][score_name]
            lines.append(f"| {markdown_text(name)} | {score_name} | {cell(comparison['scores'][score_name]['value'])} "
                         f"| {cell(difference['value'])} | {interval_ends(difference)} |")
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
