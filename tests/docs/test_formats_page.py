"""docs/formats.md names every ending that is read, and every code that it names is one."""

import re
from pathlib import Path

from headstart.data.checks.codes import CODES
from headstart.data.readers.source_file import SUFFIXES

PAGE = (Path(__file__).parents[2] / "docs" / "formats.md").read_text(encoding="utf-8")


def test_every_ending_stands_in_the_table():
    table = PAGE.split("\n\n")[2]
    assert set(re.findall(r"\.(\w+)", table.replace("headstart[", ""))) - {"target"} == set(SUFFIXES)


def test_every_code_of_the_page_is_one():
    assert set(re.findall(r"\b[ENW]\d{3}\b", PAGE)) <= CODES.keys()
