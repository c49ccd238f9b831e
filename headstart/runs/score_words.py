"""Scores as lines of text."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from headstart.runs.summary import NOT_SPLITS


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
    if score["low"] is None:
        return f"{score['value']:.4f}"
    return f"{score['value']:.4f}  ({score['low']:.4f} to {score['high']:.4f})"


def signed(difference: Mapping[str, Any]) -> str:
    """A difference with its interval."""
    if difference["value"] is None:
        return "undefined"
    if difference["low"] is None:
        return f"{difference['value']:+.4f}"
    return f"{difference['value']:+.4f} ({difference['low']:+.4f} to {difference['high']:+.4f})"
