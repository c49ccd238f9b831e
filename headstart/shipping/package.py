"""Package a model for a container: a folder with everything that `docker build` needs, and no row of its data."""

from __future__ import annotations

import re
import shutil
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from headstart.artifacts.metadata import read_metadata, task_from_config, task_from_metadata
from headstart.contract import Json, Task
from headstart.errors import Exit, UserError
from headstart.files import disk_errors, exists_error, make_folder, refuse_own_place, staged_folder
from headstart.models.loading.json_files import read_json
from headstart.progress import Reporter
from headstart.shipping import container
from headstart.shipping.requirements import package_of, pins
from headstart.shipping.shipment import Shipment, shipment_of
from headstart.version import __version__

OUR_CODE = Path(__file__).parents[1]
MARK = "requirements-torch.txt"  # a folder that holds it is one of these


def write_package(reference: str, to: str, *, name: str, sample_of: Callable[[Task[Any]], Mapping[str, Json]],
                  task_name: str | None = None, overwrite: bool = False, reporter: Reporter | None = None) -> Path:
    """Write the folder, whole or not at all: Dockerfiles, compose and Kubernetes files, pinned requirements, the model
    and headstart; `sample_of` gives a row of a task, for its README.

    Dev rows that headstart.json keeps are left out. Raises UserError: 66 for what is no finished model, 69 for a
    package that is not installed, 73 for a folder that is in the way, 74 for the disk, 77 for rows beside the model.
    """
    reporter = reporter or Reporter()
    folder = Path(to)
    check_place(folder, overwrite=overwrite)
    shipment = shipment_of(reference)
    config = read_json(shipment.folder / "config.json", reference)
    task = task_of(shipment, config, task_name)
    package = package_of(type(task).__module__)
    served = container.Served(image_name(name), task.name, sample_of(task),
                              f"{sys.version_info[0]}.{sys.version_info[1]}", __version__)
    texts = container.files(served, pins(extras_of(shipment, config), roots_of(shipment, package)))
    with disk_errors(folder):
        make_folder(folder.parent)
        with staged_folder(folder) as staging:
            fill(staging, shipment, texts)
    for line in shipment.summary():
        reporter.info(line)
    if package is not None:
        reporter.warning(f"the task {task.name} comes from the package {package}: pip must find it where the image is "
                         "built")
    return folder


def check_place(folder: Path, *, overwrite: bool) -> None:
    """Refuse a folder that is in the way; only one that was written by this is replaced. Raises UserError (73)."""
    refuse_own_place(folder)
    if not folder.exists() or (folder.is_dir() and not any(folder.iterdir())):
        return
    if not (folder / MARK).is_file():
        raise UserError(f"{folder} holds other files, which would be lost.", fix="Name another folder with --to.",
                        exit=Exit.EXISTS)
    if not overwrite:
        raise exists_error(folder)


def fill(staging: Path, shipment: Shipment, texts: Mapping[str, str]) -> None:
    """Copy the model and headstart's code, and write the texts."""
    for name, path in shipment.paths.items():
        target = staging / "model" / name
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, target)
    shutil.copytree(OUR_CODE, staging / "headstart", ignore=shutil.ignore_patterns("__pycache__", "*.pyc", ".*"))
    for name, text in [*texts.items(), *((f"model/{name}", text) for name, text in shipment.texts.items())]:
        (staging / name).write_text(text, encoding="utf-8")


def task_of(shipment: Shipment, config: Mapping[str, Json], task_name: str | None) -> Task[Any]:
    """The task of a model that is not loaded for this; raises UserError (2, 69)."""
    metadata = read_metadata(str(shipment.folder))
    if metadata is not None:
        return task_from_metadata(metadata)
    return task_from_config(str(shipment.folder), config, task_name)


def roots_of(shipment: Shipment, package: str | None) -> list[str]:
    """Packages that must be there whatever headstart asks for: those that compute, and the one that brings the task."""
    is_exported = any(name.endswith(".onnx") for name in shipment.paths)
    return ["torch", "transformers", *(["onnxruntime"] if is_exported else []), *([] if package is None else [package])]


def extras_of(shipment: Shipment, config: Mapping[str, Json]) -> list[str]:
    """headstart's extras that serving this model needs, by its files."""
    names = {Path(name).name for name in shipment.paths}
    sentence_pieces = any(name.endswith((".model", ".spm")) for name in names) and "tokenizer.json" not in names
    return ["serve", *(["sentencepiece"] if sentence_pieces else []),
            *(["transfo-xl"] if config.get("model_type") == "transfo-xl" else [])]


def image_name(name: str) -> str:
    """A model's name as Docker and Kubernetes take it: lower case, digits, hyphens."""
    plain = re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")[:50].strip("-")
    return plain if plain and plain[0].isalpha() else f"model-{plain}".strip("-")
