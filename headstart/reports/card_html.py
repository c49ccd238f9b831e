"""A model card's Markdown as HTML: headings, lists, tables, code and paragraphs, all of it escaped."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from headstart.reports.cells import escape

CODE = re.compile(r"`([^`]+)`")
BACKSLASH = re.compile(r"\\(?=[^\w\s])")


def card_html(card: str) -> str:
    """The card without its front matter; headings begin at the third level, below those of the page."""
    lines = card.splitlines()
    if lines[:1] == ["---"] and "---" in lines[1:]:
        lines = lines[lines.index("---", 1) + 1:]
    return "".join(block_html(kind, block) for kind, block in blocks(lines))


def blocks(lines: Sequence[str]) -> Iterator[tuple[str, list[str]]]:
    """Lines of one kind that stand together: code, heading, list, table, text."""
    block: list[str] = []
    kind, in_code = "", False
    for line in lines:
        is_fence = line.startswith("```")
        line_kind = "code" if in_code or is_fence else kind_of(line)
        if line_kind != kind or line_kind == "heading":
            if block and kind != "gap":
                yield kind, block
            block = []
        kind = line_kind
        if is_fence:
            in_code = not in_code
        else:
            block.append(line)
    if block and kind != "gap":
        yield kind, block


def kind_of(line: str) -> str:
    """What a line outside code is."""
    return ("gap" if not line.strip() else "heading" if line.startswith("#") else "list" if line.startswith("- ")
            else "table" if line.startswith("|") else "text")


def block_html(kind: str, block: Sequence[str]) -> str:
    """One block as HTML."""
    if kind == "code":
        return f"<pre>{escape(chr(10).join(block))}</pre>"
    if kind == "heading":
        level = min(6, 2 + len(block[0]) - len(block[0].lstrip("#")))
        return f"<h{level}>{inline(block[0].lstrip('# '))}</h{level}>"
    if kind == "list":
        return f"<ul>{''.join(f'<li>{inline(line[2:])}</li>' for line in block)}</ul>"
    if kind == "table":
        head, *rows = ([entry.strip() for entry in re.split(r"(?<!\\)\|", line)[1:-1]] for line in block
                       if set(line) - set("|-: "))
        heads = "".join(f'<th scope="col">{inline(entry)}</th>' for entry in head)
        body = "".join("<tr>" + "".join(f"<td>{inline(entry)}</td>" for entry in row) + "</tr>" for row in rows)
        return f"<table><thead><tr>{heads}</tr></thead><tbody>{body}</tbody></table>"
    return f"<p>{inline(' '.join(block))}</p>"


def inline(text: str) -> str:
    """One line: code between backticks, backslashes before signs gone."""
    parts = CODE.split(text)
    return "".join(f"<code>{escape(part)}</code>" if index % 2 else escape(BACKSLASH.sub("", part))
                   for index, part in enumerate(parts))
