"""`headstart completion SHELL`: what a shell needs to complete commands and flags."""

from __future__ import annotations

import argparse

from headstart.cli import _flags
from headstart.cli.main import command_names, find_command
from headstart.errors import Exit, UserError

SUMMARY = "print what bash, zsh or tcsh needs to complete commands and flags"
SHELLS = ("bash", "zsh", "tcsh")


def add(parser: argparse.ArgumentParser) -> None:
    """Arguments."""
    parser.add_argument("shell", choices=SHELLS, metavar="SHELL", help="bash, zsh or tcsh")


def run(arguments: argparse.Namespace) -> int:
    """Print the script; raises UserError (69) without the extra."""
    try:
        import shtab
    except ImportError:
        raise UserError("Completion needs shtab, which is not installed.",
                        fix="pip install 'headstart[completion]'", exit=Exit.UNAVAILABLE) from None
    print(shtab.complete(whole_parser(), shell=arguments.shell))
    return 0


def whole_parser() -> argparse.ArgumentParser:
    """Every command with its flags, as one parser."""
    parser = argparse.ArgumentParser(prog="headstart")
    commands = parser.add_subparsers()
    for name in command_names():
        command = find_command(name)
        command_parser = commands.add_parser(name, help=command.SUMMARY.replace("%", "%%"))
        command.add(command_parser)
        _flags.add_column_flags(command_parser)
    return parser
