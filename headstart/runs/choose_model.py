"""The model of a run, with the head that its task needs; what was chosen is said."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

from headstart.contract import HeadSpec, Task
from headstart.errors import Exit, UserError
from headstart.models.heads.mean_layer import can_have_mean_layer
from headstart.models.loading import sentence_transformers_files
from headstart.models.loading.catalogue import check_head
from headstart.models.loading.default_model import default_model
from headstart.models.loading.from_config import info_from_config, load_from_config
from headstart.models.loading.languages import missing_language_warning
from headstart.models.loading.load import load
from headstart.models.loading.model_info import ModelInfo, model_info
from headstart.models.loading.sentence_transformers_files import SentenceEncoder
from headstart.models.model import Model
from headstart.progress import Reporter
from headstart.settings.run_settings import RunSettings


def check_fit(info: ModelInfo, head: HeadSpec, task: Task[Any]) -> None:
    """Refuse a model that cannot have the task's head, before any weight is read; raises UserError (2)."""
    try:
        check_head(info.family, head.kind, info.reference)
    except UserError as error:
        raise UserError(f"{task.name} needs what this model lacks. {error.message}", exit=Exit.USAGE,
                        fix=f"{error.fix}{default_hint(task)}") from None


def default_hint(task: Task[Any]) -> str:
    """The task's default, for one whose model does not fit; "" where it has none."""
    if not (task.default_model or task.default_package):
        return ""
    return f" The default of this task is --model {default_model(task).reference}."


def choose_model(settings: RunSettings, task: Task[Any], device: str, reporter: Reporter, *,
                 sentence_vectors: bool = False) -> Model:
    """The pretrained model that was named, or the task's default; with `sentence_vectors` its head reads the mean of
    the token states, where its family can have one. Raises UserError (2, 66, 69, 77, 78).
    """
    dropout_rates: dict[str, Any] = {"dropout": settings.training.dropout,
                                     "attention_dropout": settings.training.attention_dropout,
                                     "layer_drop": settings.training.layer_drop}
    if settings.from_scratch is not None:
        return model_from_scratch(settings.from_scratch, settings, task, device, reporter, dropout_rates)
    default = default_model(task) if settings.model is None else None
    reference = settings.model if default is None else default.reference
    assert reference is not None
    info = model_info(reference, allow_pickle=settings.allow_pickle)
    head = task.head_for(info.family.kinds[0])
    check_fit(info, head, task)
    reporter.info(f"model: {reference} ({info.family_name}, {info.layers} layers of width {info.width}"
                  f"{'' if default is None else '; ' + default.reason})")
    language = settings.data.language
    if (warning := missing_language_warning(info, language)) is not None:
        reporter.warning(warning)
    model = load(reference, head, seed=settings.seed, device=device, allow_pickle=settings.allow_pickle,
                 language=language, target_language=settings.data.target_language, info=info,
                 mean_layer=sentence_vectors and takes_mean(info), **dropout_rates)
    if sentence_vectors:
        reporter.info(vector_words(info))
    if model.fresh_weights and not sentence_vectors:
        reporter.info(f"new weights, as the checkpoint has no trained head: {len(model.fresh_weights)} tensors, "
                      "initialised from the seed")
    return model


def model_from_scratch(config: str, settings: RunSettings, task: Task[Any], device: str, reporter: Reporter,
                       dropout_rates: dict[str, Any]) -> Model:
    """A model whose weights are all initialised from the seed."""
    folder = Path(config) if Path(config).is_dir() else Path(config).parent
    info = info_from_config(config, str(folder if settings.model is None else settings.model))
    head = task.head_for(info.family.kinds[0])
    check_fit(info, head, task)
    reporter.info(f"model: {config} ({info.family_name}, {info.layers} layers of width {info.width}; all weights "
                  "initialised from the seed)")
    return load_from_config(info, head, seed=settings.seed, device=device, **dropout_rates)


def sentence_encoder(info: ModelInfo) -> SentenceEncoder | None:
    """How a sentence encoder makes its vectors; None for a model that is none, or one by modules of other kinds."""
    try:
        return sentence_transformers_files.read(info.folder, info.reference)
    except UserError:
        return None


def takes_mean(info: ModelInfo) -> bool:
    """Whether the mean of the token states becomes a layer: not where the first token's state is the sentence's."""
    encoder = sentence_encoder(info)
    return can_have_mean_layer(info.family) and (encoder is None or encoder.pool != "first")


def vector_words(info: ModelInfo) -> str:
    """What a sentence vector is, in a line."""
    if takes_mean(info):
        return "sentence vector: the mean of the token states, as a layer of its own above the last one"
    pooled = info.family.pooling(SimpleNamespace(**info.config))
    encoder = sentence_encoder(info)
    reason = (f", because a layer of {info.family_name} cannot be the mean that it was trained with"
              if encoder is not None and encoder.pool == "mean" and pooled != "mean" else "")
    return f"sentence vector: what the head of {info.family_name} reads ({pooled} token){reason}"
