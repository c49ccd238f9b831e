"""Where `headstart inspect` writes: a file for each text, never over one that stands there unasked."""

from __future__ import annotations

import argparse
from pathlib import Path

from headstart.data.outputs.place import check_output


def numbered_path(path: str, number: int, count: int) -> Path:
    """The file of one text: the path as it is, or with -1, -2 … where there are several texts."""
    file = Path(path)
    return file if count == 1 else file.with_name(f"{file.stem}-{number}{file.suffix}")


def check_places(arguments: argparse.Namespace) -> None:
    """Refuse every file that would be written over, before a model is read; raises UserError (73, 74)."""
    inputs = [path for path in (arguments.probe, arguments.settings) if path]
    count = max(1, len(arguments.texts))
    for flag, path in (("--to", arguments.to), ("--page", arguments.page)):
        for number in range(1, count + 1) if path else ():
            check_output(numbered_path(path, number, count), overwrite=arguments.overwrite, inputs=inputs, flag=flag)
