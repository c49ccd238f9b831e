"""The model card: README.md of a model folder, with the front matter that the hub reads."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import headstart
from headstart.contract import Json, Task

if TYPE_CHECKING:
    from headstart.models.model import Model

TAGS = {"text-classification": "text-classification"}  # task -> pipeline tag of the hub, where it has one


@dataclass(frozen=True)
class Card:
    """What a card says."""

    task: str
    model: str
    labels: Sequence[str] = ()
    scores: Mapping[str, Mapping[str, Json]] = field(default_factory=dict)  # split -> score -> Score JSON
    baselines: Mapping[str, Any] = field(default_factory=dict)
    files: Sequence[Mapping[str, Json]] = ()
    rows: Mapping[str, int] = field(default_factory=dict)
    only_headstart: Sequence[str] = ()  # what plain transformers does not do


def render(card: Card) -> str:
    """The card as Markdown with YAML front matter."""
    import yaml

    front: dict[str, Any] = {"library_name": "transformers", "tags": ["headstart", card.task]}
    if not card.model.startswith(("pip:", "/", ".")):
        front["base_model"] = card.model
    if card.task in TAGS:
        front["pipeline_tag"] = TAGS[card.task]
    parts = [f"---\n{yaml.safe_dump(front, sort_keys=False, allow_unicode=True)}---\n", f"# A model for {card.task}\n",
             f"Made by headstart {headstart.__version__} from `{escaped(card.model)}`.\n", "## Use\n", usage(card)]
    if card.labels:
        shown = ", ".join(f"`{escaped(label)}`" for label in card.labels)
        parts.append(f"## Labels\n\n{shown}\n")
    if card.scores:
        parts += ["## Scores\n", score_table(card)]
    if card.rows:
        parts += ["## Data\n", data_words(card)]
    parts.append("## Limits\n\n" + "\n".join(f"- {line}" for line in limits(card)) + "\n")
    return "\n".join(parts)


def usage(card: Card) -> str:
    """How to load it, here and in plain transformers."""
    lines = ["```", "headstart predict THIS_FOLDER new.csv --to answers.csv", "```", ""]
    if card.task == "text-classification":
        lines += ["```python", "from transformers import AutoModelForSequenceClassification, AutoTokenizer",
                  'model = AutoModelForSequenceClassification.from_pretrained("THIS_FOLDER")',
                  'tokenizer = AutoTokenizer.from_pretrained("THIS_FOLDER")', "```", ""]
    return "\n".join(lines)


def score_table(card: Card) -> str:
    """Scores with intervals, and each baseline's first."""
    lines = ["| rows | score | value | 95 % interval |", "|---|---|---|---|"]
    for split, held in card.scores.items():
        for name, score in held.items():
            if score["value"] is not None:
                span = f"{score['low']:.4f} to {score['high']:.4f}" if score["low"] is not None else ""
                lines.append(f"| {escaped(split)} | {name} | {score['value']:.4f} | {span} |")
    for name, held in card.baselines.items():
        first, score = next(iter(held["scores"].items()))
        if score["value"] is not None:
            lines.append(f"| {escaped(held['split'])}, baseline {escaped(name)} | {first} | {score['value']:.4f} | |")
    return "\n".join(lines) + "\n"


def data_words(card: Card) -> str:
    """How many rows there were, from which files."""
    rows = ", ".join(f"{split} {count:,}" for split, count in card.rows.items())
    files = "".join(f"- `{escaped(str(held['file']))}`, SHA-256 `{held['sha256']}`\n" for held in card.files)
    return f"Rows: {rows}.\n\n{files}"


def limits(card: Card) -> list[str]:
    """What to keep in mind, in honest words."""
    lines = ["The scores hold for rows like those above; on other texts they may be far lower. Measure on your own: "
             "`headstart evaluate THIS_FOLDER labelled.csv`.",
             "What is unfair or wrong in the training rows, or in the pretrained model, is likely in this model too."]
    if card.labels:
        lines.append("It always gives one of its labels, also for a text that fits none.")
    return [*lines, *card.only_headstart]


def plain(task: Task[Any], reference: str, model: Model | None = None) -> str:
    """The card of a model that is saved outside a run."""
    return render(Card(task.name, reference, task.known.labels, only_headstart=only_here(task, model)))


def only_here(task: Task[Any], model: Model | None) -> list[str]:
    """What plain transformers does not do with this model."""
    found = [] if model is None else list(model.only_here)
    if getattr(task.settings, "long_texts", "") == "windows":
        found.append("Long texts are read in windows whose logits are averaged; this happens through headstart only.")
    if model is not None and not model.can_fold and task.shipped()[1] is not None:
        scale, shift = task.shipped()[1] or (1.0, 0.0)
        found.append(f"Its last layer has no bias: plain transformers answers x, and the number meant is {scale:.6g} · x + {shift:.6g}.")
    return found


def escaped(text: str) -> str:
    """Text that is safe in Markdown."""
    flat = " ".join(text.split())
    return "".join("\\" + mark if mark in "\\`*_{}[]<>|#" else mark for mark in flat)
