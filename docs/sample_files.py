"""Small files of the pages that are made, and what a command prints in a folder of them."""

import contextlib
import io
import json
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from headstart.cli.main import run_guarded

Content = str | bytes | Callable[[], bytes]


def csv(*rows: tuple[object, ...], delimiter: str = ",") -> str:
    """Rows of cells without quotes."""
    return "".join(delimiter.join(map(str, row)) + "\n" for row in rows)


def lines(*rows: object) -> str:
    """An object a line."""
    return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)


def parquet(columns: Mapping[str, object], *, class_names: list[str] | None = None, names: list[str] | None = None) -> bytes:
    """A parquet file; with the names of the classes of its column label, as the hub's datasets have them."""
    import pyarrow
    from pyarrow import parquet as writer

    rows = pyarrow.table(list(columns.values()), names=names or list(columns))
    if class_names:
        features = {"label": {"names": class_names, "_type": "ClassLabel"}}
        rows = rows.replace_schema_metadata({"huggingface": json.dumps({"info": {"features": features}})})
    buffer = io.BytesIO()
    writer.write_table(rows, buffer)
    return buffer.getvalue()


def printed(files: Mapping[str, Content], arguments: Sequence[str]) -> str:
    """What `headstart` with these arguments prints in a folder of the files, whose path is left out."""
    with tempfile.TemporaryDirectory() as folder, contextlib.chdir(folder):
        for name, content in files.items():
            Path(name).parent.mkdir(parents=True, exist_ok=True)
            content = content() if callable(content) else content
            Path(name).write_bytes(content if isinstance(content, bytes) else content.encode())
        output = io.StringIO()
        with contextlib.redirect_stdout(output), contextlib.redirect_stderr(output):
            run_guarded(list(arguments))
        return output.getvalue().replace(f"{Path(folder).resolve()}/", "")
