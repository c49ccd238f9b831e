"""A trained model for another runtime, in Python; the same as `headstart export`: `Run.export`, `Model.export`."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from headstart import settings
from headstart.errors import UserError
from headstart.progress import Reporter


def export(reference: str | Path, to: str | Path, *, format: str = "onnx", precision: str = "fp32",
           max_drop: float = 0.5, rows: str | Path | None = None, columns: Mapping[str, str] | None = None,
           data: settings.Data | None = None, evaluation: settings.Evaluation | None = None, overwrite: bool = False,
           reporter: Reporter | None = None) -> dict[str, Any]:
    """Write a run's model (or a model folder's, with `rows`, a labelled file) as an ONNX folder, and give what the gate
    found: scores of both, the paired difference, the share of same answers, speed and size.

    `precision` is fp32, fp16 or int8. An export that scores more than `max_drop` points worse than the original is not
    written. Raises UserError (2, 65, 66, 69, 73, 74).
    """
    from headstart.export.export import Request
    from headstart.export.export import export as write_export
    from headstart.export.table import result_json
    from headstart.prediction.export_facts import FILES

    if format != "onnx":
        raise UserError(f"onnx was expected as the format, but it is {format!r}.")
    if precision not in FILES:
        raise UserError(f"fp32, fp16 or int8 was expected as the precision, but it is {precision!r}.")
    known_precision: Any = precision
    request = Request(str(reference), Path(to), known_precision, max_drop, None if rows is None else str(rows),
                      columns or {}, data or settings.Data(), evaluation or settings.Evaluation(), overwrite)
    return result_json(write_export(request, reporter=reporter or Reporter()))
