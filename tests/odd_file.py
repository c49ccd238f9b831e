"""One row of the corpus of odd and bad files: how the file is made, how it is read, and what must come of it."""

import bz2
import csv
import gzip
import io
import json
import lzma
import zipfile
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

REVIEWS = [("good roses", "good"), ("broken cups", "bad"), ("a fine day", "good"), ("an ugly night", "bad"),
           ("sweet apples", "good"), ("sour milk", "bad")]


@dataclass(frozen=True)
class OddFile:
    """A file by its name and content (bytes, or a function that writes it), and the verdict.

    `exit` is the exit code, `words` stand in what is said; `rows` are the first values of the task's fields, `count` is
    how many rows can be used.
    """

    name: str
    content: bytes | Callable[[Path], object]
    exit: int = 0
    words: tuple[str, ...] = ()
    rows: tuple[dict, ...] = ()
    count: int | None = None
    task: str | None = None
    columns: dict[str, str] = field(default_factory=dict)
    settings: dict[str, object] = field(default_factory=dict)
    named: str | None = None  # the path that is asked for, where it is another than the file's

    @property
    def id(self) -> str:
        """What the row is called among the tests."""
        return f"{self.exit}-{self.name or 'no-name'}"


def read(name, content, rows, *words, **options):
    """A file that is read: its first rows, and what is said of it."""
    return OddFile(name, as_bytes(content), 0, words, tuple(rows), **options)


def refused(name, content, exit_code, *words, **options):
    """A file that is refused: the exit code, and what is said of it."""
    return OddFile(name, as_bytes(content), exit_code, words, **options)


def as_bytes(content):
    """Text as UTF-8."""
    return content.encode() if isinstance(content, str) else content


def labelled(*pairs):
    """Rows of text and label, as a task reads them."""
    return [{"text": text, "label": label} for text, label in pairs]


FIRST = labelled(*REVIEWS[:2])


def delimited(delimiter=",", end="\n", header=("text", "label"), rows=REVIEWS, quoting=csv.QUOTE_MINIMAL, **options):
    """Rows as Python's csv writer writes them."""
    text = io.StringIO()
    writer = csv.writer(text, delimiter=delimiter, lineterminator=end, quoting=quoting, **options)
    writer.writerows([header, *rows] if header is not None else rows)
    return text.getvalue()


def json_lines(*objects, end="\n"):
    """An object a line."""
    return "".join(json.dumps(value, ensure_ascii=False) + end for value in objects)


def review_lines(**changes):
    """The reviews as JSON lines; with more keys."""
    return json_lines(*({"text": text, "label": label} | changes for text, label in REVIEWS))


def zipped(**members):
    """A zip of files; a point in a name is written as a double underscore."""
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as file:
        for name, content in members.items():
            file.writestr(name.replace("__", "."), as_bytes(content))
    return archive.getvalue()


def written(write, *arguments, **options):
    """A function that writes a file of bytes by a library."""
    return lambda path: write(path, *arguments, **options)


def arrow(columns, **options):
    """A function that writes a parquet file."""
    def write(path):
        import pyarrow
        from pyarrow import parquet

        table = columns if not isinstance(columns, dict) else pyarrow.table(columns)
        parquet.write_table(table, path, **options)
    return write


COMPRESSORS = {"gz": gzip.compress, "bz2": bz2.compress, "xz": lzma.compress}
