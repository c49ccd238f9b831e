"""An exported model folder, ready to predict: its task, its tokenizer, its file in onnxruntime.

    FOLDER/ config.json, tokenizer.json …, headstart.json with "runtime" (`export_facts`), README.md, onnx/model….onnx
"""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from headstart.artifacts.metadata import LABEL_HEADS, task_from_metadata
from headstart.contract import Task
from headstart.errors import Exit, UserError
from headstart.models.loading import catalogue, integrity, manifest
from headstart.models.loading.family_tokenizer import load_exported_tokenizer
from headstart.models.loading.json_files import COPY_AGAIN, damaged
from headstart.models.loading.model_info import ModelInfo, export_refusal, licence, sizes_of
from headstart.models.precision_choice import PrecisionChoice
from headstart.models.tokenizers.tokenizer import FamilyTokenizer
from headstart.prediction.export_facts import FILES, ExportFacts, facts_from_json
from headstart.prediction.onnx_runtime import OnnxRuntime, import_onnxruntime, open_session
from headstart.prediction.predictor import TaskPredictor


@dataclass(frozen=True, eq=False)
class ExportedModel:
    """What stands in the place of a transformers model where an exported one predicts."""

    info: ModelInfo
    tokenizer: FamilyTokenizer
    facts: ExportFacts
    session: Any
    early_exit: None = None
    generates_from_source: bool = False
    device: str = "cpu"

    @property
    def transformer(self) -> Any:
        """Itself, where a transformers model is asked for its tokenizer and its sizes."""
        return self

    @property
    def exported(self) -> ExportedModel:
        """Itself, where it is asked whether it is an exported one."""
        return self

    @property
    def module(self) -> Any:
        """Its weights are in the file alone: raises UserError (2)."""
        raise self.refusal()

    def refusal(self) -> UserError:
        """Why it cannot do what needs the layers of a model."""
        return export_refusal(self.info.reference, "the model itself")

    def precision_choice(self, setting: str) -> PrecisionChoice:
        """What its file computes in, whatever was asked for."""
        precision: Any = self.facts.precision
        if setting in ("auto", precision):
            return PrecisionChoice(precision, "the model was exported so")
        return PrecisionChoice(precision, f"{setting} was asked for, but the model was exported so", replaced=True)

    def predictor(self, task: Task[Any], *, batch_tokens: int) -> TaskPredictor:
        """The predictor of the task; threads may share it."""
        identity = self.info.checksums[self.facts.file]
        return TaskPredictor(task, OnnxRuntime(self.session, self.facts, self.tokenizer, batch_tokens, identity))


def is_exported(reference: str | Path) -> bool:
    """Whether a folder is an exported model; nothing of it is checked."""
    folder = Path(reference)
    return (folder / manifest.METADATA_FILE).is_file() and any((folder / file).is_file() for file in FILES.values())


def load(reference: str, *, task_name: str | None = None, device: str = "auto",
         threads: int | None = None) -> tuple[Task[Any], ExportedModel]:
    """The task and the model of an exported folder; raises UserError: 2 for another task or device, 69."""
    folder = Path(reference)
    metadata = manifest.read(folder)
    if metadata is None or "runtime" not in metadata:
        raise damaged(f"{reference} holds an ONNX file, and {manifest.METADATA_FILE} says nothing of it.", COPY_AGAIN)
    if task_name not in (None, metadata["task"]):
        raise UserError(f"{reference} was trained for {metadata['task']}, not for {task_name}.",
                        fix=f"Leave --task out, or use --task {metadata['task']}.")
    if device not in ("auto", "cpu"):
        raise UserError(f"{reference} is exported to ONNX, which runs on the processor here, not on {device}.",
                        fix="Leave --device out, or use the run that it was exported from.", exit=Exit.USAGE)
    place = f"{manifest.METADATA_FILE} of {folder}"
    facts = facts_from_json(metadata["runtime"], f"{place}, in runtime,")
    checksums, repair = metadata["sha256"], manifest.accept_hint(reference, metadata)
    integrity.check_small_files(folder, reference, {name: checksum for name, checksum in checksums.items()
                                                    if name != facts.file}, repair)
    if facts.file not in checksums:
        raise damaged(f"{place} has no checksum of {facts.file}.", COPY_AGAIN)
    with ThreadPoolExecutor(1) as pool:  # the large file is hashed while the tokenizer is read: 60 ms of a cold start
        check = pool.submit(integrity.check_weights_file, folder, facts.file, reference, checksums, repair)
        task = task_from_metadata(metadata, place)
        info = info_of(reference, folder, metadata)
        tokenizer = load_exported_tokenizer(info).with_token_types(facts.token_types)
        import_onnxruntime()
        check.result()
    tokenizer = tokenizer.with_pooled_token(facts.pooled_token).with_max_length(int(metadata["max_length"]))
    model = ExportedModel(info, tokenizer, facts, open_session(folder / facts.file, threads))
    check_tensors(model, reference)
    check_head(model, task, reference)
    return task, model


def info_of(reference: str, folder: Path, metadata: Mapping[str, Any]) -> ModelInfo:
    """Family and sizes of an exported model, from its config alone."""
    config = integrity.read_config(folder, reference)
    family = catalogue.family_of(config, reference)
    return ModelInfo(reference, folder, family, config, **sizes_of(config, family), parameters=None, weights="none",
                     files=(), shapes={}, checksums=metadata["sha256"], licence=licence(folder),
                     repair=manifest.accept_hint(reference, metadata),
                     tokenizer_record=metadata.get("tokenizer", {}))


def check_tensors(model: ExportedModel, reference: str) -> None:
    """Refuse a file whose inputs and outputs are not those that headstart.json names; raises UserError (69)."""
    inputs = {tensor.name for tensor in model.session.get_inputs()}
    outputs = {tensor.name for tensor in model.session.get_outputs()}
    if inputs != set(model.facts.inputs) or not outputs.issuperset(
            name for output in model.facts.outputs for name in output.tensors):
        raise damaged(f"{model.facts.file} of {reference} takes {', '.join(sorted(inputs))} and gives "
                      f"{', '.join(sorted(outputs))}; {manifest.METADATA_FILE} says otherwise.", COPY_AGAIN)


def check_head(model: ExportedModel, task: Task[Any], reference: str) -> None:
    """Refuse outputs that are not those of the head, and labels that are not as many as the file's; raises UserError
    (69).
    """
    facts, head = model.facts, model.info.family.heads.get(model.facts.head)
    expected = {} if head is None else {name: output.reads for name, output in head.outputs.items()}
    if {output.name: output.reads for output in facts.outputs} != expected or len(expected) < len(facts.outputs):
        raise damaged(f"{manifest.METADATA_FILE} of {reference} says outputs that {model.info.family.name} with the "
                      f"head {facts.head} does not have.", COPY_AGAIN)
    names = [name for output in facts.outputs for name in output.tensors]
    if len(set(names)) < len(names) or not all(output.tensors for output in facts.outputs):
        raise damaged(f"{manifest.METADATA_FILE} of {reference} names no tensor for an output, or one twice.",
                      COPY_AGAIN)
    sizes = {tensor.name: tensor.shape[-1] for tensor in model.session.get_outputs()}
    label_count = max(1, len(task.learned.labels))
    if facts.head in LABEL_HEADS and sizes[names[0]] != label_count:
        raise damaged(f"{reference} has {len(task.learned.labels)} labels in {manifest.METADATA_FILE}, and its file "
                      f"{sizes[names[0]]} outputs.", "The files belong to two models; copy the folder again.")
