"""Settings as users write them: read from flags and files, checked, and told."""

from __future__ import annotations

import dataclasses
import types
import typing
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from headstart.errors import Exit, UserError, nearest
from headstart.settings.groups import GROUPS, RUN_GROUPS, Generation, Steering
from headstart.settings.note import Note


@dataclass(frozen=True)
class Line:
    """One setting as help and docs show it."""

    key: str
    type: Any
    default: Any
    note: Note

    @property
    def type_name(self) -> str:
        """The type in words: "stop or skip", "number", "whole number" …"""
        return type_name(self.type)


def lines(group: str, holder: type) -> list[Line]:
    """Every setting of a group in the order of its file."""
    hints = typing.get_type_hints(holder, include_extras=True)
    found = []
    for entry in dataclasses.fields(holder):
        kind, note = typing.get_args(hints[entry.name])
        found.append(Line(f"{group}.{entry.name}", kind, entry.default, note))
    return found


def type_name(kind: Any) -> str:
    """A type in the user's words."""
    if typing.get_origin(kind) is Literal:
        return " or ".join(str(choice) for choice in typing.get_args(kind))
    if typing.get_origin(kind) in (typing.Union, types.UnionType):
        return " or ".join(type_name(part) for part in typing.get_args(kind) if part is not type(None))
    return {int: "whole number", float: "number", bool: "true or false", str: "text"}[kind]


def parse(line: Line, value: Any) -> Any:
    """The value as the setting's type; text from the command line is read, other types are checked.

    Raises UserError (exit 78) that names the setting, what it wants, and what came.
    """
    kinds = typing.get_args(line.type) if typing.get_origin(line.type) in (typing.Union, types.UnionType) else (line.type,)
    if type(None) in kinds and (value is None or value in ("", "none")):
        return None
    for kind in kinds:
        try:
            parsed = as_kind(kind, value)
        except ValueError:
            continue
        if isinstance(parsed, int | float) and not isinstance(parsed, bool) and not line.note.allows(parsed):
            raise wrong(line, value)
        return parsed
    raise wrong(line, value)


def as_kind(kind: Any, value: Any) -> Any:
    """The value as one plain type; raises ValueError."""
    if kind is type(None):
        raise ValueError
    if typing.get_origin(kind) is Literal:
        if value in typing.get_args(kind):
            return value
        raise ValueError
    if kind is bool:
        words = {"true": True, "false": False, True: True, False: False}
        key = value.lower() if isinstance(value, str) else value
        if isinstance(key, bool | str) and key in words:
            return words[key]
        raise ValueError
    if isinstance(value, bool) or (kind is str and not isinstance(value, str)):
        raise ValueError
    if kind is int and isinstance(value, float) and value != int(value):
        raise ValueError
    result = kind(value)
    if kind is float and result != result:
        raise ValueError
    return result


def wrong(line: Line, value: Any) -> UserError:
    """The error for a value that a setting does not take."""
    bounds = line.note.bounds()
    wanted = f"{line.type_name}{f' ({bounds})' if bounds else ''}"
    fix = f"{line.key}: {line.note.help}; default {shown(line.default)}."
    if line.note.high == 1 and isinstance(value, int | float) and 1 < value <= 100:
        fix = f"Did you mean {line.key.split('.')[1]}={value / 100:g}? " + fix
    return UserError(f"{line.key} takes {wanted}, but it is {value!r}.", fix=fix, exit=Exit.SETTINGS)


def shown(value: Any) -> str:
    """A default as help shows it."""
    return "not set" if value is None or value == "" else str(value).lower() if isinstance(value, bool) else str(value)


def build(values: Mapping[str, Any], groups: Mapping[str, type] = GROUPS) -> dict[str, Any]:
    """Frozen settings of every group from {"training.epochs": 3}; unknown names are refused with the nearest one.

    Raises UserError (exit 78).
    """
    known = {line.key: line for group, holder in groups.items() for line in lines(group, holder)}
    chosen: dict[str, dict[str, Any]] = {group: {} for group in groups}
    for key, value in values.items():
        if key not in known:
            near = nearest(key, known) or nearest(key, {name.split(".")[1]: name for name in known})
            near = next((name for name in known if near and name.endswith(near)), None)
            advice = f"Did you mean {near}?" if near else f"The groups are {', '.join(groups)}; --help lists every setting."
            raise UserError(f"There is no setting {key!r}.", fix=advice, exit=Exit.SETTINGS)
        group, name = key.split(".")
        chosen[group][name] = parse(known[key], value)
    return {group: holder(**chosen[group]) for group, holder in groups.items()}


def assignments(texts: Iterable[str]) -> dict[str, Any]:
    """`--set training.epochs=3` as {"training.epochs": "3"}; raises UserError (exit 78)."""
    values = {}
    for text in texts:
        key, equals, value = text.partition("=")
        if not equals or "." not in key:
            raise UserError(f"--set takes GROUP.NAME=VALUE, but it is {text!r}.",
                            fix="For example --set training.learning_rate=3e-5.", exit=Exit.SETTINGS)
        values[key.strip()] = value.strip()
    return values


def load(path: Path) -> dict[str, Any]:
    """A settings file as a flat {"group.name": value}; raises UserError (66 not found, 78 not TOML)."""
    import tomllib

    try:
        data = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise UserError(f"There is no settings file {path}.", fix="Check the path.", exit=Exit.NO_INPUT) from None
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise UserError(f"{path} is not a settings file in TOML: {error}.", exit=Exit.SETTINGS) from None
    return {f"{group}.{name}" if isinstance(held, dict) else group: value
            for group, held in data.items() for name, value in (held.items() if isinstance(held, dict) else [("", held)])}


def flat(groups: Mapping[str, Any]) -> dict[str, Any]:
    """Built settings back as {"group.name": value}."""
    return {f"{group}.{name}": value for group, held in groups.items() for name, value in vars(held).items()}


def generation_of(given: Generation | None, more: Mapping[str, Any]) -> Generation:
    """Generation settings from keyword arguments, checked; raises UserError (78)."""
    if not more:
        return given or Generation()
    made: Generation = build({f"generation.{name}": value for name, value in more.items()})["generation"]
    return made


def steering_of(given: Steering | Mapping[str, Any] | None) -> Steering:
    """Steering settings, checked; raises UserError (78)."""
    if isinstance(given, Steering):
        return given
    made: Steering = build({f"steering.{name}": value for name, value in (given or {}).items()})["steering"]
    return made


def keyed(values: Mapping[str, Any]) -> dict[str, Any]:
    """`epochs=3` or `training={"epochs": 3}` as {"training.epochs": 3}."""
    homes: dict[str, str] = {}
    for group, holder in RUN_GROUPS.items():
        for line in lines(group, holder):
            homes.setdefault(line.key.split(".")[1], line.key)  # `dropout` is training's, not the adapter's
    found: dict[str, Any] = {}
    for name, value in values.items():
        if isinstance(value, Mapping):
            found |= {f"{name}.{key}": held for key, held in value.items()}
        else:
            found[homes.get(name, name)] = value
    return found
