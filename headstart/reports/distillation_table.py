"""Teacher and student compared: a table of text lines, and sentences for the report."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from headstart.reports.score_table import difference_text, score_text


def distillation_table(comparison: Mapping[str, Any]) -> list[str]:
    """Parameters, layers, milliseconds per example and the first score of both; then their difference and the speed-up.
    """
    name = comparison["score"]
    lines = [f"{'':<10}{'parameters':>14}{'layers':>8}{'ms/example':>12}  {name} on {comparison['split']}"]
    for role, model in comparison["models"].items():
        lines.append(f"{role:<10}{model['parameters']:>14,}{model['layers']:>8}{model['milliseconds']:>12.3f}  "
                     f"{score_text(model['scores'][name])}")
    return [*lines, f"student minus teacher: {difference_text(comparison['difference'][name])}; "
                    f"{comparison['speed']:.2f} times as fast"]


def distillation_sentences(comparison: Mapping[str, Any]) -> list[str]:
    """The same for the top of a report."""
    teacher, student = comparison["models"]["teacher"], comparison["models"]["student"]
    name = comparison["score"]
    return [f"This model is a student of {comparison['teacher']}: {student['layers']} of {teacher['layers']} layers, "
            f"{student['parameters'] / teacher['parameters']:.0%} of the parameters, {comparison['speed']:.2f} times "
            f"as fast ({student['milliseconds']:.3g} against {teacher['milliseconds']:.3g} ms an example). "
            f"{name.replace('_', ' ')} on {comparison['split']}: teacher {score_text(teacher['scores'][name])}, "
            f"student minus teacher {difference_text(comparison['difference'][name])}."]
