"""Settings as users write them: read from flags and files, checked, and described."""

from __future__ import annotations

import dataclasses
import math
import types
import typing
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Literal

from headstart.errors import Exit, UserError, nearest
from headstart.settings.groups import GROUPS, Generation, Steering
from headstart.settings.note import Note

MAX_INT = 2**53  # what floats hold exactly; no setting is as large
MAX_SHOWN = 80  # characters of a value in an error


@dataclass(frozen=True)
class Setting:
    """One setting as help and docs show it."""

    key: str
    type: Any
    default: Any
    note: Note

    @property
    def type_name(self) -> str:
        """The type as help names it: "stop or skip", "number", "whole number" …"""
        return type_name(self.type)


def list_settings(group: str, group_class: type) -> list[Setting]:
    """Every setting of a group in the order of its file."""
    return list(cached_settings(group, group_class))


@cache
def cached_settings(group: str, group_class: type) -> tuple[Setting, ...]:
    """The same; type hints are evaluated once, for that is slow."""
    hints = typing.get_type_hints(group_class, include_extras=True)
    settings = []
    for field in dataclasses.fields(group_class):
        value_type, note = typing.get_args(hints[field.name])
        settings.append(Setting(f"{group}.{field.name}", value_type, field.default, note))
    return tuple(settings)


def type_name(value_type: Any) -> str:
    """A type as help names it."""
    if typing.get_origin(value_type) is Literal:
        return " or ".join(str(choice) for choice in typing.get_args(value_type))
    if typing.get_origin(value_type) in (typing.Union, types.UnionType):
        return " or ".join(type_name(member) for member in typing.get_args(value_type) if member is not type(None))
    return {int: "whole number", float: "number", bool: "true or false", str: "text"}[value_type]


def parse(setting: Setting, value: Any) -> Any:
    """The value as the setting's type; text from the command line is parsed, other types are checked.

    Raises UserError (exit 78) that names the setting, what it takes, and what came.
    """
    value_types = typing.get_args(setting.type) if typing.get_origin(setting.type) in (
        typing.Union, types.UnionType) else (setting.type,)
    if type(None) in value_types and (value is None or value in ("", "none")):
        return None
    for value_type in value_types:
        try:
            parsed = as_type(value_type, value)
        except ValueError:
            continue
        if isinstance(parsed, int | float) and not isinstance(parsed, bool) and not setting.note.allows(parsed):
            raise setting_error(setting, value)
        return parsed
    raise setting_error(setting, value)


def as_type(value_type: Any, value: Any) -> Any:
    """The value as one plain type; raises ValueError."""
    if value_type is type(None):
        raise ValueError
    if typing.get_origin(value_type) is Literal:
        if value in typing.get_args(value_type):
            return value
        raise ValueError
    if value_type is bool:
        booleans = {"true": True, "false": False, True: True, False: False}
        key = value.lower() if isinstance(value, str) else value
        if isinstance(key, bool | str) and key in booleans:
            return booleans[key]
        raise ValueError
    if value_type is str and isinstance(value, str):
        return value
    if value_type is str or isinstance(value, bool) or not isinstance(value, int | float | str):
        raise ValueError  # a file in TOML has dates, lists and tables too
    try:
        converted = value_type(value)
        is_number = math.isfinite(converted) and abs(converted) <= MAX_INT
    except OverflowError:
        raise ValueError from None
    if not is_number or (value_type is int and isinstance(value, float) and value != converted):
        raise ValueError
    return converted


def setting_error(setting: Setting, value: Any) -> UserError:
    """The error for a value that a setting does not take."""
    bounds = setting.note.bounds()
    expected = f"{setting.type_name}{f' ({bounds})' if bounds else ''}"
    fix = f"{setting.key}: {setting.note.help}; default {default_text(setting.default)}."
    is_share = setting.note.high == 1 or (setting.note.below == 1 and setting.note.help.startswith("share"))
    if is_share and (percent := number_of(value)) is not None and 1 <= percent <= 100:
        fix = f"Did you mean {setting.key.split('.')[1]}={percent / 100:g}? " + fix
    return UserError(f"{setting.key} takes {expected}, but it is {value_text(value)}.", fix=fix, exit=Exit.SETTINGS)


def number_of(value: Any) -> float | None:
    """The number that a user gave, which on the command line is a text; None for anything else."""
    try:
        return None if isinstance(value, bool) else float(value)
    except (TypeError, ValueError, OverflowError):
        return None


def value_text(value: Any) -> str:
    """A value as an error shows it; a very long one is cut."""
    if isinstance(value, int) and abs(value) >= 10**MAX_SHOWN:
        return f"a number of more than {MAX_SHOWN} digits"
    text = repr(value)
    return text if len(text) <= MAX_SHOWN else f"{text[:MAX_SHOWN]}…"


def default_text(value: Any) -> str:
    """A default as help shows it."""
    return "not set" if value is None or value == "" else str(value).lower() if isinstance(value, bool) else str(value)


def build(values: Mapping[str, Any], groups: Mapping[str, type] = GROUPS) -> dict[str, Any]:
    """Frozen settings of every group from {"training.epochs": 3}; unknown names are refused with the nearest one.

    Raises UserError (exit 78).
    """
    settings = {setting.key: setting for group, group_class in groups.items()
                for setting in list_settings(group, group_class)}
    values_by_group: dict[str, dict[str, Any]] = {group: {} for group in groups}
    for key, value in values.items():
        if key not in settings:
            suggestion = nearest(key, settings) or nearest(key, {name.split(".")[1]: name for name in settings})
            suggestion = next((name for name in settings if suggestion and name.endswith(suggestion)), None)
            advice = (f"Did you mean {suggestion}?" if suggestion
                      else f"The groups are {', '.join(groups)}; --help lists every setting.")
            raise UserError(f"There is no setting {key!r}.", fix=advice, exit=Exit.SETTINGS)
        group, name = key.split(".")
        values_by_group[group][name] = parse(settings[key], value)
    return {group: group_class(**values_by_group[group]) for group, group_class in groups.items()}


def build_value(key: str, value: Any) -> Any:
    """The value of one setting, by its whole key ("model.dtype"), checked; raises UserError (78)."""
    group, name = key.split(".")
    return getattr(build({key: value})[group], name)


def parse_assignments(texts: Iterable[str]) -> dict[str, Any]:
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
        groups = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise UserError(f"There is no settings file {path}.", fix="Check the path.", exit=Exit.NO_INPUT) from None
    except RecursionError:
        raise UserError(f"{path} is not a settings file: its values are nested too deep.", exit=Exit.SETTINGS) from None
    except (OSError, ValueError) as error:  # TOMLDecodeError is a ValueError, and so is a number of 5,000 digits
        raise UserError(f"{path} is not a settings file in TOML: {error}.", exit=Exit.SETTINGS) from None
    return {f"{group}.{name}" if isinstance(content, dict) else group: value
            for group, content in groups.items() for name, value in (content.items() if isinstance(content, dict)
                                                                     else [("", content)])}


def nested(values: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """Flat settings as the groups of a settings file: {"training": {"epochs": 3}} from {"training.epochs": 3}."""
    groups: dict[str, dict[str, Any]] = {}
    for key, value in values.items():
        group, _, name = key.partition(".")
        groups.setdefault(group, {})[name] = value
    return groups


def flatten(groups: Mapping[str, Any]) -> dict[str, Any]:
    """Built settings back as {"group.name": value}."""
    return {f"{group}.{name}": value for group, group_settings in groups.items()
            for name, value in vars(group_settings).items()}


def build_generation(settings: Generation | None, overrides: Mapping[str, Any]) -> Generation:
    """Generation settings from keyword arguments, checked; raises UserError (78)."""
    if not overrides:
        return settings or Generation()
    generation: Generation = build({f"generation.{name}": value for name, value in overrides.items()})["generation"]
    return generation


def build_steering(settings: Steering | Mapping[str, Any] | None) -> Steering:
    """Steering settings, checked; raises UserError (78)."""
    if isinstance(settings, Steering):
        return settings
    steering: Steering = build({f"steering.{name}": value for name, value in (settings or {}).items()})["steering"]
    return steering


def is_unicode(text: str) -> bool:
    """Whether a text can be written as UTF-8: a file name of other bytes cannot."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
