"""`headstart serve RUN…`: trained models as a service over HTTP."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from headstart import settings
from headstart.cli import _flags, _labels, _serving_flags
from headstart.errors import UserError

if TYPE_CHECKING:
    from headstart.api.model import Model
    from headstart.progress import Reporter

MOST_WORKERS = 256
SUMMARY = "serve trained models over HTTP: REST for every task, OpenAI's form, a page to try them"


def add(parser: argparse.ArgumentParser) -> None:
    """Arguments."""
    parser.add_argument("runs", metavar="RUN", nargs="+",
                        help="run folder, model folder, hub name or pip:PACKAGE; NAME=RUN serves it under a name")
    _flags.add_shared(parser, "--task", "of a model that is not a headstart run, when its config does not say")
    parser.add_argument("--labels", metavar="LABELS", help=f"{_labels.MEANING}; with one RUN")
    _serving_flags.add_place(parser, port=8000)
    group = parser.add_argument_group("limits")
    group.add_argument("--workers", type=int, default=1, metavar="N",
                       help="processes; they share port and memory (default 1); other limits hold "
                            "for each")
    group.add_argument("--batch-tokens", type=int, default=4096, metavar="N", help="tokens of a batch (default 4096)")
    group.add_argument("--queue-rows", type=int, default=4096, metavar="N",
                       help="rows that wait at most, further ones get 429 (default 4096)")
    group.add_argument("--deadline", type=float, default=30.0, metavar="SECONDS",
                       help="a request is answered in this time or gets 504 (default 30)")
    group.add_argument("--max-rows", type=int, default=1024, metavar="N", help="rows of one request (default 1024)")
    group.add_argument("--max-request-tokens", type=int, default=131_072, metavar="N",
                       help="tokens of one request (default 131072)")
    group.add_argument("--max-body", type=int, default=8, metavar="MB", help="size of one request (default 8 MB)")
    _flags.add_common(parser, reads=("evaluation.precision", "model.dtype", "generation.", "early_exit.", "zero_shot.",
                                     "task."))


def run(arguments: argparse.Namespace) -> int:
    """Serve until SIGTERM or Ctrl-C; messages and a line for each request go to standard error."""
    check_limits(arguments)
    token = _serving_flags.read_token(arguments)
    references = named_references(arguments.runs)
    reporter = _flags.make_reporter(arguments)
    try:
        from headstart.serving.body import Bounds
        from headstart.serving.engine import Limits
        from headstart.serving.server import serve_models
    except ModuleNotFoundError as error:
        raise _serving_flags.missing_library(error) from None
    place = _serving_flags.place_of(arguments, token, reporter)
    limits = Limits(batch_tokens=arguments.batch_tokens, queue_units=arguments.queue_rows, deadline=arguments.deadline)
    bounds = Bounds(body_bytes=arguments.max_body * 2**20, rows=arguments.max_rows, tokens=arguments.max_request_tokens)
    load, receive = loaders(arguments, references, reporter), _serving_flags.event_printer(arguments)
    if arguments.workers > 1:
        from headstart.serving.workers import serve_with_workers

        return serve_with_workers(load, arguments.workers, place, limits, bounds, reporter, receive)
    return serve_models(load, place, limits, bounds, reporter, receive)


def check_limits(arguments: argparse.Namespace) -> None:
    """Refuse limits below 1; raises UserError (2)."""
    for name in ("batch_tokens", "queue_rows", "deadline", "max_rows", "max_request_tokens", "max_body",
                 "workers"):
        if not getattr(arguments, name) >= (0.001 if name == "deadline" else 1):
            raise UserError(f"--{name.replace('_', '-')} takes a number above 0, but it is {getattr(arguments, name)}.")
    if arguments.workers > MOST_WORKERS:
        raise UserError(f"--workers takes a number up to {MOST_WORKERS}, but it is {arguments.workers}.",
                        fix="One for each core is the most that makes sense.")


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
    from headstart.models.loading.device import choose_device

    run_values, _, values = _flags.read_values(arguments)
    groups = _flags.build_groups(values)
    device = arguments.device or run_values.get("device", "auto")
    if arguments.workers > 1 and choose_device(device).partition(":")[0] != "cpu":
        raise UserError(f"--workers {arguments.workers} is for the processor: processes cannot share a GPU's memory.",
                        fix="Pass --device cpu, or start one server for each GPU: --device cuda:1 --port 8001")
    options = {"device": device, "allow_pickle": bool(arguments.allow_pickle), "dtype": groups["model"].dtype,
               **label_options(arguments, references, values)}
    return {name: partial(load, reference, arguments.task, options, values, groups["evaluation"].precision, reporter)
            for name, reference in references.items()}


def label_options(arguments: argparse.Namespace, references: Mapping[str, str],
                  values: Mapping[str, Any]) -> dict[str, Any]:
    """What loading is told of --labels; raises UserError: 2 for several models, 78 for settings of labels alone."""
    if arguments.labels is None:
        _labels.refuse_settings(settings.parse_assignments(arguments.set))
        return {}
    if len(references) > 1:
        raise UserError(f"--labels is for one model, but there are {len(references)}: {', '.join(references)}.",
                        fix="Start a server for each, on a port of its own: --port 8001")
    return {"labels": arguments.labels, "zero_shot": _labels.zero_shot_values(values)}


def load(reference: str, task: str | None, options: Mapping[str, Any], values: Mapping[str, Any], precision: str,
         reporter: Reporter) -> Model:
    """One model, ready to predict; raises UserError."""
    from headstart.api import model as api

    model = api.load(reference, task, **options)
    model.set(_flags.model_settings(values))
    reporter.info(model.summary())
    _labels.tell(model, reporter, is_measured=False)
    model.settle_precision(precision, reporter)
    return model
