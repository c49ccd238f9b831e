"""What goes out is what came in: cells, signs, encodings, types; or it is said what could not be kept."""

import bz2
import csv
import datetime
import gc
import gzip
import io
import json
import lzma
import zipfile

import pyarrow
import pyarrow.feather
import pyarrow.parquet
import pytest
from hypothesis import given
from hypothesis import settings as property_settings
from hypothesis import strategies as st

from headstart.data.outputs.layout import Layout, check_name, named_layout, output_layout
from headstart.data.outputs.place import check_output
from headstart.data.table import open_table
from headstart.data.writers import BorrowedStream, open_writer
from headstart.errors import Exit, UserError
from headstart.files import staged_file
from headstart.settings import Data

ADDED = {"prediction": 'good; "or", bad\nor\tboth', "probability": 0.25, "probabilities": {"good": 0.25}}


def test_standard_output_stays_open_when_what_writes_to_it_is_forgotten(tmp_path):
    with (tmp_path / "out").open("wb") as stream:
        writer = BorrowedStream(stream, encoding="utf-8", newline="")
        writer.write("a row\n")
        del writer
        gc.collect()
        stream.write(b"more")
    assert (tmp_path / "out").read_text(encoding="utf-8") == "a row\nmore"


def copied(path, to, settings=None, added=ADDED):
    """A file's rows with a prediction each, written as it was written; the table, and what was told."""
    table = open_table(str(path), settings or Data())
    told = []
    layout = output_layout(str(to), table, settings or Data())
    with open_writer(str(to), [*table.columns, *added], layout, overwrite=False, tell=told.append) as writer:
        for record in table:
            writer.write(dict(zip(table.columns, record.values, strict=True)) | added)
    return table, told


TEXTS = st.text(st.sampled_from(["a", "b", "7", " ", '"', "'", ",", ";", "\t", "|", "\n", "\r", "é", "😀", "=", "\\"]),
                max_size=6)
TABLES = st.integers(2, 4).flatmap(lambda width: st.lists(st.lists(TEXTS, min_size=width, max_size=width), min_size=1,
                                                          max_size=6))
DIALECTS = st.sampled_from([("comma", ","), ("semicolon", ";"), ("tab", "\t"), ("bar", "|")])


@property_settings(max_examples=150, deadline=None)
@given(TABLES, DIALECTS, st.sampled_from(["\n", "\r\n"]), st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL]),
       st.booleans())
def test_the_users_columns_come_out_equal(tmp_path_factory, rows, dialect, line_end, quoting, has_mark):
    name, delimiter = dialect
    rows = [row if any(row) else ["x", *row[1:]] for row in rows]
    if line_end == "\n" and quoting == csv.QUOTE_MINIMAL:  # where the library leaves \r without quotes
        rows = [[cell.replace("\r", "r") for cell in row] for row in rows]
    folder = tmp_path_factory.mktemp("table")
    text = io.StringIO(newline="")
    writer = csv.writer(text, delimiter=delimiter, lineterminator=line_end, quoting=quoting)
    writer.writerows([[f"column {index}" for index in range(len(rows[0]))], *rows])
    content = text.getvalue()
    (folder / "in.csv").write_bytes(("\ufeff" if has_mark else "").encode() + content.encode())
    copied(folder / "in.csv", folder / "out.csv", Data(delimiter=name, quote="double", escape="none"))
    output = (folder / "out.csv").read_bytes()
    assert output.startswith(b"\xef\xbb\xbf") == has_mark
    lines = list(csv.reader(io.StringIO(output.decode("utf-8-sig"), newline=""), delimiter=delimiter, strict=True))
    assert [line[:len(rows[0])] for line in lines[1:]] == rows
    assert all(line[len(rows[0]):] == [ADDED["prediction"], "0.25", '{"good": 0.25}'] for line in lines[1:])
    assert output.endswith(line_end.encode()) and (line_end == "\r\n") == (b"3" + line_end.encode() == b"3\r\n")


@pytest.mark.parametrize("text,layout,first_line", [
    ("text;n\r\na;1\r\n", {"delimiter": ";", "line_end": "\r\n"}, "text;n;prediction"),
    ('"text","n"\n"a","1"\n', {"quotes": "all"}, '"text","n","prediction"'),
    ('"text","n"\n"a b",1\n"b",NA\n', {"quotes": "texts"}, '"text","n","prediction"'),
    ("sep=;\ntext;n\na;1\n", {"separator_line": True}, "sep=;"),
    ("'text','n'\n'a, b','1'\n'it''s','2'\n", {"quote": "'"}, "'text','n','prediction'"),
    ('text,n\n"say \\"a\\"",1\nb,2\n', {"escape": "\\"}, "text,n,prediction"),
])
def test_a_delimited_file_is_written_as_it_came(text, layout, first_line, tmp_path):
    (tmp_path / "in.csv").write_bytes(text.encode())
    table, told = copied(tmp_path / "in.csv", tmp_path / "out.csv", added={"prediction": "x"})
    written = vars(output_layout(str(tmp_path / "new.csv"), table, Data()))
    assert {name: written[name] for name in layout} == layout and not told
    content = (tmp_path / "out.csv").read_bytes().decode()
    assert content.startswith(first_line + layout.get("line_end", "\n"))
    again = open_table(str(tmp_path / "out.csv"), Data())
    assert [record.values[:2] for record in again] == [record.values for record in table]


def test_without_quotes_a_text_that_needs_them_is_told(tmp_path):
    (tmp_path / "in.tsv").write_text('text\tn\n5" pipe\t1\n"b\t2\n')
    _, told = copied(tmp_path / "in.tsv", tmp_path / "out.tsv", added={"prediction": "two\nlines"})
    assert (tmp_path / "out.tsv").read_text() == 'text\tn\tprediction\n5" pipe\t1\ttwo lines\n"b\t2\ttwo lines\n'
    assert len(told) == 1 and "2 texts hold a line end" in told[0]


@pytest.mark.parametrize("encoding,label,is_told", [("cp1252", "größer", False), ("cp1252", "больше", True),
                                                    ("cp1251", "больше", False), ("utf-16", "больше", False),
                                                    ("shift_jis", "日本", False), ("cp1252", "😀", True)])
def test_an_encoding_is_kept_or_it_is_said_that_it_has_no_such_letter(encoding, label, is_told, tmp_path):
    text = {"cp1251": "привет", "shift_jis": "こんにちは"}.get(encoding, "schön")
    (tmp_path / "in.csv").write_bytes(f"text,n\n{text},1\n".encode(encoding))
    _, told = copied(tmp_path / "in.csv", tmp_path / "out.csv", Data(encoding=encoding), {"prediction": label})
    output = (tmp_path / "out.csv").read_bytes()
    assert output.decode("utf-8-sig" if is_told else encoding) == f"text,n,prediction\n{text},1,{label}\n"
    assert bool(told) == is_told and (not told or repr(label[0]) in told[0])


@pytest.mark.parametrize("ending,unpack", [("gz", gzip.decompress), ("bz2", bz2.decompress), ("xz", lzma.decompress),
                                           ("zst", None), ("zip", None)])
def test_what_is_compressed_goes_out_compressed_the_same_bytes_each_time(ending, unpack, tmp_path):
    (tmp_path / "in.csv").write_text("text,n\na,1\n")
    copied(tmp_path / "in.csv", tmp_path / f"out.csv.{ending}", added={"prediction": "x"})
    (tmp_path / "again").mkdir()
    copied(tmp_path / "in.csv", tmp_path / "again" / f"out.csv.{ending}", added={"prediction": "x"})
    content = (tmp_path / f"out.csv.{ending}").read_bytes()
    assert content == (tmp_path / "again" / f"out.csv.{ending}").read_bytes()
    if ending == "zip":
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            assert archive.namelist() == ["out.csv"]
            text = archive.read("out.csv")
    else:
        text = unpack(content) if unpack else pyarrow.CompressedInputStream(pyarrow.BufferReader(content),
                                                                            "zstd").read()
    assert text == b"text,n,prediction\na,1,x\n"


TYPED = pyarrow.table({
    "text": pyarrow.array(["a", None, "c"]), "day": pyarrow.array([datetime.date(2024, 2, 29), None, None]),
    "at": pyarrow.array([None, datetime.datetime(2024, 1, 1, 12), None], pyarrow.timestamp("ns", "UTC")),
    "price": pyarrow.array([1, 2, None], pyarrow.decimal128(9, 2)), "n": pyarrow.array([1, 2, 3], pyarrow.int8()),
    "tags": pyarrow.array([["a"], [], None]), "raw": pyarrow.array([b"\0", b"", None]),
    "place": pyarrow.array([{"x": 1, "y": [1.5]}, None, {"x": None, "y": []}]),
    "kind": pyarrow.array(["u", "v", "u"]).dictionary_encode()}).replace_schema_metadata({"ours": "kept"})


@pytest.mark.parametrize("ending", ["parquet", "feather", "arrow"])
def test_columns_of_arrow_data_keep_their_types(ending, tmp_path):
    path, to = tmp_path / f"in.{ending}", tmp_path / f"out.{ending}"
    if ending == "parquet":
        pyarrow.parquet.write_table(TYPED, path, row_group_size=2)
    elif ending == "feather":
        pyarrow.feather.write_feather(TYPED, path)
    else:
        with pyarrow.ipc.new_stream(path, TYPED.schema) as file:
            file.write_table(TYPED)
    copied(path, to, added={"prediction": "x", "spans": [{"start": 1}]})
    read = pyarrow.parquet.read_table if ending == "parquet" else pyarrow.feather.read_table
    output, source = read(to), pyarrow.parquet.read_table(path) if ending == "parquet" else TYPED
    assert output.select(source.column_names).equals(source, check_metadata=True)
    assert output.column_names[-2:] == ["prediction", "spans"]
    assert output["spans"].to_pylist() == [[{"start": 1}]] * 3


def test_the_type_of_a_column_is_known_at_its_end(tmp_path):
    rows = [{"number": None, "spans": [], "mixed": 1}] * 5000 + [
        {"number": 1, "spans": [{"start": 1}], "mixed": "a"}, {"number": 0.5, "spans": None, "mixed": None}]
    with open_writer(str(tmp_path / "out.parquet"), list(rows[0]), overwrite=False) as writer:
        for row in rows:
            writer.write(row)
    output = pyarrow.parquet.read_table(tmp_path / "out.parquet")
    assert output.num_rows == 5002 and output["number"].to_pylist()[-2:] == [1.0, 0.5]
    assert output["spans"].to_pylist()[-3:] == [[], [{"start": 1}], None]
    assert output["mixed"].to_pylist()[-3:] == ["1", "a", None]


def test_a_workbook_holds_texts_as_texts(tmp_path):
    openpyxl = pytest.importorskip("openpyxl")
    texts = ["=1+1", "#N/A", "007", " blank ", "two\nlines", "@x", "'y", "-1", "1e5"]
    with open_writer(str(tmp_path / "out.xlsx"), ["text", "n"], overwrite=False) as writer:
        for text in texts:
            writer.write({"text": text, "n": 12345678901234567890 if text == "007" else 3})
        writer.write({"text": {"a": [1]}, "n": float("nan")})
    sheet = openpyxl.load_workbook(tmp_path / "out.xlsx").active
    rows = list(sheet.iter_rows(values_only=True))
    assert [row[0] for row in rows] == ["text", *texts, '{"a": [1]}']
    assert {cell.data_type for cell in sheet["A"]} == {"s"} or {cell.data_type for cell in sheet["A"]} <= {"s", "inlineStr"}
    assert rows[3] == ("007", "12345678901234567890") and rows[1][1] == 3 and rows[-1][1] is None


def test_a_workbook_says_what_it_does_not_hold(tmp_path, monkeypatch):
    pytest.importorskip("openpyxl")
    with pytest.raises(UserError, match="32,768 characters") as caught, open_writer(
            str(tmp_path / "long.xlsx"), ["text"], overwrite=False) as writer:
        writer.write({"text": "x" * 32768})
    assert caught.value.exit == Exit.DATA
    monkeypatch.setattr("headstart.data.outputs.layout.SHEET_ROWS", 3)
    with pytest.raises(UserError, match="holds 3 rows"), open_writer(
            str(tmp_path / "many.xlsx"), ["text"], overwrite=False) as writer:
        for _ in range(3):
            writer.write({"text": "x"})
    assert not list(tmp_path.iterdir())


def test_json_has_no_numbers_that_are_none(tmp_path):
    with open_writer(str(tmp_path / "out.jsonl"), ["n"], overwrite=False) as writer:
        writer.write({"n": float("nan"), "m": [1.5, {"x": float("inf")}]})
    assert json.loads((tmp_path / "out.jsonl").read_text()) == {"n": None, "m": [1.5, {"x": None}]}


def test_an_ending_that_is_not_written_is_named():
    for path in ("a.ods", "a.docx", "b.txt.gz"):
        with pytest.raises(UserError, match="should end in"):
            named_layout(path)
    assert named_layout("a.TAB.gz") == Layout("tsv", "gzip", delimiter="\t")


def test_a_place_is_refused_in_words(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text("x")
    (tmp_path / "link.csv").symlink_to(path)
    (tmp_path / "hard.csv").hardlink_to(path)
    (tmp_path / "broken.csv").symlink_to(tmp_path / "nothing")
    for place in (path, tmp_path / "link.csv", tmp_path / "hard.csv", tmp_path / "." / ".." / tmp_path.name / "a.csv"):
        with pytest.raises(UserError, match="nothing was written over it") as caught:
            check_output(place, overwrite=True, inputs=[str(path)])
        assert caught.value.exit == Exit.EXISTS
    for place, words in ((path, "exists already"), (tmp_path, "is a folder"), (tmp_path / "broken.csv", "exists")):
        with pytest.raises(UserError, match=words) as caught:
            check_output(place, overwrite=False)
        assert caught.value.exit == Exit.EXISTS
    with pytest.raises(UserError, match=r"in .*, the folder that is read"):
        check_output(path, overwrite=True, inputs=[tmp_path])
    check_output(path, overwrite=True, inputs=["-", str(tmp_path / "other.csv")])
    check_output("-", overwrite=False)


def test_a_file_that_comes_meanwhile_is_not_overwritten(tmp_path):
    path = tmp_path / "a.txt"
    with pytest.raises(UserError, match="exists already"), staged_file(path, overwrite=False) as file:
        file.write("ours")
        path.write_text("theirs")
    assert path.read_text() == "theirs" and [entry.name for entry in tmp_path.iterdir()] == ["a.txt"]
    with staged_file(path, overwrite=False) as file:
        file.write("theirs")
    with staged_file(path) as file:
        file.write("ours")
    assert path.read_text() == "ours" and [entry.name for entry in tmp_path.iterdir()] == ["a.txt"]


def test_a_workbook_gives_every_reader_the_same_letters(tmp_path):
    """Line ends of Windows are no signs like _x000D_ for those who read with openpyxl."""
    openpyxl = pytest.importorskip("openpyxl")
    text, path = "a\r\nb\rc\nd _x000D_", tmp_path / "out.xlsx"
    with open_writer(str(path), ["text"], overwrite=False) as writer:
        writer.write({"text": text})
    cell = openpyxl.load_workbook(path).active["A2"].value
    assert cell == text.replace("_x000D_", "_x005F_x000D_")  # as Excel writes a text that looks like a sign
    pytest.importorskip("python_calamine")
    assert open_table(str(path), Data())[0].values == (text,)


def test_the_file_in_a_zip_says_its_format(tmp_path):
    for name, member in (("out.csv.zip", "out.csv"), ("out.zip", "out.jsonl"), (".zip", "rows.jsonl")):
        with open_writer(str(tmp_path / name), ["a"], overwrite=False) as writer:
            writer.write({"a": "b"})
        assert zipfile.ZipFile(tmp_path / name).namelist() == [member]


@pytest.mark.parametrize(("to", "refused"), [
    ("out.docx", True), ("out.xls", True), ("out.txt", False), ("out.csv.gz", False), ("out", False), ("-", False)])
def test_a_format_that_is_not_written_is_refused_by_its_name(to, refused):
    if not refused:
        return check_name(to, "in.txt")
    with pytest.raises(UserError, match=f"{to} should end in"):
        check_name(to, "in.xls")
    return None
