"""Label Studio's kinds of annotations: each is read, or refused with its name; what is left out is counted."""

import json

import pytest

from headstart import tasks
from headstart.data.table import open_table
from headstart.errors import UserError
from headstart.settings import Data

TEXTS = ["I love it.", "It broke.", "So so.", "Nice café."]


def export(path, results, **data):
    """An export of tasks with one annotation each."""
    path.write_text(json.dumps([
        {"id": index, "annotations": [{"id": index, "completed_by": 1, "was_cancelled": False, "result": result}],
         "predictions": [], "data": {"text": TEXTS[index % 4]} | data} for index, result in enumerate(results)]))
    return str(path)


def part(kind, value, control="control"):
    """One annotation under a control."""
    return {"value": value, "from_name": control, "to_name": "text", "type": kind, "origin": "manual"}


KINDS = {
    "rating": ("rating", [{"rating": number} for number in (1, 5, 1, 5)], ("text", "rating"), 5, "text-classification"),
    "number": ("number", [{"number": number} for number in (0.5, 2.5, 1.25, 7.0)], ("text", "target"), 2.5, "regression"),
    "taxonomy": ("taxonomy", [{"taxonomy": [["Food", "Fruit"]]}, {"taxonomy": [["Food"], ["Toy", "Car"]]}] * 2,
                 ("text", "labels"), ["Food", "Toy / Car"], "multilabel-classification"),
    "text": ("textarea", [{"text": ["a line", "and more"]}] * 4, ("source", "target"), "a line\nand more",
             "text-to-text"),
    "choices": ("choices", [{"choices": ["good"]}, {"choices": ["bad"]}] * 2, ("text", "label"), "bad",
                "text-classification"),
}


@pytest.mark.parametrize("kind", KINDS)
def test_each_kind_becomes_the_columns_of_its_task(kind, tmp_path):
    name, values, columns, second, task_name = KINDS[kind]
    table = open_table(export(tmp_path / "a.json", [[part(name, value)] for value in values]), Data())
    assert table.columns[:2] == columns and f"Label Studio export: {kind} of control" in table.format
    assert table[1].values[1] == second
    assert tasks.detect(table.sample(), "a.json")[0].name == task_name


@pytest.mark.parametrize("kind", ["pairwise", "rectanglelabels", "ranker"])
def test_kinds_that_no_task_learns_from_are_refused_by_name(kind, tmp_path):
    path = export(tmp_path / "a.json", [[part(kind, {"selected": "left"})]] * 3)
    with pytest.raises(UserError, match=f"annotations of the kind {kind}, which no task here learns from") as error:
        open_table(path, Data())
    assert error.value.exit == 65 and "data.schema=none" in error.value.fix
    assert "annotations" in open_table(path, Data(schema="none")).columns


def test_rows_without_an_annotation_are_counted_by_reason(tmp_path):
    path = export(tmp_path / "a.json", [[part("rating", {"rating": 4})], [], [part("rating", {"rating": 2})]])
    table = open_table(path, Data())
    assert len(table) == 2 and "1 without a rating" in table.findings[0].message


def test_an_export_that_nobody_annotated_says_so(tmp_path):
    path = export(tmp_path / "a.json", [[], []])
    with pytest.raises(UserError, match="no row is left"):
        open_table(path, Data())
    assert [record.values[0] for record in open_table(path, Data(), every_row=True)] == TEXTS[:2]


def test_several_annotators_are_told_with_how_often_they_differ(tmp_path):
    path = tmp_path / "a.json"
    export(path, [[part("choices", {"choices": ["good"]})]] * 3)
    rows = json.loads(path.read_text())
    for row, choice in ((rows[0], "bad"), (rows[1], "good")):
        row["annotations"].append({"id": 9, "result": [part("choices", {"choices": [choice]})]})
    path.write_text(json.dumps(rows))
    assert "(of the first 3 rows 2 have several, and in 1 they differ)" in open_table(str(path), Data()).format


def test_a_taxonomy_in_the_minimal_export_is_labels(tmp_path):
    (tmp_path / "a.json").write_text(json.dumps([
        {"text": text, "id": index, "kind": [["Food", "Fruit"]] if index else [["Toy"]], "annotator": 1,
         "annotation_id": index, "created_at": "x", "updated_at": "x", "lead_time": 1.0}
        for index, text in enumerate(TEXTS)]))
    table = open_table(str(tmp_path / "a.json"), Data())
    assert [record.values[1] for record in table] == ["Toy", *["Food / Fruit"] * 3]
