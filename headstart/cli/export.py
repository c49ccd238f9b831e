"""`headstart export RUN --to FOLDER`: a trained model for another runtime, written only if it scores as before."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from headstart.cli import _flags
from headstart.errors import UserError

SUMMARY = "export a trained model to ONNX; written only if it scores like the original"


def add(parser: argparse.ArgumentParser) -> None:
    """Arguments."""
    parser.add_argument("run", metavar="RUN", help="run folder, or model folder with --data")
    _flags.add_shared(parser, "--to", "a new folder, that predict, evaluate and serve take like any model",
                      required=True)
    parser.add_argument("--format", choices=("onnx",), default="onnx", help="the runtime's format (default onnx)")
    parser.add_argument("--precision", choices=("fp32", "fp16", "int8"), default="fp32", dest="export_precision",
                        metavar="NAME", help="what a trained model computes in; here its file: fp32 (default), fp16 or "
                                             "int8 (a quarter of it)")
    parser.add_argument("--max-drop", type=float, default=0.5, metavar="POINTS",
                        help="how much lower it may score, in hundredths of the task's first score (default 0.5)")
    parser.add_argument("--data", metavar="FILE", dest="rows",
                        help="labelled rows that it is judged on (default: the run's dev rows)")
    _flags.add_shared(parser, "--overwrite", "only another export")
    _flags.add_columns(parser)
    _flags.add_common(parser, reads=("data.", "evaluation.batch_tokens", "evaluation.resamples"), loads_model=False)


def run(arguments: argparse.Namespace) -> int:
    """Export; the table of the gate is printed, messages go to standard error."""
    if not arguments.max_drop >= 0:
        raise UserError(f"--max-drop takes a number from 0, but it is {arguments.max_drop}.")
    _, columns, values = _flags.read_values(arguments)
    groups = _flags.build_groups(values)
    reporter = _flags.make_reporter(arguments)

    from headstart.export.export import Request, export
    from headstart.export.table import result_json, table_text

    request = Request(arguments.run, Path(arguments.to), arguments.export_precision, arguments.max_drop, arguments.rows,
                      columns, groups["data"], groups["evaluation"], arguments.overwrite)
    comparison = export(request, reporter=reporter)
    if arguments.json:
        print(json.dumps({"export": result_json(comparison), "to": arguments.to}, ensure_ascii=False))
    else:
        print(table_text(comparison))
    return 0
