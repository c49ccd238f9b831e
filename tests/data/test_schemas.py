"""What other programs export is read by its schema, said, and what it marks as not to be used is left out."""

import json

import pytest

from headstart.contract import Column, Row, RowFault
from headstart.data.readers.table_builder import TableBuilder
from headstart.data.schemas import apply
from headstart.data.schemas.schema import LeftOutRow, Schema, row_by_row
from headstart.data.table import open_table
from headstart.errors import UserError
from headstart.settings import Data


def table(tmp_path, rows, name="rows.jsonl", **settings):
    path = tmp_path / name
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")
    return open_table(str(path), Data(**settings))


def as_rows(opened):
    return [dict(zip(opened.columns, record.values, strict=True)) for record in opened]


def test_translations_of_wmt_become_source_and_target(tmp_path):
    opened = table(tmp_path, [{"id": 7, "translation": {"en": "the river", "de": "der Fluss"}},
                              {"id": 8, "translation": {"en": "a card"}}])
    assert as_rows(opened) == [{"source": "the river", "target": "der Fluss", "id": 7}]
    assert "source is en, target is de" in opened.format
    assert [(finding.code, finding.line) for finding in opened.findings if finding.level == "fault"] == [("E110", 2)]


def test_a_schema_can_be_switched_off_and_an_unknown_one_is_refused(tmp_path):
    rows = [{"translation": {"en": "the river", "de": "der Fluss"}}]
    assert table(tmp_path, rows, schema="none").columns == ("translation",)
    with pytest.raises(UserError, match="no schema 'wtm'"):
        table(tmp_path, rows, schema="wtm")
    with pytest.raises(UserError, match="is no wmt export"):
        table(tmp_path, [{"text": "the river"}], schema="wmt")


def test_rows_that_are_left_out_keep_their_numbers_and_are_told(tmp_path):
    def read(values):
        if values["state"] == "odd":
            raise RowFault("E201", "the text is odd.")
        return (values["state"].upper(),) if values["state"] != "rejected" else LeftOutRow("rejected", ("-",))

    def fill(builder):
        builder.columns = ("state", "note")
        for line, state in enumerate(["fine", "rejected", "odd", "good"], start=1):
            builder.add_row((state, line), line, 10)
        builder.finish()
        return builder

    schema = Schema("mine", "my export", ("text",), ("state",), row_by_row(("state", "note"), read))
    trained = apply.convert(fill(TableBuilder("f")), schema, every_row=False)
    predicted = apply.convert(fill(TableBuilder("f")), schema, every_row=True)
    assert [(record.id, record.values, record.line) for record in trained.store] == [
        (0, ("FINE", 1), 1), (3, ("GOOD", 4), 4)]
    assert [record.values for record in predicted.store] == [("FINE", 1), ("-", 2), ("GOOD", 4)]
    assert [finding.code for finding in trained.findings] == ["E201", "N106"]
    assert "1 rejected" in trained.findings[1].message


def test_two_schemas_that_are_near_are_asked_about(monkeypatch):
    schema = Schema("wmt", "one", ("a",), (), row_by_row((), lambda values: ("",)))
    monkeypatch.setattr(apply, "names", lambda: ["wmt", "schema"])
    monkeypatch.setattr("headstart.data.schemas.wmt.recognise", lambda columns: schema)
    monkeypatch.setattr("headstart.data.schemas.schema.recognise", lambda columns: schema, raising=False)
    with pytest.raises(UserError, match="may be read as one, or as one"):
        apply.recognise([Column("a", [])], "", "f.jsonl")


def test_an_export_of_which_no_row_is_accepted_is_refused_with_the_reason():
    builder = TableBuilder("f")
    builder.columns = ("state",)
    builder.add_row(("rejected",), 1, 10)
    builder.finish()
    schema = Schema("mine", "my export", ("text",), ("state",),
                    row_by_row(("state",), lambda values: LeftOutRow("rejected", ("-",))))
    with pytest.raises(UserError, match="no row is left: 1 rejected"):
        apply.convert(builder, schema, every_row=False)
    assert len(apply.convert(builder, schema, every_row=True).store) == 1


def test_conversations_are_told_by_their_roles_and_turns(tmp_path):
    from headstart.tasks.language_model import LanguageModel

    messages = [{"role": "system", "content": "Be kind."}, {"role": "user", "content": "Hi"},
                {"role": "assistant", "content": "Hello"}, {"role": "user", "content": "More"},
                {"role": "assistant", "content": "Yes"}]
    examples = [LanguageModel().read(Row(0, {"messages": turns})) for turns in (messages, messages[1:3])]
    (finding,) = LanguageModel().check({"train": examples})
    assert finding.code == "N214" and finding.message == (
        "train holds 2 conversations of up to 5 turns (system in 1, user in 2, assistant in 2); of 7 turns the assistant's "
        "3 are learned.")


def test_zeros_and_ones_as_numpy_writes_them_are_read_too(tmp_path):
    (tmp_path / "a.csv").write_text("text,labels\na b,[0 1 1]\nc d,[1. 0. 0.]\ne f,\n")
    table = open_table(str(tmp_path / "a.csv"), Data())
    assert [record.values[0] for record in table] == [["label_2", "label_3"], ["label_1"]]
    assert "1 not labelled" in table.findings[-1].message
