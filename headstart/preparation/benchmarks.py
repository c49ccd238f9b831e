"""Datasets that are recognised by name: GLUE, XNLI, HANS and Jigsaw as they are published, with their own scores.

Wang et al. 2018 (GLUE: what each task is scored by, and how its submission is written, follows gluebenchmark.com),
Conneau et al. 2018 (XNLI), McCoy et al. 2019 (HANS).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from headstart.contract import Json
from headstart.errors import Exit, UserError, nearest
from headstart.preparation.dataset_layouts import find_dataset

PAIR = {"text": "sentence1", "pair": "sentence2"}
CLASSES = "text-classification"
LANGUAGES = ("ar", "bg", "de", "el", "en", "es", "fr", "hi", "ru", "sw", "th", "tr", "ur", "vi", "zh")
JIGSAW = "toxic,severe_toxic,obscene,threat,insult,identity_hate"


@dataclass(frozen=True)
class Preset:
    """One dataset: its files, their columns and settings, its official scores ("f1" is that of the label 1)."""

    columns: Mapping[str, str] = field(default_factory=dict)
    scores: tuple[str, ...] = ("accuracy",)
    submission: Mapping[str, str] = field(default_factory=dict)  # file of rows without labels -> name of the submission
    task: str = CLASSES
    files: Mapping[str, str] = field(default_factory=lambda: {"train": "train.tsv", "dev": "dev.tsv"})
    further: Mapping[str, str] = field(default_factory=dict)  # split -> file
    unlabelled: Mapping[str, str] = field(default_factory=dict)  # columns of the rows without labels, where they differ
    settings: Mapping[str, Any] = field(default_factory=dict)


def glue(columns: Mapping[str, str], scores: tuple[str, ...], name: str, **options: Any) -> Preset:
    """A GLUE task whose test.tsv has no labels."""
    return Preset(columns, scores, {"test.tsv": name}, **options)


PRESETS: dict[str, Preset] = {
    "glue/cola": glue({"text": "3", "label": "1"}, ("matthews",), "CoLA", settings={"data.header": False},
                      unlabelled={"text": "sentence"}),
    "glue/sst-2": glue({"text": "sentence", "label": "label"}, ("accuracy",), "SST-2"),
    "glue/mrpc": glue({"text": "#1 String", "pair": "#2 String", "label": "Quality"}, ("f1", "accuracy"), "MRPC"),
    "glue/sts-b": glue(PAIR | {"target": "score"}, ("pearson", "spearman"), "STS-B", task="regression"),
    "glue/qqp": glue({"text": "question1", "pair": "question2", "label": "is_duplicate"}, ("f1", "accuracy"), "QQP"),
    "glue/mnli": Preset(PAIR | {"label": "gold_label"}, ("accuracy",),
                        {"test_matched.tsv": "MNLI-m", "test_mismatched.tsv": "MNLI-mm"},
                        files={"train": "train.tsv", "dev": "dev_matched.tsv"},
                        further={"dev/mismatched": "dev_mismatched.tsv"}),
    "glue/qnli": glue({"text": "question", "pair": "sentence", "label": "label"}, ("accuracy",), "QNLI"),
    "glue/rte": glue(PAIR | {"label": "label"}, ("accuracy",), "RTE"),
    "glue/wnli": glue(PAIR | {"label": "label"}, ("accuracy",), "WNLI"),
    # Trained in one language, scored in all: the training files call a contradiction "contradictory".
    **{"xnli" if code == "en" else f"xnli/{code}": Preset(
        files={"train": f"multinli.train.{code}.tsv", "dev": "xnli.dev.tsv", "test": "xnli.test.tsv"},
        settings={"data.slice_by": "language", "data.select_slice": code, "task.merge": "contradictory=contradiction"})
       for code in LANGUAGES},
    # Two labels: what is neither entailed nor contradicted is not entailed either.
    "hans": Preset(PAIR | {"label": "gold_label"},
                   files={"train": "heuristics_train_set.txt", "dev": "heuristics_evaluation_set.txt"},
                   settings={"data.slice_by": "gold_label+heuristic,subcase", "data.delimiter": "\t",
                             "task.merge": "neutral+contradiction=non-entailment"}),
    "jigsaw": Preset({"text": "comment_text", "labels": JIGSAW}, ("roc_auc",), task="multilabel-classification",
                     files={"train": "train.csv"}),
    "jigsaw/rarest": Preset({"text": "comment_text", "label": JIGSAW}, ("roc_auc",), files={"train": "train.csv"},
                            settings={"task.reduce": "rarest"}),
}


def find_preset(name: str) -> Preset:
    """The preset of this name; raises UserError."""
    if name.lower() in PRESETS:
        return PRESETS[name.lower()]
    suggestion = nearest(name, PRESETS)
    raise UserError(f"There is no preset {name!r}.",
                    fix=f"Did you mean {suggestion}?" if suggestion else f"The presets are {', '.join(PRESETS)}.")


def apply_preset(name: str, folder: str, run_values: dict[str, Any], columns: dict[str, str],
                 values: dict[str, Any]) -> str:
    """Fill in what a preset says, where the user has not; in words, what its files have otherwise than as published.

    Raises UserError (66) for a folder that is not the dataset's.
    """
    preset = find_preset(name)
    dataset = find_dataset(name.lower(), Path(folder), preset.files, preset.columns, preset.settings)
    for split, file in dataset.files.items():
        run_values.setdefault(split, str(file))
    run_values["preset"] = name.lower()
    run_values.setdefault("task", preset.task)
    fill_defaults(dataset.columns, dataset.settings, columns, values)
    return dataset.note


def fill_defaults(preset_columns: Mapping[str, str], settings: Mapping[str, Any], columns: dict[str, str],
                  values: dict[str, Any]) -> None:
    """A preset's columns and settings, where the user gave none."""
    for field_name, column in preset_columns.items():
        columns.setdefault(field_name, column)
    for key, value in settings.items():
        values.setdefault(key, value)


def evaluation_file(name: str, path: str, columns: dict[str, str], values: dict[str, Any]) -> str:
    """The file that a model is measured on (itself, or the folder's test or dev file); fills in a preset's columns and
    settings.
    """
    preset = find_preset(name)
    if not Path(path).is_dir():
        fill_defaults(preset.columns, preset.settings, columns, values)
        return path
    measured = {split: file for split, file in preset.files.items() if split != "train"} or {"dev": "dev.tsv"}
    dataset = find_dataset(name.lower(), Path(path), measured, preset.columns, preset.settings)
    fill_defaults(dataset.columns, dataset.settings, columns, values)
    split = next((split for split in ("test", "dev") if split in dataset.files), None)
    if split is None:
        raise UserError(f"{path} holds no test or dev file of {name}.", fix="Name the file of labelled rows itself.",
                        exit=Exit.NO_INPUT)
    return str(dataset.files[split])


def further_splits(name: str | None, train: str) -> dict[str, str]:
    """More splits of a preset that lie beside its training file."""
    if name is None:
        return {}
    paths = {split: Path(train).parent / file for split, file in find_preset(name).further.items()}
    return {split: str(path) for split, path in paths.items() if path.is_file()}


def official_scores(name: str, scores: Mapping[str, Any]) -> dict[str, Json]:
    """The dataset's own scores of every split."""
    scores_by_split: dict[str, Json] = {}
    for split, tables in scores["tables"].items():
        positive = tables.get("per_class", {}).get("1", {})
        scores_by_split[split] = {score: positive.get("f1") if score == "f1" else scores[split][score]["value"]
                                  for score in find_preset(name).scores}
    return scores_by_split


def unlabelled_files(name: str, train: str) -> list[tuple[str, Path, dict[str, str]]]:
    """Files of rows without labels that are there: name of the submission, path, columns."""
    preset, folder = find_preset(name), Path(train).parent
    columns = {field_name: column for field_name, column in preset.columns.items()
               if field_name in ("text", "pair")} | dict(preset.unlabelled)
    return [(submission_name, folder / file, columns) for file, submission_name in preset.submission.items()
            if (folder / file).is_file()]


def submission_text(predictions: Sequence[Json]) -> str:
    """GLUE's layout: index and prediction, parted by a tab; numbers within 0 to 5 (STS-B)."""
    cells = [f"{min(5.0, max(0.0, value)):.3f}" if isinstance(value, float) else str(value) for value in predictions]
    return "\n".join(["index\tprediction", *(f"{index}\t{cell}" for index, cell in enumerate(cells))]) + "\n"
