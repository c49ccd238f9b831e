"""A model with labels that it was never trained on, ready to predict."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from headstart.artifacts.metadata import model_folder, read_metadata
from headstart.contract import HeadSpec, Json, Learned, Task
from headstart.errors import Exit, UserError
from headstart.models.loading.load import load as load_model
from headstart.models.loading.model_info import model_info
from headstart.models.loading.sentence_transformers_files import SentenceEncoder
from headstart.models.model import Model
from headstart.prediction.embed import embed
from headstart.prediction.torch_runtime import TorchRuntime
from headstart.prediction.zero_shot.labels import LabelSet, read_labels
from headstart.prediction.zero_shot.method import Entailment, Method, choose_method
from headstart.prediction.zero_shot.predictor import ZeroShotPredictor
from headstart.prediction.zero_shot.scorers import EntailmentScorer, SimilarityScorer
from headstart.prediction.zero_shot.vector_runtime import VectorRuntime
from headstart.settings import ZeroShot, build
from headstart.tasks.multilabel_classification.task import MultilabelClassification
from headstart.tasks.text_classification import TextClassification

if TYPE_CHECKING:
    from numpy.typing import NDArray

SLOT = "{}"  # of a hypothesis template: here stands the label
MIN_TEXT_TOKENS = 8  # that must fit beside a hypothesis
MANY_PASSES = 50  # labels from which one pass of the model for each is worth a word
NOT_MEASURED = ("Nothing measured these predictions: there are no labelled rows. A few measure them: "
                "headstart evaluate MODEL FEW.csv --labels …")


@dataclass(frozen=True, eq=False)
class ZeroShotLabels:
    """Labels, and how a model tells which one a text has; the labels' vectors are computed once."""

    labels: LabelSet
    method: Method
    settings: ZeroShot
    vectors: dict[str, NDArray[Any]] = field(default_factory=dict)  # by the precision that they were computed in

    def words(self) -> list[str]:
        """How the labels are read and told apart, in lines."""
        count = len(self.labels.labels)
        if isinstance(self.method, SentenceEncoder):
            pooling = {"mean": "mean", "first": "first", "max": "maximum"}[self.method.pool]
            lines = [f"zero-shot: {count:,} labels by similarity (cosine of the {pooling} token states of text and "
                     f"label, softmax at temperature {self.settings.temperature:g}); the probabilities are not "
                     "calibrated"]
            if not any(label.description for label in self.labels.labels):
                lines.append("the labels have no descriptions, so their names are compared; a few words on each often "
                             "help: --labels labels.csv with the columns label and description")
            if self.method.similarity != "cosine":
                lines.append(f"the model's own similarity is {self.method.similarity}; the cosine is used here")
        else:
            hypothesis = self.settings.hypothesis_template.replace(SLOT, self.labels.texts[0])
            kind = "each label by itself" if self.settings.multi_label else "softmax over the labels"
            lines = [f"zero-shot: {count:,} labels by entailment ({hypothesis!r:.80}, {kind}); the probabilities are "
                     "not calibrated"]
            if count >= MANY_PASSES:
                lines.append(f"each text is read {count:,} times, once with each label; a sentence encoder reads it "
                             "once")
        return [*lines, *self.labels.notes]

    def predictor(self, task: Task[Any], model: Model, *, batch_tokens: int) -> ZeroShotPredictor:
        """What predicts the labels with a model, which is put into evaluation mode; raises UserError (65, 78)."""
        model.module.eval()
        if isinstance(self.method, SentenceEncoder):
            runtime = VectorRuntime(model, self.method.pool, batch_tokens)
            vectors = self.label_vectors(model, runtime.precision, batch_tokens)
            scorer = SimilarityScorer(self.method, task.settings, vectors, self.settings.temperature)
            return ZeroShotPredictor(task, runtime, scorer)
        if task.settings.long_texts != "truncate":
            raise UserError(f"task.long_texts is {task.settings.long_texts}, but beside a label a long text is always "
                            "truncated.", fix="Leave it out.", exit=Exit.SETTINGS)
        entailment = EntailmentScorer(self.method, self.hypotheses(model), self.settings.multi_label)
        return ZeroShotPredictor(task, TorchRuntime(model, batch_tokens), entailment)

    def label_vectors(self, model: Model, precision: str, batch_tokens: int) -> NDArray[Any]:
        """The vector of each label's text, of length 1, (C, W)."""
        import numpy as np

        assert isinstance(self.method, SentenceEncoder), "only a sentence encoder has vectors"
        if precision not in self.vectors:
            texts = [self.method.prepared(text) for text in self.labels.texts]
            self.vectors[precision] = np.concatenate(list(embed(
                model, texts, pool=self.method.pool, normalise=True, batch_tokens=batch_tokens))).astype("float64")
        return self.vectors[precision]

    def hypotheses(self, model: Model) -> tuple[tuple[int, ...], ...]:
        """The token ids of each label's hypothesis; raises UserError (65) for one that leaves no room for a text."""
        room = model.tokenizer.max_content_length(2)
        hypotheses = []
        for label in self.labels.labels:
            ids = model.tokenizer.tokenize(self.settings.hypothesis_template.replace(SLOT, label.text)).ids
            if len(ids) > room - MIN_TEXT_TOKENS:
                raise UserError(f"The hypothesis of {label.name!r} has {len(ids):,} tokens; the model takes {room:,} "
                                "of text and hypothesis together.", fix="Shorten its description.", exit=Exit.DATA)
            hypotheses.append(tuple(ids))
        return tuple(hypotheses)


def load_zero_shot(reference: str, labels: Any, values: Mapping[str, Json], *, task_name: str | None = None,
                   device: str, allow_pickle: bool = False, language: str | None = None,
                   dtype: str = "fp32") -> tuple[Task[Any], Model, ZeroShotLabels]:
    """A model of entailment or a sentence encoder, with labels and the settings of the group zero_shot.

    Raises UserError: 2, 65, 66 for the labels, 2 for a model that is neither, 78 for settings that it never reads.
    """
    label_set = read_labels(labels)
    settings: ZeroShot = build({f"zero_shot.{name}": value for name, value in values.items()})["zero_shot"]
    info = model_info(model_folder(reference), allow_pickle=allow_pickle)
    metadata = read_metadata(str(info.folder))
    method = choose_method(reference, info, metadata)
    check_settings(settings, method)
    task_class = MultilabelClassification if settings.multi_label else TextClassification
    if task_name not in (None, task_class.name):
        raise UserError(f"Labels of one's own are given to texts: the task is {task_class.name}, not {task_name}.",
                        fix="Leave --task out.")
    max_length = int(metadata["max_length"]) if metadata is not None else None
    head = None if isinstance(method, Entailment) else HeadSpec("sequence-classification", 2)
    model = load_model(info.reference, head, seed=0, device=device, allow_pickle=allow_pickle,
                       max_length=longest_text(method, max_length), add_end_token=False, language=language, info=info,
                       dtype=dtype)
    return zero_shot_task(task_class, label_set), model, ZeroShotLabels(label_set, method, settings)


def zero_shot_task(task_class: type[Task[Any]], labels: LabelSet) -> Task[Any]:
    """The task, as if these labels had been learned."""
    values = {"thresholds": [0.5] * len(labels.names)} if task_class is MultilabelClassification else {}
    return task_class(task_class.Settings(), Learned(labels.names, values=values))


def longest_text(method: Method, max_length: int | None) -> int | None:
    """The tokens of one input at most, as the model was trained; None where nothing says so."""
    limits = [limit for limit in (max_length, getattr(method, "max_length", None)) if limit is not None]
    return min(limits, default=None)


def check_settings(settings: ZeroShot, method: Method) -> None:
    """Refuse settings that this model never reads, and a template without a place for the label; raises UserError (78).
    """
    by_entailment, defaults = isinstance(method, Entailment), ZeroShot()
    for name in ("temperature",) if by_entailment else ("hypothesis_template", "multi_label"):
        if getattr(settings, name) != getattr(defaults, name):
            purpose = "a sentence encoder" if by_entailment else "a model of entailment"
            raise UserError(f"zero_shot.{name} is read by {purpose}, and this is "
                            f"{'a model of entailment' if by_entailment else 'a sentence encoder'}.",
                            fix="Leave it out.", exit=Exit.SETTINGS)
    if settings.hypothesis_template.count(SLOT) != 1:
        raise UserError(f"zero_shot.hypothesis_template is {settings.hypothesis_template!r:.80}; {SLOT} was expected "
                        "in it once, where the label stands.", fix='For example "This text is about {}."',
                        exit=Exit.SETTINGS)


def refuse_without_head(zero_shot: ZeroShotLabels | None, purpose: str) -> None:
    """Refuse what needs a head of the model's own; raises UserError (2)."""
    if zero_shot is not None:
        raise UserError(f"A model with labels=… cannot be {purpose}: it has no weights of its own for these labels.",
                        fix="Train one: headstart predict … --min-probability 0.8 --to silver.csv, then headstart "
                            "finetune silver.csv")

