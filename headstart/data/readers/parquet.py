"""Parquet through pyarrow, in blocks."""

from __future__ import annotations

import contextlib
import datetime
import decimal
import shutil
import tempfile
from collections.abc import Iterator
from typing import Any

from headstart.data.readers.source_file import Raw, damaged
from headstart.data.readers.table_builder import Sheet
from headstart.errors import Exit, UserError
from headstart.settings import Data


def read(raw: Raw, sheet: Sheet, settings: Data, start: bytes, suffix: str) -> None:
    """Fill the sheet; raises DataError for a damaged file, UserError (69) without pyarrow."""
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError:
        raise UserError("Reading parquet needs pyarrow.", fix="pip install 'headstart[parquet]'", exit=Exit.UNAVAILABLE) from None
    sheet.words.append("parquet")
    with seekable(raw, sheet) as file:
        try:
            opened = pyarrow.parquet.ParquetFile(file)
            sheet.columns = tuple(opened.schema_arrow.names)
            for block in opened.iter_batches(batch_size=1024):
                for row in block.to_pylist():
                    values = tuple(plain(row[name]) for name in sheet.columns)
                    sheet.note_types(values)
                    sheet.row(values, None, sum(len(str(value)) for value in values) + 60 * len(values))
        except (pyarrow.ArrowException, OSError) as error:
            raise sheet.stop("E113", f"the parquet file is damaged ({str(error).splitlines()[0]}).", "Copy it again.") from None


@contextlib.contextmanager
def seekable(raw: Raw, sheet: Sheet) -> Iterator[Any]:
    """The file itself, or a temporary copy of what was compressed."""
    if not raw.packing:
        yield raw.path
        return
    with tempfile.TemporaryFile(prefix="headstart-parquet-") as copy:
        with damaged(sheet), raw.open() as file:
            shutil.copyfileobj(file, copy)
        copy.seek(0)
        yield copy


def plain(value: Any) -> Any:
    """A value as JSON has it; dates in ISO form."""
    if isinstance(value, datetime.date | datetime.time):
        return value.isoformat()
    if isinstance(value, decimal.Decimal):
        return float(value)
    if isinstance(value, bytes):
        return value.decode("utf-8", errors="replace")
    if isinstance(value, list):
        return [plain(one) for one in value]
    if isinstance(value, dict):
        return {str(key): plain(one) for key, one in value.items()}
    return value
