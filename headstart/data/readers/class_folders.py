"""A folder with a sub-folder for each label, a text file for each row (the layout of IMDB)."""

from __future__ import annotations

import hashlib
from pathlib import Path

from headstart.data.readers.table_builder import SKIP, TableBuilder


def label_folders(path: Path) -> list[Path]:
    """The sub-folders that hold text files: one for each label; [] when this is no such folder."""
    folders = [entry for entry in sorted(path.iterdir()) if entry.is_dir()
               and next(entry.glob("*.txt"), None) is not None]
    return folders if len(folders) >= 2 else []


def read(path: Path, builder: TableBuilder) -> tuple[str, int]:
    """Fill the table with columns text, label and file; returns the hash over all files, and their size."""
    builder.columns = ("text", "label", "file")
    builder.format_parts += ["a folder for each label", "txt"]
    digest, size = hashlib.sha256(), 0
    for label in label_folders(path):
        for file in sorted(label.glob("*.txt")):
            content = file.read_bytes()
            size += len(content)
            name = f"{label.name}/{file.name}"
            digest.update(name.encode() + b"\0" + hashlib.sha256(content).digest())
            try:
                text = content.decode("utf-8-sig")
            except UnicodeDecodeError:
                try:
                    text = content.decode("cp1252")
                    builder.add_finding("N101", f"{name} is not UTF-8; it is read as cp1252.")
                except UnicodeDecodeError as error:
                    builder.add_finding("E103", f"{name}: the bytes are of no known encoding (at byte {error.start}).",
                                        f"Save it as UTF-8, or {SKIP}", row=True)
                    continue
            builder.add_row((text, label.name, name), None, len(text) + 200)
    return digest.hexdigest(), size
