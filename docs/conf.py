"""How Sphinx makes the site from these pages: `make docs`.

The pages are plain Markdown that a code host shows as well. So there is no table of contents in Sphinx's own words:
it is read off the lists of docs/index.md and docs/tasks.md.
"""

import re
from pathlib import Path

from headstart.version import __version__

DOCS = Path(__file__).parent
project = "headstart"
release = version = __version__
extensions = ["myst_parser"]
html_theme = "furo"
html_title = "headstart"
html_static_path = ["site"]
html_css_files = ["site.css"]
html_show_search_summary = False  # it fetches pages, which a browser refuses for files; the list of results needs none
html_copy_source = html_show_sourcelink = html_show_sphinx = html_show_copyright = False
html_theme_options = {"footer_icons": [], "light_css_variables": {"color-brand-primary": "#0b5cad", "color-brand-content": "#0b5cad"},
                      "dark_css_variables": {"color-brand-primary": "#7db8f0", "color-brand-content": "#7db8f0"}}
exclude_patterns = ["_build"]
myst_heading_anchors = 4  # a link to a heading is checked as a link to a page is
highlight_language = "none"  # a block without a language is a file or an output, no program
suppress_warnings = ["misc.highlighting_failure"]  # excerpts with … are no whole programs, and csv has no lexer


def contents(page: str, *, is_start: bool) -> str:
    """Hidden tables of contents for a page: one for each heading whose list or table links to pages."""
    tables = []
    for section in re.split(r"^## ", page, flags=re.M):
        caption = section.split("\n")[0]
        names = re.findall(r"^(?:- |\| )\[[^\]]*\]\(((?!\.\.|http)[\w/.-]+)\.md\)", section, re.M)
        if names:
            options = [":hidden:", *([f":caption: {caption}"] if is_start else [])]
            tables.append("\n".join(["```{toctree}", *options, "", *dict.fromkeys(names), "```", ""]))
    return "\n".join(tables)


def add_contents(app, name, source):
    """The pages that list others get them as a table of contents; links out of docs/ that are folders become names."""
    if name in ("index", "tasks"):
        source[0] += "\n\n" + contents(source[0], is_start=name == "index")
    source[0] = re.sub(r"\[([^\]]+)\]\((\.\./[^)#]+)\)", lambda match: link_outside(name, match), source[0])


def link_outside(name: str, match: re.Match[str]) -> str:
    """A link to a folder or page beside docs/ as words; to another file it stays, and the site has a copy of the file."""
    target = ((DOCS / name).parent / match[2]).resolve()
    is_file_to_copy = DOCS in target.parents or (target.is_file() and target.suffix != ".md")
    return match[0] if is_file_to_copy else match[1]


def setup(app):
    """Called by Sphinx."""
    app.connect("source-read", add_contents)
