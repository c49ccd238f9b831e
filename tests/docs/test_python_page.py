"""docs/python.md: its example runs, on a tiny model."""

import contextlib
import io
import re
from pathlib import Path

from conftest import review_rows, write_csv

import headstart

PAGE = (Path(__file__).parents[2] / "docs" / "python.md").read_text(encoding="utf-8")


def test_the_example_runs(tiny_bert, tmp_path):
    (code,) = re.findall(r"```python\n(.*?)```", PAGE, re.S)
    code = code.replace("headstart.finetune(", f"headstart.finetune(model={str(tiny_bert)!r}, train=")
    write_csv(tmp_path / "reviews.csv", review_rows(60))
    with contextlib.chdir(tmp_path), contextlib.redirect_stdout(io.StringIO()) as stdout:
        exec(compile(code, "python.md", "exec"), {})
    assert "columns: text = body, label = stars" in stdout.getvalue() and "probability" in stdout.getvalue()


def test_it_names_the_files_and_calls_that_there_are():
    from headstart.api.inputs import ROW_FILES
    from headstart.retrieval.index.folder import ROWS

    assert all(f"`{name}`" in PAGE for name in (*ROW_FILES.values(), ROWS))
    assert all(hasattr(headstart.Check, name) or name in headstart.Check.__annotations__
               for name in re.findall(r"`\.(\w+)(?:\(\))?`", PAGE))
