"""Which columns of a file are used, and which are not: a column that was forgotten is never a silent loss."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

from headstart.data.table import Table

MAX_NAMED = 12  # columns that are named one by one


def unused_columns(table: Table, field_columns: Mapping[str, Sequence[str]],
                   further: Collection[str] = ()) -> list[str]:
    """The columns that no field reads and that are not in `further` (by which slices are made), in the file's order.

    Of a column of objects that is read in part (ticket.body), the names of the other parts. Columns that are made to
    say where a row is from are none of the file's.
    """
    if table.is_running_text:
        return []
    used_names = {name for names in field_columns.values() for name in names} | set(further)
    nested_names = table.nested_names()
    unused_names: list[str] = []
    for column in table.columns:
        if column in used_names or column in table.builder.origin_columns:
            continue
        if not any(name.startswith(f"{column}.") for name in used_names):
            unused_names.append(column)
            continue
        unused_names += [name for name in nested_names if name.startswith(f"{column}.")
                         and not is_used(name, used_names) and not is_parent(name, nested_names)]
    further_names = (*table.builder.dropped_columns, *table.builder.unused_columns)
    return [*unused_names, *(name for name in dict.fromkeys(further_names)
                             if name not in used_names and name not in unused_names)]


def is_used(name: str, used_names: Collection[str]) -> bool:
    """Whether a name of a part is used, or stands in an object that is."""
    return any(name == used or name.startswith(f"{used}.") for used in used_names)


def is_parent(name: str, names: Collection[str]) -> bool:
    """Whether a name is that of an object whose parts are named too."""
    return any(inner.startswith(f"{name}.") for inner in names)


def unused_words(names: Sequence[str]) -> str:
    """Columns that are not used in words, the first twelve by name."""
    if not names:
        return "every column is used"
    quoted = ", ".join(f'"{name}"' if name else "the column without a name" for name in names[:MAX_NAMED])
    remainder = f" and {len(names) - MAX_NAMED:,} more" if len(names) > MAX_NAMED else ""
    return f"not used: {quoted}{remainder}"
