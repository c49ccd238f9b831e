"""Tables of other libraries as columns, a block of rows at a time: pandas, polars, Arrow, datasets.

None of them is imported here before a table of it came, so none has to be installed.
"""

from __future__ import annotations

import importlib
import json
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from headstart.data.readers.arrow_values import UnknownClass, holds_classes, json_value, schema_features
from headstart.errors import Exit, UserError

BLOCK = 1000  # rows that are taken out of a table at once
MAX_EXACT = 2**53  # whole numbers up to here are exact as floats
Columns = Sequence[Sequence[Any]]


@dataclass(frozen=True)
class Frame:
    """A table of columns: what it is, their names, its rows; `batches` gives the columns of a block of rows, `table` is
    the library's own, which stays when a stream that it came from is read to its end.
    """

    kind: str
    names: tuple[str, ...]
    count: int
    batches: Callable[[], Iterator[Columns]]
    table: Any
    notes: tuple[str, ...] = ()


def is_kind(source: Any, library: str, class_name: str) -> bool:
    """Whether a value is of a library's class, or of one that is made from it; the library is not imported."""
    return any(parent.__name__ == class_name and parent.__module__.partition(".")[0] == library
               for parent in type(source).__mro__)


def column_names(names: Sequence[Any], kind: str) -> tuple[str, ...]:
    """The names of columns as texts; raises UserError (65) for what is no name, and for two of one name."""
    for name in names:
        if not isinstance(name, str | int) and not hasattr(name, "__index__"):
            raise UserError(f"The {kind} has a column called {name!r}; a text was expected.",
                            fix="Rename it.", exit=Exit.DATA)
    texts = tuple(str(name) for name in names)
    repeated = [name for name, count in Counter(texts).items() if count > 1]
    if repeated:
        raise UserError(f"The {kind} has {Counter(texts)[repeated[0]]} columns called {repeated[0]!r}.",
                        fix="Rename them, or pass those that are meant.", exit=Exit.DATA)
    return texts


def pandas_frame(source: Any) -> Frame:
    """A pandas DataFrame; raises UserError (65) for columns of several levels."""
    if source.columns.nlevels > 1:
        raise UserError(f"The pandas DataFrame has columns of {source.columns.nlevels} levels, such as "
                        f"{source.columns[0]!r}.",
                        fix='Give each one name: frame.columns = ["_".join(map(str, name)) for name in frame.columns]',
                        exit=Exit.DATA)
    names = column_names(list(source.columns), "pandas DataFrame")
    whole_numbers = {place for place in range(len(names)) if holds_whole_numbers(source.iloc[:, place])}

    def batches() -> Iterator[Columns]:
        for start in range(0, len(source), BLOCK):
            block = source.iloc[start:start + BLOCK]
            yield [[int(value) if place in whole_numbers and value == value else value
                    for value in block.iloc[:, place].tolist()] for place in range(len(names))]

    notes = [f'the column "{names[place]}" holds whole numbers, which pandas keeps as 1.0 beside missing values: they '
             "are read as 1" for place in sorted(whole_numbers)]
    index_names = [str(name) for name in source.index.names if name is not None]
    notes += [f"the index ({', '.join(index_names)}) is no column: it is not used"] if index_names else []
    return Frame("pandas DataFrame", names, len(source), batches, source, tuple(notes))


def holds_whole_numbers(series: Any) -> bool:
    """Whether a column of pandas is of whole numbers that became floats because some are missing."""
    if str(series.dtype) not in ("float64", "float32") or not series.isna().any():
        return False
    values = series.dropna()
    return bool(len(values) and ((values % 1 == 0) & (abs(values) <= MAX_EXACT)).all())


def pandas_series(source: Any) -> Frame:
    """A pandas Series as a table of one column, of its name or "text"."""
    return pandas_frame(source.to_frame("text" if source.name is None else source.name))


def polars_frame(source: Any) -> Frame:
    """A polars DataFrame."""
    def batches() -> Iterator[Columns]:
        for block in source.iter_slices(BLOCK):
            yield [column.to_list() for column in block.get_columns()]

    return Frame("polars DataFrame", column_names(source.columns, "polars DataFrame"), source.height, batches,
                 source)


def polars_series(source: Any) -> Frame:
    """A polars Series as a table of one column, of its name or "text"."""
    return polars_frame(source.to_frame(source.name or "text"))


def arrow_frame(source: Any) -> Frame:
    """An Arrow table, record batch, or whatever gives its columns by the Arrow PyCapsule interface.

    Raises UserError: 69 without pyarrow, 65 for two columns of one name.
    """
    table = arrow_table(source)
    features = schema_features(table.schema)
    kind = "Arrow table" if is_kind(source, "pyarrow", type(source).__name__) else \
        f"{type(source).__module__.partition('.')[0]} {type(source).__name__}"
    names = column_names(table.column_names, kind)

    def batches() -> Iterator[Columns]:
        return (class_columns(block, features) for block in table.to_batches(max_chunksize=BLOCK))

    return Frame(kind, names, table.num_rows, batches, table)


def arrow_table(source: Any) -> Any:
    """A pyarrow Table of a table, a record batch, a stream of them, or an object with the Arrow PyCapsule interface."""
    try:
        import pyarrow
    except ImportError:
        raise UserError(f"Reading a {type(source).__name__} needs pyarrow.", fix="pip install 'headstart[parquet]'",
                        exit=Exit.UNAVAILABLE) from None
    if isinstance(source, pyarrow.Table):
        return source
    if isinstance(source, pyarrow.RecordBatch):
        return pyarrow.Table.from_batches([source])
    try:
        return source.read_all() if isinstance(source, pyarrow.RecordBatchReader) else pyarrow.table(source)
    except (pyarrow.ArrowException, TypeError) as error:
        raise UserError(f"Rows were expected, but a {type(source).__name__} came, which is not a table of columns "
                        f"({str(error).splitlines()[0]}).", fix="Pass a table.") from None


def datasets_frame(source: Any) -> Frame:
    """A datasets.Dataset; class numbers become their names."""
    features = {} if source.features is None else source.features.to_dict()

    def batches() -> Iterator[Columns]:
        for block in source.with_format("arrow").iter(batch_size=BLOCK):
            yield class_columns(block, features)

    return Frame("Dataset", column_names(source.column_names, "Dataset"), len(source), batches, source)


def class_columns(block: Any, features: dict[str, Any]) -> Columns:
    """The columns of an Arrow block, class numbers by name; raises UserError (65) for a number that has none."""
    columns = []
    for name, column in zip(block.schema.names, block.columns, strict=True):
        values, feature = column.to_pylist(), features.get(name)
        if holds_classes(feature):
            try:
                values = [json_value(value, feature) for value in values]
            except UnknownClass as error:
                raise UserError(f'The column "{name}": {error}.', fix="Correct the number.",
                                exit=Exit.DATA) from None
        columns.append(values)
    return columns


READERS: tuple[tuple[str, str, Callable[[Any], Frame]], ...] = (
    ("pandas", "DataFrame", pandas_frame), ("pandas", "Series", pandas_series),
    ("polars", "DataFrame", polars_frame), ("polars", "Series", polars_series),
    ("datasets", "Dataset", datasets_frame),
    ("pyarrow", "Table", arrow_frame), ("pyarrow", "RecordBatch", arrow_frame),
    ("pyarrow", "RecordBatchReader", arrow_frame),
)


def add_columns(source: Any, columns: Mapping[str, list[Any]]) -> Any:
    """A table of a library with more columns, of the same kind and index."""
    if is_kind(source, "pandas", "DataFrame"):
        pandas = importlib.import_module("pandas")
        frame = source.copy(deep=False)
        for name, values in columns.items():
            frame[name] = pandas.Series(values, index=frame.index)
        return frame
    if is_kind(source, "polars", "DataFrame"):
        polars = importlib.import_module("polars")
        return source.with_columns([polars.Series(name, values, strict=False) for name, values in columns.items()])
    if is_kind(source, "datasets", "Dataset"):
        for name, values in columns.items():
            source = source.add_column(name, arrow_array(values).to_pylist())
        return source
    for name, values in columns.items():
        source = source.append_column(name, arrow_array(values))
    return source


def arrow_array(values: list[Any]) -> Any:
    """Values as an Arrow array; as JSON texts where their lists mix kinds that Arrow does not."""
    pyarrow = importlib.import_module("pyarrow")
    try:
        return pyarrow.array(values)
    except pyarrow.ArrowException:
        return pyarrow.array([None if value is None else json.dumps(value, ensure_ascii=False) for value in values])
