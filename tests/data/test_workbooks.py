"""A workbook's table is read as its program shows it; what was taken, left out, or cannot be read is told by its cell."""

import base64
import builtins
import datetime
import random
import zipfile
import zlib
from pathlib import Path

import openpyxl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from headstart.cli.main import run_guarded
from headstart.data.readers import workbook_probe
from headstart.data.table import open_table
from headstart.errors import DataError, UserError, column_letters
from headstart.settings import Data

XLS = (  # two rows that a program of old wrote: text, label (a text and the number 2), when (dates)
    'c-rk)O=uHA6#izCG(WWY(Nt)K5-L`$?Lh?5L%S-~o>FQr{vgziSv9mI5`(oKv|4i%1W$^WLOpn?dhrJp6g_wlDtZtEA<?5JLBT_t_07w'
    'srnN!?TBy#q%$u3_=G%F@GjC>gUr$F06L*`7Sb%Q0P_q4~tI`Qd{z@ebvfH*QR&pODTVqAR@1udN^Wag#E3X<uHQq%?+;Kl634Ek<7$?'
    'z}Nn5dH#BTP%6v~G#k^(nK6GRhxwTk6YmaAFb=9Z6H?qtnnmR;1gAP!;L=xg8Z%;E#Gm2E+&``%~Hd)910BVMXmeEy0kxAkCGHf0X4Fh'
    'h&G9+RK}?X}WYR@Fnei2!hr&>4?+_Vg4GrNN%WH#-J=twi<HnAR_^UV!x9=j*+{(feo+7wWG{H!ueK2nR_XA*^#Nix&gd>6A5cY6d$vs'
    '#PLO&N`Fx0K;a&8m8*V2`f$W!i*hDQGh4SQPLgHWRjF+&6F~syhMcOEfEbII`t%z)T1g#IDo?B<IJruZ{mr5V~{mtye*VBkM+t|*tnn='
    'L=LjWH7DDdv6<yXzUx{pH?xe=?54b}ztJh|9p^Te*xE+@Y-PMPHdK{2QaS&5--DL?Cu0+pr+SNLqf_sU3AEB?mL$Hq#?c`<#Pw?m4~<G'
    'LoQ38C%cfrz9iI$4zT3_Y8N#dzGeU%Axu)KZn5#+WT`9I$ge{oua@q@KtM_(Js+uI9?md^xmW!|@vuT9!guPen056%_UP!8UOX90Wv`q'
    'd)02&$^8X6iJ8XErv1RqGt$8UAW^f(86uk&ALmQqRoCi!PEfDBzZ`l#H4H04>0)--?Cz#}U65=-P%{ue6jr{1#|LW2Dms(Jp>CyuCoo+'
    'T5*e=dY-?Y~rupMSakA9bPJo&')


def workbook(path, **sheets):
    """A workbook with a sheet for each list of rows."""
    book = openpyxl.Workbook()
    book.remove(book.active)
    for name, rows in sheets.items():
        sheet = book.create_sheet(name)
        for row in rows:
            sheet.append(row)
    book.save(path)
    return str(path)


def changed(path, change):
    """The workbook after a change of its first sheet."""
    book = openpyxl.load_workbook(path)
    change(book.worksheets[0])
    book.save(path)
    return str(path)


def open_book(path, **fields):
    return open_table(str(path), Data(**fields))


def values(table):
    return [record.values for record in table]


def told(table):
    return " ".join(finding.text() for finding in table.findings)


REVIEWS = [["text", "label"], ["a fine day", "good"], ["rain again", "bad"], ["roses", "good"]]
CELLS = st.one_of(
    st.none(), st.booleans(), st.integers(-10**9, 10**9), st.floats(-1e6, 1e6).map(lambda number: round(number, 3)),
    st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Cs", "Cn", "Zl", "Zp", "Co"]), min_size=1, max_size=12).filter(
        lambda text: text.strip() == text and not text.startswith("=") and not text.startswith("#") and "_x" not in text),
    st.datetimes(datetime.datetime(1990, 1, 1), datetime.datetime(2050, 1, 1)).map(lambda time: time.replace(microsecond=0)),
    st.dates(datetime.date(1990, 1, 1), datetime.date(2050, 1, 1)))


def expected(cell):
    """A cell as JSON has it."""
    if isinstance(cell, datetime.datetime):
        return cell.date().isoformat() if cell.time() == datetime.time() else cell.isoformat()
    if isinstance(cell, datetime.date):
        return cell.isoformat()
    return int(cell) if isinstance(cell, float) and cell.is_integer() else cell


@settings(max_examples=12, derandomize=True, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.lists(st.tuples(CELLS, CELLS, CELLS).filter(any), min_size=1, max_size=40))
def test_what_openpyxl_wrote_is_read_back_cell_by_cell(tmp_path_factory, rows):
    path = workbook(tmp_path_factory.mktemp("book") / "a.xlsx", S=[["first", "second", "third"], *rows])
    table = open_book(path)
    assert values(table) == [tuple(map(expected, row)) for row in rows]


@pytest.mark.parametrize("name", ["a.xlsx", "a.xlsm", "named_otherwise.dat"])
def test_a_workbook_is_known_by_what_it_is(tmp_path, name):
    path = workbook(tmp_path / "a.xlsx", Reviews=REVIEWS)
    (tmp_path / name).write_bytes((tmp_path / "a.xlsx").read_bytes())
    table = open_book(tmp_path / name)
    assert values(table) == [tuple(row) for row in REVIEWS[1:]] and len(open_book(path)) == 3
    assert table.format == 'excel, sheet "Reviews", header in row 1'
    assert table.layout == {"sheet": "Reviews", "header_row": "1"}


def test_an_xls_of_the_nineties_is_read(tmp_path):
    (tmp_path / "a.xls").write_bytes(zlib.decompress(base64.b85decode("".join(XLS))))
    table = open_book(tmp_path / "a.xls")
    assert values(table) == [("a fine day", "good", "2024-01-02"), ("rain", 2, "2024-02-03")]


def test_lines_above_the_header_are_found_and_told(tmp_path):
    rows = [["Customer feedback 2024"], ["exported", "2024-04-03"], [], ["text", "label", "stars"],
            *[[f"text {index}", "good", index] for index in range(9)]]
    table = open_book(workbook(tmp_path / "a.xlsx", S=rows))
    assert table.columns == ("text", "label", "stars") and len(table) == 9
    assert "header in row 4" in table.format
    assert "lines above the header are not read: 'Customer feedback 2024', 'exported'" in told(table)
    assert table[0].line == 5


def test_a_table_may_begin_anywhere_and_its_cells_are_named_as_the_program_names_them(tmp_path):
    book = openpyxl.Workbook()
    for row, (text, label) in enumerate(REVIEWS, start=3):
        book.active.cell(row, 3, text), book.active.cell(row, 4, label)
    book.active["D5"].value, book.active["D5"].data_type = "#N/A", "e"
    book.save(tmp_path / "a.xlsx")
    table = open_book(tmp_path / "a.xlsx")
    assert values(table) == [("a fine day", "good"), ("roses", "good")]
    assert 'sheet "Sheet" cell D5 [E127] the cell holds an error (#N/A)' in table.findings[0].text()


def test_a_fault_of_a_task_names_sheet_and_cell(tmp_path, capsys):
    rows = [["label", "text"], *[["ab"[index % 2], f"a text about thing {index}"] for index in range(20)]]
    rows[4][1] = "   "
    path = workbook(tmp_path / "a.xlsx", Reviews=rows)
    assert run_guarded(["check", path, "--task", "text-classification"]) == 65
    assert 'sheet "Reviews" cell B5 [E201]' in capsys.readouterr().err


def test_empty_rows_and_columns_are_counted_and_left_out(tmp_path):
    rows = [["text", None, "label"], ["a", None, "x"], [], ["b", None, "y"], [], []]
    table = open_book(workbook(tmp_path / "a.xlsx", S=rows))
    assert table.columns == ("text", "label") and values(table) == [("a", "x"), ("b", "y")]
    assert [record.line for record in table] == [2, 4]
    assert "1 empty row is left out" in told(table) and "1 empty column is left out" in told(table)


def test_columns_without_a_name_and_with_the_same_name_are_called_by_their_letters(tmp_path):
    table = open_book(workbook(tmp_path / "a.xlsx", S=[["text", None, "text"], ["a", 1, "b"], ["c", 2, "d"]]))
    assert table.columns == ("text (column A)", "column B", "text (column C)")
    assert "columns without a name in the header: column B" in told(table) and "[N112]" in told(table)


def test_merged_cells_have_their_value_in_each_row(tmp_path):
    rows = [["label", "text"], ["good", "a"], [None, "b"], ["bad", "c"]]
    path = changed(workbook(tmp_path / "a.xlsx", S=rows), lambda sheet: sheet.merge_cells("A2:A3"))
    table = open_book(path)
    assert values(table) == [("good", "a"), ("good", "b"), ("bad", "c")]
    assert "1 cell is merged over several rows" in told(table)


def test_formulas_without_values_are_told_by_column(tmp_path):
    rows = [["text", "label", "sum"], ["a", "x", "=1+1"], ["b", "y", '="p"&"q"']]
    table = open_book(workbook(tmp_path / "a.xlsx", S=rows))
    assert values(table) == [("a", "x", None), ("b", "y", None)]
    assert "[W106] column C: 2 formulas have no value" in told(table)


def test_times_durations_and_whole_numbers_are_as_people_write_them(tmp_path):
    rows = [["a", "b", "c", "d"], [2.0, datetime.time(10, 3), datetime.timedelta(hours=30), True]]
    table = open_book(workbook(tmp_path / "a.xlsx", S=[*rows, *rows[1:]]))
    assert values(table)[0] == (2, "10:03:00", "30:00:00", True)


def test_hidden_and_further_sheets_are_told_and_not_read(tmp_path):
    path = workbook(tmp_path / "a.xlsx", Reviews=[*REVIEWS, *[["t", "good"]] * 40], Notes=[["for us only"]],
                    Old=[["text", "label"], *[["o", "p"]] * 90])
    book = openpyxl.load_workbook(path)
    book["Old"].sheet_state = "hidden"
    book.save(path)
    table = open_book(path)
    assert len(table) == 43 and 'sheet "Reviews" (of 3)' in table.format
    assert 'other sheets are not read: "Notes" (no table)' in told(table)
    assert 'a hidden sheet is not read: "Old"' in told(table)
    assert len(open_book(path, sheet="Old")) == 90


def test_several_tables_are_a_question_with_the_commands(tmp_path, capsys):
    path = workbook(tmp_path / "a.xlsx", **{"First half": REVIEWS, "Second": REVIEWS})
    assert run_guarded(["check", path]) == 2
    error = capsys.readouterr().err
    assert "several sheets are tables" in error and "--sheet 'First half' or --sheet Second" in error


@pytest.mark.parametrize("sheet", ["Second", "second", " Second ", "2"])
def test_a_sheet_is_named_or_numbered(tmp_path, sheet):
    path = workbook(tmp_path / "a.xlsx", First=REVIEWS, Second=[["text"], ["of the second"]])
    assert values(open_book(path, sheet=sheet)) == [("of the second",)]


def test_a_sheet_called_like_a_number_is_meant_by_its_name(tmp_path):
    path = workbook(tmp_path / "a.xlsx", **{"2": REVIEWS, "1": [["text"], ["of the sheet called 1"]]})
    assert values(open_book(path, sheet="1")) == [("of the sheet called 1",)]


def test_a_sheet_that_is_not_there_and_one_of_no_workbook_are_refused(tmp_path, capsys):
    path = workbook(tmp_path / "a.xlsx", Reviews=REVIEWS)
    assert run_guarded(["check", path, "--sheet", "Review"]) == 78
    assert "Did you mean --sheet Reviews?" in capsys.readouterr().err
    (tmp_path / "a.csv").write_text("text,label\na,b\n")
    assert run_guarded(["check", str(tmp_path / "a.csv"), "--sheet", "1"]) == 78
    assert "is not a workbook" in capsys.readouterr().err


def test_numbers_where_names_should_be_are_noticed(tmp_path):
    path = workbook(tmp_path / "a.xlsx", S=[[index, index * 2] for index in range(9)])
    with pytest.raises(DataError, match=r"E108.*row 1 looks like data"):
        open_book(path)
    table = open_book(path, header=False)
    assert table.columns == ("0", "1") and len(table) == 9


def ods(path, body):
    """An OpenDocument workbook of one sheet called S."""
    names = "".join(f' xmlns:{short}="urn:{long}"' for short, long in (
        ("office", "oasis:names:tc:opendocument:xmlns:office:1.0"), ("table", "oasis:names:tc:opendocument:xmlns:table:1.0"),
        ("text", "oasis:names:tc:opendocument:xmlns:text:1.0"),
        ("calcext", "org:documentfoundation:names:experimental:calc:xmlns:calcext:1.0")))
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("mimetype", "application/vnd.oasis.opendocument.spreadsheet")
        archive.writestr("content.xml", f'<office:document-content{names} office:version="1.3"><office:body>'
                         f'<office:spreadsheet><table:table table:name="S">{body}</table:table></office:spreadsheet>'
                         "</office:body></office:document-content>")
        archive.writestr("META-INF/manifest.xml", '<manifest xmlns="urn:oasis:names:tc:opendocument:xmlns:manifest:1.0"/>')
    return path


def text_cell(text, attributes=""):
    return f'<table:table-cell office:value-type="string" {attributes}><text:p>{text}</text:p></table:table-cell>'


def ods_row(*cells, attributes=""):
    return f"<table:table-row {attributes}>{''.join(cells)}</table:table-row>"


def test_an_opendocument_sheet_is_read_with_its_repeated_rows(tmp_path):
    repeated = ods_row(text_cell("b"), text_cell("y"), attributes='table:number-rows-repeated="3"')
    end = ods_row('<table:table-cell table:number-columns-repeated="16384"/>', attributes='table:number-rows-repeated="1048000"')
    path = ods(tmp_path / "a.ods", ods_row(text_cell("text"), text_cell("label")) + ods_row(text_cell("a"), text_cell("x"))
               + repeated + end)
    assert values(open_book(path)) == [("a", "x"), *[("b", "y")] * 3]


@pytest.mark.parametrize("cell", [
    '<table:table-cell table:formula="of:=1/0" office:value-type="string" office:string-value="" '
    'calcext:value-type="error"><text:p>#DIV/0!</text:p></table:table-cell>',
    '<table:table-cell table:formula="of:=1/0" office:value-type="float" office:value="0"><text:p>#DIV/0!</text:p></table:table-cell>'])
def test_an_error_in_an_opendocument_sheet_is_a_fault_and_no_zero(tmp_path, cell):
    path = ods(tmp_path / "a.ods", ods_row(text_cell("text"), text_cell("label")) + ods_row(text_cell("a"), text_cell("x"))
               + ods_row(text_cell("b"), cell))
    table = open_book(path)
    assert values(table) == [("a", "x")] and 'sheet "S" cell B3 [E127] the cell holds an error (#DIV/0!)' in told(table)


DISGUISES = [
    ("a.xls", b"<html><body><table><tr><td>text</td></tr></table></body></html>", "E112.*web page with a table"),
    ("a.xls", b'<?xml version="1.0"?><Workbook xmlns="urn:schemas-microsoft-com:office:spreadsheet"></Workbook>', "E112.*2003"),
    ("a.xlsx", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + b"\0" * 999 + "EncryptedPackage".encode("utf-16-le") + b"\0" * 999, "E128"),
    ("a.doc", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + b"\0" * 3000, "E112.*without a workbook"),
    ("a.xlsx", b"PK\x03\x04 cut off", "E113"),
    ("a.xlsx", b"", "E101"),
]


@pytest.mark.parametrize(("name", "content", "words"), DISGUISES, ids=[words for _, _, words in DISGUISES])
def test_what_is_only_called_a_workbook_is_told_for_what_it_is(tmp_path, name, content, words):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(DataError, match=words):
        open_book(tmp_path / name)


def test_a_table_as_text_that_is_called_a_workbook_is_read_and_told(tmp_path):
    (tmp_path / "a.xls").write_text("text\tlabel\na\tx\nb\ty\n")
    table = open_book(tmp_path / "a.xls")
    assert values(table) == [("a", "x"), ("b", "y")] and "called excel, its content is csv" in told(table)


def test_damage_anywhere_is_told_and_crashes_nothing(tmp_path):
    rng = random.Random(0)
    content = Path(workbook(tmp_path / "a.xlsx", S=[*REVIEWS, *[["t", "good"]] * 30])).read_bytes()
    old = zlib.decompress(base64.b85decode("".join(XLS)))
    for trial in range(40):
        damaged = bytearray(content if trial % 2 else old)
        for _ in range(rng.randint(1, 6)):
            damaged[rng.randrange(len(damaged))] = rng.randrange(256)
        path = tmp_path / ("b.xlsx" if trial % 2 else "b.xls")
        path.write_bytes(damaged[:rng.randint(1, len(damaged))] if trial % 5 == 0 else damaged)
        try:
            open_book(path)
        except UserError as error:
            assert error.exit in (2, 65)


@pytest.mark.parametrize(("script", "words"), [("import os; os.abort()", "its reader fails on it"),
                                               ("import time; time.sleep(9)", "not open after 0 seconds"),
                                               ("import sys; sys.exit(3)", "its reader fails on it")])
def test_a_workbook_that_ends_or_stops_its_reader_ends_nothing_else(tmp_path, monkeypatch, script, words):
    monkeypatch.setattr(workbook_probe, "SCRIPT", script)
    monkeypatch.setattr(workbook_probe, "SECONDS", 0 if "sleep" in script else 30)
    with pytest.raises(DataError, match=words):
        open_book(workbook(tmp_path / "a.xlsx", S=REVIEWS))


def with_part(path, name, content):
    """The workbook with one of its files in another way."""
    with zipfile.ZipFile(path) as archive:
        parts = {entry: archive.read(entry) for entry in archive.namelist()}
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for entry, part in {**parts, name: content}.items():
            archive.writestr(entry, part)
    return path


def test_a_workbook_that_unpacks_to_too_much_is_refused_before_it_is_read(tmp_path):
    path = workbook(tmp_path / "a.xlsx", S=REVIEWS)
    with_part(path, "xl/worksheets/sheet1.xml", b"<worksheet>" + b" " * 10_000_000 + b"</worksheet>")
    with pytest.raises(DataError, match=r"E121.*bytes unpacked"):
        open_book(path, max_bytes=1_000_000)


def test_a_cell_at_the_end_of_the_world_is_refused_before_memory_is_taken(tmp_path):
    path = changed(workbook(tmp_path / "a.xlsx", S=REVIEWS), lambda sheet: sheet.cell(1048576, 16384, "stray"))
    with pytest.raises(DataError, match=r"E121.*reaches to row 1,048,576 and column 16,384"):
        open_book(path)


def test_a_part_whose_size_is_stated_wrong_is_damage(tmp_path):
    path = workbook(tmp_path / "a.xlsx", S=REVIEWS)
    content = bytearray(Path(path).read_bytes())
    directory = content.rindex(b"PK\x01\x02", 0, content.index(b"xl/worksheets/sheet1.xml", content.index(b"PK\x01\x02")))
    content[directory + 24:directory + 28] = (100).to_bytes(4, "little")
    (tmp_path / "a.xlsx").write_bytes(content)
    with pytest.raises(DataError, match="E113"):
        open_book(path)


def test_a_compressed_xls_is_unpacked_and_a_zip_of_a_workbook_is_told(tmp_path):
    import gzip

    old = zlib.decompress(base64.b85decode("".join(XLS)))
    (tmp_path / "a.xls.gz").write_bytes(gzip.compress(old))
    assert len(open_book(tmp_path / "a.xls.gz")) == 2
    with zipfile.ZipFile(tmp_path / "b.zip", "w") as archive:
        archive.write(workbook(tmp_path / "a.xlsx", S=REVIEWS), "a.xlsx")
    with pytest.raises(DataError, match="E112"):
        open_book(tmp_path / "b.zip")


def test_without_the_library_the_extra_is_named(tmp_path, monkeypatch):
    path = workbook(tmp_path / "a.xlsx", S=REVIEWS)
    real_import = builtins.__import__

    def refuse(module, *rest):
        if module == "python_calamine":
            raise ImportError(module)
        return real_import(module, *rest)

    monkeypatch.setattr(builtins, "__import__", refuse)
    with pytest.raises(UserError) as raised:
        open_book(path)
    assert raised.value.exit == 69 and "pip install 'headstart[excel]'" in raised.value.fix


def test_letters_of_columns_are_those_of_the_program():
    assert [column_letters(number) for number in (1, 26, 27, 702, 703, 16384)] == ["A", "Z", "AA", "ZZ", "AAA", "XFD"]


def test_a_workbook_that_xlsxwriter_or_excel_wrote_with_shared_strings_is_the_same(tmp_path):
    """openpyxl writes texts into the cells; other programs into one table of all texts."""
    path = workbook(tmp_path / "a.xlsx", S=REVIEWS)
    texts = ["text", "label", "a &lt;fine&gt; day", "good"]
    strings = "".join(f"<si><t>{text}</t></si>" for text in texts)
    main = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
    with_part(path, "xl/sharedStrings.xml", f'<sst xmlns="{main}">{strings}</sst>'.encode())
    cells = "".join(f'<row r="{row}"><c r="A{row}" t="s"><v>{2 * row - 2}</v></c><c r="B{row}" t="s"><v>{2 * row - 1}</v></c></row>'
                    for row in (1, 2))
    with_part(path, "xl/worksheets/sheet1.xml", f'<worksheet xmlns="{main}"><sheetData>{cells}</sheetData></worksheet>'.encode())
    with zipfile.ZipFile(path) as archive:
        relations = archive.read("xl/_rels/workbook.xml.rels").decode()
    if "sharedStrings" not in relations:
        kind = "http://schemas.openxmlformats.org/officeDocument/2006/relationships/sharedStrings"
        relations = relations.replace("</Relationships>", f'<Relationship Id="rId99" Type="{kind}" Target="sharedStrings.xml"/></Relationships>')
        with_part(path, "xl/_rels/workbook.xml.rels", relations.encode())
    assert values(open_book(path)) == [("a <fine> day", "good")]
