"""Rows are found wherever they stand in a JSON file; what is odd in it is told with its place."""

import json

import pytest

from headstart.data.table import open_table
from headstart.errors import DataError, UserError
from headstart.settings import Data

ROWS = [{"text": "a b", "label": "x"}, {"text": "c", "label": "y"}]
CELLS = [["a b", "x"], ["c", "y"]]
LAYOUTS = {  # how the rows may stand, and what is told of it
    "a list of objects": (ROWS, "json, utf-8"),
    "below a key": ({"version": 1, "rows": ROWS}, "rows under rows"),
    "below two keys": ({"data": {"version": [1, 2], "rows": ROWS}}, "rows under data.rows"),
    "split": ({"columns": ["text", "label"], "index": [0, 1], "data": CELLS}, "pandas writes it (split)"),
    "columns": ({"text": {"0": "a b", "1": "c"}, "label": {"0": "x", "1": "y"}}, "pandas writes it (columns)"),
    "index": ({"0": ROWS[0], "1": ROWS[1]}, "pandas writes it (index)"),
    "table": ({"schema": {"fields": [], "primaryKey": ["index"]},
               "data": [{"index": index, **row} for index, row in enumerate(ROWS)]}, "pandas writes it (table)"),
    "a list for each column": ({"text": ["a b", "c"], "label": ["x", "y"]}, "a list for each column"),
    "lists with a header": ([["text", "label"], *CELLS], "the first names the columns"),
}


def table_of(tmp_path, value, name="a.json", **settings):
    path = tmp_path / name
    path.write_text(value if isinstance(value, str) else json.dumps(value), encoding="utf-8")
    return open_table(str(path), Data(**settings))


@pytest.mark.parametrize("layout", LAYOUTS)
def test_rows_are_found_in_every_layout_and_it_is_told(layout, tmp_path):
    value, words = LAYOUTS[layout]
    table = table_of(tmp_path, value)
    assert table.columns == ("text", "label") and [list(record.values) for record in table] == CELLS
    assert words in table.format


def test_lists_without_names_have_numbered_columns(tmp_path):
    table = table_of(tmp_path, CELLS, header=False)
    assert table.columns == ("0", "1") and [list(record.values) for record in table] == CELLS


def test_rows_under_several_keys_are_asked(tmp_path):
    value = {"train": ROWS, "test": ROWS[:1]}
    with pytest.raises(DataError) as caught:
        table_of(tmp_path, value)
    assert "train, test" in caught.value.message and "data.records=train" in caught.value.message
    assert len(table_of(tmp_path, value, records="test")) == 1
    with pytest.raises(UserError) as caught:
        table_of(tmp_path, value, records="tests")
    assert caught.value.exit == 78 and "Did you mean test?" in caught.value.fix


@pytest.mark.parametrize("name", ["a.jsonl", "a.json"])
def test_half_characters_are_faults_with_line_and_column(name, tmp_path):
    lines = [r'{"text": "whole \ud83d\ude00", "label": "x"}', r'{"text": "cut \ud83d", "label": "y"}',
             r'{"text": "no escape \\ud83d", "label": "z"}', r'{"text": "b", "label": ["\udc00"]}']
    table = table_of(tmp_path, "\n".join(lines) if name == "a.jsonl" else "[" + ",\n".join(lines) + "]", name)
    assert [(finding.code, finding.line, finding.column) for finding in table.findings if finding.level == "fault"] == [
        ("E125", 2, 15), ("E125", 4, 26)]
    assert [record.values[0] for record in table] == ["whole 😀", r"no escape \ud83d"]


@pytest.mark.parametrize("name, line", [("a.jsonl", 2), ("a.json", None)])
def test_keys_that_stand_twice_are_told(name, line, tmp_path):
    lines = ['{"text": "a", "label": "x"}', '{"text": "b", "label": "y", "label": "z"}']
    table = table_of(tmp_path, "\n".join(lines) if name == "a.jsonl" else f"[{','.join(lines)}]", name)
    assert [(finding.code, finding.line) for finding in table.findings] == [("W104", line)]
    assert "'label'" in table.findings[0].message and table[1].values == ("b", "z")


def test_what_stands_in_objects_is_named_with_points_and_offered(tmp_path, headstart):
    path = tmp_path / "a.jsonl"
    rows = [{"ticket": {"body": f"the room was {word} {row}", "meta": {"a.b": row}}, "kind": word}
            for row in range(20) for word in ("nice", "loud")]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    code, _, stderr = headstart("check", path, "--task", "text-classification", "--text", "body", "--label", "kind")
    assert code == 65 and '"ticket.body"' in stderr and '"ticket.meta.a.b"' in stderr
    code, stdout, _ = headstart("check", path, "--text", "ticket.body", "--label", "kind")
    assert code == 0 and "'loud' 20" in stdout
    code, _, _ = headstart("check", path, "--text", "ticket.body,ticket.meta.a.b", "--label", "kind")
    assert code == 0


def test_an_object_is_no_text_and_its_parts_are_offered(tmp_path, capsys):
    from headstart.cli.main import run_guarded

    rows = [{"ticket": {"body": f"a text about {word} number {index}", "lang": "en"}, "label": word}
            for index, word in enumerate(["roses", "apples"] * 10)]
    path = tmp_path / "tickets.json"
    path.write_text(json.dumps(rows), encoding="utf-8")
    assert run_guarded(["check", str(path)]) == 2
    assert "Objects hold further columns: ticket.body, ticket.lang." in capsys.readouterr().err
    assert run_guarded(["check", str(path), "--text", "ticket.body", "--label", "label"]) == 0
