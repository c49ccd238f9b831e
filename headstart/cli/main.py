"""`headstart COMMAND …`: find the command, run it, and end with the right exit code and message."""

from __future__ import annotations

import argparse
import contextlib
import errno
import gc
import importlib
import io
import os
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn, Protocol

from headstart.cli import _flags, _help
from headstart.disk import FREE_SPACE, FULL, system_error
from headstart.errors import DataError, Exit, FollowedError, UserError, nearest, out_of_memory
from headstart.progress import print_error
from headstart.progress.visible import for_reading, visible
from headstart.settings.values import is_unicode
from headstart.version import __version__

# Modules of the packages that headstart needs and headstart-predict does without, by the package's name.
LEFT_OUT = {name: name for name in ("torch", "transformers", "safetensors", "rich", "jinja2", "packaging")} | {
    "sklearn": "scikit-learn", "scipy": "scikit-learn", "yaml": "PyYAML", "tomli_w": "tomli-w"}
UNOPENED = (errno.EACCES, errno.EPERM, errno.ENAMETOOLONG, errno.ELOOP)


class Command(Protocol):
    """What a file in this folder holds."""

    SUMMARY: str

    def add(self, parser: argparse.ArgumentParser) -> None:
        """The command's arguments."""

    def run(self, arguments: argparse.Namespace) -> int:
        """Run the command; the exit code."""


class Parser(argparse.ArgumentParser):
    """argparse with our error messages: the nearest known flag, and how to get help."""

    def error(self, message: str) -> NoReturn:
        """Wrong usage: exit 2."""
        raise UserError(message[:1].upper() + message[1:] + ".", fix=f"See {self.prog} --help", exit=Exit.USAGE)


def command_names() -> list[str]:
    """Every command; `steering-head` is in steering_head.py."""
    files = Path(__file__).parent.glob("*.py")
    return sorted(path.stem.replace("_", "-") for path in files if path.stem != "main" and path.stem[0] != "_")


def find_command(name: str) -> Command:
    """The command of this name; raises UserError."""
    if name not in command_names():
        suggestion = nearest(name, command_names())
        advice = (f"Did you mean headstart {suggestion}?" if suggestion
                  else f"The commands are {', '.join(command_names())}.")
        raise UserError(f"There is no command {name!r}.", fix=advice)
    module: Command = importlib.import_module(f"headstart.cli.{name.replace('-', '_')}")
    return module


def overview() -> str:
    """What `headstart --help` prints."""
    lines = [f"  {name:<13} {find_command(name).SUMMARY}" for name in command_names()]
    return "\n".join([
        f"headstart {__version__}: fine-tune a transformer on your own file.",
        "",
        "  headstart finetune reviews.csv             train, evaluate, report",
        "  headstart predict reviews-run new.csv      use it",
        "",
        "commands:",
        *lines,
        "",
        "headstart COMMAND --help shows what most people set, --help-all every setting with type, default and bounds.",
    ])


def command_parser(name: str) -> Parser:
    """A command's parser, without the flags of all tasks' columns; raises UserError for a command that there is not."""
    command = find_command(name)
    parser = Parser(prog=f"headstart {name}", description=command.SUMMARY, allow_abbrev=False, add_help=False,
                    formatter_class=argparse.RawDescriptionHelpFormatter)
    _help.add_help(parser)
    command.add(parser)
    return parser


def main(argv: Sequence[str]) -> int:
    """Run one command; raises UserError."""
    if not argv or argv[0] in ("-h", "--help", "help"):
        print(overview())
        return Exit.SUCCESS
    if argv[0] in ("-V", "--version"):
        print(__version__)
        return Exit.SUCCESS
    for argument in argv:
        if not is_unicode(argument):
            raise UserError(f"The argument {argument!r} is not UTF-8.", fix="Rename the file or folder.")
    command = find_command(argv[0])
    parser = command_parser(argv[0])
    if _help.is_asked_for(argv[1:]):
        print(_help.help_text(parser, argv[1:]).rstrip())
        return Exit.SUCCESS
    arguments, unknown = parse(parser, argv[1:])
    if unknown:
        raise unknown_argument(argv[0], unknown[0], parser)
    arguments.command_line = list(argv)
    return command.run(arguments)


def unknown_argument(command: str, argument: str, parser: Parser) -> UserError:
    """What to write instead of an argument that a command does not know: `--set` for a setting that it reads."""
    flags = [flag for action in parser._actions for flag in action.option_strings]
    flag, _, value = argument.partition("=")
    setting_name = flag.removeprefix("--").replace("-", "_")
    keys = sorted({setting.key for setting in _flags.all_settings() if setting_name == setting.key.partition(".")[2]})
    read_keys = [key for key in keys if key.startswith(parser.get_default("settings_read") or ())]
    suggestion = nearest(flag, flags)
    if "--set" in flags and argument.startswith("--") and read_keys:
        fix = "It is a setting without a flag of its own: " + " or ".join(
            f"--set {key}={value or '…'}" for key in read_keys)
    elif argument.startswith("--") and keys:
        fix = f"It is the setting {' or '.join(keys)}, which this command never reads: leave it out."
    else:
        fix = f"Did you mean {suggestion}?" if suggestion else f"See headstart {command} --help"
    return UserError(f"headstart {command} does not know {argument!r}.", fix=fix)


def parse(parser: Parser, argv: Sequence[str]) -> tuple[argparse.Namespace, list[str]]:
    """The arguments, and those that are unknown; flags may stand between MODEL and texts. Raises UserError.

    The flags of columns come from all tasks, which take longer to import than many a command takes to run: they are
    added where there is something that may be one.
    """
    with contextlib.suppress(UserError):
        arguments, unknown = parser.parse_known_intermixed_args(argv)
        if not unknown:
            return arguments, unknown
    _flags.add_column_flags(parser)
    return parser.parse_known_intermixed_args(argv)


def entry() -> NoReturn:
    """What the `headstart` script runs."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # what is open is closed, and the exit code is 75
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # half a surrogate pair is no reason to fail
    sys.stdout = for_reading(sys.stdout)
    code = run_guarded(sys.argv[1:])
    gc.freeze()  # what is left goes with the process; a last look for circles in it takes 20 ms after each command
    sys.exit(code)


def run_guarded(argv: Sequence[str]) -> int:
    """Run a command; errors become a message on standard error and an exit code, never a traceback."""
    try:
        code = main(argv)
        sys.stdout.flush()
        return code
    except KeyboardInterrupt:
        say("headstart: interrupted.")
        return Exit.INTERRUPTED
    except BrokenPipeError:
        drop_output()
        return Exit.SUCCESS
    except Exception as error:
        return tell_error(error)


def tell_error(error: Exception) -> int:
    """Say what went wrong: the user's to mend, memory or disk that ran out, or a bug of ours. Gives the exit code."""
    user_error = error if isinstance(error, UserError) else left_out(error) or shortage(error)
    if user_error is None:
        return report_bug(error)
    if not isinstance(user_error, FollowedError):  # else the process that leads the run has told it
        say(str(user_error) if isinstance(user_error, DataError) else f"headstart: {user_error}")
    return user_error.exit


def left_out(error: Exception) -> UserError | None:
    """The error of a package that headstart needs and headstart-predict does without (69); None for another."""
    package = str(getattr(error, "name", None)).partition(".")[0]
    if not isinstance(error, ModuleNotFoundError) or package not in LEFT_OUT:
        return None
    return UserError(f"This needs {LEFT_OUT[package]}, which is not installed here: headstart-predict alone predicts "
                     "with exported models, and is not enough.",
                     fix="pip uninstall headstart-predict, then pip install headstart", exit=Exit.UNAVAILABLE)


def shortage(error: Exception) -> UserError | None:
    """An error of memory (69), of the disk (74) or of a file that may not be opened (66) that nothing closer to it put
    in words; None for another.
    """
    if out_of_memory(error):
        return UserError("There is not enough memory for this.",
                         fix="Free some (other programs, limits of this shell: ulimit -v), choose a smaller model, or "
                             "set a smaller data.max_length, training.micro_batch_size or evaluation.batch_tokens.",
                         exit=Exit.UNAVAILABLE)
    number = system_error(error)
    if number in UNOPENED and isinstance(error, OSError) and error.filename:
        return UserError(f"{error.filename} cannot be opened: {os.strerror(number)}.",
                         fix="Check the path, and whether you may read it.", exit=Exit.NO_INPUT)
    if number not in (*FULL, errno.EFBIG, errno.EROFS, errno.EIO):
        return None
    drop_output()  # it may be the output that cannot be written
    place = error.filename if isinstance(error, OSError) and error.filename else "The output"
    return UserError(f"{place} cannot be written: {os.strerror(number or 0)}.", fix=FREE_SPACE, exit=Exit.DISK)


def drop_output() -> None:
    """Send what is left of standard output nowhere, so that Python's own flush at the end does not fail."""
    with contextlib.suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def say(text: str) -> None:
    """An error on standard error, with control characters escaped; where that is closed or full, nothing."""
    with contextlib.suppress(OSError, ValueError):
        print_error(visible(text))


def report_bug(error: Exception) -> int:
    """A bug of headstart: the traceback goes to a file, its path is printed; this never fails itself."""
    try:
        reason = str(error)
    except Exception as unreadable:
        reason = f"its text cannot be made: {type(unreadable).__name__}"
    say(f"headstart: this is a bug of headstart ({type(error).__name__}: {reason}).\n  {write_bug(error)}")
    return Exit.BUG


def write_bug(error: Exception) -> str:
    """Write the traceback to the first folder that takes it; where it is, in words."""
    import tempfile
    import traceback

    text, failure = "", "nowhere"
    try:
        text = f"headstart {__version__}\n{' '.join(sys.argv)}\n\n{''.join(traceback.format_exception(error))}"
    except Exception as failed_format:
        failure = type(failed_format).__name__
    for folder in (None, os.curdir, os.path.expanduser("~")) if text else ():
        try:
            with tempfile.NamedTemporaryFile("w", prefix="headstart-bug-", suffix=".txt", delete=False, dir=folder,
                                             encoding="utf-8", errors="backslashreplace") as file:
                file.write(text)
            return f"The details are in {file.name}; please report them."
        except (OSError, ValueError) as failed_write:
            failure = str(failed_write)
    return f"The details could not be written ({failure}); please report this line."


if __name__ == "__main__":
    entry()
