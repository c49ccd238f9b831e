"""Labelled texts of a file, for an attribute head."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from headstart.data.table import open_table
from headstart.errors import Exit, UserError, nearest
from headstart.progress import Voice
from headstart.settings import Data

if TYPE_CHECKING:
    from headstart.models.model import Model


def learn(model: Model, path: str, to: Path, *, text: str, label: str, data: Data, voice: Voice) -> dict[str, Any]:
    """Train an attribute head on a file and save it; raises UserError (65, 66, 73)."""
    from headstart.generation.steering.attributes import train

    table = open_table(path, data)
    for name, flag in ((text, "--text"), (label, "--label")):
        if name not in table.columns:
            near = nearest(name, table.columns)
            raise UserError(f"{path} has no column {name!r}; it has {', '.join(map(repr, table.columns))}.",
                            fix=f"Name it with {flag}{f' {near}' if near else ''}.", exit=Exit.DATA)
    places = [list(table.columns).index(name) for name in (text, label)]
    rows, empty = [], 0
    for record in table:
        values = [str(record.values[place] or "").strip() for place in places]
        if all(values):
            rows.append((values[0], values[1]))
        else:
            empty += 1
    if empty:
        voice.say(f"left out {empty:,} rows without a text or a label")
    return train(model, rows, to, voice.say)
