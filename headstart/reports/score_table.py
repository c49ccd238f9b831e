"""Scores as lines of text."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from headstart.reports.summary import NOT_SPLITS


def score_table(scores: Mapping[str, Any]) -> str:
    """Every split's scores with intervals as lines of text."""
    lines = []
    for split, held in scores.items():
        if split in NOT_SPLITS:
            continue
        lines.append(f"{split} ({next(iter(held.values()))['n']:,} rows)" if held else split)
        for name, score in held.items():
            lines.append(f"  {name:<18} {shown(score)}")
    for name, held in (scores.get("baselines") or {}).items():
        best = next(iter(held["scores"]))
        lines.append(f"baseline {name}: {best} {shown(held['scores'][best])} on {held['split']}; "
                     f"ours minus it {signed(held['difference'][best])}")
    return "\n".join(lines)


def checkpoint_table(rows: Sequence[Mapping[str, Any]]) -> str:
    """A line a checkpoint, a column a score."""
    names = list(rows[0]["scores"])
    lines = [["update", *names], *([str(row["update"]), *(shown(row["scores"][name]).split("  ")[0] for name in names)] for row in rows)]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return "\n".join("  ".join(cell.rjust(width) for cell, width in zip(line, widths, strict=True)) for line in lines)


def shown(score: Mapping[str, Any]) -> str:
    """A score with its interval."""
    if score["value"] is None:
        return f"undefined: {score.get('reason')}"
    return interval_words(score, gap="  ")


def signed(difference: Mapping[str, Any]) -> str:
    """A difference with its interval."""
    return interval_words(difference, sign="+")


def interval_words(score: Mapping[str, Any], sign: str = "", gap: str = " ") -> str:
    """0.9123 (0.9001 to 0.9240)."""
    if score["value"] is None:
        return "undefined"
    words = f"{score['value']:{sign}.4f}"
    return words if score["low"] is None else f"{words}{gap}({score['low']:{sign}.4f} to {score['high']:{sign}.4f})"
