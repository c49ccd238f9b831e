"""A dataset of the hub, through the `datasets` extra."""

from __future__ import annotations

import contextlib
import os
from typing import Any

from headstart.data.readers.arrow_values import json_value
from headstart.data.readers.table_builder import TableBuilder
from headstart.errors import Exit, UserError

ALTERNATIVES = ("Download it as csv, jsonl or parquet and give the file; or fill the offline cache (HF_HOME) on a "
                "machine with network.")


def load(name: str) -> Any:
    """All splits of a dataset; raises UserError (69) with alternatives when it is not available."""
    try:
        import datasets
    except ImportError:
        raise UserError(f"There is no file or folder {name}; hub datasets need the datasets package.",
                        fix="Check the path, or pip install 'headstart[datasets]'.", exit=Exit.NO_INPUT) from None
    os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
    with contextlib.suppress(AttributeError):
        datasets.disable_progress_bars()
    owner, _, config = name.partition(":")
    try:
        return datasets.load_dataset(owner, config or None)
    except Exception as error:  # the library and its transport raise many kinds
        reason = " ".join(str(error).split())[:160]
        raise UserError(f"{name} is not a file or folder here, and the hub did not give a dataset of that name "
                        f"({type(error).__name__}: {reason}).", fix=ALTERNATIVES, exit=Exit.UNAVAILABLE) from None


def fill(split: Any, builder: TableBuilder) -> None:
    """The rows of one split; class numbers become their names."""
    builder.columns = tuple(split.column_names)
    builder.format_parts.append("hub dataset")
    class_names = {name: feature.names for name, feature in split.features.items() if hasattr(feature, "names")}
    for row in split:
        values = tuple(class_names[key][row[key]] if key in class_names and row[key] is not None and row[key] >= 0 else
                       None if key in class_names else json_value(row[key]) for key in builder.columns)
        builder.note_types(values)
        builder.add_row(values, None, sum(len(str(value)) for value in values) + 60 * len(values))
