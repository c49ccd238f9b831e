"""Results that grow line by line, and the section of a page that is written from them."""

import json
import os
from pathlib import Path
from typing import Any


def read_lines(path: Path) -> list[dict[str, Any]]:
    """Every result that was finished; a line that a kill cut off is left out."""
    results = []
    for line in path.read_text(encoding="utf-8").splitlines() if path.exists() else []:
        try:
            results.append(json.loads(line))
        except json.JSONDecodeError:
            continue
    return results


def json_line(result: dict[str, Any]) -> str:
    return json.dumps(result, separators=(",", ":")) + "\n"


def append_line(path: Path, result: dict[str, Any]) -> None:
    """One line, written at once and flushed to the disk; a line that a kill cut off is ended first."""
    path.parent.mkdir(exist_ok=True)
    with path.open("ab+") as file:
        file.seek(max(0, file.seek(0, os.SEEK_END) - 1))
        start = b"" if file.read(1) in (b"", b"\n") else b"\n"
        file.write(start + json_line(result).encode())
        file.flush()
        os.fsync(file.fileno())


def write_section(page: Path, name: str, text: str) -> None:
    """Put a section into the page: between <!-- NAME: begin --> and <!-- NAME: end -->, else at the end."""
    begin, end = f"<!-- {name}: begin -->", f"<!-- {name}: end -->"
    content = page.read_text(encoding="utf-8")
    section = f"{begin}\n{text.strip()}\n{end}"
    before, separator, rest = content.partition(begin)
    page.write_text(before + section + rest.partition(end)[2] if separator else f"{content.rstrip()}\n\n{section}\n",
                    encoding="utf-8")
