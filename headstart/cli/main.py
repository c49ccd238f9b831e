"""`headstart COMMAND …`: find the command, run it, and end with the right exit code and words."""

from __future__ import annotations

import argparse
import importlib
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn, Protocol

import headstart
from headstart.errors import Exit, UserError, nearest


class Command(Protocol):
    """What a file in this folder holds."""

    SUMMARY: str

    def add(self, parser: argparse.ArgumentParser) -> None:
        """The command's arguments."""

    def run(self, given: argparse.Namespace) -> int:
        """Do it; the exit code."""


class Parser(argparse.ArgumentParser):
    """argparse with our words: the nearest known flag, and where help is."""

    def error(self, message: str) -> NoReturn:
        """Wrong usage: exit 2."""
        raise UserError(message[:1].upper() + message[1:] + ".", fix=f"See {self.prog} --help", exit=Exit.USAGE)


def names() -> list[str]:
    """Every command."""
    files = Path(__file__).parent.glob("*.py")
    return sorted(path.stem for path in files if path.stem != "main" and path.stem[0] != "_")


def find(name: str) -> Command:
    """The command of this name; raises UserError."""
    if name not in names():
        near = nearest(name, names())
        advice = f"Did you mean headstart {near}?" if near else f"The commands are {', '.join(names())}."
        raise UserError(f"There is no command {name!r}.", fix=advice)
    module: Command = importlib.import_module(f"headstart.cli.{name}")
    return module


def overview() -> str:
    """What `headstart --help` prints."""
    lines = [f"  {name:<10} {find(name).SUMMARY}" for name in names()]
    return "\n".join([
        f"headstart {headstart.__version__}: fine-tune a transformer on your own file.",
        "",
        "  headstart finetune reviews.csv             train, evaluate, report",
        "  headstart predict reviews-run new.csv      use it",
        "",
        "commands:",
        *lines,
        "",
        "headstart COMMAND --help shows every setting with type, default, unit and bounds.",
    ])


def main(words: Sequence[str]) -> int:
    """Run one command; raises UserError."""
    if not words or words[0] in ("-h", "--help", "help"):
        print(overview())
        return Exit.DONE
    if words[0] in ("-V", "--version"):
        print(headstart.__version__)
        return Exit.DONE
    command = find(words[0])
    parser = Parser(prog=f"headstart {words[0]}", description=command.SUMMARY, allow_abbrev=False,
                    formatter_class=argparse.RawDescriptionHelpFormatter)
    command.add(parser)
    given, unknown = parser.parse_known_intermixed_args(words[1:])  # flags may stand between MODEL and texts
    if unknown:
        flags = [flag for action in parser._actions for flag in action.option_strings]
        near = nearest(unknown[0].split("=")[0], flags)
        raise UserError(f"headstart {words[0]} does not know {unknown[0]!r}.",
                        fix=f"Did you mean {near}?" if near else f"See headstart {words[0]} --help")
    return command.run(given)


def entry() -> NoReturn:
    """What the `headstart` script runs."""
    sys.exit(guarded(sys.argv[1:]))


def guarded(words: Sequence[str]) -> int:
    """Run a command; errors become words on standard error and an exit code, never a traceback."""
    try:
        code = main(words)
        sys.stdout.flush()
        return code
    except UserError as error:
        print(f"headstart: {error}" if not hasattr(error, "findings") else str(error), file=sys.stderr)
        return error.exit
    except KeyboardInterrupt:
        print("headstart: interrupted.", file=sys.stderr)
        return Exit.INTERRUPTED
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # so that Python's own flush does not fail
        return Exit.DONE
    except Exception as error:
        return bug(error)


def bug(error: Exception) -> int:
    """Our own bug: the traceback goes to a file, its path is printed."""
    import tempfile
    import traceback

    with tempfile.NamedTemporaryFile("w", prefix="headstart-bug-", suffix=".txt", delete=False, encoding="utf-8") as file:
        file.write(f"headstart {headstart.__version__}\n{' '.join(sys.argv)}\n\n")
        file.write("".join(traceback.format_exception(error)))
    print(f"headstart: this is a bug of headstart ({type(error).__name__}: {error}).\n"
          f"  The details are in {file.name}; please report them.", file=sys.stderr)
    return Exit.BUG


if __name__ == "__main__":
    entry()
