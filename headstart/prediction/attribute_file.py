"""A steering head (PPLM's attribute model) trained on a file's labelled texts."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from headstart.data.table import open_table
from headstart.errors import Exit, UserError, nearest
from headstart.generation.steering.attributes import train_head
from headstart.progress import Reporter
from headstart.settings import Data

if TYPE_CHECKING:
    from headstart.models.model import Model


def train_steering_head(model: Model, path: str, to: Path, *, text: str, label: str, data: Data,
                        reporter: Reporter) -> dict[str, Any]:
    """Train a steering head on a file and save it; raises UserError (65, 66, 73)."""
    table = open_table(path, data)
    for name, flag in ((text, "--text"), (label, "--label")):
        if name not in table.columns:
            suggestion = nearest(name, table.columns)
            raise UserError(f"{path} has no column {name!r}; it has {', '.join(map(repr, table.columns))}.",
                            fix=f"Name it with {flag}{f' {suggestion}' if suggestion else ''}.", exit=Exit.DATA)
    column_indices = [list(table.columns).index(name) for name in (text, label)]
    rows, skipped = [], 0
    for record in table:
        values = [str(record.values[index] or "").strip() for index in column_indices]
        if all(values):
            rows.append((values[0], values[1]))
        else:
            skipped += 1
    if skipped:
        reporter.info(f"skipped {skipped:,} rows without a text or a label")
    return train_head(model, rows, to, reporter.info)
