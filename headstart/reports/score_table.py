"""Scores as lines of text and as tables: test first, each baseline once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from headstart.progress import Table, split_table, value_cells
from headstart.reports.fold_words import split_title
from headstart.reports.summary import splits_by_weight


def score_table(scores: Mapping[str, Any]) -> str:
    """Every split's scores with intervals as lines of text, then the baselines."""
    lines = []
    for split in splits_by_weight(scores):
        split_scores = scores[split]
        title = split_title(split, scores)
        count = next(iter(split_scores.values()))["n"] if split_scores else 0
        lines.append(f"{title} ({count:,} row{'' if count == 1 else 's'})" if split_scores else title)
        for name, score in split_scores.items():
            lines.append(f"  {name:<18} {score_text(score)}")
    for name, comparison in (scores.get("baselines") or {}).items():
        best = next(iter(comparison["scores"]))
        lines.append(f"baseline {name}: {best} {score_text(comparison['scores'][best])} on {comparison['split']}; "
                     f"model minus baseline {difference_text(comparison['difference'][best])}")
    return "\n".join(lines)


def score_tables(scores: Mapping[str, Any]) -> list[Table]:
    """The same as tables: one for each split, then one of the baselines by their first score."""
    tables = [split_table(split, scores[split]) for split in splits_by_weight(scores)]
    baselines = scores.get("baselines") or {}
    if not baselines:
        return tables
    first = next(iter(baselines.values()))
    metric, rows = next(iter(first["scores"])), []
    for name, comparison in baselines.items():
        value, _ = value_cells(comparison["scores"][metric])
        rows.append([name, value, *value_cells(comparison["difference"][metric], sign="+")])
    columns = ("baseline", metric, "model minus baseline", "95 % interval")
    return [*tables, Table(f"baselines on {first['split']}", columns, rows)]


def checkpoint_table(rows: Sequence[Mapping[str, Any]]) -> str:
    """A line for each checkpoint, a column for each score."""
    names = list(rows[0]["scores"])
    lines = [["step", *names], *([str(row["step"]), *(score_text(row["scores"][name]).split("  ")[0] for name in names)]
                                 for row in rows)]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return "\n".join("  ".join(cell.rjust(width) for cell, width in zip(line, widths, strict=True)) for line in lines)


def score_text(score: Mapping[str, Any]) -> str:
    """A score with its interval."""
    if score["value"] is None:
        return f"undefined: {score.get('reason')}"
    return interval_text(score, gap="  ")


def difference_text(difference: Mapping[str, Any]) -> str:
    """A difference with its interval."""
    return interval_text(difference, sign="+")


def interval_text(score: Mapping[str, Any], sign: str = "", gap: str = " ") -> str:
    """0.9123 (0.9001 to 0.9240)."""
    if score["value"] is None:
        return "undefined"
    text, ends = f"{score['value']:{sign}.4f}", interval_ends(score, sign)
    return f"{text}{gap}({ends})" if ends else text


def interval_ends(score: Mapping[str, Any], sign: str = "") -> str:
    """0.9001 to 0.9240; "" where there is no interval."""
    return "" if score["low"] is None else f"{score['low']:{sign}.4f} to {score['high']:{sign}.4f}"
