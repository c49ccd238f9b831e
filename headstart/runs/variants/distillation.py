"""Distillation in a run: the teacher is read and checked before anything else, cut into a student, and measured beside
it at the end.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from headstart.artifacts import artifact
from headstart.contract import Json, Learned, Task
from headstart.contract.abstention import ABSTENTION, TEMPERATURE
from headstart.data.examples import Examples
from headstart.errors import Exit, UserError, first_names
from headstart.evaluation.evaluate import SplitEvaluation, differences, evaluate
from headstart.models import layer_pruning
from headstart.models.heads.pooling import last_linear
from headstart.models.loading.weights import checksum
from headstart.models.model import Model
from headstart.prediction.latency import median_milliseconds
from headstart.prediction.torch_runtime import torch_predictor
from headstart.preparation.dataset import Dataset
from headstart.progress import Reporter
from headstart.runs.choose_model import choose_model
from headstart.runs.variants.variant import Variant
from headstart.settings.run_settings import RunSettings
from headstart.training.losses import LossFunction
from headstart.training.objectives import distillation
from headstart.training.objectives.objective import Objective


@dataclass
class Teacher:
    """A trained model and its task; `student_layers` are the layers that the student has of it, {} for a student of its
    own.
    """

    task: Task[Any]
    model: Model
    student_layers: Mapping[str, tuple[int, ...]]


class DistillationVariant(Variant):
    """A student learns from a teacher's outputs and hidden states beside the task's own loss."""

    pretrained = False  # a baseline on the teacher's states is no cheap one

    def __init__(self) -> None:
        self.loaded_teacher: Teacher | None = None

    @property
    def teacher(self) -> Teacher:
        """The teacher, once the settings are resolved."""
        assert self.loaded_teacher is not None, "resolve comes first"
        return self.loaded_teacher

    def resolve(self, settings: RunSettings, device: str, reporter: Reporter) -> RunSettings:
        """Reads the teacher; the task and its settings are the teacher's. Raises UserError (2, 66, 69, 78)."""
        if settings.from_scratch is not None or settings.training.adapter != "none":
            conflict = ("--from-scratch" if settings.from_scratch is not None
                        else f"training.adapter={settings.training.adapter}")
            raise UserError(f"A student is made of its teacher's layers, all of them trained; {conflict} does not go "
                            "with it.",
                            fix="Leave it out.", exit=Exit.SETTINGS)
        task, model = artifact.load(str(settings.teacher), task_name=settings.task, device=device,
                                    allow_pickle=settings.allow_pickle, language=settings.data.language)
        weights_sum = checksum(model.module.parameters())
        if settings.teacher_sum not in (None, weights_sum):
            raise UserError(f"The teacher {settings.teacher} has changed since the run began (the checksum of its "
                            f"weights is {weights_sum}, it was {settings.teacher_sum}).",
                            fix="Restore its files, or start a new run with distil.", exit=Exit.UNAVAILABLE)
        model.module.requires_grad_(False)
        model.module.eval()
        student_layers = choose_student_layers(settings, model)
        if settings.distil.with_teacher:
            distillation.check_head(task.head())
        reporter.info(f"teacher: {settings.teacher} ({task.name}, {model.info.family_name}, {model.info.layers} layers "
                      f"of width {model.info.width})")
        changes: dict[str, Any] = {}
        if ("encoder" in student_layers and settings.distil.freeze_encoder and not settings.training.freeze
                and len(student_layers["encoder"]) == model.layer_counts["encoder"]):
            changes["training"] = dataclasses.replace(settings.training, freeze="encoder")
            reporter.info("the whole encoder is the teacher's; it is frozen (distil.freeze_encoder=false trains it)")
        self.loaded_teacher = Teacher(task, model, student_layers)
        return dataclasses.replace(settings, task=task.name, model=settings.model or settings.teacher,
                                   teacher_sum=weights_sum,
                                   task_settings=vars(task.settings) | dict(settings.task_settings), device=device,
                                   **changes)

    def dataset(self, dataset: Dataset, settings: RunSettings, reporter: Reporter) -> Dataset:
        """The rows under the teacher's labels; raises UserError (65) for labels that it does not know."""
        labelled = with_teacher_labels(self.teacher, dataset)
        warn_of_rows_seen_by_teacher(settings, labelled, reporter)
        return labelled

    def model(self, settings: RunSettings, task: Task[Any], device: str,
              reporter: Reporter) -> tuple[Model, RunSettings]:
        """The student, and the settings with the weights of the loss that were not set; raises UserError (2, 78)."""
        if self.teacher.student_layers:
            student = student_of_teacher(settings, self.teacher, reporter)
        else:
            student = choose_model(settings, task, device, reporter)
        return student, with_loss_weights(settings, self.teacher.model, student)

    def can_pack(self, model: Model, settings: RunSettings) -> bool:
        """Teacher and student read the same batches; hidden states of an encoder-decoder are compared on padded rows.
        """
        compares_states = bool(settings.distil.alpha_hidden or settings.distil.alpha_cosine)
        if model.generates_from_source and compares_states:
            return False
        return super().can_pack(model, settings) and self.teacher.model.can_pack

    def objective(self, task_loss: LossFunction[Any], task: Task[Any], model: Model,
                  settings: RunSettings) -> Objective:
        """The task's loss, and with the teacher its outputs and states."""
        if not settings.distil.with_teacher:
            return task_loss
        return distillation.DistillationLoss(task_loss, settings.distil, self.teacher.model,
                                             layer_pairs(settings, self.teacher.model, model))

    def scores(self, task: Task[Any], model: Model, evaluated: SplitEvaluation, split: str, settings: RunSettings,
               reporter: Reporter) -> Mapping[str, Json]:
        """{"distillation": parameters, milliseconds and scores of both, the student's minus the teacher's}."""
        teacher, examples, evaluation = self.teacher, evaluated.examples, settings.evaluation
        teacher.model.tokenizer = teacher.model.tokenizer.with_max_length(
            min(teacher.model.tokenizer.max_length, model.tokenizer.max_length))
        reporter.info(f"the teacher predicts {split} ({len(examples):,} rows)")
        predictor = torch_predictor(teacher.task, teacher.model, batch_tokens=evaluation.batch_tokens,
                                    precision=evaluated.precision)
        predictions = predictor.predict(examples, seed=settings.seed)
        teacher_task = dataclasses.replace(teacher.task, extra_metrics=task.extra_metrics)
        teacher_evaluated = evaluate(teacher_task, examples, predictions, resamples=evaluation.resamples,
                                     seed=settings.seed, precision=predictor.precision)
        predictors = [torch_predictor(task, timed_model, batch_tokens=evaluation.batch_tokens,
                                      precision=evaluated.precision)
                      for timed_model in (teacher.model, model)]
        milliseconds = median_milliseconds(predictors, examples, seed=settings.seed)
        models = {name: {"parameters": sum(weight.numel() for weight in transformer.module.parameters()),
                         "layers": sum(transformer.layer_counts.values()), "milliseconds": round(duration, 4),
                         "scores": {key: score.json() for key, score in model_scores.scores.items()}}
                  for name, transformer, duration, model_scores in (("teacher", teacher.model, milliseconds[0],
                                                                     teacher_evaluated),
                                                              ("student", model, milliseconds[1], evaluated))}
        return {"distillation": {
            "teacher": settings.teacher, "teacher_sum": settings.teacher_sum, "split": split,
            "score": next(iter(evaluated.scores)),
            "kept": {stack or "layers": list(layers) for stack, layers in teacher.student_layers.items()},
            "with_teacher": settings.distil.with_teacher, "models": models,
            "difference": differences(task, evaluated, teacher_evaluated, resamples=evaluation.resamples,
                                      seed=settings.seed),
            "speed": round(milliseconds[0] / max(1e-9, milliseconds[1]), 3)}}


def warn_of_rows_seen_by_teacher(settings: RunSettings, dataset: Dataset, reporter: Reporter) -> None:
    """Say how many dev and test rows of the student are rows that its teacher, a run, was trained on."""
    student_data = dataset.json()
    try:
        teacher_data = json.loads((Path(str(settings.teacher)) / "data.json").read_text(encoding="utf-8"))
        teacher_hashes = {file["file"]: file["sha256"] for file in teacher_data["files"]}
        train_rows, train_hash = set(teacher_data["splits"]["train"]["rows"]), teacher_hashes[
            teacher_data["splits"]["train"]["file"]]
    except (OSError, ValueError, KeyError):
        return
    hashes = {file["file"]: file["sha256"] for file in student_data["files"]}
    counts = {name: len(train_rows & set(split["rows"])) for name, split in student_data["splits"].items()
              if (name != "train" or dataset.folds is not None) and hashes.get(split["file"]) == train_hash}
    seen_rows = ", ".join(f"{count:,} {name} rows" for name, count in counts.items() if count)
    if seen_rows:
        reporter.warning(f"the teacher was trained on {seen_rows} of the student's, which makes the teacher look "
                         "better than it is: use the seed and data.split of its run "
                         f"({settings.teacher}/settings.toml), or files of your own")


def choose_student_layers(settings: RunSettings, teacher: Model) -> dict[str, tuple[int, ...]]:
    """The teacher's layers that the student has, by stack; {} for a student of its own. Raises UserError (78)."""
    distil, layer_counts = settings.distil, teacher.layer_counts
    separate_student = settings.model not in (None, settings.teacher)
    two_stacks = "decoder" in layer_counts
    values = {"layers": distil.layers, "encoder_layers": distil.encoder_layers, "decoder_layers": distil.decoder_layers}
    for name in [name for name, value in values.items() if value != ""]:
        if separate_student or two_stacks == (name == "layers"):
            reason = "another pretrained student has its own layers" if separate_student else \
                "this teacher has an encoder and a decoder" if two_stacks else "this teacher has one stack of layers"
            raise UserError(f"distil.{name} does not go here: {reason}.", exit=Exit.SETTINGS,
                            fix="Leave it out." if separate_student
                            else "Use distil.encoder_layers and distil.decoder_layers."
                            if two_stacks else "Use distil.layers.")
    if separate_student:
        return {}
    if two_stacks:
        return {"encoder": layer_pruning.layers_from_setting(distil.encoder_layers, layer_counts["encoder"],
                                                             "distil.encoder_layers", all_by_default=True),
                "decoder": layer_pruning.layers_from_setting(distil.decoder_layers, layer_counts["decoder"],
                                                             "distil.decoder_layers")}
    if layer_pruning.repeats_a_layer(teacher) and "," in str(distil.layers):
        raise UserError(f"The layers of {teacher.info.family_name} are one and the same, so none can be chosen.",
                        fix="Give a count: distil.layers=3.", exit=Exit.SETTINGS)
    return {"": layer_pruning.layers_from_setting(distil.layers, layer_counts[""], "distil.layers")}


def with_teacher_labels(teacher: Teacher, dataset: Dataset) -> Dataset:
    """The rows under the teacher's labels; raises UserError (65) for labels that it does not know.

    Where a task learns a scale, the teacher's outputs are brought to that of the training rows.
    """
    task, teacher_state = dataset.task, teacher.task.learned
    teacher_task = task.with_learned(teacher_state)
    splits = {name: Examples(teacher_task, examples.rows, examples.indices)
              for name, examples in dataset.splits.items()}
    row_state = teacher_task.learn(splits["train"])
    unknown = sorted(set(row_state.labels) - set(teacher_state.labels))
    if unknown:
        labels = teacher_state.labels
        raise UserError(f"The training rows have {len(unknown)} labels that the teacher does not know: "
                        f"{', '.join(unknown[:5])}.",
                        fix=f"It knows {first_names(labels, 8)}. Train it on those "
                            "first (headstart finetune).", exit=Exit.DATA)
    counts = dict(zip(row_state.labels, row_state.counts, strict=False))
    # the student's confidence is its own: its temperature, and when it abstains
    values: dict[str, Json] = dict(row_state.values) | {name: value for name, value in teacher_state.values.items()
                                                        if name not in (TEMPERATURE, ABSTENTION)}
    fold = task.with_learned(row_state).export_state()[1]
    if fold is not None and teacher.model.can_fold:
        unfold(teacher.model, fold)
        values = dict(row_state.values)
    label_counts = tuple(counts.get(label, 0) for label in teacher_state.labels) if counts else teacher_state.counts
    task = task.with_learned(Learned(teacher_state.labels, label_counts, values))
    if fold is not None:
        teacher.task = teacher.task.with_learned(task.learned)
    splits = {name: Examples(task, examples.rows, examples.indices) for name, examples in splits.items()}
    return dataclasses.replace(dataset, task=task, splits=splits)


def unfold(model: Model, fold: tuple[float, float]) -> None:
    """Bring a model whose outputs are the user's numbers to the scale of training: (output - shift) / scale in its last
    layer.
    """
    import torch

    layer = last_linear(model.module)
    with torch.no_grad():
        layer.weight.div_(fold[0])
        layer.bias.sub_(fold[1]).div_(fold[0])


def student_of_teacher(settings: RunSettings, teacher: Teacher, reporter: Reporter) -> Model:
    """A model of the teacher's own layers; raises UserError (2, 78)."""
    training = settings.training
    student = layer_pruning.prune(teacher.model, teacher.student_layers, dropout=training.dropout,
                                  attention_dropout=training.attention_dropout, layer_drop=training.layer_drop)
    for stack, layers in teacher.student_layers.items():
        total = teacher.model.layer_counts[stack]
        stack_name = f"{stack} layers" if stack else "layers"
        reporter.info(f"student: {len(layers)} of {total} {stack_name}: " + ("all of them" if len(layers) == total else
                                                                             ", ".join(map(str, layers))))
    if (student.generates_from_source and training.freeze == "encoder"
            and student.info.layers == teacher.model.layer_counts["encoder"]):
        reporter.info("encoder layers are frozen")
    student.module.train()
    return student


def check_pair(settings: RunSettings, teacher: Model, student: Model) -> None:
    """Refuse a student whose tokenizer or kind is not its teacher's; raises UserError (2)."""
    student_ids, teacher_ids = student.tokenizer.hf_tokenizer.get_vocab(), teacher.tokenizer.hf_tokenizer.get_vocab()
    if student_ids != teacher_ids or student.kind != teacher.kind:
        differing = sum(teacher_ids.get(token) != token_id for token, token_id in student_ids.items())
        reason = (f"the student's vocabulary has {len(student_ids):,} tokens, the teacher's {len(teacher_ids):,}, and "
                  f"{differing:,} of the student's have another id or none"
                  if student_ids != teacher_ids else f"the student is of kind {student.kind}, the teacher of kind "
                                                     f"{teacher.kind}")
        raise UserError(f"{settings.model} cannot learn from {settings.teacher}: {reason}.",
                        fix="Choose a student with the teacher's tokenizer, leave --student out, or train on the "
                            "teacher's predictions: headstart predict TEACHER FILE --as-training-data --to pseudo.csv, "
                            "then headstart finetune pseudo.csv.")


def with_loss_weights(settings: RunSettings, teacher: Model, student: Model) -> RunSettings:
    """The settings with the weights of the loss that were not set; raises UserError (2, 78) for a pair that does not
    fit.
    """
    check_pair(settings, teacher, student)
    distil = settings.distil
    same_width = student.info.width == teacher.info.width
    if not same_width and (distil.alpha_hidden or distil.alpha_cosine):
        raise UserError(f"The student's states have width {student.info.width}, the teacher's {teacher.info.width}: "
                        "they cannot be "
                        "compared.", fix="Leave distil.alpha_hidden and distil.alpha_cosine out.", exit=Exit.SETTINGS)
    alpha_hidden = distil.alpha_hidden if distil.alpha_hidden is not None else 1.0 if same_width else 0.0
    fills_masks = student.head == "masked-language-model"
    alpha_cosine = (distil.alpha_cosine if distil.alpha_cosine is not None else 0.1 if same_width and fills_masks
                    else 0.0)
    if distil.with_teacher and not distil.alpha_soft + distil.alpha_task + alpha_hidden + alpha_cosine:
        raise UserError("Every weight of the student's loss is 0 (distil.alpha_…): nothing would be learned.",
                        fix="Set one above 0.", exit=Exit.SETTINGS)
    weighted = dataclasses.replace(settings, distil=dataclasses.replace(distil, alpha_hidden=alpha_hidden,
                                                                        alpha_cosine=alpha_cosine))
    if distil.with_teacher:
        layer_pairs(weighted, teacher, student)
    return weighted


def layer_pairs(settings: RunSettings, teacher: Model, student: Model) -> dict[str, list[tuple[int, int]]]:
    """The layers whose states are compared, by stack; raises UserError (78)."""
    return distillation.matched_layers(settings.distil.layer_map, student.layer_counts,
                                       teacher.layer_counts)
