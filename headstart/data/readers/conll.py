"""CoNLL columns: a token a line, its tag in the last column, sentences parted by blank lines."""

from __future__ import annotations

import re
from collections.abc import Iterator

from headstart.data.raw import Raw, damaged, encoding_of
from headstart.data.readers.delimited import lines
from headstart.data.sheet import SKIP, Sheet
from headstart.settings import Data

TAG = re.compile(r"(O|[BIESLUM]-\S+)\Z")
NAMES = ("conll", "txt", "tsv", "")  # what such a file may be called
DOCUMENT = "-DOCSTART-"
ENOUGH = 0.95  # share of the lines that must look like it


def looks_like(start: bytes, named: str) -> bool:
    """Whether the beginning of a file is tokens with tags."""
    if named not in NAMES:
        return False
    whole = start.decode("utf-8-sig", errors="replace").replace("\r\n", "\n")
    held = whole.split("\n")[:-1] if len(start) >= 2**16 else whole.split("\n")
    rows = [line for line in held if line.strip() and not line.startswith((DOCUMENT, "# "))]
    if not rows or (named != "conll" and "" not in [line.strip() for line in held]):
        return False
    parts = [line.split("\t") if "\t" in line else line.split() for line in rows]
    tagged = [one for one in parts if len(one) > 1 and TAG.match(one[-1].strip())]
    return len(tagged) >= ENOUGH * len(rows) and (named == "conll" or any(one[-1].strip() != "O" for one in tagged))


def read(raw: Raw, sheet: Sheet, settings: Data, start: bytes, suffix: str) -> None:
    """Fill the sheet, a row a sentence: `tokens` and `tags`, two lists."""
    encoding = encoding_of(raw, start, settings.encoding)
    sheet.columns = ("tokens", "tags")
    sheet.words += ["conll", encoding]
    first: tuple[int, bool] | None = None  # columns, and whether a tab parts them
    with damaged(sheet):
        for block in blocks(raw, encoding):
            if first is None:
                at = next((text for _, text in block if not text.startswith("# ")), block[0][1])
                first = len(at.split("\t") if "\t" in at else at.split()), "\t" in at
                sheet.words.append(f"{first[0]} columns by {'tab' if first[1] else 'space'}")
            sentence(block, first, sheet)


def blocks(raw: Raw, encoding: str) -> Iterator[list[tuple[int, str]]]:
    """The lines of each sentence with their numbers."""
    held: list[tuple[int, str]] = []
    for number, text, _ in lines(raw, encoding):
        if text.strip() and not text.startswith(DOCUMENT):
            held.append((number, text.rstrip(" ") if "\t" in text else text))
        elif held:
            yield held
            held = []
    if held:
        yield held


def sentence(block: list[tuple[int, str]], first: tuple[int, bool], sheet: Sheet) -> None:
    """One sentence as a row; its faults become findings."""
    columns, tab = first
    tokens, tags, good = [], [], True
    for number, text in block:
        if text.startswith("# ") and len(text.split("\t") if tab else text.split()) != columns:
            continue  # a remark
        parts = text.split("\t") if tab else text.split()
        if tab and not parts[0].strip():
            fault = ("E117", "the token is blank.", "Remove the line, or write the token.")
        elif len(parts) != columns and ("\t" in text) != tab:
            fault = ("E116", f"the line is parted by {'spaces' if tab else 'tabs'}, the others by {'tabs' if tab else 'spaces'}.",
                     "Part all lines alike.")
        elif len(parts) != columns:
            fault = ("E115", f"the line has {len(parts)} columns, the first has {columns}.", "Give the token its tag; mend the line.")
        else:
            tokens.append(parts[0].strip())
            tags.append(parts[-1].strip())
            continue
        sheet.found(fault[0], fault[1], f"{fault[2]} Or {SKIP}", line=number, column=1, row=True)
        good = False
    if good and tokens:
        sheet.row((tokens, tags), block[0][0], sum(len(token) for token in tokens) + 120 * len(tokens))
