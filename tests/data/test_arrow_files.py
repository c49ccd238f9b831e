"""Parquet, feather and Arrow files are read as what they say: class names, dates, numbers; what is no text is told."""

import builtins
import datetime
import decimal
import json
import random

import numpy as np
import pyarrow as pa
import pyarrow.feather
import pyarrow.parquet as pq
import pytest

from headstart.data.table import open_table
from headstart.errors import DataError, UserError
from headstart.settings import Data

CLASSES = {"names": ["bad", "good"], "_type": "ClassLabel"}


def with_features(table, **features):
    """A table with the features that `datasets` writes into its schema."""
    return table.replace_schema_metadata({"huggingface": json.dumps({"info": {"features": features}})})


def write_parquet(table, path):
    pq.write_table(table, path, row_group_size=2)


def write_feather(table, path):
    pyarrow.feather.write_feather(table, path, compression="lz4")


def write_file_format(table, path):
    with pa.OSFile(str(path), "wb") as file, pa.ipc.new_file(file, table.schema) as writer:
        writer.write_table(table)


def write_stream_format(table, path):
    with pa.OSFile(str(path), "wb") as file, pa.ipc.new_stream(file, table.schema) as writer:
        writer.write_table(table)


WRITERS = {"a.parquet": write_parquet, "a.feather": write_feather, "a.arrow": write_file_format,
           "a.ipc": write_stream_format}
each_format = pytest.mark.parametrize("name", WRITERS)


def read(tmp_path, name, table, **settings):
    WRITERS[name](table, tmp_path / name)
    return open_table(str(tmp_path / name), Data(**settings))


def values(table):
    return [record.values for record in table]


def codes(table):
    return [finding.code for finding in table.findings]


@each_format
def test_class_numbers_are_read_by_their_names(tmp_path, name):
    table = with_features(pa.table({"text": ["a", "b", "c"], "label": [1, 0, -1], "tags": [[0, 1], [], None]}),
                          label=CLASSES, tags={"feature": CLASSES, "_type": "Sequence"})
    table = read(tmp_path, name, table)
    assert values(table) == [("a", "good", ["bad", "good"]), ("b", "bad", []), ("c", None, None)]
    assert "class names of label, tags" in table.format


@pytest.mark.parametrize("feature", [{"feature": CLASSES, "_type": "Sequence"}, {"feature": CLASSES, "_type": "List"},
                                     [CLASSES]])
def test_token_tags_are_names_in_every_way_of_writing_a_list_of_classes(tmp_path, feature):
    table = with_features(pa.table({"tokens": [["a", "b"]], "tags": [[1, 0]]}), tags=feature)
    assert values(read(tmp_path, "a.parquet", table)) == [(["a", "b"], ["good", "bad"])]


def test_classes_inside_objects_and_lists_of_objects_are_names_too(tmp_path):
    spans = {"kind": {"feature": CLASSES}, "start": {"dtype": "int64", "_type": "Value"}}
    table = with_features(pa.table({"spans": [[{"kind": [1], "start": 3}]]}), spans=[spans])
    assert values(read(tmp_path, "a.parquet", table)) == [([{"kind": ["good"], "start": 3}],)]


def test_a_class_number_without_a_name_is_a_fault_of_its_row(tmp_path):
    table = read(tmp_path, "a.parquet", with_features(pa.table({"text": ["a", "b"], "label": [7, 0]}), label=CLASSES))
    assert values(table) == [("b", "bad")]
    assert "row 1 [E130]" in table.findings[0].text() and "7 has no name; there are 2" in table.findings[0].text()


@pytest.mark.parametrize("metadata", [b"no json", b"[]", b'{"info": 3}', b'{"info": {"features": [1]}}'])
def test_metadata_that_is_none_changes_nothing(tmp_path, metadata):
    table = pa.table({"text": ["a"], "label": [1]}).replace_schema_metadata({b"huggingface": metadata})
    assert values(read(tmp_path, "a.parquet", table)) == [("a", 1)]


VALUES = [
    (pa.array([datetime.date(2024, 1, 2), None]), ["2024-01-02", None]),
    (pa.array([0, None], pa.timestamp("ns")), ["1970-01-01T00:00:00", None]),
    (pa.array([1, 2], pa.timestamp("ns")), ["1970-01-01T00:00:00"] * 2),
    (pa.array([0, None], pa.timestamp("s", "UTC")), ["1970-01-01T00:00:00+00:00", None]),
    (pa.array([datetime.time(10, 3), None]), ["10:03:00", None]),
    (pa.array([1500, None], pa.duration("ms")), [1.5, None]),
    (pa.array([decimal.Decimal("1.10"), None], pa.decimal128(10, 2)), [1.1, None]),
    (pa.array([decimal.Decimal("12345678901234567890.12")] * 2, pa.decimal128(30, 2)), ["12345678901234567890.12"] * 2),
    (pa.array([decimal.Decimal("12345678901234567890")] * 2, pa.decimal128(30, 0)), [12345678901234567890] * 2),
    (pa.array(["x", "y"]).dictionary_encode(), ["x", "y"]),
    (pa.array(["x", None], pa.large_string()), ["x", None]),
    (pa.array([1.5, float("nan")]), [1.5, None]),
    (pa.array(np.array([1.5, 2.0], np.float16)), [1.5, 2.0]),
    (pa.array([True, None]), [True, None]),
    (pa.nulls(2), [None, None]),
    (pa.array([{"a": {"b": [1, None]}}, None]), [{"a": {"b": [1, None]}}, None]),
    (pa.array([[("k", 1)], None], pa.map_(pa.string(), pa.int64())), [{"k": 1}, None]),
    (pa.array([[1, 2], None], pa.list_(pa.int64(), 2)), [[1, 2], None]),
    (pa.array([["a"], []], pa.large_list(pa.large_string())), [["a"], []]),
    (pa.array([b"ab", None]).cast(pa.binary()), None),
]


@pytest.mark.parametrize(("array", "expected"), VALUES, ids=[str(array.type)[:40] for array, _ in VALUES])
@pytest.mark.parametrize("name", ["a.parquet", "a.ipc"])
def test_every_type_of_arrow_has_one_value_in_json(tmp_path, name, array, expected):
    if name == "a.parquet" and pa.types.is_fixed_size_list(array.type) and int(pa.__version__.split(".")[0]) < 26:
        pytest.skip("pyarrow before 26 cannot read such a column that it wrote itself, where a list is missing")
    table = read(tmp_path, name, pa.table({"text": ["a", "b"], "other": array}))
    if expected is None:
        assert table.columns == ("text",) and codes(table) == ["N111"] and '"other" holds bytes' in table.findings[0].message
        return
    assert [row[1] for row in values(table)] == expected
    json.dumps([list(row) for row in values(table)], allow_nan=False)


def test_parquet_that_pandas_wrote_is_read_as_pandas_reads_it(tmp_path):
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame({"text": ["a", "b", None], "label": pandas.Categorical(["x", "y", "x"]),
                              "number": [1.5, None, 3.0], "list": [["p"], [], ["q", "r"]]})
    frame.to_parquet(tmp_path / "a.parquet")
    expected = pandas.read_parquet(tmp_path / "a.parquet").astype(object)
    rows = [tuple(None if cell is None or (isinstance(cell, float) and cell != cell) or cell is pandas.NA else
                  cell.tolist() if hasattr(cell, "tolist") else cell for cell in row)
            for row in expected.itertuples(index=False)]
    assert values(open_table(str(tmp_path / "a.parquet"), Data())) == rows


@each_format
def test_two_columns_of_one_name_are_both_there_and_told(tmp_path, name):
    table = pa.table([pa.array(["a", "b"]), pa.array([1, 2]), pa.array(["p", "q"])], names=["text", "label", "text"])
    if name == "a.feather":
        pytest.skip("feather is not written so")
    table = read(tmp_path, name, table)
    assert table.columns == ("text (column 1)", "label", "text (column 3)")
    assert codes(table) == ["N112"] and values(table)[0] == ("a", 1, "p")


def test_a_column_of_which_there_are_two_is_used_only_where_it_is_named(tmp_path, capsys):
    from headstart.cli.main import run_guarded

    rows = [f"a text about {word} number {index}" for index, word in enumerate(["roses", "apples"] * 20)]
    table = pa.table([pa.array(rows), pa.array(["x", "y"] * 20), pa.array(rows)], names=["text", "label", "text"])
    pq.write_table(table, tmp_path / "a.parquet")
    assert run_guarded(["check", str(tmp_path / "a.parquet")]) in (2, 65)
    assert "two columns" in (error := capsys.readouterr().err) or "2 columns" in error
    named = ["--task", "text-classification", "--text", "text (column 3)", "--label", "label"]
    assert run_guarded(["check", str(tmp_path / "a.parquet"), *named]) == 0


def test_a_column_of_bytes_that_is_named_is_refused_with_the_reason(tmp_path, capsys):
    from headstart.cli.main import run_guarded

    pq.write_table(pa.table({"payload": [b"a", b"b"] * 9, "label": ["x", "y"] * 9}), tmp_path / "a.parquet")
    arguments = ["--task", "text-classification", "--text", "payload", "--label", "label"]
    assert run_guarded(["check", str(tmp_path / "a.parquet"), *arguments]) == 65
    assert '"payload" holds bytes' in capsys.readouterr().err


@each_format
def test_texts_that_are_not_utf8_are_faults_of_their_rows(tmp_path, name):
    broken = pa.array([b"fine", b"caf\xe9", b"fine too"]).view(pa.string())
    table = read(tmp_path, name, pa.table({"text": broken, "label": ["x", "y", "z"]}))
    assert values(table) == [("fine", "x"), ("fine too", "z")]
    assert table.findings[0].text().startswith(f"{tmp_path / name}, row 2 [E103]") and "0xE9" in table.findings[0].message


def test_a_nul_character_is_a_fault_of_its_row(tmp_path):
    table = read(tmp_path, "a.parquet", pa.table({"text": ["a\0b", "c"]}))
    assert values(table) == [("c",)] and "row 1 [E106]" in table.findings[0].text()


@each_format
def test_more_rows_than_data_max_bytes_are_refused(tmp_path, name):
    with pytest.raises(DataError, match=r"E121.*more than 10,000 bytes"):
        read(tmp_path, name, pa.table({"text": ["a long text that is always the same " * 4] * 1000}), max_bytes=10_000)


@each_format
def test_damage_anywhere_is_told_and_crashes_nothing(tmp_path, name):
    rng = random.Random(0)
    table = pa.table({"text": ["some words", None] * 20, "kind": pa.array(["u", "v"] * 20).dictionary_encode(),
                      "label": [["x", "y"]] * 40, "number": list(range(40))})
    WRITERS[name](table, tmp_path / name)
    content = (tmp_path / name).read_bytes()
    for trial in range(120):
        damaged = bytearray(content[:rng.randint(1, len(content))] if trial % 3 == 0 else content)
        for _ in range(rng.randint(1, 6)):
            damaged[rng.randrange(len(damaged))] = rng.randrange(256)
        (tmp_path / name).write_bytes(damaged)
        try:
            open_table(str(tmp_path / name), Data())
        except UserError as error:
            assert error.exit in (65, 2)


@pytest.mark.parametrize("name", ["a.parquet.gz", "b.arrow.gz"])
def test_a_compressed_file_is_unpacked_first(tmp_path, name):
    import gzip

    writer = write_parquet if "parquet" in name else write_stream_format
    writer(pa.table({"text": ["a", "b"]}), tmp_path / "plain")
    (tmp_path / name).write_bytes(gzip.compress((tmp_path / "plain").read_bytes()))
    assert values(open_table(str(tmp_path / name), Data())) == [("a",), ("b",)]


@pytest.mark.parametrize("name", ["a.parquet", "a.arrow"])
def test_without_pyarrow_the_extra_is_named(tmp_path, name, monkeypatch):
    WRITERS[name](pa.table({"text": ["a"]}), tmp_path / name)
    real_import = builtins.__import__

    def refuse(module, *rest):
        if module.split(".")[0] == "pyarrow":
            raise ImportError(module)
        return real_import(module, *rest)

    monkeypatch.setattr(builtins, "__import__", refuse)
    with pytest.raises(UserError) as raised:
        open_table(str(tmp_path / name), Data())
    assert raised.value.exit == 69 and "pip install 'headstart[parquet]'" in raised.value.fix


def test_what_is_only_called_arrow_is_refused(tmp_path):
    (tmp_path / "a.arrow").write_text("text,label\na,b\n")
    with pytest.raises(DataError, match="E112"):
        open_table(str(tmp_path / "a.arrow"), Data())
