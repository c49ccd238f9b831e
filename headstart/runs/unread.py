"""Which settings a run never reads, and why: those are refused when they were changed, and left out of settings.toml.

A setting that does nothing would lie: whoever sets it believes that it was used.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from headstart.contract import Task
from headstart.errors import Exit, UserError
from headstart.models.loading.languages import ids_by_language
from headstart.models.model import Model
from headstart.preparation.folding import is_asked_for
from headstart.runs.variants.early_exit import unfit_task
from headstart.settings import GROUPS, PROMPT_SETTINGS, list_settings
from headstart.settings.run_settings import RunSettings

Unread = Iterator[tuple[str, str]]  # key of a setting, or of a whole group ("mining."), and why it is not read
LOSS_SETTINGS = {"class_weights": "has no weights of classes", "label_smoothing": "smooths no targets",
                 "focal_gamma": "is no cross-entropy of classes"}  # of training.*, and what a loss without them is


def unread_settings(settings: RunSettings, task: Task[Any], model: Model) -> dict[str, str]:
    """Every setting that this task, model and way of training never read, with the reason: {"adapter.rank": "…"}."""
    all_keys = [setting.key for group, group_class in GROUPS.items() for setting in list_settings(group, group_class)]
    unread: dict[str, str] = {}
    rules = (*unread_groups(settings), *unread_training(settings), *unread_early_exit(settings, task),
             *unread_in_folds(settings), *unread_by_loss(task), *unread_data(settings, task, model),
             *unread_writing(settings, task, model),
             *unread_decoding(settings), *unread_rows(settings, task), *unread_distilling(settings, model),
             *unread_evaluation(settings, task, model))
    for pattern, reason in rules:
        for key in all_keys:
            if key == pattern or (pattern.endswith(".") and key.startswith(pattern)):
                unread.setdefault(key, reason)
    return unread


def refuse_unread(settings: RunSettings, task: Task[Any], model: Model) -> None:
    """Refuse settings that were changed and are never read; raises UserError (78) that names each with its reason."""
    defaults = {setting.key: setting.default for group, group_class in GROUPS.items()
                for setting in list_settings(group, group_class)}
    values = settings.by_key()
    changed = {key: reason for key, reason in unread_settings(settings, task, model).items()
               if key in values and values[key] != defaults[key]}
    if changed:
        first_key, first_reason = next(iter(changed.items()))
        remaining = "".join(f"\n  {key}: {reason}" for key, reason in list(changed.items())[1:])
        raise UserError(
            f"{first_key} is {values[first_key]!r}, but this run never reads it: {first_reason}.{remaining}",
                        fix="Leave it out." if len(changed) == 1 else "Leave them out.", exit=Exit.SETTINGS)


def refuse_sharding(settings: RunSettings, task: Task[Any], model: Model) -> None:
    """Refuse what training.sharded cannot do; raises UserError (78)."""
    training, precision = settings.training, settings.evaluation.precision
    if not training.sharded:
        return
    config, family = model.module.config, model.info.family
    drops = any(getattr(config, key, 0) for key in ("layerdrop", "encoder_layerdrop", "decoder_layerdrop"))
    reasons = {
        "training.precision=fp16, whose losses are scaled": training.precision == "fp16",
        "training.optimizer=adafactor, whose moments are of whole matrices": training.optimizer == "adafactor",
        "training.early_exit": training.early_exit,
        f"training.method={training.method}": training.method in ("contrastive", "frozen"),
        f"{task.name}, whose loss compares the texts of a whole step": task.head().loss.is_joint,
        "layers that are dropped at random (training.layer_drop)": drops,
        f"{family.name}, whose layers are no modules of their own": len(family.counted_layer_paths) > 1,
        f"evaluation.precision={precision}, which copies the whole model": precision not in ("auto", "fp32"),
    }
    for reason, holds in reasons.items():
        if holds:
            raise UserError(f"training.sharded does not go with {reason}.",
                            fix="Leave one of them out; without training.sharded each process holds the whole model.",
                            exit=Exit.SETTINGS)
    if training.cpu_offload and not settings.device.startswith("cuda"):
        raise UserError("training.cpu_offload brings weights to a GPU, and this run is on the processor.",
                        fix="Leave it out.", exit=Exit.SETTINGS)


def unread_groups(settings: RunSettings) -> Unread:
    """Whole groups that belong to another way of training or another command."""
    yield "index.", "headstart index reads it"
    yield "steering.", "headstart generate reads it"
    yield "zero_shot.", "predict and evaluate read it, with --labels"
    if settings.training.adapter == "none":
        yield "adapter.", "training.adapter is none"
    if not settings.training.early_exit:
        yield "early_exit.", "training.early_exit is false"
    yield "model.dtype", "training keeps its weights in fp32 (training.precision says how it multiplies)"
    if settings.teacher is None:
        yield "distil.", "only headstart distil reads it"
    if settings.index is None:
        yield "mining.", "no --index is named"


def unread_training(settings: RunSettings) -> Unread:
    """What another choice in the same group makes idle."""
    training = settings.training
    if training.method in ("contrastive", "frozen"):
        for name in ("batch_tokens", "label_smoothing", "focal_gamma"):
            yield f"training.{name}", f"training.method is {training.method}"
    if training.batch_tokens is not None:
        yield "training.batch_size", "training.batch_tokens replaces it"
    if training.warmup_steps is not None:
        yield "training.warmup_ratio", "training.warmup_steps replaces it"
    if training.schedule != "cosine-restarts":
        yield "training.restarts", f"training.schedule is {training.schedule}"
    if training.schedule != "polynomial":
        yield "training.power", f"training.schedule is {training.schedule}"
    if training.sharded:
        yield "training.deterministic", "with training.sharded gradients are added up part by part"
    else:
        yield "training.cpu_offload", "training.sharded is false"
    if training.optimizer != "adamw":
        for name in ("beta1", "beta2", "epsilon"):
            yield f"training.{name}", f"training.optimizer is {training.optimizer}"


def unread_early_exit(settings: RunSettings, task: Task[Any]) -> Unread:
    """Early exit, where another way of training has the heads, or the task's answers are not compared."""
    if settings.teacher is not None:
        yield "training.early_exit", "a student is trained with its last head alone"
    if settings.training.adapter != "none":
        yield "training.early_exit", f"training.adapter is {settings.training.adapter}"
    if reason := unfit_task(task):
        yield "training.early_exit", reason
    if task.head().loss.exit_answer != "number":
        yield "early_exit.threshold", f"answers of {task.name} are not numbers"


def unread_in_folds(settings: RunSettings) -> Unread:
    """What only dev rows are there for, where rows are scored in folds."""
    if not is_asked_for(settings):
        return
    for key in ("data.split", "data.dev_rows", "data.select_slice"):
        yield key, "with evaluation.folds every row is trained on and scored, and nothing is split off"
    for key in ("training.patience", "training.keep_best", "evaluation.metric"):
        yield key, "with evaluation.folds no dev rows choose a checkpoint: the model is that of the last step"


def unread_by_loss(task: Task[Any]) -> Unread:
    """What the task's loss does not know."""
    for name, reason in LOSS_SETTINGS.items():
        if name not in task.head().loss.reads_settings:
            yield f"training.{name}", f"the loss of {task.name} {reason}"


def unread_data(settings: RunSettings, task: Task[Any], model: Model) -> Unread:
    """What the files or the model's languages make idle."""
    if settings.dev is not None:
        yield "data.split", "--dev is named, so nothing is split off"
    if task.reads_text_as == "lines":
        yield "data.rows", f"{task.name} reads a line of a text file as a row"
    if not settings.data.slice_by:
        yield "data.select_slice", "data.slice_by names no column"
    family, info = model.info.family, model.info
    if not family.language_tokens and not ids_by_language(info):
        yield "data.language", f"{info.reference} has no languages to choose from"
    if not family.language_tokens:
        yield "data.target_language", f"{info.reference} takes no target language"


def unread_writing(settings: RunSettings, task: Task[Any], model: Model) -> Unread:
    """Settings of generation, where nothing is generated or another kind of model generates."""
    if task.generative:
        if model.generates_from_source:
            for name in PROMPT_SETTINGS:
                yield f"generation.{name}", "an encoder-decoder generates a target for a source, not after a prompt"
        yield "generation.layout", f"the settings of {task.name} say how a decoder's prompts are laid out"
    elif not task.draws_samples():
        yield "generation.", f"{task.name} generates no text"
    elif not settings.evaluation.generated_samples:
        yield "generation.", "evaluation.generated_samples is 0"
    else:
        yield "generation.num_return_sequences", "the report shows one text of each prompt"
        yield "generation.layout", "prompts of the samples are laid out as those that are trained on (task.chat)"


def unread_decoding(settings: RunSettings) -> Unread:
    """Settings of another decoding strategy than the one that is set."""
    generation = settings.generation
    if not generation.do_sample:
        for name in ("temperature", "top_p", "min_p", "typical_p", *(() if generation.penalty_alpha else ("top_k",))):
            yield f"generation.{name}", "generation.do_sample is false"
    if generation.num_beams == 1:
        yield "generation.length_penalty", "generation.num_beams is 1"
    if generation.num_beam_groups == 1:
        yield "generation.diversity_penalty", "generation.num_beam_groups is 1"


def unread_rows(settings: RunSettings, task: Task[Any]) -> Unread:
    """Settings of rows that are mined from an index for another kind of task."""
    if task.generative:
        for name in ("negatives", "positives", "search_depth", "margin"):
            yield f"mining.{name}", f"rows of {task.name} have a question's best passages, relevant or not"
    else:
        yield "mining.passages", f"rows of {task.name} have relevant passages and negatives"


def unread_distilling(settings: RunSettings, model: Model) -> Unread:
    """Settings of a student that has no teacher in training, or no encoder of its own."""
    if not settings.distil.with_teacher:
        for name in ("temperature", "alpha_soft", "alpha_task", "normalise_hidden", "layer_map"):
            yield f"distil.{name}", "distil.with_teacher is false"
    if "encoder" not in model.layer_counts:
        yield "distil.freeze_encoder", f"{model.info.family_name} has no encoder beside a decoder"


def unread_evaluation(settings: RunSettings, task: Task[Any], model: Model) -> Unread:
    """Figures of the report that this task or model has not."""
    if task.answer_type is None:
        yield "evaluation.extra_metrics", f"answers of {task.name} are neither labels, numbers nor texts"
    if not task.answer_columns:
        yield "evaluation.risk", f"{task.name} always answers; classification, tagging and question answering abstain"
        yield "evaluation.calibrate", f"{task.name} learns no temperature"
    if not task.draws_samples():
        yield "evaluation.generated_samples", f"{task.name} has no prompts to continue"
    if type(task).errors_to_explain is Task.errors_to_explain:
        yield "evaluation.explained_errors", f"predictions of {task.name} do not rest on single words"
    if not settings.evaluation.baselines:
        yield "evaluation.baseline_rows", "evaluation.baselines is false"
    elif not task.baselines():
        yield "evaluation.baseline_rows", f"{task.name} has no baselines"
