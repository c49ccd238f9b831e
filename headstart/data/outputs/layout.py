"""How a file of rows is written: in the format that its name says, and where that is the input's, as the input came."""

from __future__ import annotations

import codecs
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from headstart.data.outputs.arrow_source import arrow_source
from headstart.data.readers.compression import ENDINGS
from headstart.errors import Exit, UserError

if TYPE_CHECKING:
    from headstart.data.table import Table
    from headstart.settings import Data

FORMATS = ("csv", "tsv", "jsonl", "json", "parquet", "feather", "xlsx")
UNWRITTEN = ("ods", "xls", "xlsb", "xlsm")
DELIMITED, TABLES = ("csv", "tsv"), ("parquet", "feather")
SYNONYMS = {"ndjson": "jsonl", "tab": "tsv", "arrow": "feather", "ipc": "feather"}
FORMAT_NAMES = {"excel": "xlsx", "arrow": "feather"}  # what readers call them
SHEET_ROWS = 2**20  # of a workbook, the header counted
COMPRESSIONS = {ending: name for name, ending in ENDINGS.items()} | {".zip": "zip"}


@dataclass(frozen=True)
class Layout:
    """A format and its signs.

    Of a delimited file `quotes` says which fields are enclosed: those that must be (minimal), all, or all but numbers
    (texts); `quote` is "" where quotes are characters of the texts, `escape` "" where a quote in quotes is doubled.
    `around` is what stands before and behind the rows of a JSON file.
    """

    format: str = "jsonl"
    compression: str = ""
    encoding: str = "utf-8"
    delimiter: str = ","
    quote: str = '"'
    escape: str = ""
    quotes: str = "minimal"
    line_end: str = "\n"
    has_header: bool = True
    separator_line: bool = False
    around: tuple[str, str] = ("[\n", "\n]\n")
    note: str = ""  # in words, what of the input's layout the output does not keep
    source: str = ""  # the file of Arrow data whose columns keep their types, the workbook whose dates stay dates


def split_name(path: str) -> tuple[str, str]:
    """The format that a file's name says ("" for none), and its compression: out.csv.gz is ("csv", "gzip")."""
    name = Path(path).name.lower()
    compression = next((COMPRESSIONS[ending] for ending in COMPRESSIONS if name.endswith(ending)), "")
    if compression:
        name = name[:name.rindex(".")]
    suffix = Path(name).suffix.removeprefix(".")
    return SYNONYMS.get(suffix, suffix), compression


def named_layout(path: str, default: str = "jsonl") -> Layout:
    """How a file of this name is written where no input says more; raises UserError (2) for a format that is not
    written.
    """
    format_name, compression = split_name(path)
    format_name = format_name or default
    if format_name not in FORMATS:
        hint = " (.ods and .xls are read, not written)" if format_name in UNWRITTEN else ""
        raise UserError(f"{path} should end in {', '.join('.' + name for name in FORMATS)}{hint}, also in "
                        f"{', '.join(COMPRESSIONS)}.", fix="Name the output so.")
    return Layout(format_name, compression, delimiter="\t" if format_name == "tsv" else ",")


def check_name(to: str, source: str, further: tuple[str, ...] = ()) -> None:
    """Refuse, before any work, an output whose name says a format that is not written; `further` formats are, and so is
    the ending of the input, which may be a delimited file of any name. Raises UserError (2).
    """
    name = "" if to == "-" else split_name(to)[0]
    if name and name not in (*FORMATS, *further) and (name in UNWRITTEN or name != split_name(source)[0]):
        named_layout(to)


def output_layout(to: str, table: Table, settings: Data) -> Layout:
    """How the rows of a table go to a file or, "-", to standard output (JSON lines, unless the input is delimited or
    one JSON list): as they came where the format is the same. Raises UserError (2) for a name that says no format.
    """
    input_format = input_format_of(table)
    if to == "-":
        layout = Layout(input_format if input_format in (*DELIMITED, "jsonl", "json") else "jsonl")
        return as_delimited_input(layout, table, settings) if layout.format in DELIMITED else layout
    name, compression = split_name(to)
    if name not in FORMATS and name and input_format in DELIMITED and name == split_name(table.path)[0]:
        layout = Layout(input_format, compression)  # data.txt, which is csv, to answers.txt
    else:
        layout = named_layout(to, input_format)
    if layout.format == "xlsx":
        refuse_large_sheet(table.builder.row_count + settings.header)
    if layout.format != input_format:
        return layout
    if input_format in DELIMITED:
        return as_delimited_input(layout, table, settings)
    if input_format == "json":
        return Layout("json", compression, around=around_rows(table), note=json_note(table))
    return Layout(layout.format, compression, has_header=settings.header, source=(
        arrow_source(table) if input_format in TABLES else table.path if Path(table.path).suffix == ".xlsx" else ""))


def input_format_of(table: Table) -> str:
    """The format of the output whose name says none: the input's where we write it, else JSON lines."""
    input_format = table.format.split(",")[0].strip()
    input_format = FORMAT_NAMES.get(input_format, input_format)
    return input_format if input_format in FORMATS else "jsonl"


def as_delimited_input(layout: Layout, table: Table, settings: Data) -> Layout:
    """The signs, line ends, encoding and header of the input; the usual ones where they are not known."""
    signs = table.layout
    if not signs:
        return Layout(layout.format, layout.compression, delimiter="\t" if layout.format == "tsv" else ",")
    return Layout(layout.format, layout.compression, table.encoding or "utf-8", signs["delimiter"], signs["quote"],
                  signs["escape"], signs.get("quotes", "minimal"), signs["line_end"], settings.header,
                  signs.get("separator_line") == "yes")


def around_rows(table: Table) -> tuple[str, str]:
    """What stands before and behind the rows of a JSON file: nothing but brackets, or the keys around them."""
    before, behind = table.layout.get("before", ""), table.layout.get("behind", "")
    return (f"{before}[\n", f"\n]{behind}\n")


def json_note(table: Table) -> str:
    """What is said of a JSON file whose rows stand neither in a list of objects nor in one below keys."""
    words = table.format.split(", ", 2)[2:]
    return f"the input is written another way ({words[0]}); the output is one list of objects" if (
        words and "before" not in table.layout) else ""


def refuse_large_sheet(count: int) -> None:
    """Refuse more rows than a sheet has; raises UserError (65)."""
    if count > SHEET_ROWS:
        raise UserError(f"A sheet of Excel holds {SHEET_ROWS:,} rows, the header counted; there are {count:,} or more.",
                        fix="Name another format: --to out.csv or out.jsonl", exit=Exit.DATA)


def encodes_every_text(encoding: str) -> bool:
    """Whether an encoding can write every text."""
    return codecs.lookup(encoding).name.startswith(("utf-8", "utf-16", "utf-32", "gb18030"))
