"""Any file of rows is read right, or every fault in it is reported with line and column."""

import csv
import gzip
import io
import json
import os
import zipfile

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headstart.data.table import find_splits, open_table
from headstart.errors import DataError, UserError
from headstart.settings import Data


def write_file(path, content):
    path.write_bytes(content if isinstance(content, bytes) else content.encode("utf-8"))
    return str(path)


def rows(path, **settings_fields):
    return [record.values for record in open_table(path, Data(**settings_fields))]


def faults(path, **settings_fields):
    """(code, line, column) of every fault, whether rows or the whole file."""
    try:
        findings = open_table(path, Data(**settings_fields)).findings
    except DataError as error:
        findings = error.findings
    return [(finding.code, finding.line, finding.column) for finding in findings if finding.level == "fault"]


def codes(path, **settings_fields):
    return {finding.code for finding in open_table(path, Data(**settings_fields)).findings}


CELLS = st.text(st.characters(codec="utf-8", exclude_characters="\0\ufeff", exclude_categories=["Cs"]), max_size=12)


@settings(max_examples=150, derandomize=True, deadline=None)
@given(st.lists(st.tuples(CELLS, CELLS, CELLS), min_size=1, max_size=8), st.sampled_from([",", ";", "|"]))
def test_well_formed_csv_is_read_as_pythons_own_reader_reads_it(tmp_path_factory, lines, delimiter):
    buffer = io.StringIO(newline="")
    csv.writer(buffer, delimiter=delimiter, quoting=csv.QUOTE_ALL).writerows([("first", "second", "third"), *lines])
    path = write_file(tmp_path_factory.mktemp("csv") / "a.csv", buffer.getvalue())
    table = open_table(path, Data(delimiter=delimiter))
    assert [record.values for record in table] == lines  # line ends inside quotes are the text's: they stay as they are


@pytest.mark.parametrize(("text", "expected"), [
    ("text,label\na,x\nshort\nb,y\n", [("E104", 3, 6)]),
    ("text,label\na,x\none,two,three\nb,y\n", [("E104", 3, 9)]),
    ('text,label\na,x\n"never closed,y\nb,z\nc,w\n', [("E105", 3, 1)]),
    ('text,label\na,x\n"closed far below,y\nb,z\nc" too,w\nd,v\n', [("E105", 3, 1)]),
    ('text,label\na,x\n"on\ntwo lines",y\nd,v\n', []),
    ('text,label\na,x\n"stray,y\nb,z\n"c",w\nd,v\n', [("E105", 3, 1)]),
    ("text,label\na\0b,x\nc,y\n", [("E106", 2, 2)]),
    ("", [("E101", None, None)]),
    ("\n\n  \n", [("E101", None, None)]),
    ("text,label\n", [("E102", None, None)]),
    ("text,label,text\na,b,c\n", [("E107", 1, 12)]),
    ("text,label\na,x\nb,y\nlast li", [("E111", 4, 8)]),
    ("this is a long sentence that cannot be the name of a column,good\n" + "another sentence,bad\n" * 5,
     [("E108", 1, None)]),
    ("1,2\n" + "".join(f"{n},{n + 1}\n" for n in range(9)), [("E108", 1, None)]),
])
def test_faults_of_a_csv_are_reported_with_line_and_column(tmp_path, text, expected):
    assert faults(write_file(tmp_path / "a.csv", text)) == expected


def test_the_message_of_a_ragged_row_says_what_to_do(tmp_path):
    with_fault = open_table(write_file(tmp_path / "train.csv", "id,text,label\n1,ab,x\n2,abc\n"), Data())
    message = with_fault.findings[0].text()
    assert 'train.csv:3:6 [E104] the row has 2 fields, the header has 3 (no value for "label").' in message
    assert "--bad-rows skip" in message


def test_row_numbers_count_faulty_rows_and_lines_count_quoted_line_ends(tmp_path):
    table = open_table(write_file(tmp_path / "a.csv", 'text,label\n"two\nlines",x\nbad\nc,y\n'), Data())
    assert [(record.id, record.line, record.values[0]) for record in table] == [(0, 2, "two\nlines"), (2, 5, "c")]


def test_a_delimiter_that_splits_nothing_is_reported(tmp_path):
    assert faults(write_file(tmp_path / "a.csv", "text,label\na,b\nc,d\n"), delimiter=";") == [("E109", 1, None)]


@pytest.mark.parametrize(("name", "delimiter"), [("a.csv", ";"), ("a.csv", "|"), ("a.tsv", "\t"), ("a.txt", "\t"),
                                                 ("a.csv", "\t")])
def test_the_delimiter_is_found(tmp_path, name, delimiter):
    text = f"text{delimiter}label\n" + f"one, two{delimiter}x\nthree{delimiter}y\n" * 3
    assert rows(write_file(tmp_path / name, text))[:2] == [("one, two", "x"), ("three", "y")]


@pytest.mark.parametrize("word", ["001", "NA", "None", "null", "", "1e5", "TRUE", " x "])
def test_csv_values_stay_as_written(tmp_path, word):
    assert rows(write_file(tmp_path / "a.csv", f"text,label\nsome words,{word}\nb,c\n"))[0] == ("some words", word)


def test_unpaired_quotes_in_a_tsv_are_characters(tmp_path):
    text = 'sentence\tlabel\n"Hello" he said\t1\nshe said "no\t0\n"\t1\nplain\t0\n'
    table = open_table(write_file(tmp_path / "a.tsv", text), Data())
    assert [record.values[0] for record in table] == ['"Hello" he said', 'she said "no', '"', "plain"]
    assert "N104" in {finding.code for finding in table.findings}


def test_quotes_that_enclose_fields_of_a_tsv_are_taken_off(tmp_path):
    assert rows(write_file(tmp_path / "a.tsv", 'text\tlabel\n"a\tb"\tx\nc\ty\n')) == [("a\tb", "x"), ("c", "y")]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-32", "cp1252"])
def test_encodings_are_found_and_stated(tmp_path, encoding):
    text = "text,label\n" + "naïve café,gut\nplain,schön\n" * 3
    table = open_table(write_file(tmp_path / "a.csv", text.encode(encoding)), Data())
    assert table[0].values == ("naïve café", "gut") and table.columns == ("text", "label")
    assert table.format.split(", ")[-1].startswith(encoding.split("-sig")[0][:5])
    assert bool({"N101", "W102"} & {finding.code for finding in table.findings}) == (encoding == "cp1252")


def test_bytes_of_no_known_encoding_are_reported_with_line_and_column(tmp_path):
    assert faults(write_file(tmp_path / "a.csv", b"text,label\nfine,x\nno\x81\xff\xfe,y\n")) == [("E103", 3, 3)]
    assert faults(write_file(tmp_path / "b.csv", bytes(range(256)) * 20))[0][0] in ("E103", "E112")


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_every_kind_of_line_end_ends_a_line(tmp_path, end):
    assert rows(write_file(tmp_path / "a.csv", end.join(["text,label", "a,x", "b,y", ""]))) == [("a", "x"), ("b", "y")]


@pytest.mark.parametrize(("text", "expected"), [
    ('{"text": "a"}\n{"text": }\n{"text": "b"}\n', [("E110", 2, 10)]),
    ('{"text": "a"}\n[1, 2]\n', [("E110", 2, 1)]),
    ('{"text": "a"}\n{"text": "cut o', [("E111", 2, 10)]),
    ('{"text": "a"}\n{"n": NaN}\n', [("E110", 2, 1)]),
    ("{}\n", [("E101", None, None)]),
])
def test_faults_of_json_lines_are_reported(tmp_path, text, expected):
    assert faults(write_file(tmp_path / "a.jsonl", text)) == expected


def test_json_values_keep_their_types_and_columns_are_all_keys(tmp_path):
    path = write_file(tmp_path / "a.jsonl", '{"text": "a", "n": 1}\n\n{"label": null, "text": "b", "more": [1, {"x": '
                      'true}]}\n')
    table = open_table(path, Data())
    assert table.columns == ("text", "n", "label", "more")
    assert [record.values for record in table] == [("a", 1, None, None), ("b", None, None, [1, {"x": True}])]
    assert [record.line for record in table] == [1, 3]


def test_mixed_types_are_a_warning(tmp_path):
    assert "W101" in codes(write_file(tmp_path / "a.jsonl", '{"label": 1}\n{"label": "two"}\n'))


def test_json_lists_and_wrapped_lists(tmp_path):
    assert rows(write_file(tmp_path / "a.json", '[{"text": "a"}, {"text": "b"}]')) == [("a",), ("b",)]
    assert rows(write_file(tmp_path / "b.json", json.dumps({"version": 1, "data": [{"text": "a"}]},
                                                           indent=1))) == [("a",)]
    assert faults(write_file(tmp_path / "c.json", '[{"text": "a"},\n {"text": ')) == [("E111", 2, 11)]
    assert faults(write_file(tmp_path / "d.json", '[{"text": "a"}, 7]')) == [("E110", None, None)]


def test_the_content_decides_when_the_name_is_wrong(tmp_path):
    table = open_table(write_file(tmp_path / "a.csv", '{"text": "a", "label": "x"}\n{"text": "b", "label": "y"}\n'),
                       Data())
    assert len(table) == 2 and "N105" in {finding.code for finding in table.findings}


def parquet(path, table):
    import pyarrow
    import pyarrow.parquet

    pyarrow.parquet.write_table(pyarrow.table(table), path)
    return str(path)


def test_parquet_is_read_with_its_types(tmp_path):
    path = parquet(tmp_path / "a.parquet", {"text": ["a", "b"], "label": [1, None]})
    assert rows(path) == [("a", 1), ("b", None)]
    (tmp_path / "cut.parquet").write_bytes((tmp_path / "a.parquet").read_bytes()[:-40])
    assert faults(str(tmp_path / "cut.parquet"))[0][0] == "E113"
    assert faults(write_file(tmp_path / "no.parquet", "text,label\na,b\n"))[0][0] == "E112"


@pytest.mark.parametrize("name", ["a.csv", "a.tsv", "a.jsonl", "a.json", "a.parquet"])
@pytest.mark.parametrize("compression", ["gz", "zip"])
def test_compressed_files_hold_the_same_rows(tmp_path, name, compression):
    contents = {"a.csv": "text,label\na,x\nb,y\n", "a.tsv": "text\tlabel\na\tx\nb\ty\n",
                "a.jsonl": '{"text": "a", "label": "x"}\n' * 2, "a.json": '[{"text": "a", "label": "x"}]'}
    path = parquet(tmp_path / name, {"text": ["a"], "label": ["x"]}) if name == "a.parquet" else write_file(
        tmp_path / name, contents[name])
    compressed = tmp_path / f"{name}.{compression}"
    if compression == "gz":
        compressed.write_bytes(gzip.compress((tmp_path / name).read_bytes()))
    else:
        with zipfile.ZipFile(compressed, "w") as archive:
            archive.write(path, name)
            archive.writestr(f"__MACOSX/._{name}", b"\0")
    assert rows(str(compressed)) == rows(path)
    assert compression[:2] in open_table(str(compressed), Data()).format


def test_damaged_archives_are_reported(tmp_path):
    content = gzip.compress(("text,label\n" + "some words,x\n" * 5000).encode())
    assert faults(write_file(tmp_path / "cut.csv.gz", content[:len(content) // 2]))[0][0] == "E113"
    with zipfile.ZipFile(tmp_path / "two.zip", "w") as archive:
        archive.writestr("a.csv", "text\nx\n")
        archive.writestr("b.csv", "text\nx\n")
    assert faults(str(tmp_path / "two.zip"))[0][0] == "E114"
    with zipfile.ZipFile(tmp_path / "sheet.csv", "w") as archive:
        archive.writestr("xl/workbook.xml", "<x/>")
    assert faults(str(tmp_path / "sheet.csv"))[0][0] == "E113"


@pytest.mark.parametrize("start", [b"%PDF-1.7", b"\x80\x04\x95", b"<!DOCTYPE html><html>", b"\x89PNG\r\n", b"\x7fELF"])
def test_what_is_no_table_is_reported(tmp_path, start):
    assert faults(write_file(tmp_path / "a.csv", start + b" and more\n" * 5))[0][0] == "E112"


def test_what_cannot_be_opened_is_reported_without_hanging(tmp_path):
    os.mkfifo(tmp_path / "pipe.csv")
    (tmp_path / "folder.csv").mkdir()
    for path, expected in ((tmp_path / "pipe.csv", "pipe"), (tmp_path / "folder.csv", "folder"),
                           (tmp_path / "none.csv", "no file")):
        with pytest.raises(UserError) as caught:
            open_table(str(path), Data())
        assert caught.value.exit == 66 and expected in caught.value.message
    path = write_file(tmp_path / "locked.csv", "text\na\n")
    os.chmod(path, 0)
    if not os.access(path, os.R_OK):
        with pytest.raises(UserError) as caught:
            open_table(path, Data())
        assert caught.value.exit == 66


def test_without_a_header_columns_are_numbers(tmp_path):
    table = open_table(write_file(tmp_path / "a.csv", "good words,x\nbad words,y\n"), Data(header=False))
    assert table.columns == ("0", "1") and len(table) == 2 and "N103" in {finding.code for finding in table.findings}


def test_rows_on_disk_equal_rows_in_memory(tmp_path):
    text = "text,label\n" + "".join(f'"words, {n} é\nmore",{n % 3}\n' for n in range(500))
    path = write_file(tmp_path / "a.csv", text)
    memory, disk = open_table(path, Data()), open_table(path, Data(), memory_limit=1000)
    assert disk.builder.store.file is not None and memory.builder.store.file is None
    assert list(memory) == list(disk)
    assert [disk[index] for index in (499, 0, 250, -1)] == [memory[index] for index in (499, 0, 250, -1)]


def test_the_files_of_a_folder_are_splits(tmp_path):
    for name in ("train.csv", "validation.csv", "test_mismatched.csv"):
        write_file(tmp_path / name, "text,label\na,x\n")
    write_file(tmp_path / "notes.md", "not data")
    assert set(find_splits(str(tmp_path), Data())) == {"train", "dev", "test/mismatched"}
    write_file(tmp_path / "val.jsonl", "{}")
    with pytest.raises(UserError):
        find_splits(str(tmp_path), Data())


def test_a_folder_for_each_label_is_a_table(tmp_path):
    for label in ("neg", "pos"):
        (tmp_path / "train" / label).mkdir(parents=True)
        for number in range(2):
            write_file(tmp_path / "train" / label / f"{number}.txt", f"{label} words {number}")
    assert set(find_splits(str(tmp_path), Data())) == {"train"}
    table = open_table(find_splits(str(tmp_path), Data())["train"], Data())
    assert next(record.values for record in table) == ("neg words 0", "neg", "neg/0.txt") and len(table) == 4
    assert table.columns == ("text", "label", "file")


def test_hashes_are_of_the_file_as_it_is_on_disk(tmp_path):
    import hashlib

    path = write_file(tmp_path / "a.csv.gz", gzip.compress(b"text\na\nb\n"))
    with open(path, "rb") as file:
        assert open_table(path, Data()).sha256 == hashlib.sha256(file.read()).hexdigest()


def test_a_run_is_never_suggested_as_the_data_that_was_meant(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name, file in (("imdb-run", ".lock"), ("imdb-old", "settings.toml")):
        (tmp_path / name).mkdir()
        (tmp_path / name / file).write_text("")
    with pytest.raises(UserError) as caught:
        find_splits("imdb", Data())
    assert "imdb-run" not in str(caught.value) and "imdb-old" not in str(caught.value)
    (tmp_path / "imdb.csv").write_text("text,label\n")
    with pytest.raises(UserError, match=r"Did you mean imdb\.csv") as caught:
        find_splits("imdb", Data())
    assert caught.value.exit == 66
