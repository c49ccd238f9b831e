"""The page on the architecture is the house as it stands."""

import re
from pathlib import Path

from test_floors import FLOORS, PACKAGE

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")


def test_the_table_of_floors_is_that_of_the_test():
    """Every room that exists stands on its floor, and no other does."""
    exists = {path.stem for path in PACKAGE.iterdir() if not path.name.startswith("_")}
    expected = [rooms & exists for rooms in FLOORS if rooms & exists]
    floors: list[set[str]] = []
    for number, rooms in re.findall(r"^\| (\d+|) *\| ((?:`\w+`(?:, )?)+) \|", PAGE, re.M):
        if number:
            assert int(number) == len(floors)
            floors.append(set())
        floors[-1] |= set(re.findall(r"\w+", rooms))
    assert floors == expected


def test_every_path_on_the_page_exists():
    for path in re.findall(r"`((?:headstart/|tests/)?[\w/]+(?:\.py|/))`", PAGE):
        folders = [ROOT, PACKAGE, *(folder for folder in PACKAGE.iterdir() if folder.is_dir())]
        assert any((folder / path).exists() for folder in folders), path


def test_every_link_of_the_documentation_leads_to_a_file():
    for page in [*(ROOT / "docs").glob("*.md"), ROOT / "README.md"]:
        for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", page.read_text(encoding="utf-8")):
            assert (page.parent / target).exists(), f"{page.name} links to {target}"
