"""`headstart export`: a trained model as a folder for another runtime, written only if it scores like the original."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from headstart.artifacts import artifact, metadata
from headstart.contract import Json, Task
from headstart.errors import Exit, UserError
from headstart.export.gate import GateResult, compare
from headstart.export.graph import OnnxGraph, import_exporters, write_onnx
from headstart.export.refusals import SERVE, refuse_unexportable
from headstart.export.rows import JudgedRows, judged_rows
from headstart.export.smaller import write_smaller
from headstart.export.table import card, table_text, verdict
from headstart.files import announce, disk_errors, refuse_own_place, staged_folder, write_text
from headstart.models.loading import manifest
from headstart.models.loading.quiet import quiet
from headstart.models.model import Model
from headstart.models.tokenizers import plain
from headstart.prediction import exported
from headstart.prediction.export_facts import FILES, ExportFacts, Precision
from headstart.prediction.predictions_file import GOLDEN_ROWS, golden_predictions
from headstart.prediction.predictor import TaskPredictor
from headstart.prediction.torch_runtime import torch_predictor
from headstart.progress import Reporter
from headstart.settings import Data, Evaluation
from headstart.version import __version__


@dataclasses.dataclass(frozen=True)
class Request:
    """What is exported, where to, and on which rows it is judged (None: the run's dev rows)."""

    reference: str
    to: Path
    precision: Precision = "fp32"
    max_drop: float = 0.5  # points
    rows: str | None = None
    columns: Mapping[str, str] = dataclasses.field(default_factory=dict)
    data: Data = dataclasses.field(default_factory=Data)
    evaluation: Evaluation = dataclasses.field(default_factory=Evaluation)
    overwrite: bool = False


def export(request: Request, *, reporter: Reporter) -> GateResult:
    """Write the folder, whole or not at all, and give what the gate found.

    Raises UserError: 2 for what cannot be exported, 65 for an export that scores worse, 66, 69 where a package is
    missing, 73 where something stands in the way, 74.
    """
    check_target(request)
    import_exporters()
    task, model = artifact.load(request.reference)
    refuse_unexportable(task, model, request.reference)
    rows = judged_rows(request.reference, task, request.rows, settings=request.data, columns=request.columns,
                       reporter=reporter)
    with disk_errors(request.to):
        request.to.parent.mkdir(parents=True, exist_ok=True)
    with disk_errors(request.to), staged_folder(request.to) as staging:
        facts = write_file(model, staging, request.precision, reporter)
        base = base_model(request.reference)
        saved_facts: dict[str, Json] = {"runtime": facts.json(), "model": base,
                                        "precision": {"scores": facts.precision, "weights": facts.precision}}
        write_config_and_tokenizer(staging, model)
        hashes = manifest.file_hashes(staging)
        write_metadata(staging, task, model, saved_facts, hashes, card(task, model, facts, base, None))
        comparison, predictor = judge(request, staging, task, model, rows, reporter)
        if not comparison.passed:
            raise UserError(f"The export is not good enough: {verdict(comparison)}. {request.to} was not written.\n"
                            + table_text(comparison),
                            fix="Try --precision fp32, or allow more: --max-drop", exit=Exit.DATA)
        golden_examples = comparison.exported.examples[:GOLDEN_ROWS]
        golden = list(predictor.predict(golden_examples, seed=rows.seed))  # as they are replayed: by themselves
        scores = {name: score.json() for name, score in comparison.exported.scores.items()}
        saved_facts |= {"scores": {comparison.rows_from: scores},
                        "golden": golden_predictions(task, golden_examples, golden)}
        write_metadata(staging, task, model, saved_facts, hashes, card(task, model, facts, base, comparison))
    reporter.info(f"{verdict(comparison)}: {request.to} is ready")
    return comparison


def check_target(request: Request) -> None:
    """Refuse to write over anything that is no export, and over one without `overwrite`; raises UserError (73)."""
    to = request.to
    refuse_own_place(to)
    if to.is_dir() and not any(to.iterdir()):
        return
    if to.exists() and not (request.overwrite and exported.is_exported(to)):
        occupant = "an exported model" if exported.is_exported(to) else "something that is not an exported model"
        raise UserError(f"{to} already holds {occupant}.", exit=Exit.EXISTS,
                        fix="Choose another folder with --to" + (", or pass --overwrite." if exported.is_exported(to)
                                                                 else "."))


def base_model(reference: str) -> str:
    """What the model was trained from, where its folder says so; else the reference itself."""
    saved = metadata.read_metadata(metadata.model_folder(reference)) or {}
    return str(saved.get("model") or reference)


def write_file(model: Model, folder: Path, precision: Precision, reporter: Reporter) -> ExportFacts:
    """The model's graph as the file of this precision, and what to know of it."""
    reporter.info(f"tracing {model.info.family_name} with the head {model.head}")
    graph, full = OnnxGraph(model), folder / FILES["fp32"]
    full.parent.mkdir()
    announce("write", full)
    write_onnx(graph, full)
    if precision != "fp32":
        announce("write", folder / FILES[precision])
        write_smaller(full, folder / FILES[precision], precision)
        full.unlink()
    return ExportFacts(precision, tuple(graph.input_names), graph.exported_outputs(), model.head,
                       model.tokenizer.pad_id, "last" if model.tokenizer.pooled_token == "last" else "first",
                       graph.family.has_token_types, (folder / FILES[precision]).stat().st_size)


def write_config_and_tokenizer(folder: Path, model: Model) -> None:
    """Config and tokenizer beside the file; raises UserError (2) for a tokenizer that transformers alone can build."""
    config = model.module.config
    with quiet():
        config.architectures = [type(model.module).__name__]
        announce("write", folder / "config.json")
        config.save_pretrained(folder)
        model.tokenizer.hf_tokenizer.save_pretrained(folder)
    if not plain.is_same(plain.read_as_written(folder, str(folder)), model.tokenizer.hf_tokenizer):
        raise UserError(f"The tokenizer of {model.info.reference} cannot be exported: read without transformers, its "
                        "files give another.", fix=SERVE)
    manifest.mark_config(folder, __version__)


def write_metadata(folder: Path, task: Task[Any], model: Model, facts: Mapping[str, Json], hashes: Mapping[str, str],
                   readme: str) -> None:
    """headstart.json with the hashes of the other files, and the card."""
    content: Mapping[str, Any] = artifact.metadata_of(model, task, facts)
    texts = [str(golden.get("text", ""))[:artifact.MAX_GOLDEN_TEXT] for golden in content.get("golden", ())]
    artifact.record_files(folder, content, model.info, texts, hashes)
    write_text(folder / "README.md", readme)


def judge(request: Request, folder: Path, task: Task[Any], model: Model, rows: JudgedRows,
          reporter: Reporter) -> tuple[GateResult, TaskPredictor]:
    """The exported folder, loaded as any user loads it, beside the original; and its predictor."""
    import torch

    batch_tokens = request.evaluation.batch_tokens
    original = torch_predictor(task, model, batch_tokens=batch_tokens, precision="fp32")
    exported_task, exported_model = exported.load(str(folder), threads=torch.get_num_threads())
    predictor = exported_model.predictor(exported_task, batch_tokens=batch_tokens)
    sizes = sum(file.stat().st_size for file in model.info.files), exported_model.facts.size_bytes
    comparison = compare(original, predictor, rows.examples, rows_from=rows.source, sizes=sizes,
                         max_drop=request.max_drop, resamples=request.evaluation.resamples, seed=rows.seed,
                         reporter=reporter)
    return comparison, predictor
