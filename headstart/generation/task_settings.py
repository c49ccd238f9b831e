"""What a task that writes learns of its model: what stands before a source, how long a text may get, how it is written."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from headstart.contract import Json, Learned, Task
from headstart.data.features.features import Features
from headstart.errors import Exit, UserError
from headstart.generation import decoding_strategies
from headstart.models.model import Model
from headstart.progress import Voice
from headstart.settings import Generation

COVER = 0.995  # share of the training targets that must fit whole
STEP = 8


def prefixed(task: Task[Any], model: Model, voice: Voice) -> Task[Any]:
    """The task with the text that the model's config wants before each source."""
    from headstart.tasks.shared.sequence_to_sequence import AUTO, prefix_in

    if not task.writes or getattr(task.settings, "prefix", None) != AUTO:
        return task
    prefix = prefix_in(model.facts.config, task.name)
    if prefix:
        voice.say(f"before each source stands {prefix!r}, as the model's config names it")
    return task.knowing(Learned(task.known.labels, task.known.counts, dict(task.known.values) | {"prefix": prefix}))


def lengthened(task: Task[Any], model: Model, features: Features, generation: Generation, voice: Voice) -> Task[Any]:
    """The task with the settings that its texts are written by: the user's, with a length that training targets need."""
    from headstart.generation.encoder_decoder import check_length

    if not task.writes:
        return task
    decoding_strategies.check(model.facts, generation)
    chosen = generation
    cut = sum("target_cut" in features[place].info for place in range(len(features)))
    if cut:
        voice.say(f"{cut:,} of {len(features):,} training targets are longer than what is learned of them; their ends are left out")
    if generation.new_tokens != Generation().new_tokens:
        check_length(model, generation.new_tokens)
    else:
        sizes = np.asarray([len(features[place].targets["label"].value) for place in range(len(features))])
        size = int(-(-int(np.quantile(sizes, COVER, method="higher")) // STEP) * STEP)
        chosen = dataclasses.replace(generation, new_tokens=size)
        voice.say(f"texts are written up to {size} tokens: {COVER:.1%} of the training targets fit "
                  f"(half have at most {int(np.median(sizes))})")
    changed = {name: value for name, value in vars(chosen).items() if value != getattr(Generation(), name)}
    return task.knowing(Learned(task.known.labels, task.known.counts, dict(task.known.values) | {"generation": changed}))


def chosen(task: Task[Any], model: Model, values: Mapping[str, Any]) -> Generation:
    """The settings that a model writes by, with some changed (`generation.beams`: 4); raises UserError (2, 78)."""
    from headstart import settings
    from headstart.generation.encoder_decoder import check_length, settings_of

    if not task.writes:
        raise UserError(f"{task.name} does not write: there is nothing that {next(iter(values))} could change.", fix="Leave it out.")
    checked = settings.build(dict(values))["generation"]
    names = [key.removeprefix("generation.") for key in values]
    held = settings_of(model, task.known.values.get("generation") or {})
    if foreign := [name for name in names if name in ("chat", "passage", "language", "control_code") and getattr(checked, name)]:
        raise UserError(f"generation.{foreign[0]} is for models that go on with a text; {model.facts.reference} writes a text for a text.",
                        fix="Leave it out." + (" Languages are data.language and data.target_language." if "language" in foreign else ""),
                        exit=Exit.SETTINGS)
    if "new_tokens" in names:
        check_length(model, checked.new_tokens)
    alone = {"beams": 1, "answers": 1} if checked.contrast else {}  # a model's own beams do not stand in the way of contrast
    made = dataclasses.replace(held, **alone | {name: getattr(checked, name) for name in names})
    decoding_strategies.check(model.facts, made)
    return made


def written_for(task: Task[Any], model: Model, sources: Sequence[str], given: Generation | None, more: Mapping[str, Any], *,
                seed: int, stop: Sequence[str] = ()) -> list[dict[str, Json]]:
    """What an encoder-decoder writes for each source, in the form of Model.generate; by the model's own settings unless changed."""
    from headstart.generation.encoder_decoder import rewrite, settings_of, until

    changed = {f"generation.{name}": value for name, value in more.items()}
    if given is not None:
        changed = {f"generation.{name}": value for name, value in vars(given).items() if value != getattr(Generation(), name)} | changed
    held = chosen(task, model, changed) if changed else settings_of(model, task.known.values.get("generation") or {})
    prefix, tokenizer = str(task.known.values.get("prefix", "")), model.tokenizer
    rows = [list(tokenizer.tokenize(prefix + source).ids) for source in sources]
    room = tokenizer.room(1)
    made = rewrite(model, [tokenizer.lay_out(ids[:room])[0] for ids in rows], held, seed=seed)
    return [{"prompt": source, "prediction": one.text, "log_probability": sum(one.log_probabilities),
             "tokens": [{"token": piece, "log_probability": value} for piece, value in
                        zip(tokenizer.pieces(one.ids), one.log_probabilities, strict=True)],
             "ended": one.ended, "cut_tokens": max(0, len(ids) - room)}
            for source, ids, texts in zip(sources, rows, made, strict=True) for one in (until(model, text, stop) for text in texts)]
