"""What every page of ours stands in: one file, no network, and a policy that runs and styles by nothing else than its
own script and style sheet.
"""

from __future__ import annotations

from collections.abc import Sequence
from importlib.resources import files

from headstart.inspection.page_policy import page_policy
from headstart.reports.cells import escape

STYLE_SHEETS, SCRIPTS = ("base.css", "figures.css"), ("tables.js", "plots.js", "texts.js")


def page_text(names: Sequence[str]) -> str:
    """Files of the page as one text."""
    folder = files("headstart.reports").joinpath("page")
    return "".join(folder.joinpath(name).read_text(encoding="utf-8") for name in names)


def whole_page(title: str, header: str, main: str, footer: str) -> str:
    """The page around its parts, which are HTML already; only the title is escaped here."""
    style, script = page_text(STYLE_SHEETS), page_text(SCRIPTS)
    return ('<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><meta http-equiv="Content-Security-Policy" '
            f'content="{page_policy(style, script)}">'
            '<meta name="viewport" content="width=device-width, initial-scale=1">'
            f'<title>{escape(title)}</title><style>{style}</style></head><body><header>{header}</header>'
            f'<main>{main}</main><footer>{footer}</footer><script>{script}</script></body></html>\n')
