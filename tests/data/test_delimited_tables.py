"""Any table that a writer wrote is read back equal, or it is asked how it is meant; never read otherwise."""

import csv
import io
import random
from pathlib import Path

import pytest

from headstart.data.table import open_table
from headstart.errors import DataError
from headstart.settings import Data

SIGNS = ['"', '""', "'", ",", ";", "\t", "|", "\n", "\r\n", "\r", "\\", '\\"', "\\\\", " ", "  ", "a", "word", "é", "日本",
         "😀", "", "1", "3,5", "x;y", "a|b", "\u2028", "\x0b", "\x85", "#", '"q"', "'t'", "\\n", "\\N", "1,000"]
WORDS = ["the", "room", "was", "clean", "nice", "no", "7"]
NAMES = ["id", "text", "label", "target", "date", "Kunden Text", "note"]
WRITERS = {  # how the table is written
    "default": {},
    "all in quotes": {"quoting": csv.QUOTE_ALL},
    "texts in quotes": {"quoting": csv.QUOTE_NONNUMERIC},
    "escaped": {"escapechar": "\\", "doublequote": False},
    "no quotes": {"quoting": csv.QUOTE_NONE, "escapechar": "\\"},
}


def draw_text(draw):
    kind = draw.random()
    if kind < 0.12:
        return ""
    if kind < 0.5:
        return " ".join(draw.choices(WORDS, k=draw.randint(1, 6)))
    return "".join(draw.choices(SIGNS, k=draw.randint(1, 7)))


def draw_table(draw):
    """Names of columns, and rows of any texts."""
    names = draw.sample(NAMES, draw.randint(1, 4))
    return names, [[draw_text(draw) for _ in names] for _ in range(draw.randint(1, 12))]


def written(names, rows, **options):
    text = io.StringIO(newline="")
    csv.writer(text, **options).writerows([names, *rows])
    return text.getvalue()


def rows_or_code(path, **settings):
    """The rows of a table, or the code of the fault or question that stops it."""
    try:
        table = open_table(str(path), Data(**settings))
    except DataError as error:
        return error.findings[0].code
    fault = next((finding.code for finding in table.findings if finding.level == "fault"), None)
    return fault or [list(record.values) for record in table]


def check_tables(folder, seeds):
    asked = 0
    for seed in seeds:
        draw = random.Random(seed)
        names, rows = draw_table(draw)
        writer = list(WRITERS)[seed % len(WRITERS)]
        if writer == "no quotes" and len(names) == 1:  # Python's writer has no way to write an empty text so
            writer = "default"
        delimiter = draw.choice(",;\t|")
        path = Path(folder) / ("a.tsv" if delimiter == "\t" and seed % 2 else "a.csv")
        path.write_text(written(names, rows, delimiter=delimiter, **WRITERS[writer]), encoding="utf-8", newline="")
        escapes = {"escaped": {"escape": "backslash", "quote": "double"},
                   "no quotes": {"escape": "backslash", "quote": "none"}}.get(writer, {})
        assert rows_or_code(path, delimiter=delimiter, **escapes) == rows, (seed, writer)
        detected = rows_or_code(path)
        assert detected == rows or detected in ("E104", "E105", "E122", "E123"), (seed, writer, detected)
        asked += detected != rows
    return asked


def test_any_table_is_read_back_equal_or_asked(tmp_path):
    assert check_tables(tmp_path, range(500)) < 100


@pytest.mark.slow
def test_ten_thousand_tables_are_read_back_equal_or_asked(tmp_path):
    assert check_tables(tmp_path, range(500, 10_500)) < 2_000


@pytest.mark.slow
@pytest.mark.parametrize("library", ["pandas", "polars"])
def test_tables_of_other_writers_are_read_back_equal_or_asked(library, tmp_path):
    path, asked = tmp_path / "a.csv", 0
    for seed in range(2_000):
        draw = random.Random(seed)
        names, rows = draw_table(draw)
        # Neither quotes a \r; at the end of a line it cannot be told from a part of the line end (W105, E126).
        rows = [[*row[:-1], row[-1].rstrip("\r")] for row in rows]
        columns = {name: [row[index] for row in rows] for index, name in enumerate(names)}
        delimiter = draw.choice(",;\t|")
        if library == "pandas":
            import pandas

            pandas.DataFrame(columns, dtype=object).to_csv(path, index=False, sep=delimiter)
        else:
            import polars

            polars.DataFrame(columns, schema=dict.fromkeys(columns, polars.String)).write_csv(path, separator=delimiter)
        assert rows_or_code(path, delimiter=delimiter) == rows, seed
        detected = rows_or_code(path)
        assert detected == rows or detected in ("E104", "E105", "E122", "E123"), (seed, detected)
        asked += detected != rows
    assert asked < 400


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
def test_excels_layouts_are_read(end, delimiter, tmp_path):
    """Comma, semicolon or tab; quotes only where needed, doubled inside; line feeds inside a cell; UTF-8 with its mark,
    UTF-16 for "Unicode text"; empty cells to the full width at the end.
    """
    rows = [["He said \"no\"", "1,5"], ["two\nlines", ""], ["a;b", "x,y"], ["", "z"]]
    text = written(["text", "note"], rows, delimiter=delimiter, lineterminator=end)
    for encoding in ("utf-8-sig", "utf-16"):
        path = tmp_path / "a.csv"
        path.write_bytes(text.encode(encoding))
        if end == "\r":  # inside a cell Excel for Mac writes the same sign as at the end of a line
            continue
        table = open_table(str(path), Data())
        assert [list(record.values) for record in table] == rows
        assert table.columns == ("text", "note")


@pytest.mark.parametrize("first", ["sep=;", "sep=;\r", '"sep=;"', "\ufeffsep=;"])
def test_excels_separator_line_is_no_header(first, tmp_path):
    path = tmp_path / "a.csv"
    path.write_text(first + "\ntext;label\nclean, no 1;a\nclean, no 2;b\n", encoding="utf-8", newline="")
    table = open_table(str(path), Data())
    assert table.columns == ("text", "label") and table[0].values == ("clean, no 1", "a") and table[0].line == 3
    assert "semicolon" in table.format and "first line" in table.format


def findings(path, **settings):
    return {finding.code: finding for finding in open_table(str(path), Data(**settings)).findings}


def table_of(tmp_path, text, name="a.csv"):
    path = tmp_path / name
    path.write_text(text, encoding="utf-8", newline="")
    return path


def test_a_doubled_quote_at_the_end_of_a_line_tears_no_field(tmp_path):
    path = table_of(tmp_path, 'text,label\n"The guide said ""mind the step""\nand we all laughed.",good\n"A plain row.",bad\n')
    assert rows_or_code(path) == [['The guide said "mind the step"\nand we all laughed.', "good"], ["A plain row.", "bad"]]
    path = table_of(tmp_path, 'label,text\ngood,"The guide said ""mind, please, the step""\nbad, very bad was the echo."\n')
    assert rows_or_code(path) == [["good", 'The guide said "mind, please, the step"\nbad, very bad was the echo.']]


def test_backslash_escapes_are_found_and_told(tmp_path):
    path = table_of(tmp_path, 'text,label\n"he said \\"rose\\" and left",yes\n"a, b",no\nplain,yes\n')
    assert rows_or_code(path) == [['he said "rose" and left', "yes"], ["a, b", "no"], ["plain", "yes"]]
    assert "N108" in findings(path) and "backslash" in open_table(str(path), Data()).format
    assert rows_or_code(path, escape="none") == "E123"


def test_text_behind_a_closing_quote_is_a_fault_with_its_place(tmp_path):
    path = table_of(tmp_path, 'text,label\na,x\n"he said "rose" and left",yes\n"c, d",z\n')
    fault = findings(path)["E123"]
    assert (fault.line, fault.column) == (3, 11) and "--bad-rows skip" in fault.fix
    assert [record.values for record in open_table(str(path), Data())] == [("a", "x"), ("c, d", "z")]


def test_no_line_of_a_torn_record_becomes_a_row(tmp_path):
    path = table_of(tmp_path, 'text,label\n"q, r",x\n"He said "no" and\nleft, slowly\nand came",yes\n"t, u",z\n')
    table = open_table(str(path), Data())
    assert [record.values for record in table] == [("q, r", "x"), ("t, u", "z")]
    assert [(finding.code, finding.line) for finding in table.findings] == [("E123", 3)]


def test_blanks_behind_a_closing_quote_are_left_out_and_told(tmp_path):
    path = table_of(tmp_path, 'text,label\n"a, b" ,x\n"c, d"\t,y\n')
    assert rows_or_code(path) == [["a, b", "x"], ["c, d", "y"]] and "N110" in findings(path)


def test_empty_lines_and_empty_rows_at_the_end_are_counted_and_no_faults(tmp_path, headstart):
    path = table_of(tmp_path, "text;label\na b;x\n\nc d;y\ne f;x\ng h;y\n;\n;\n")
    assert [finding.message for finding in open_table(str(path), Data()).findings if finding.code == "N107"] == [
        "1 line is empty, and no rows.", "the last 2 rows have empty fields only; they are not used."]
    code, _, _ = headstart("check", path, "--task", "text-classification")
    assert code == 0


def test_empty_fields_at_the_end_of_all_rows_are_left_out(tmp_path):
    path = table_of(tmp_path, "text,label\na,x,\nb,y,\n")
    assert rows_or_code(path) == [["a", "x"], ["b", "y"]] and "N109" in findings(path)


def test_two_readings_without_a_fault_are_asked_with_both_shown(tmp_path, headstart):
    path = table_of(tmp_path, "date;name,city\n2;a,b\n3;c,d\n")
    code, _, stderr = headstart("check", path)
    assert code == 65 and "[E122]" in stderr
    assert "comma" in stderr and "semicolon" in stderr and "'2;a'" in stderr and "--set data.delimiter=semicolon" in stderr
    assert rows_or_code(path, delimiter="semicolon") == [["2", "a,b"], ["3", "c,d"]]
    assert rows_or_code(path, delimiter=",") == [["2;a", "b"], ["3;c", "d"]]


def test_single_quotes_enclose_fields_where_only_so_the_rows_fit(tmp_path):
    path = table_of(tmp_path, "text,label\n'a, b',x\n'it''s',y\n")
    assert rows_or_code(path) == [["a, b", "x"], ["it's", "y"]]
    assert "single quotes" in open_table(str(path), Data()).format


@pytest.mark.parametrize("delimiter", ["^", "~"])
def test_rare_delimiters_are_found(delimiter, tmp_path):
    path = table_of(tmp_path, f"text{delimiter}label\na, b{delimiter}x\nc{delimiter}y\n", "a.tsv")
    assert rows_or_code(path) == [["a, b", "x"], ["c", "y"]]


def test_a_field_of_many_lines_and_megabytes_is_read(tmp_path):
    text = "line, \"one\"\n" * 200_000
    path = table_of(tmp_path, written(["text", "label"], [[text, "x"], ["b", "y"]]))
    assert rows_or_code(path) == [[text, "x"], ["b", "y"]]


@pytest.mark.parametrize("setting, value", [("delimiter", "||"), ("quote", "x"), ("escape", "/"), ("delimiter", "\n")])
def test_signs_that_are_none_are_refused(setting, value, tmp_path):
    from headstart.errors import UserError

    with pytest.raises(UserError) as caught:
        open_table(str(table_of(tmp_path, "text,label\na,b\n")), Data(**{setting: value}))
    assert caught.value.exit == 78 and f"data.{setting}" in caught.value.message
