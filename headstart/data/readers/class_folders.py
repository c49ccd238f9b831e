"""A folder with a sub-folder for each label, a text file for each row (the layout of IMDB)."""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from headstart.data.readers.table_builder import SKIP, TableBuilder

NUMBERED = re.compile(r"[0-9]+[.]?")
UNLABELLED = ("unsup", "unsupervised", "unlabeled", "unlabelled")  # IMDB's texts without a label


def label_folders(path: Path) -> list[Path]:
    """The sub-folders that hold text files: one for each label; [] when this is no such folder."""
    folders = [entry for entry in sorted(path.iterdir()) if entry.is_dir()
               and next(text_files(entry), None) is not None]
    return folders if len(folders) >= 2 else []


def text_files(folder: Path) -> Iterator[Path]:
    """The texts of a label in no order: *.txt, and files that are called by a number alone (20 Newsgroups)."""
    return (entry for entry in folder.iterdir() if entry.suffix == ".txt" or NUMBERED.fullmatch(entry.name))


def read(path: Path, builder: TableBuilder) -> tuple[str, int]:
    """Fill the table with columns text, label and file; returns the hash over all files, and their size."""
    builder.columns = ("text", "label", "file")
    builder.origin_columns = ("file",)
    builder.format_parts += ["a folder for each label", "txt"]
    digest, size = hashlib.sha256(), 0
    unlabelled: Counter[str] = Counter()
    for label in label_folders(path):
        is_unlabelled = label.name.lower() in UNLABELLED and not builder.text_reading.keeps_whole
        for file in sorted(text_files(label)):
            if is_unlabelled:
                unlabelled[label.name] += 1
                builder.row_count += 1
                continue
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
    if unlabelled:
        words = ", ".join(f"{count:,} in {name}/" for name, count in unlabelled.items())
        builder.add_finding("N106", f"unlabelled texts: {words}.",
                            "They are left out; they can be predicted.")
    return digest.hexdigest(), size
