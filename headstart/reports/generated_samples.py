"""Texts that a language model generates after training, for the report: samples, how often it ends, repeats and copies.

M texts.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from headstart.contract import Example, Figure, Json, SamplePrompt, Task
from headstart.errors import UserError
from headstart.generation.generate import GeneratedText, check_prompts, continue_prompts
from headstart.generation.prompts import encode_prompt, fit_prompt
from headstart.metrics.text_quality import DEFINITIONS, measures, ngram_hashes
from headstart.progress import Reporter
from headstart.settings import Generation

if TYPE_CHECKING:
    from headstart.models.model import Model

MAX_TRAINING_ROWS = 20_000  # training rows whose n-grams are kept to find copies
MEASURES = ("distinct_1", "distinct_2", "repetition", "training_overlap")


def generate_samples(task: Task[Any], model: Model, examples: Sequence[Example], training: Sequence[Example],
                     settings: Generation, *,
                     count: int, seed: int, reporter: Reporter) -> tuple[dict[str, Json], list[Figure]]:
    """Numbers for scores.json and figures about texts generated after prompts from `count` rows; ({}, []) for none."""
    candidates = (task.sample_prompt(example, model.tokenizer) for example in evenly_spaced(examples, count))
    prompts = [prompt for prompt in candidates if prompt is not None]
    if not prompts or not model.info.family.heads[model.head].causal:
        return {}, []
    reporter.info(f"generating {len(prompts)} samples of at most {settings.max_new_tokens} tokens")
    settings = dataclasses.replace(settings, num_return_sequences=1, layout="raw",
                                   control_code=settings.control_code or "none")
    try:
        check_prompts(model, [prompt.text for prompt in prompts], settings)
        encoded = [encode_prompt(model, prompt.text, settings) if prompt.ids is None
                   else fit_prompt(model, prompt.ids, settings) for prompt in prompts]
        texts = [generations[0] for generations in continue_prompts(model, encoded, settings, seed=seed)]
    except UserError as error:
        reporter.info(f"no samples: {error.message}")
        return {}, []
    training_hashes = ngram_hashes(task.dedup_key(example) for example in evenly_spaced(training, MAX_TRAINING_ROWS))
    rows = [mean_measures("the model", [generated.text for generated in texts], training_hashes) |
            {"ended": sum(generated.finish_reason == "end" for generated in texts) / len(texts),
             "tokens": mean([float(len(generated.ids)) for generated in texts])},
            mean_measures("the data", [prompt.continuation for prompt in prompts], training_hashes)]
    return {"writing": rows}, [comparison_figure(rows, settings), samples_figure(prompts, texts)]


def evenly_spaced(examples: Sequence[Example], count: int) -> list[Example]:
    """So many examples, evenly from the first to the last."""
    total = len(examples)
    return [examples[index * total // min(count, total)] for index in range(min(count, total))]


def mean_measures(name: str, texts: Sequence[str], training_hashes: Any) -> dict[str, Json]:
    """The means of texts' measures; None for a measure that is undefined for all of them."""
    all_measures = [measures(text, training_hashes=training_hashes) for text in texts]
    return {"texts": name, **{key: mean([text_measures[key] for text_measures in all_measures]) for key in MEASURES}}


def mean(values: Sequence[float]) -> float | None:
    """The mean of the values that are numbers."""
    numbers = [value for value in values if value == value]
    return sum(numbers) / len(numbers) if numbers else None


def comparison_figure(rows: Sequence[dict[str, Json]], settings: Generation) -> Figure:
    """A row for the model, a row for the continuations of the same prompts in the data."""
    columns = ["texts", "ended", "tokens", *MEASURES]
    decoding = f"sampled at temperature {settings.temperature:g}" if settings.do_sample else "greedy decoding"
    caption = (f"ended: share that the model ended itself within {settings.max_new_tokens} tokens ({decoding}). "
               + " ".join(f"{name}: {DEFINITIONS[name]}." for name in MEASURES))
    return Figure("writing", "Generated texts and the continuations in the data", "table",
                  {"columns": columns, "rows": [[row.get(name) for name in columns] for row in rows]}, caption)


def samples_figure(prompts: Sequence[SamplePrompt], texts: Sequence[GeneratedText]) -> Figure:
    """Every sample with its prompt, and the continuation in the data."""
    items = [{"text": f"{prompt.text.rstrip()} ▸ {generated.text.strip()}", "title": f"sample {number}",
              "fields": {"continuation in the data": prompt.continuation[:300], "ended": generated.finish_reason,
                         "mean log-probability of a token": sum(generated.log_probabilities)
                         / max(1, len(generated.log_probabilities))}}
             for number, (prompt, generated) in enumerate(zip(prompts, texts, strict=True), 1)]
    return Figure("samples", "Samples", "texts", {"items": items},
                  "The text before ▸ is from the data, what follows is generated.")
