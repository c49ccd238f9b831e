"""What was written of a folder's parts: `_manifest.json` beside them, by which an interrupted prediction goes on.

    {"of": "3f…", "complete": true, "rows": 4000, "parts": [
      {"source": "part-0.csv", "first_row": 0, "name": "part-0.csv", "rows": 2000, "bytes": 90122, "sha256": "…",
       "source_bytes": 81200, "source_modified": "…"}, …]}

`of` is a hash of all that predictions depend on: model, settings, columns. The rows of all parts are numbered on from
part to part, in the order of their names: `first_row` is the number of a part's first row.
"""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from headstart.errors import Exit, UserError
from headstart.files import sha256
from headstart.prediction.on_ray.places import FileStatus, Place

NAME = "_manifest.json"  # what begins with an underscore is no rows to Spark, Hive and Ray either
SECONDS_BETWEEN = 5.0  # of writing it whole: what ended since then is predicted again


@dataclass(frozen=True)
class FinishedPart:
    """A part that was written, whole, and the input that it was made of."""

    name: str
    rows: int
    bytes: int
    sha256: str
    source_bytes: int
    source_modified: str


def finished_part(source: FileStatus, output_path: Path, *, rows: int) -> FinishedPart:
    """What a part is by the file that was written of it."""
    return FinishedPart(source.name, rows, output_path.stat().st_size, sha256(output_path), source.size,
                        source.modified)


@dataclass
class Manifest:
    """The finished parts in a folder, by the names of their inputs."""

    folder: Place
    key: str
    parts: dict[str, FinishedPart] = field(default_factory=dict)
    written_at: float = 0.0

    @property
    def place(self) -> Place:
        """Its file."""
        return self.folder / NAME

    def load(self, *, overwrite: bool) -> None:
        """Take what an earlier command finished; raises UserError (73) where the folder holds something else, unless
        `overwrite`.
        """
        if self.place.lookup() is None:
            if not overwrite and self.folder.is_folder() and self.folder.files():
                raise in_the_way(f"{self.folder.text} holds files already")
            return
        try:
            content = json.loads(self.place.read())
            is_same = content["of"] == self.key
            parts = {entry["source"]: FinishedPart(**{name: entry[name] for name in FinishedPart.__annotations__})
                     for entry in content["parts"]}
        except (ValueError, KeyError, TypeError):
            is_same, parts = False, {}
        if is_same:
            self.parts = parts
        elif not overwrite:
            raise in_the_way(f"{self.folder.text} holds predictions of another model, other settings or columns "
                             f"({NAME})")

    def holds(self, source: FileStatus) -> bool:
        """Whether the part of an input is there as it was written, and the input has not changed since."""
        part = self.parts.get(source.name)
        if part is None or (part.source_bytes, part.source_modified) != (source.size, source.modified):
            return False
        place = self.folder / part.name
        present = place.lookup()
        return present is not None and present.size == part.bytes and (
            not place.is_local or sha256(place.text) == part.sha256)

    def add(self, source: str, part: FinishedPart) -> None:
        """One more part, of this input."""
        self.parts[source] = part
        if time.monotonic() - self.written_at > SECONDS_BETWEEN:
            self.write(sorted(self.parts), is_complete=False)

    def write(self, sources: Sequence[str], *, is_complete: bool) -> int:
        """Write the file, of these inputs; how many rows they have."""
        entries: list[dict[str, Any]] = []
        rows = 0
        for source in sources:
            part = self.parts[source]
            entries.append({"source": source, "first_row": rows if is_complete else None, **asdict(part)})
            rows += part.rows
        content = {"of": self.key, "complete": is_complete, "rows": rows, "parts": entries}
        self.place.write((json.dumps(content, ensure_ascii=False, indent=1) + "\n").encode("utf-8", "surrogatepass"))
        self.written_at = time.monotonic()
        return rows


def in_the_way(reason: str) -> UserError:
    """The error for a folder that is not ours to fill (73)."""
    return UserError(f"{reason}; nothing was overwritten.", fix="Name another folder with --to, or pass --overwrite.",
                     exit=Exit.EXISTS)
