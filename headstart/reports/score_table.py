"""Scores as lines of text."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from headstart.reports.summary import NOT_SPLITS


def score_table(scores: Mapping[str, Any]) -> str:
    """Every split's scores with intervals as lines of text."""
    lines = []
    for split, split_scores in scores.items():
        if split in NOT_SPLITS:
            continue
        lines.append(f"{split} ({next(iter(split_scores.values()))['n']:,} rows)" if split_scores else split)
        for name, score in split_scores.items():
            lines.append(f"  {name:<18} {score_text(score)}")
    for name, comparison in (scores.get("baselines") or {}).items():
        best = next(iter(comparison["scores"]))
        lines.append(f"baseline {name}: {best} {score_text(comparison['scores'][best])} on {comparison['split']}; "
                     f"model minus baseline {difference_text(comparison['difference'][best])}")
    return "\n".join(lines)


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
    text = f"{score['value']:{sign}.4f}"
    return text if score["low"] is None else f"{text}{gap}({score['low']:{sign}.4f} to {score['high']:{sign}.4f})"
