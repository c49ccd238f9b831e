"""docs/few-rows.md and examples/few_rows.py: the example runs, and the page names what there is."""

import re
import runpy
import sys
from pathlib import Path
from typing import get_args, get_type_hints

from conftest import review_rows, write_csv

from headstart.runs import methods, ship
from headstart.settings import Training

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "few-rows.md").read_text(encoding="utf-8")


def test_the_example_runs(tmp_path, monkeypatch, capsys, tiny_bert):
    rows = write_csv(tmp_path / "rows.csv", review_rows(90))
    monkeypatch.setattr(sys, "argv", ["few_rows.py", str(rows), "--model", str(tiny_bert), "--rows", "6", "--methods",
                                      "frozen", "contrastive", "--max-steps", "1"])
    runpy.run_path(str(ROOT / "examples" / "few_rows.py"), run_name="__main__")
    lines = [line.split()[0] for line in capsys.readouterr().out.splitlines() if "macro F1" in line]
    assert lines == ["frozen", "contrastive"]


def test_the_page_names_every_method_and_the_numbers_of_the_rule():
    choices = get_args(get_type_hints(Training)["method"])
    assert set(re.findall(r"^\| `(\w+)` \|", PAGE, re.M)) == set(choices)
    assert f"From {methods.FEW} rows a label" in PAGE and f"right on {100 * methods.SEPARABLE_ACCURACY:.0f} %" in PAGE
    assert f"Below {ship.FEWEST_ROWS} dev rows" in PAGE
