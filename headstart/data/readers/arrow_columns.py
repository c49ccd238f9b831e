"""An Arrow schema's columns: which of them can be read, under which names, and their values a block at a time."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from headstart.contract import RowFault
from headstart.data.readers.arrow_values import UnknownClass, holds_classes, json_value
from headstart.data.readers.table_builder import SKIP, TableBuilder


@dataclass(frozen=True)
class ArrowColumn:
    """A column that is read: its name here, its place in the schema, and what is known of its values."""

    name: str
    index: int
    feature: Any = None

    def values(self, array: Any, faults: dict[int, RowFault]) -> list[Any]:
        """The values of a block of sound arrays; rows with one that cannot be used are added to `faults`, by place."""
        import pyarrow

        types, type_of = pyarrow.types, array.type
        if isinstance(type_of, pyarrow.BaseExtensionType) and types.is_string(type_of.storage_type):
            array, type_of = array.storage, type_of.storage_type
        if is_text(type_of):
            return self.texts(array, faults)
        if types.is_timestamp(type_of) and type_of.unit == "ns":
            array = array.cast(pyarrow.timestamp("us", type_of.tz), safe=False)
        elif (types.is_time64(type_of) or types.is_duration(type_of)) and type_of.unit == "ns":
            kind: Callable[[str], Any] = pyarrow.time64 if types.is_time64(type_of) else pyarrow.duration
            array = array.cast(kind("us"), safe=False)
        elif types.is_map(type_of):
            return [None if pairs is None else json_value(dict(pairs)) for pairs in array.to_pylist()]
        entries = array.to_pylist()
        if self.feature is None and (types.is_integer(type_of) or types.is_boolean(type_of) or types.is_null(type_of)):
            return list(entries)
        return [self.value(entry, row, faults) for row, entry in enumerate(entries)]

    def value(self, entry: Any, row: int, faults: dict[int, RowFault]) -> Any:
        """One value; None and a fault of the row for a class number without a name."""
        try:
            return json_value(entry, self.feature)
        except UnknownClass as error:
            faults.setdefault(row, RowFault("E130", f'column "{self.name}": {error}.',
                                            fix=f"Correct the number, or {SKIP}"))
            return None

    def texts(self, array: Any, faults: dict[int, RowFault]) -> list[Any]:
        """The texts of a block; those that hold a NUL character are faults of their rows."""
        import pyarrow
        import pyarrow.compute

        array = array.cast(pyarrow.large_string()) if pyarrow.types.is_string_view(array.type) else array
        if pyarrow.compute.any(pyarrow.compute.match_substring(array, "\0")).as_py():
            for row, text in enumerate(array.to_pylist()):
                if text is not None and "\0" in text:
                    faults.setdefault(row, RowFault(
                        "E106", f'column "{self.name}" of the row contains a NUL character.',
                        fix=f"Write the file again without it, or {SKIP}"))
        return list(array.to_pylist())

    def decoded_texts(self, array: Any, faults: dict[int, RowFault]) -> list[Any]:
        """Texts some of which are not UTF-8."""
        import pyarrow

        is_large = pyarrow.types.is_large_string(array.type)
        texts: list[str | None] = []
        for row, content in enumerate(array.view(pyarrow.large_binary() if is_large else pyarrow.binary()).to_pylist()):
            try:
                texts.append(content if content is None else content.decode("utf-8"))
            except UnicodeDecodeError as error:
                texts.append(None)
                faults.setdefault(row, RowFault(
                    "E103", f'column "{self.name}": the byte 0x{content[error.start]:02X} is not UTF-8, which Arrow\'s '
                    "texts are.", fix=f"Write the text again as UTF-8, or {SKIP}"))
        return texts


def is_utf8(array: Any) -> bool:
    """Whether an array is sound; False for one of texts that are not all UTF-8. Raises pyarrow.ArrowInvalid for damage.
    """
    import pyarrow

    try:
        array.validate(full=True)
    except pyarrow.ArrowInvalid as error:
        if "UTF8" in str(error) and is_text(array.type) and not pyarrow.types.is_string_view(array.type):
            return False
        raise
    return True


def is_text(type_of: Any) -> bool:
    """Whether a type is one of Arrow's three texts."""
    from pyarrow import types

    return bool(types.is_string(type_of) or types.is_large_string(type_of) or types.is_string_view(type_of))


def is_bytes(type_of: Any) -> bool:
    """Whether a type is one of Arrow's bytes."""
    from pyarrow import types

    return bool(types.is_binary(type_of) or types.is_large_binary(type_of) or types.is_fixed_size_binary(type_of)
                or types.is_binary_view(type_of))


def find_columns(schema: Any, features: Mapping[str, Any], builder: TableBuilder) -> list[ArrowColumn]:
    """The columns that are read; tells those that hold bytes, and those that share a name. Raises DataError for none.
    """
    counts = Counter(schema.names)
    columns: list[ArrowColumn] = []
    for index, (name, type_of) in enumerate(zip(schema.names, schema.types, strict=True)):
        full_name = f"{name} (column {index + 1})" if counts[name] > 1 else name
        if is_bytes(type_of) or is_media(type_of):
            builder.unused_columns[full_name] = "holds bytes (binary), which are not text"
            builder.add_finding("N111", f'the column "{full_name}" holds bytes (binary), which are not text; it is '
                                "left out.", "If they are texts, write them as strings.")
            continue
        if counts[name] > 1:
            builder.ambiguous_columns[full_name] = f'two columns are called "{name}"'
        feature = features.get(name)
        columns.append(ArrowColumn(full_name, index, feature if holds_classes(feature) else None))
    for name, count in counts.items():
        if count > 1:
            full_names = [f'"{name} (column {index + 1})"' for index, column_name in enumerate(schema.names)
                          if column_name == name]
            builder.add_finding("N112", f'{count} columns are called "{name}"; here they are {", ".join(full_names)}.',
                                "Rename them, or name the one that is meant.")
    if not columns:
        raise builder.fatal_error("E101", "the file has no column that can be read.", "Check that it is the right one.")
    builder.columns = tuple(column.name for column in columns)
    return columns


def is_media(type_of: Any) -> bool:
    """Whether a type is an image or a sound as `datasets` keeps them: bytes and a path."""
    from pyarrow import types

    return bool(types.is_struct(type_of)) and {field.name for field in type_of} == {"bytes", "path"} and is_bytes(
        type_of.field("bytes").type)


def describe_classes(columns: list[ArrowColumn]) -> str:
    """Which columns' numbers are read by their names, in words; "" for none."""
    names = [column.name for column in columns if column.feature is not None]
    return f"class names of {', '.join(names)}" if names else ""

