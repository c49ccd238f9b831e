"""Early exit and full depth compared: a table of text lines, and sentences for the report."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from headstart.reports.score_table import difference_text, score_text


def depth_table(comparison: Mapping[str, Any]) -> list[str]:
    """Layers used, milliseconds per example and the first score of both; then their difference and the speed-up."""
    name, layers = comparison["score"], {"full depth": comparison["layers"],
                                         "early exit": comparison["layers_used"]["value"]}
    lines = [f"{'':<12}{'layers':>8}{'ms/example':>12}  {name} on {comparison['split']}"]
    for depth, scores in comparison["scores"].items():
        lines.append(f"{depth:<12}{layers[depth]:>8.2f}{comparison['milliseconds'][depth]:>12.3f}  "
                     f"{score_text(scores[name])}")
    return [*lines, f"early exit (patience {comparison['patience']}) minus full depth: "
                    f"{difference_text(comparison['difference'][name])}; {comparison['speed']:.2f} times as fast"]


def depth_sentences(comparison: Mapping[str, Any]) -> list[str]:
    """The same for the top of a report."""
    name, used = comparison["score"], comparison["layers_used"]
    interval = "" if used["low"] is None else f" ({used['low']:.2f} to {used['high']:.2f})"
    threshold = "" if comparison["threshold"] is None else f", threshold {comparison['threshold']:.4g}"
    milliseconds = comparison["milliseconds"]
    return [f"A text is answered early (patience {comparison['patience']}{threshold}): after {used['value']:.2f}"
            f"{interval} of {comparison['layers']} layers on average, {comparison['speed']:.2f} times as fast as at "
            f"full depth ({milliseconds['early exit']:.3g} against {milliseconds['full depth']:.3g} ms an example). "
            f"{name.replace('_', ' ')} on {comparison['split']}: full depth "
            f"{score_text(comparison['scores']['full depth'][name])}, early exit minus full depth "
            f"{difference_text(comparison['difference'][name])}."]
