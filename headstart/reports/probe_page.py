"""The page of a layer probe: a curve with its intervals, and the same in a table. No network, all text escaped."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from headstart.contract import Figure
from headstart.files import write_text
from headstart.reports.cells import escape
from headstart.reports.figures import render
from headstart.reports.page_frame import whole_page

if TYPE_CHECKING:
    from headstart.inspection.probe import Probe


def probe_figures(probe: Probe) -> list[Figure]:
    """The curve over the layers, and the table."""
    series: dict[str, list[list[float]]] = {"macro F1": [], "interval, low": [], "interval, high": [],
                                            "always the majority": [[layer.number, probe.majority]
                                                                    for layer in probe.layers]}
    for layer in probe.layers:
        for name, value in zip(series, (layer.macro_f1.value, layer.macro_f1.low, layer.macro_f1.high), strict=False):
            if value is not None:
                series[name].append([layer.number, value])
    columns = ["", "macro F1", "low", "high", "share of the last layer's", "minus the last", "low", "high", "accuracy"]
    rows = [["embeddings" if layer.number == 0 else f"layer {layer.number}", layer.macro_f1.value, layer.macro_f1.low,
             layer.macro_f1.high, probe.share(layer), layer.difference_from_last.value, layer.difference_from_last.low,
             layer.difference_from_last.high, layer.accuracy.value]
            for layer in probe.layers]
    axes = {"x_title": "layer (0: the embeddings)", "y_title": "macro F1"}
    return [Figure("layers", "Macro F1 over the layers", "curve", {**axes, "series": series}, probe.sentence()),
            Figure("scores", "In numbers", "table", {"columns": columns, "rows": rows})]


def write_probe_page(probe: Probe, path: Path, model: str, data: str) -> Path:
    """Write the page, whole or not at all; raises UserError (74)."""
    details = (f"{escape(model)} · {escape(data)} · {len(probe.labels)} labels · fitted on {probe.train_rows:,} rows, "
             f"evaluated on {probe.test_rows:,} others")
    figure_html = "".join(map(render, probe_figures(probe)))
    text = whole_page(f"Layers of {model}", f'<h1>Probing the layers</h1><p class="meta">{details}</p>',
                      f"<section><h2>Layer by layer</h2>{figure_html}</section>",
                      "Made by headstart. A logistic regression on each layer's mean state; every interval is a 95 % "
                      "bootstrap interval.")
    write_text(path, text, "Choose another place.")
    return path
