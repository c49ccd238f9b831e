"""What a language model writes after training, for the report: samples, how often it ends, repeats itself and copies.

M texts.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from headstart.contract import Example, Figure, Json, Task
from headstart.errors import UserError
from headstart.generation.generate import Written, generate
from headstart.metrics.writing import DEFINITIONS, measures, ngram_hashes
from headstart.progress import Voice
from headstart.settings import Generation

if TYPE_CHECKING:
    from headstart.models.model import Model

MOST_TRAINING = 20_000  # training rows whose n-grams are kept to find copies
SHOWN = ("distinct_1", "distinct_2", "repetition", "training_overlap")


def written(task: Task[Any], model: Model, examples: Sequence[Example], training: Sequence[Example], settings: Generation, *,
            count: int, seed: int, voice: Voice) -> tuple[dict[str, Json], list[Figure]]:
    """Numbers for scores.json and figures about texts written after the openings of `count` rows; ({}, []) for none."""
    openings = [found for example in spread(examples, count) if (found := task.opening(example, model.tokenizer)) is not None]
    if not openings or not model.facts.row.heads[model.head].continues:
        return {}, []
    voice.say(f"writing {len(openings)} samples of at most {settings.new_tokens} tokens")
    settings = dataclasses.replace(settings, answers=1, chat=False, control_code=settings.control_code or "none")
    try:
        texts = [one[0] for one in generate(model, [before for before, _ in openings], settings, seed=seed)]
    except UserError as error:
        voice.say(f"no samples: {error.message}")
        return {}, []
    known = ngram_hashes(task.subject(example) for example in spread(training, MOST_TRAINING))
    rows = [described("the model", [one.text for one in texts], known) |
            {"ended": sum(one.ended == "end" for one in texts) / len(texts), "tokens": mean([float(len(one.ids)) for one in texts])},
            described("the data", [after for _, after in openings], known)]
    return {"writing": rows}, [compared(rows, settings), shown(openings, texts)]


def spread(examples: Sequence[Example], count: int) -> list[Example]:
    """So many examples, evenly from the first to the last."""
    total = len(examples)
    return [examples[place * total // min(count, total)] for place in range(min(count, total))]


def described(name: str, texts: Sequence[str], known: Any) -> dict[str, Json]:
    """The means of what texts are like; None where it has no meaning for any."""
    each = [measures(text, known=known) for text in texts]
    return {"texts": name, **{key: mean([one[key] for one in each]) for key in SHOWN}}


def mean(values: Sequence[float]) -> float | None:
    """The mean of the values that are numbers."""
    real = [value for value in values if value == value]
    return sum(real) / len(real) if real else None


def compared(rows: Sequence[dict[str, Json]], settings: Generation) -> Figure:
    """A row for the model, a row for how the same texts go on in the data."""
    columns = ["texts", "ended", "tokens", *SHOWN]
    how = f"drawn at temperature {settings.temperature:g}" if settings.sample else "the likeliest token each time"
    caption = (f"ended: share that the model closed by itself within {settings.new_tokens} tokens ({how}). "
               + " ".join(f"{name}: {DEFINITIONS[name]}." for name in SHOWN))
    return Figure("writing", "What it writes, beside how the texts go on in the data", "table",
                  {"columns": columns, "rows": [[row.get(name) for name in columns] for row in rows]}, caption)


def shown(openings: Sequence[tuple[str, str]], texts: Sequence[Written]) -> Figure:
    """Every sample with its opening, and the data's own."""
    items = [{"text": f"{before.rstrip()} ▸ {one.text.strip()}", "title": f"sample {number}",
              "fields": {"the data goes on": after[:300], "ended": one.ended,
                         "mean log-probability of a token": sum(one.log_probabilities) / max(1, len(one.log_probabilities))}}
             for number, ((before, after), one) in enumerate(zip(openings, texts, strict=True), 1)]
    return Figure("samples", "Samples", "texts", {"items": items}, "The text before ▸ is from the data, what follows is written.")
