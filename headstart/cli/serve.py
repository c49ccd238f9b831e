"""`headstart serve RUN…`: trained models as a service over HTTP."""

from __future__ import annotations

import argparse
import json
import os
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from headstart.cli import _flags
from headstart.errors import Exit, UserError

if TYPE_CHECKING:
    from headstart.api.model import Model
    from headstart.progress import Reporter
    from headstart.serving.gate import Admission

SUMMARY = "trained models as a service over HTTP: REST for every task, OpenAI's form, a page to try them"
TOKEN_VARIABLE = "HEADSTART_TOKEN"
LOOPBACK = ("127.0.0.1", "localhost", "::1")
MIN_TOKEN_LENGTH = 16  # characters; shorter ones can be guessed


def add(parser: argparse.ArgumentParser) -> None:
    """Arguments."""
    parser.add_argument("runs", metavar="RUN", nargs="+",
                        help="run folder, model folder, hub name or pip:PACKAGE; NAME=RUN serves it under a name")
    _flags.add_shared(parser, "--task", "of a model that is no headstart run, when its config does not say")
    group = parser.add_argument_group("where it listens, and to whom")
    group.add_argument("--host", default="127.0.0.1", metavar="ADDRESS",
                       help="address to listen on (default 127.0.0.1: this machine alone)")
    _flags.add_shared(group, "--port", "0: any free one (default 8000)", default=8000)
    group.add_argument("--token-file", metavar="FILE",
                       help=f"file with the token that clients must send (else the environment's {TOKEN_VARIABLE})")
    group.add_argument("--no-auth", action="store_true", help="another --host without a token: whoever reaches it may "
                                                              "ask")
    group.add_argument("--allowed-host", action="append", default=[], metavar="NAME",
                       help="a further name that clients call the server by (Host header); * allows any")
    group = parser.add_argument_group("limits")
    group.add_argument("--batch-tokens", type=int, default=4096, metavar="N", help="tokens of a batch (default 4096)")
    group.add_argument("--queue-rows", type=int, default=4096, metavar="N",
                       help="rows that wait at most, further ones get 429 (default 4096)")
    group.add_argument("--deadline", type=float, default=30.0, metavar="SECONDS",
                       help="a request is answered in this time or gets 504 (default 30)")
    group.add_argument("--max-rows", type=int, default=1024, metavar="N", help="rows of one request (default 1024)")
    group.add_argument("--max-request-tokens", type=int, default=131_072, metavar="N",
                       help="tokens of one request (default 131072)")
    group.add_argument("--max-body", type=int, default=8, metavar="MB", help="size of one request (default 8 MB)")
    _flags.add_common(parser, reads=("evaluation.precision", "model.dtype", "generation.", "early_exit.", "task."))


def run(arguments: argparse.Namespace) -> int:
    """Serve until SIGTERM or Ctrl-C; messages and a line for each request go to standard error."""
    check_limits(arguments)
    token = read_token(arguments)
    references = named_references(arguments.runs)
    reporter = _flags.make_reporter(arguments)
    try:
        from headstart.serving.body import Bounds
        from headstart.serving.engine import Limits
        from headstart.serving.server import Place, serve_models
    except ModuleNotFoundError as error:
        if (error.name or "").split(".")[0] not in ("starlette", "uvicorn", "prometheus_client"):
            raise
        raise UserError(f"headstart serve needs {error.name}.", fix="pip install 'headstart[serve]'",
                        exit=Exit.UNAVAILABLE) from None
    place = Place(arguments.host, arguments.port, admission(arguments, token))
    limits = Limits(batch_tokens=arguments.batch_tokens, queue_units=arguments.queue_rows, deadline=arguments.deadline)
    bounds = Bounds(body_bytes=arguments.max_body * 2**20, rows=arguments.max_rows, tokens=arguments.max_request_tokens)
    if token is None and arguments.host not in LOOPBACK:
        reporter.warning(f"--no-auth: whoever reaches {arguments.host} may ask these models")
    return serve_models(loaders(arguments, references, reporter), place, limits, bounds, reporter,
                        print_event if arguments.json else None)


def print_event(event: Mapping[str, Any]) -> None:
    """What happens as a line of JSON on standard output."""
    print(json.dumps(event), flush=True)


def check_limits(arguments: argparse.Namespace) -> None:
    """Refuse limits below 1; raises UserError (2)."""
    for name in ("batch_tokens", "queue_rows", "deadline", "max_rows", "max_request_tokens", "max_body"):
        if not getattr(arguments, name) >= (0.001 if name == "deadline" else 1):
            raise UserError(f"--{name.replace('_', '-')} takes a number above 0, but it is {getattr(arguments, name)}.")


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
        raise UserError(f"{place} holds no token: {MIN_TOKEN_LENGTH} ASCII characters without blanks at least were "
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


def named_references(runs: list[str]) -> dict[str, str]:
    """Models by the names that they are served under: NAME=RUN, else the last part of the path.

    Raises UserError: 2 for two of one name, or an index.
    """
    from headstart.retrieval.index.folder import is_index
    from headstart.serving.names import model_name

    references: dict[str, str] = {}
    for text in runs:
        name, equals, reference = text.partition("=")
        if not equals or Path(text).exists() or "/" in name:
            name, reference = model_name(text), text
        if not name or not reference:
            raise UserError(f"NAME=RUN was expected, but it is {text!r}.", fix="For example: spam=runs/spam-run")
        if name in references:
            raise UserError(f"Two models are called {name!r}: {references[name]} and {reference}.",
                            fix=f"Name one of them: headstart serve {references[name]} other={reference}")
        if is_index(Path(reference)):
            raise UserError(f"{reference} is an index of documents, not a model.",
                            fix=f"Serve it by: headstart ask {reference} --serve")
        references[name] = reference
    return references


def loaders(arguments: argparse.Namespace, references: Mapping[str, str],
            reporter: Reporter) -> dict[str, Callable[[], Model]]:
    """What loads each model, by name."""
    run_values, _, values = _flags.read_values(arguments)
    groups = _flags.build_groups(values)
    options = {"device": arguments.device or run_values.get("device", "auto"),
               "allow_pickle": bool(arguments.allow_pickle), "dtype": groups["model"].dtype}
    return {name: partial(load, reference, arguments.task, options, values, groups["evaluation"].precision, reporter)
            for name, reference in references.items()}


def load(reference: str, task: str | None, options: Mapping[str, Any], values: Mapping[str, Any], precision: str,
         reporter: Reporter) -> Model:
    """One model, ready to predict; raises UserError."""
    from headstart.api import model as api

    model = api.load(reference, task, **options)
    model.set(_flags.model_settings(values))
    reporter.info(model.summary())
    model.settle_precision(precision, reporter)
    return model
