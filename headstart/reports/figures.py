"""Every figure of the contract as HTML or inline SVG; all text from the user's data is escaped."""

from __future__ import annotations

from headstart.contract import Figure
from headstart.reports import matrix, plots, reading
from headstart.reports.cells import escape, table

RENDERERS = {"table": table, "matrix": matrix.matrix, "bars": plots.bars, "curve": plots.curve,
             "scatter": plots.scatter, "token_bars": plots.token_bars, "texts": reading.texts, "words": reading.texts,
             "spans": reading.spans, "beside": reading.beside}


def render(figure: Figure, prefix: str = "") -> str:
    """One figure with title and caption; `prefix` keeps the names of two splits' figures apart."""
    caption = f"<figcaption>{escape(figure.caption)}</figcaption>" if figure.caption else ""
    return (f'<figure id="{escape(prefix + figure.name)}"><h3>{escape(figure.title)}</h3>{caption}'
            f"{RENDERERS[figure.kind](figure.data, figure.title)}</figure>")
