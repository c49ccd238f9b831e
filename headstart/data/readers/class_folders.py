"""A folder with a sub-folder for each label, a text file for each row (the layout of IMDB)."""

from __future__ import annotations

import hashlib
from pathlib import Path

from headstart.data.readers.table_builder import SKIP, Sheet


def labels_in(path: Path) -> list[Path]:
    """The sub-folders that hold text files: one for each label; [] when this is no such folder."""
    found = [one for one in sorted(path.iterdir()) if one.is_dir() and next(one.glob("*.txt"), None) is not None]
    return found if len(found) >= 2 else []


def read(path: Path, sheet: Sheet) -> tuple[str, int]:
    """Fill the sheet with columns text, label and file; gives the hash over all files, and their size."""
    sheet.columns = ("text", "label", "file")
    sheet.words += ["a folder for each label", "txt"]
    digest, size = hashlib.sha256(), 0
    for label in labels_in(path):
        for file in sorted(label.glob("*.txt")):
            held = file.read_bytes()
            size += len(held)
            name = f"{label.name}/{file.name}"
            digest.update(name.encode() + b"\0" + hashlib.sha256(held).digest())
            try:
                text = held.decode("utf-8-sig")
            except UnicodeDecodeError:
                try:
                    text = held.decode("cp1252")
                    sheet.found("N101", f"{name} is not UTF-8; it is read as cp1252.")
                except UnicodeDecodeError as error:
                    sheet.found("E103", f"{name}: the bytes are of no known encoding (at byte {error.start}).",
                                f"Save it as UTF-8, or {SKIP}", row=True)
                    continue
            sheet.row((text, label.name, name), None, len(text) + 200)
    return digest.hexdigest(), size
