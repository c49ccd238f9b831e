"""Files of rows that are no text, by their first bytes: parquet, Arrow, workbooks."""

from __future__ import annotations

import re
import zipfile

STREAM_MARK = b"\xff\xff\xff\xff"  # Arrow's stream format since 0.15: a mark, then the length of the schema's message
MAX_SCHEMA = 2**24
OLE_MARK = b"\xd0\xcf\x11\xe0"  # the container of .xls, of old Word files, and of locked .xlsx
SPREADSHEET = b"application/vnd.oasis.opendocument.spreadsheet"
SCRIPTED_JSON = re.compile(rb"(?:window[.]|var |let |const )[\w.$\[\]\"']+\s*=\s*[\[{]")
SQL_DUMP = re.compile(rb"(?:\s|--[^\n]*\n|/[*].*?[*]/;?)*(?:insert\s+into|create\s+table|drop\s+table|replace\s+into)"
                      rb"\s+(?:if\s+(?:not\s+)?exists\s+)?[`\"\[]?\w+", re.IGNORECASE | re.DOTALL)


def binary_format(start: bytes, extension: str) -> str:
    """parquet, arrow or excel by a file's beginning; "" for anything else. Zips are not looked into."""
    if start.startswith(b"PAR1"):
        return "parquet"
    if start.startswith((b"ARROW1", b"FEA1")) or is_arrow_stream(start, extension):
        return "arrow"
    return "excel" if start.startswith(OLE_MARK) else ""


def is_arrow_stream(start: bytes, extension: str) -> bool:
    """Whether a file begins as Arrow's stream format; without its mark (before 0.15) only where its name says so."""
    if start.startswith(STREAM_MARK):
        return 0 < int.from_bytes(start[4:8], "little") < MAX_SCHEMA and start[8:12] != STREAM_MARK
    return extension == "arrow" and len(start) > 8 and start[3] == 0 and 0 < int.from_bytes(
        start[:4], "little") < min(MAX_SCHEMA, len(start) + 2**16)


def is_workbook(path: str) -> bool:
    """Whether a zip is a workbook (.xlsx, .xlsm, .xlsb, .ods), whatever its name says; False for a damaged zip."""
    try:
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
            if any(name.startswith("xl/") for name in names):
                return True
            if "mimetype" not in names or "content.xml" not in names:
                return False
            with archive.open("mimetype") as file:
                return file.read(len(SPREADSHEET) + 20).startswith(SPREADSHEET)
    except (zipfile.BadZipFile, OSError, RuntimeError, NotImplementedError, EOFError, ValueError):
        return False


def disguise_of(start: bytes) -> str:
    """What a file is that is called a workbook, in words, where programs export such; "" for anything else."""
    beginning = start.lstrip(b"\xef\xbb\xbf \t\r\n")[:4096].lower()
    if not beginning.startswith(b"<"):
        return ""
    if b"urn:schemas-microsoft-com:office:spreadsheet" in beginning and b"<workbook" in beginning:
        return "a table in XML (of Excel 2003)"
    return "a web page with a table" if b"<html" in beginning or b"<table" in beginning else "XML"


def text_disguise(start: bytes) -> tuple[str, str]:
    """What a file of text is that is no table of rows, in words, and what to do; "" for anything else."""
    beginning = start.lstrip(b"\xef\xbb\xbf \t\r\n")[:4096]
    if beginning.startswith(b"<?xml") or beginning.lower().startswith((b"<tmx", b"<!doctype tmx")):
        if b"<tmx" in beginning.lower():
            return "a translation memory (TMX)", ("Write its pairs as a tsv of two columns, source and target, and "
                                                  "pass --task translation.")
        return "XML", "Export it as csv (UTF-8), or write its rows as jsonl."
    if SCRIPTED_JSON.match(beginning):
        return "a script that holds JSON (as Twitter's archive has it)", ("Take out what stands before the first [ or "
                                                                          "{, and call it .json.")
    if SQL_DUMP.match(beginning):
        return "an SQL dump", "Load it into its database, and export the table as csv (UTF-8)."
    return "", ""
