"""What every page of ours stands in: one file, no network, and a policy that runs and styles by nothing else than its
own script and style sheet.
"""

from __future__ import annotations

import base64
import hashlib
from importlib.resources import files

from headstart.reports.cells import escape

PARTS = {"report.css": ("base.css", "figures.css"), "report.js": ("tables.js", "plots.js", "texts.js")}


def resource(name: str) -> str:
    """A file of the page; "report.css" and "report.js" are all style sheets, all scripts in one."""
    folder = files("headstart.reports").joinpath("page")
    return "".join(folder.joinpath(part).read_text(encoding="utf-8") for part in PARTS.get(name, (name,)))


def digest(text: str) -> str:
    """A source of the content security policy: this very text and no other."""
    return f"sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}"


def whole_page(title: str, header: str, main: str, footer: str) -> str:
    """The page around its parts, which are HTML already; only the title is escaped here."""
    style, script = resource("report.css"), resource("report.js")
    policy = (f"default-src 'none'; style-src '{digest(style)}'; script-src '{digest(script)}'; base-uri 'none'; "
              "form-action 'none'")
    return ('<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><meta http-equiv="Content-Security-Policy" '
            f'content="{policy}"><meta name="viewport" content="width=device-width, initial-scale=1">'
            f'<title>{escape(title)}</title><style>{style}</style></head><body><header>{header}</header>'
            f'<main>{main}</main><footer>{footer}</footer><script>{script}</script></body></html>\n')
