"""`headstart COMMAND …`: find the command, run it, and end with the right exit code and message."""

from __future__ import annotations

import argparse
import importlib
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn, Protocol

from headstart.cli import _flags, _help
from headstart.errors import Exit, UserError, nearest
from headstart.progress import print_error
from headstart.version import __version__


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
    command = find_command(argv[0])
    parser = command_parser(argv[0])
    if _help.is_asked_for(argv[1:]):
        print(_help.help_text(parser, argv[1:]).rstrip())
        return Exit.SUCCESS
    _flags.add_column_flags(parser)
    arguments, unknown = parser.parse_known_intermixed_args(argv[1:])  # flags may stand between MODEL and texts
    if unknown:
        flags = [flag for action in parser._actions for flag in action.option_strings]
        suggestion = nearest(unknown[0].split("=")[0], flags)
        raise UserError(f"headstart {argv[0]} does not know {unknown[0]!r}.",
                        fix=f"Did you mean {suggestion}?" if suggestion else f"See headstart {argv[0]} --help")
    return command.run(arguments)


def entry() -> NoReturn:
    """What the `headstart` script runs."""
    sys.exit(run_guarded(sys.argv[1:]))


def run_guarded(argv: Sequence[str]) -> int:
    """Run a command; errors become a message on standard error and an exit code, never a traceback."""
    try:
        code = main(argv)
        sys.stdout.flush()
        return code
    except UserError as error:
        print_error(f"headstart: {error}" if not hasattr(error, "findings") else str(error))
        return error.exit
    except KeyboardInterrupt:
        print_error("headstart: interrupted.")
        return Exit.INTERRUPTED
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # so that Python's own flush does not fail
        return Exit.SUCCESS
    except Exception as error:
        return report_bug(error)


def report_bug(error: Exception) -> int:
    """A bug of headstart: the traceback goes to a file, its path is printed."""
    import tempfile
    import traceback

    with tempfile.NamedTemporaryFile("w", prefix="headstart-bug-", suffix=".txt", delete=False,
                                     encoding="utf-8") as file:
        file.write(f"headstart {__version__}\n{' '.join(sys.argv)}\n\n")
        file.write("".join(traceback.format_exception(error)))
    print_error(f"headstart: this is a bug of headstart ({type(error).__name__}: {error}).\n"
                f"  The details are in {file.name}; please report them.")
    return Exit.BUG


if __name__ == "__main__":
    entry()
