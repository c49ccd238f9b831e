"""The model card: README.md of a model folder, with the front matter that the hub reads (tag, base model, licence,
results).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from headstart.artifacts.fold import folds_scale
from headstart.contract import Json, Task
from headstart.models.model import Model
from headstart.version import __version__


@dataclass(frozen=True)
class Card:
    """What a card says."""

    task: str
    base_model: str
    pipeline_tag: str = ""
    licence: str | None = None  # of the base model; None where its folder does not say
    languages: Sequence[str] = ()
    transformers_class: str | None = None  # that loads the folder without headstart; None where there is none
    labels: Sequence[str] = ()
    scores: Mapping[str, Mapping[str, Json]] = field(default_factory=dict)  # split -> score -> Score JSON
    baselines: Mapping[str, Any] = field(default_factory=dict)
    files: Mapping[str, Mapping[str, Json]] = field(default_factory=dict)  # split -> its file: name, format and SHA-256
    rows: Mapping[str, int] = field(default_factory=dict)
    score_note: str = ""  # whose scores they are, where they are not of this model
    ship: str = ""  # which model this is and why, where several were compared
    abstains: bool = False
    transformers_gaps: Sequence[str] = ()  # what plain transformers does not do with this model


def card_of(task: Task[Any], model: Model, base_model: str, *, dtype: str = "fp32", **details: Any) -> Card:
    """A card with what task and model, saved as `dtype`, say of themselves; `details` are further fields of Card."""
    return Card(task.name, base_model, task.pipeline_tag, model.info.licence,
                transformers_class=transformers_class(model),
                labels=task.learned.labels, abstains=task.abstention is not None,
                transformers_gaps=[*transformers_gaps(task, model), *confidence_gaps(task, model, dtype)], **details)


def render(card: Card) -> str:
    """The card as Markdown with YAML front matter."""
    from huggingface_hub import ModelCard

    sections = [f"# A model for {card.task}\n", f"Made by headstart {__version__} from `{escaped(card.base_model)}`.\n",
                *([f"{card.ship}\n"] if card.ship else []), "## Use\n", usage(card)]
    if card.labels:
        label_list = ", ".join(f"`{escaped(label)}`" for label in card.labels)
        sections.append(f"## Labels\n\n{label_list}\n")
    if card.scores:
        sections += ["## Scores\n", *([f"{card.score_note}\n"] if card.score_note else []), score_table(card)]
    if card.rows:
        sections += ["## Data\n", data_section(card)]
    sections.append("## Limits\n\n" + "\n".join(f"- {line}" for line in limits(card)) + "\n")
    text = "\n".join(sections)
    return str(ModelCard(f"---\n{front_matter(card).to_yaml()}\n---\n\n{text}", ignore_metadata_errors=True))


def front_matter(card: Card) -> Any:
    """The card's metadata as the hub reads it: huggingface_hub's ModelCardData."""
    from huggingface_hub import ModelCardData

    on_hub = not card.base_model.startswith(("pip:", "/", "."))
    results = eval_results(card)
    return ModelCardData(
        library_name="transformers", tags=["headstart", card.task], pipeline_tag=card.pipeline_tag or None,
        base_model=card.base_model if on_hub else None, license=card.licence, language=list(card.languages) or None,
        model_name=f"headstart {card.task}" if results else None, eval_results=results or None)


def eval_results(card: Card) -> list[Any]:
    """Each score of each split for the front matter's model-index, with its interval and the SHA-256 of the file it is
    from.
    """
    from huggingface_hub import EvalResult

    return [EvalResult(task_type=card.pipeline_tag or card.task, task_name=card.task,
                       dataset_type=str(file.get("format", "file")),
                       dataset_name=str(file.get("file", split)), dataset_split=split,
                       dataset_revision=file.get("sha256"),
                       metric_type=name, metric_name=name, metric_value=score["value"],
                       metric_args={key: score[key] for key in ("low", "high", "n") if score.get(key) is not None}
                       or None)
            for split, scores in card.scores.items() for file in [card.files.get(split, {})]
            for name, score in scores.items() if score["value"] is not None]


def usage(card: Card) -> str:
    """How to load it, here and in plain transformers."""
    lines = ["```", "headstart predict THIS_FOLDER new.csv --to predictions.csv", "```", "",
             "```python", "import headstart", "", 'model = headstart.load("THIS_FOLDER")', "```", ""]
    if card.transformers_class is None:
        return "\n".join([*lines, "transformers has no class for this model: it needs headstart.", ""])
    return "\n".join([*lines, "Without headstart:", "", "```python",
                      f"from transformers import AutoTokenizer, {card.transformers_class}", "",
                      f'model = {card.transformers_class}.from_pretrained("THIS_FOLDER")',
                      'tokenizer = AutoTokenizer.from_pretrained("THIS_FOLDER")', "```", ""])


def score_table(card: Card) -> str:
    """Scores with intervals, and each baseline's first."""
    lines = ["| rows | score | value | 95 % interval |", "|---|---|---|---|"]
    for split, scores in card.scores.items():
        for name, score in scores.items():
            if score["value"] is not None:
                interval = f"{score['low']:.4f} to {score['high']:.4f}" if score["low"] is not None else ""
                lines.append(f"| {escaped(split)} | {name} | {score['value']:.4f} | {interval} |")
    for name, baseline in card.baselines.items():
        score_name, score = next(iter(baseline["scores"].items()))
        if score["value"] is not None:
            lines.append(f"| {escaped(baseline['split'])}, baseline {escaped(name)} | {score_name} | "
                         f"{score['value']:.4f} | |")
    return "\n".join(lines) + "\n"


def data_section(card: Card) -> str:
    """How many rows there were, from which files."""
    row_counts = ", ".join(f"{split} {count:,}" for split, count in card.rows.items())
    files = {str(file["file"]): file["sha256"] for file in card.files.values()}
    return f"Rows: {row_counts}.\n\n" + "".join(f"- `{escaped(name)}`, SHA-256 `{digest}`\n"
                                                for name, digest in files.items())


def limits(card: Card) -> list[str]:
    """What to keep in mind, in honest words."""
    lines = ["The scores hold for rows like those above; on other texts they may be far lower. Measure on your own: "
             "`headstart evaluate THIS_FOLDER labelled.csv`.",
             "What is unfair or wrong in the training rows, or in the pretrained model, is likely in this model too."]
    if card.labels and not card.abstains:
        lines.append("It always gives one of its labels, also for a text that fits none.")
    return [*lines, *card.transformers_gaps]


def transformers_class(model: Model) -> str | None:
    """The class of transformers that loads the model's folder; None where the class is headstart's own."""
    model_class = type(model.module)
    return model_class.__name__ if model_class.__module__.startswith("transformers.") else None


def transformers_gaps(task: Task[Any], model: Model) -> list[str]:
    """What plain transformers does not do with this model."""
    gaps = list(model.transformers_gaps)
    if getattr(task.settings, "long_texts", "") == "windows":
        gaps.append("Long texts are read in windows whose logits are averaged; this happens through headstart only.")
    fold = task.export_state()[1]
    if not model.can_fold and fold is not None and task.temperature == 1:
        scale, shift = fold
        gaps.append(f"Its last layer has no bias: plain transformers gives x, and the number meant is {scale:.6g} · x "
                    f"+ {shift:.6g}.")
    return gaps


def confidence_gaps(task: Task[Any], model: Model, dtype: str) -> list[str]:
    """What plain transformers does not know of the model's confidence: a temperature beside the weights, abstention."""
    gaps, abstention = [], task.abstention
    if task.temperature != 1 and (task.export_state()[1] is None or not folds_scale(model, task, dtype)):
        gaps.append("Its probabilities are calibrated through headstart only: plain transformers gives outputs that "
                    f"are not yet divided by the temperature of {task.temperature:.6g}.")
    if abstention is not None and abstention.threshold is not None:
        gaps.append(f"Below a confidence of {abstention.threshold:.4f} it abstains, so that at most "
                    f"{100 * abstention.risk:g} % of its answers are wrong with {100 * abstention.certainty:g} % "
                    "certainty on rows like those of dev; this happens through headstart only.")
    elif abstention is not None:
        gaps.append(f"It abstains on every row, as no confidence promised a risk of {100 * abstention.risk:g} % on "
                    "dev; plain transformers answers.")
    return gaps


def escaped(text: str) -> str:
    """Text that is safe in Markdown."""
    one_line = " ".join(text.split())
    return "".join("\\" + character if character in "\\`*_{}[]<>|#" else character for character in one_line)
