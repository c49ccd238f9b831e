"""Teacher and student side by side, as lines of text, for the report, and as sentences."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from headstart.reports.score_table import shown, signed


def table(held: Mapping[str, Any]) -> list[str]:
    """Lines: parameters, milliseconds an example, and the first score with its interval; then what the student lost and won."""
    name = held["score"]
    lines = [f"{'':<10}{'parameters':>14}{'layers':>8}{'ms/example':>12}  {name} on {held['split']}"]
    for who, one in held["models"].items():
        lines.append(f"{who:<10}{one['parameters']:>14,}{one['layers']:>8}{one['milliseconds']:>12.3f}  {shown(one['scores'][name])}")
    return [*lines, f"student minus teacher: {signed(held['difference'][name])}; {held['speed']:.2f} times as fast"]


def sentences(held: Mapping[str, Any]) -> list[str]:
    """The same for the top of a report."""
    teacher, student = held["models"]["teacher"], held["models"]["student"]
    name = held["score"]
    return [f"This model is a student of {held['teacher']}: {student['layers']} of {teacher['layers']} layers, "
            f"{student['parameters'] / teacher['parameters']:.0%} of the parameters, {held['speed']:.2f} times as fast "
            f"({student['milliseconds']:.3g} against {teacher['milliseconds']:.3g} ms an example). "
            f"{name.replace('_', ' ')} on {held['split']}: teacher {shown(teacher['scores'][name])}, "
            f"student minus teacher {signed(held['difference'][name])}."]
