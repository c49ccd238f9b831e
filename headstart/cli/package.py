"""`headstart package RUN`: a folder from which `docker build` makes a service of a trained model."""

from __future__ import annotations

import argparse
import json

from headstart.cli import _flags, _serving_flags

SUMMARY = "make a folder for a container: Dockerfile, compose and Kubernetes files, requirements, the model"


def add(parser: argparse.ArgumentParser) -> None:
    """Arguments."""
    parser.add_argument("model", metavar="RUN", help="a finished run, a model folder, a hub name or pip:PACKAGE")
    _flags.add_shared(parser, "--to", "a folder (default NAME-container)")
    _flags.add_shared(parser, "--task", "of a model that is not a headstart run, when its config does not say")
    parser.add_argument("--name", metavar="NAME", help="what the model is called there (default: as its folder)")
    _flags.add_shared(parser, "--overwrite")
    _flags.add_shared(parser, "--quiet")
    _flags.add_shared(parser, "--json")


def run(arguments: argparse.Namespace) -> int:
    """Write the folder, and print its path."""
    from headstart.shipping.package import image_name, write_package

    try:
        from headstart.serving.names import model_name
        from headstart.serving.samples import sample_row
    except ModuleNotFoundError as error:
        raise _serving_flags.missing_library(error) from None
    name = arguments.name or model_name(arguments.model)
    folder = write_package(arguments.model, arguments.to or f"{image_name(name)}-container", name=name,
                           sample_of=sample_row, task_name=arguments.task, overwrite=arguments.overwrite,
                           reporter=_flags.make_reporter(arguments))
    print(json.dumps({"folder": str(folder)}) if arguments.json else folder)
    return 0
