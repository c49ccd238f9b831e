"""What the commands that serve have in common: where they listen, who may come in, and by which token."""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from headstart.cli import _flags
from headstart.errors import Exit, UserError

if TYPE_CHECKING:
    from headstart.progress import Reporter
    from headstart.serving.gate import Admission
    from headstart.serving.server import Place

TOKEN_VARIABLE = "HEADSTART_TOKEN"
LOOPBACK = ("127.0.0.1", "localhost", "::1")
MIN_TOKEN_LENGTH = 16  # characters; shorter ones can be guessed
LIBRARIES = ("starlette", "uvicorn", "prometheus_client")


def add_place(parser: argparse.ArgumentParser, port: int) -> None:
    """Flags of where a server listens, and to whom."""
    group = parser.add_argument_group("address and access")
    group.add_argument("--host", default="127.0.0.1", metavar="ADDRESS",
                       help="address to listen on (default 127.0.0.1)")
    _flags.add_shared(group, "--port", f"0: any free one (default {port})", default=port)
    group.add_argument("--token-file", metavar="FILE",
                       help=f"file with the token that clients must send (else the environment's {TOKEN_VARIABLE})")
    group.add_argument("--no-auth", action="store_true", help="another --host without a token; anyone who reaches "
                                                              "it may use it")
    group.add_argument("--allowed-host", action="append", default=[], metavar="NAME",
                       help="a further name that clients call the server by (Host header); * allows any")


def read_token(arguments: argparse.Namespace) -> str | None:
    """The token of a file or of the environment, never of the command line; raises UserError (2, 66, 77)."""
    if arguments.token_file is not None:
        path = Path(arguments.token_file)
        try:
            token = path.read_text(encoding="utf-8").strip()
        except (OSError, UnicodeDecodeError) as error:
            raise UserError(f"{path} cannot be read: {error}.", fix="Write one line with the token into it.",
                            exit=Exit.NO_INPUT) from None
        place = str(path)
    else:
        token, place = os.environ.get(TOKEN_VARIABLE, "").strip(), TOKEN_VARIABLE
    if not token and arguments.token_file is None:
        if arguments.host not in LOOPBACK and not arguments.no_auth:
            raise UserError(f"--host {arguments.host} lets other machines in, and there is no token.",
                            fix=f"Give one by --token-file FILE or the environment's {TOKEN_VARIABLE}, or say "
                                "--no-auth.",
                            exit=Exit.REFUSED)
        return None
    if len(token) < MIN_TOKEN_LENGTH or not token.isascii() or any(map(str.isspace, token)):
        raise UserError(f"{place} holds no token: {MIN_TOKEN_LENGTH} ASCII characters without spaces at least were "
                        "expected.",
                        fix='For example: python -c "import secrets; print(secrets.token_urlsafe())" > token',
                        exit=Exit.REFUSED)
    if arguments.no_auth:
        raise UserError(f"--no-auth was said, but {place} holds a token.", fix="Leave one of the two out.")
    return token


def admission(arguments: argparse.Namespace, token: str | None) -> Admission:
    """Who may come in: by the names of this machine, the address that it listens on, and the names that are allowed."""
    from headstart.serving.gate import LOCAL_HOSTS, Admission

    if "*" in arguments.allowed_host:
        return Admission(None, token)
    host = f"[{arguments.host}]" if ":" in arguments.host else arguments.host
    every_address = arguments.host in ("0.0.0.0", "::")
    if every_address and not arguments.allowed_host and token is None:
        raise UserError(f"--host {arguments.host} without a token needs the names that the server is called by.",
                        fix="Give --allowed-host NAME, for each, or --allowed-host '*' for any.", exit=Exit.REFUSED)
    if every_address and not arguments.allowed_host:
        return Admission(None, token)  # a foreign page does not know the token
    return Admission((*LOCAL_HOSTS, host, *arguments.allowed_host), token)


def place_of(arguments: argparse.Namespace, token: str | None, reporter: Reporter) -> Place:
    """Where the server listens; an open one is said aloud. Raises UserError: 69 where a library is missing, 77."""
    try:
        from headstart.serving.server import Place
    except ModuleNotFoundError as error:
        raise missing_library(error) from None
    place = Place(arguments.host, arguments.port, admission(arguments, token))
    if token is None and arguments.host not in LOOPBACK:
        reporter.warning(f"--no-auth: whoever reaches {arguments.host} may ask")
    return place


def missing_library(error: ModuleNotFoundError) -> Exception:
    """What to install, where a library of the extra `serve` is missing; the error itself for another."""
    if (error.name or "").split(".")[0] not in LIBRARIES:
        return error
    return UserError(f"Serving needs {error.name}.", fix="pip install 'headstart[serve]'", exit=Exit.UNAVAILABLE)


def event_printer(arguments: argparse.Namespace) -> Callable[[Mapping[str, Any]], None] | None:
    """With --json, what happens as lines of JSON on standard output."""
    return print_event if arguments.json else None


def print_event(event: Mapping[str, Any]) -> None:
    """One line of JSON."""
    sys.stdout.write(json.dumps(event) + "\n")  # one write: several threads and processes have this output
    sys.stdout.flush()
