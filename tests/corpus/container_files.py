"""Compressed files, archives, parquet, what is no table at all, and paths that are none."""

import bz2
import datetime
import gzip
import lzma
import os
import pickle
import random
import sqlite3

from odd_file import FIRST, REVIEWS, arrow, delimited, read, refused, review_lines, zipped

PLAIN = delimited().encode()
LINES = review_lines().encode()
TEXTS, LABELS = [text for text, _ in REVIEWS], [label for _, label in REVIEWS]
NOISE = random.Random(0).randbytes(4000)


def zst(content):
    """Compressed by Arrow's zstd."""
    def write(path):
        import pyarrow

        with pyarrow.CompressedOutputStream(str(path), "zstd") as file:
            file.write(content)
    return write


def encrypted_zip():
    """A zip whose member is marked as encrypted."""
    content = bytearray(zipped(rows__csv=PLAIN))
    for signature, offset in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        content[content.index(signature) + offset] |= 1
    return bytes(content)


def docx():
    """The beginning of a Word file: a zip with its content types."""
    return zipped(**{"[Content_Types]__xml": "<Types/>", "word/document__xml": "<w:document/>"})


def database(path):
    """An SQLite database."""
    with sqlite3.connect(path) as connection:
        connection.execute("create table reviews (text, label)")
    connection.close()


def nested_arrow(path):
    """A parquet file of lists and structs."""
    arrow({"tokens": [["a", "b"], ["c"]], "tags": [["O", "B-X"], ["O"]], "meta": [{"n": 1}, {"n": 2}]})(path)


def dated_arrow(path):
    """A parquet file with a column of dates."""
    arrow({"text": TEXTS, "label": LABELS, "day": [datetime.date(2024, 1, day) for day in range(1, 7)]})(path)


COMPRESSED = [
    read("rows.csv.gz", gzip.compress(PLAIN, mtime=0), FIRST, "gz", count=6),
    read("rows.csv.bz2", bz2.compress(PLAIN), FIRST, "bz2", count=6),
    read("rows.csv.xz", lzma.compress(PLAIN), FIRST, "xz", count=6),
    read("rows.csv.zst", zst(PLAIN), FIRST, "zst", count=6),
    read("rows.csv.zip", zipped(rows__csv=PLAIN), FIRST, "zip", count=6),
    read("rows.zip", zipped(data__jsonl=LINES), FIRST, "zip", "jsonl", count=6),
    read("lines.jsonl.gz", gzip.compress(LINES, mtime=0), FIRST, count=6),
    read("lines.jsonl.xz", lzma.compress(LINES), FIRST, count=6),
    read("two-members.csv.gz", gzip.compress(PLAIN[:40], mtime=0) + gzip.compress(PLAIN[40:], mtime=0), FIRST, count=6),
    read("gz-called.csv", gzip.compress(PLAIN, mtime=0), FIRST, "gz"),
    read("utf-16.csv.gz", gzip.compress(PLAIN.decode().encode("utf-16"), mtime=0), FIRST, "gz"),
    refused("not-packed.csv.gz.csv", PLAIN[:0], 65, "E101"),
    read("plain-called.gz", PLAIN, FIRST, count=6),
    refused("cut-off.csv.gz", gzip.compress(PLAIN * 50, mtime=0)[:-30], 65, "E113"),
    refused("cut-off.csv.bz2", bz2.compress(PLAIN * 50)[:-30], 65, "E113"),
    refused("cut-off.csv.xz", lzma.compress(PLAIN * 50)[:-30], 65, "E113"),
    refused("damaged.csv.gz", gzip.compress(PLAIN * 50, mtime=0)[:40] + NOISE, 65, "E113"),
    refused("damaged.zip", zipped(rows__csv=PLAIN)[:60] + NOISE, 65),
    refused("gz-in-gz.csv.gz", gzip.compress(gzip.compress(PLAIN, mtime=0), mtime=0), 65, "E112", "twice"),
    refused("empty.csv.gz", gzip.compress(b"", mtime=0), 65, "E101"),
    refused("empty.zip", zipped(), 65),
    refused("two-files.zip", zipped(a__csv=PLAIN, b__csv=PLAIN), 65, "E114", "a.csv"),
    refused("zip-in-zip.zip", zipped(rows__zip=zipped(rows__csv=PLAIN)), 65),
    refused("encrypted.zip", encrypted_zip(), 65),
    read("mac-leftovers.zip", zipped(rows__csv=PLAIN, **{"__MACOSX/._rows__csv": b"\0\1"}), FIRST, count=6),
    refused("large-inside.csv.gz", gzip.compress(b"text,label\n" + b"a,b\n" * 200_000, mtime=0), 65, "E121",
            settings={"data.max_bytes": 100_000}),
]
PARQUET = [
    read("rows.parquet", arrow({"text": TEXTS, "label": LABELS}), FIRST, "parquet", count=6),
    read("row-groups.parquet", arrow({"text": TEXTS, "label": LABELS}, row_group_size=2), FIRST, count=6),
    read("nested.parquet", nested_arrow, [{"tokens": ["a", "b"], "tags": ["O", "B-X"]}], 'not used: "meta"', count=2),
    read("dated.parquet", dated_arrow, FIRST, 'not used: "day"', count=6),
    read("parquet-called.csv", arrow({"text": TEXTS, "label": LABELS}), FIRST, "N105"),
    refused("no-rows.parquet", arrow({"text": [], "label": []}), 65),
    refused("null-text.parquet", arrow({"text": [*TEXTS, None], "label": [*LABELS, "good"]}), 65, "E201", "row 7"),
    refused("binary.parquet", arrow({"text": [text.encode() for text in TEXTS], "label": LABELS}), 2),
    refused("noise.parquet", NOISE, 65, "E112", "PAR1"),
    refused("cut-off.parquet", b"PAR1" + NOISE, 65),
    refused("csv-called.parquet", PLAIN, 65, "E112"),
]
FOREIGN = [
    refused("pages.pdf", b"%PDF-1.7\n" + NOISE, 65, "a PDF"),
    refused("pages.csv", b"%PDF-1.4\n" + NOISE, 65, "a PDF"),
    refused("picture.png", b"\x89PNG\r\n\x1a\n" + NOISE, 65, "PNG"),
    refused("picture.jpg", b"\xff\xd8\xff\xe0" + NOISE, 65, "JPEG"),
    refused("picture.gif", b"GIF89a" + NOISE, 65, "GIF"),
    refused("letter.docx", docx(), 65),
    refused("letter.doc", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + NOISE, 65),
    refused("frame.pkl", pickle.dumps({"text": TEXTS}), 65, "pickle"),
    refused("frame-called.csv", pickle.dumps([("a", "b")]), 65, "pickle"),
    refused("rows.db", database, 65, "SQLite"),
    refused("archive.7z", b"7z\xbc\xaf\x27\x1c" + NOISE, 65, "7z"),
    refused("program.csv", b"\x7fELF\x02\x01" + NOISE, 65, "program"),
    refused("noise.csv", NOISE, 65),
    refused("noise.jsonl", NOISE, 65),
    refused("array.npy", b"\x93NUMPY\x01\x00v\x00" + NOISE, 65),
    refused("weights.safetensors", (64).to_bytes(8, "little") + b'{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}'
            + NOISE, 65),
]


def no_file(path):
    """Nothing is written."""


def folder(path):
    """An empty folder."""
    path.mkdir()


def folder_of(**members):
    """A folder of files."""
    def write(path):
        path.mkdir()
        for name, content in members.items():
            (path / name.replace("__", ".")).write_bytes(content)
    return write


def fifo(path):
    """A named pipe."""
    os.mkfifo(path)


def looped_link(path):
    """A link to itself."""
    path.symlink_to(path)


def broken_link(path):
    """A link to nothing."""
    path.symlink_to(path.parent / "gone.csv")


PATHS = [
    refused("absent.csv", no_file, 66, "There is no file"),
    refused("reviws.csv", lambda path: (path.parent / "reviews.csv").write_bytes(PLAIN), 66, "Did you mean reviews.csv",
            named="reviws.csv"),
    refused("in-a-missing-folder", no_file, 66, "There is no file", named="gone/rows.csv"),
    refused("a-url", no_file, 66, named="https://example.org/rows.csv"),
    refused("a-file-url", no_file, 66, named="file:///tmp/no/rows.csv"),
    refused("a-home-path", no_file, 66, named="~/no-such-file-of-rows.csv"),
    refused("empty-folder", folder, 66, "empty-folder"),
    refused("folder-called.csv", folder, 66),
    refused("folder-of-pictures", folder_of(a__png=b"\x89PNG", b__jpg=b"\xff\xd8\xff"), 66),
    read("folder-of-splits", folder_of(train__csv=PLAIN, dev__csv=PLAIN), FIRST, "W201", "train", "dev"),
    refused("folder-with-two-train-files", folder_of(train__csv=PLAIN, train__jsonl=LINES), 66, "two files for train"),
    refused("folder-without-train", folder_of(one__csv=PLAIN, two__csv=PLAIN), 66, "without a train file"),
    refused("pipe.csv", fifo, 66, "a pipe"),
    refused("linked-to-itself.csv", looped_link, 66),
    refused("linked-to-nothing.csv", broken_link, 66),
    read("linked.csv", lambda path: ((path.parent / "other.csv").write_bytes(PLAIN), path.symlink_to("other.csv")), FIRST),
    refused("a-device", no_file, 66, "a device", named="/dev/null"),
    refused("name-too-long", no_file, 66, named="x" * 300 + ".csv"),
    read("blanks and ünïcödé \U0001f600.csv", PLAIN, FIRST),
    read("-dash.csv", PLAIN, FIRST),
    read("no-ending", PLAIN, FIRST, "comma"),
    read("UPPER.CSV", PLAIN, FIRST),
    read("rows.data", PLAIN, FIRST),
    read("percent%20sign.csv", PLAIN, FIRST),
]
FILES = [*COMPRESSED, *PARQUET, *FOREIGN, *PATHS]
