"""JSON that a machine made without end: refused with its line (65), never a bug."""

import json

import pytest

from headstart.text.json_values import MAX_DEPTH, parse_json

DEEP = {"objects": '{"a": ' * 50_000 + "1" + "}" * 50_000, "lists": "[" * 50_000 + "]" * 50_000,
        "both": '{"a": [' * 5_000 + "]}" * 5_000}


def nest(depth):
    return "[" * depth + "1" + "]" * depth


def test_values_are_those_of_the_standard_library_up_to_the_depth():
    for text in ('{"a": [1, 2.5, -3e2, null, true, "é"]}', nest(MAX_DEPTH)):
        assert parse_json(text) == json.loads(text)
    for text in (nest(MAX_DEPTH + 1), "1e999", "-1e999", "[NaN]", "Infinity", "9" * 5000, *DEEP.values()):
        with pytest.raises(ValueError):
            parse_json(text)


@pytest.mark.parametrize("name", ["rows.jsonl", "rows.json"])
@pytest.mark.parametrize("value", [*DEEP.values(), "1e999", "9" * 5000], ids=[*DEEP, "1e999", "5,000 digits"])
def test_rows_with_such_values_are_refused_with_the_line(name, value, headstart, tmp_path):
    rows = [f'{{"text": "the tea was good {index}", "label": "a"}}' for index in range(3)]
    rows.append(f'{{"text": "odd", "label": {value}}}')
    path = tmp_path / name
    path.write_text("\n".join(rows) if name == "rows.jsonl" else f"[{', '.join(rows)}]", encoding="utf-8")
    code, _, stderr = headstart("check", path, "--task", "text-classification")
    assert code == 65 and len(stderr) < 2000 and (name == "rows.json" or "rows.jsonl:4" in stderr), stderr


@pytest.mark.parametrize("target", ["1e300", "-1e300", "1e31", "9" * 350, "1e999"])
def test_targets_beyond_what_a_model_can_learn_are_refused_with_the_line(target, headstart, tmp_path):
    path = tmp_path / "rows.csv"
    rows = "".join(f"the tea was good {index},{index / 7}\n" for index in range(20))
    path.write_text(f"text,target\n{rows}odd,{target}\n", encoding="utf-8")
    code, _, stderr = headstart("check", path, "--task", "regression")
    assert code == 65 and "rows.csv:22" in stderr, stderr


def test_cells_that_hold_such_lists_are_refused_with_the_line(headstart, tmp_path):
    path = tmp_path / "rows.csv"
    path.write_text(f'tokens,tags\n"[""a""]","[""O""]"\n"{"[" * 30_000}","{"[" * 30_000}"\n', encoding="utf-8")
    code, _, stderr = headstart("check", path, "--task", "token-tagging")
    assert code == 65 and "rows.csv:3" in stderr, stderr
