"""What went wrong, said so that the user can mend it: what was expected, what came, what to do."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import IntEnum
from functools import partial
from typing import Any, Literal


class Exit(IntEnum):
    """How a command ended; the same numbers in every command (after sysexits.h where it has one)."""

    SUCCESS = 0
    USAGE = 2
    DATA = 65
    NO_INPUT = 66
    UNAVAILABLE = 69
    BUG = 70
    EXISTS = 73
    DISK = 74
    INTERRUPTED = 75
    REFUSED = 77
    SETTINGS = 78


class UserError(Exception):
    """Something the user can mend; it reaches the terminal as words, without a traceback.

    `message` says what was expected and what came; `fix` what to do; `exit` how the command ends.

    >>> try:
    ...     headstart.load("no-such-run")
    ... except headstart.UserError as error:
    ...     print(error.message)
    ...     print(error.fix)
    """

    def __init__(self, message: str, *, fix: str = "", exit: Exit = Exit.USAGE) -> None:
        super().__init__(message)
        self.message = message
        self.fix = fix
        self.exit = exit
        if keywords := python_words(str(self)):
            self.add_note(keywords)  # tracebacks of Python show it, the terminal does not

    def __str__(self) -> str:
        return f"{self.message}\n  {self.fix}" if self.fix else self.message


class FollowedError(UserError):
    """What ended the process that leads a run of several, in one that follows it: the leader has told it."""


FLAG_VALUE = r'"[^"]+"|[A-Z_]+\b|[0-9][0-9.e-]*\b|skip\b|(?<=--task )[a-z-]+\b|[a-z_]+\.[a-z_]+=\S*\w'
FLAG = re.compile(rf"--([a-z][a-z-]+)(?:[ =]({FLAG_VALUE}))?")
SWITCHES = ("overwrite", "strict", "allow-pickle", "accept-changes", "public", "with-examples")
COMMAND_ONLY = ("help", "help-all", "json", "quiet", "search", "sample", "value", "force-reinstall", "extra-index-url",
                "on", "page", "preset", "settings", "find-links", "index-url")


def python_words(text: str) -> str:
    """What the flags of a text are in Python, as a sentence: --bad-rows skip is bad_rows="skip"; "" without flags."""
    translations: dict[str, str] = {}
    for flag in FLAG.finditer("" if "in Python" in text else text):
        name, value = flag[1], flag[2]
        if name == "set" and value and "." in value:
            group, _, setting = value.partition(".")
            key, _, setting_value = setting.partition("=")
            translations[value] = f'{flag[0]} is {group}={{"{key}": {quoted(setting_value)}}}'
        elif name == "no-header":
            translations[name] = "--no-header is header=False"
        elif name in SWITCHES:
            translations[name] = f"--{name} is {name.replace('-', '_')}=True"
        elif name not in ("set", *COMMAND_ONLY):
            translations.setdefault(name, f"{flag[0]} is {name.replace('-', '_')}={quoted(value or '…')}")
    return f"In Python: {'; '.join(translations.values())}." if translations else ""


def quoted(value: str) -> str:
    """A value of a flag as Python has it: numbers as they are, texts in quotes."""
    is_literal = value in ("", "…") or value[0] in '"0123456789'
    return {"true": "True", "false": "False", "": "…"}.get(value, value if is_literal else f'"{value}"')


# What the system, torch, oneDNN, numpy and libraries in C++ say where memory is short.
MEMORY_WORDS = ("not enough memory", "can't allocate memory", "cannot allocate memory", "could not create a primitive",
                "out of memory", "unable to allocate", "std::bad_alloc", "failed to map segment")


def out_of_memory(error: BaseException | None) -> bool:
    """Whether an error, or one that it was raised from, is that of too little memory."""
    passed_errors: set[int] = set()  # causes may form a circle
    while error is not None and id(error) not in passed_errors:
        passed_errors.add(id(error))
        is_spoken = isinstance(error, OSError | RuntimeError | ImportError | SystemError)
        if isinstance(error, MemoryError) or (is_spoken and any(words in str(error).lower() for words in MEMORY_WORDS)):
            return True
        error = error.__cause__ or error.__context__
    return False


Level = Literal["fault", "warning", "note"]
LEVELS: dict[str, Level] = {"E": "fault", "W": "warning", "N": "note"}


@dataclass(frozen=True)
class Finding:
    """One thing found in the user's data: a fault (the row cannot be used) or a warning.

    `code` is E… for faults, W… for warnings, N… for what was handled and is only stated. `line` and `column` count
    from 1; None where the format has none. Findings of one code are told together ("+ 41 more like it"); `count` is how
    many a finding stands for ("10 more texts occur a second time").

    >>> try:
    ...     headstart.finetune("faulty.csv", to="faulty-run")
    ... except headstart.DataError as error:
    ...     faults = [finding.text() for finding in error.findings if finding.level == "fault"]
    """

    code: str
    message: str
    fix: str = ""
    file: str = ""
    line: int | None = None
    column: int | None = None
    row: int | None = None
    count: int = 1

    @property
    def level(self) -> Level:
        """Whether this stops the command (fault), is told (warning), or was handled and is only stated (note)."""
        return LEVELS[self.code[0]]

    def text(self) -> str:
        """The finding as the terminal shows it: file:line:column [code] message, then the fix."""
        place = place_text(self.file, self.line, self.column)
        if self.file and self.line is None and self.row is not None:
            place = f"{self.file}, row {self.row + 1:,}"
        head = f"{place} [{self.code}] {self.message}" if place else f"[{self.code}] {self.message}"
        return f"{head}\n  {self.fix}" if self.fix else head


def place_text(file: str, line: int | None, column: int | None = None) -> str:
    """train.csv:3:6, and for a place in a workbook's sheet: book.xlsx, sheet "Reviews" cell F3."""
    if line is not None and file.endswith('"') and ', sheet "' in file:
        return f"{file} cell {column_letters(column)}{line}" if column is not None else f"{file} row {line}"
    return ":".join(str(part) for part in (file, line, column) if part not in (None, ""))


def column_letters(number: int) -> str:
    """A sheet's column as its program calls it: 1 is A, 27 is AA."""
    letters = ""
    while number > 0:
        number, place = divmod(number - 1, 26)
        letters = chr(ord("A") + place) + letters
    return letters


def finding_groups(findings: Iterable[Finding]) -> list[list[Finding]]:
    """Findings of one code together, in the order in which the codes came first."""
    groups: dict[str, list[Finding]] = {}
    for finding in findings:
        groups.setdefault(finding.code, []).append(finding)
    return list(groups.values())


def findings_text(findings: Iterable[Finding], errors_file: str = "", counts: Mapping[str, int] | None = None) -> str:
    """All findings, one text for each code: the first in full, the others counted.

    `errors_file` names the file that lists them ("RUN/data_errors.jsonl"); "" when there is none. `counts` holds the
    true number of each code where only the first ones were kept.
    """
    texts = []
    for group in finding_groups(findings):
        text = group[0].text()
        count = max(sum(finding.count for finding in group), (counts or {}).get(group[0].code, 0))
        if count > 1:
            list_note = f"; the first 100 are in {errors_file}" if errors_file else ""
            text += f"\n  + {count - 1:,} more like it{list_note}"
        texts.append(text)
    return "\n".join(texts)


class DataError(UserError):
    """The user's data has faults; all of them are told at once, with file, line and column.

    >>> try:
    ...     headstart.finetune("faulty.csv", to="faulty-run")
    ... except headstart.DataError as error:
    ...     print(f"{len(error.findings)} findings, the first in line {error.findings[0].line}")
    """

    def __init__(self, findings: Sequence[Finding], *, errors_file: str = "", counts: Mapping[str, int] | None = None,
                 exit: Exit = Exit.DATA) -> None:
        super().__init__(findings_text(findings, errors_file, counts), exit=exit)
        self.findings, self.errors_file, self.counts = tuple(findings), errors_file, counts

    def __reduce__(self) -> tuple[Any, ...]:
        """How it is pickled, on its way from another process."""
        return partial(DataError, self.findings, errors_file=self.errors_file, counts=self.counts, exit=self.exit), ()

    def with_findings(self, findings: Sequence[Finding]) -> DataError:
        """The same with further findings after its own."""
        return DataError([*self.findings, *findings], errors_file=self.errors_file, counts=self.counts, exit=self.exit)


def first_line(error: BaseException) -> str:
    """The first line of an error's text, at most 300 characters; the name of its class where it has none."""
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:300]


def first_names(names: Sequence[str], most: int, separator: str = ", ") -> str:
    """The first names, and " …" where there are more than `most`."""
    return separator.join(names[:most]) + (" …" if len(names) > most else "")


def nearest(word: str, candidates: Iterable[str]) -> str | None:
    """The known word that is most like this one, for "did you mean"; None when nothing is near."""
    import difflib

    choices = list(candidates)
    lowered = {choice.lower(): choice for choice in reversed(choices)}
    matches = difflib.get_close_matches(word.lower(), list(lowered), n=1, cutoff=0.6)
    return lowered[matches[0]] if matches else None
