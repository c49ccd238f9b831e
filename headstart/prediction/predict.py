"""Predictions for any number of rows, in their order, as they come.

N features, C classes.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from random import Random
from typing import TYPE_CHECKING, Any

from headstart.contract import Example, Feature, Prediction, Task
from headstart.data.features.batches import collate
from headstart.data.features.features import Draws

if TYPE_CHECKING:
    from headstart.models.model import Model

WRITTEN = 256  # the same for texts that are written: what an interrupted prediction may have to write again
CHUNK = 2048  # rows whose features are sorted by length together: padding and attention fall, memory stays flat


def predict(task: Task[Any], model: Model, examples: Iterable[Example], *, batch_tokens: int,
            seed: int | None = None) -> Iterator[Prediction]:
    """One prediction an example, in order. The model answers in fp32, so batching changes nothing beyond 1e-5.

    With a seed, a task that draws (masked words) draws as `measured` does, the same each time.
    """
    source = iter(examples)
    draws = Draws(f"{seed}:fixed") if seed is not None and task.draws else None
    while chunk := list(islice(source, WRITTEN if task.writes else CHUNK)):
        yield from predict_chunk(task, model, chunk, batch_tokens, draws)


def drawn_features(task: Task[Any], model: Model, examples: Iterable[Example], seed: int) -> list[list[Feature]]:
    """Each example's features with the draws that `predict` makes with this seed."""
    draws = Draws(f"{seed}:fixed")
    return [task.encode(example, model.tokenizer, draws.of(example)) for example in examples]


def measured(task: Task[Any], model: Model, examples: Sequence[Example], seed: int) -> Sequence[Example]:
    """The examples that a model is measured on: as they are, or composed, the same each time."""
    return task.compose(examples, model.tokenizer, Random(f"{seed}:compose:fixed"))


def predict_chunk(task: Task[Any], model: Model, chunk: Sequence[Example], batch_tokens: int, draws: Draws | None) -> list[Prediction]:
    """Predictions for some examples, features of like length side by side."""
    if task.writes:
        return write_chunk(task, model, chunk)
    features: list[Feature] = []
    owner: list[int] = []
    for index, example in enumerate(chunk):
        made = task.encode(example, model.tokenizer, draws.of(example) if draws is not None else None)
        features += made
        owner += [index] * len(made)
    pieces: list[Any] = [None] * len(features)
    surprise = task.head().loss == "vocabulary"
    flowing, still = streams(features)
    batches = ([still[place] for place in chosen] for chosen in by_length([features[place] for place in still], batch_tokens))
    answers = ((batch, answer(model, [features[place] for place in batch], surprise=surprise)) for batch in batches)
    for batch, outputs in itertools.chain(answers, read_streams(model, features, flowing, batch_tokens, surprise=surprise)):
        for place, output in zip(batch, outputs, strict=True):
            pieces[place] = task.reduce(features[place], output)
    held: list[list[Any]] = [[] for _ in chunk]
    for place, index in enumerate(owner):
        held[index].append(pieces[place])
    return [task.decode(example, mine) for example, mine in zip(chunk, held, strict=True)]


def write_chunk(task: Task[Any], model: Model, chunk: Sequence[Example]) -> list[Prediction]:
    """Predictions of a task that writes; a text in parts may be written for once more, as the task says."""
    pieces = written_pieces(task, model, chunk)
    again = {place: more for place, (example, held) in enumerate(zip(chunk, pieces, strict=True))
             if (more := task.again(example, held)) is not None}
    for place, held in zip(again, written_pieces(task, model, list(again.values())), strict=True):
        pieces[place] = held
    return [task.decode(example, held) for example, held in zip(chunk, pieces, strict=True)]


def written_pieces(task: Task[Any], model: Model, examples: Sequence[Example]) -> list[list[dict[str, Any]]]:
    """Each example's pieces: {"text", "log_probability", "tokens", "ended", "cut"} of each feature."""
    from headstart.generation.dispatch import write
    from headstart.generation.encoder_decoder import settings_of

    features = [task.encode(example, model.tokenizer) for example in examples]
    settings = settings_of(model, task.known.values.get("generation") or {})
    made = iter(write(model, [one for held in features for one in held], settings, seed=0))
    return [[{"text": one.text, "log_probability": sum(one.log_probabilities), "tokens": len(one.ids), "ended": one.ended,
              "cut": feature.cut} for feature in held for one in next(made)[:1]] for held in features]


def by_length(features: Sequence[Feature], batch_tokens: int) -> Iterator[list[int]]:
    """Places of features in batches of like length; a batch holds at most this many tokens, padding included."""
    order = sorted(range(len(features)), key=lambda place: len(features[place]))
    batch: list[int] = []
    for place in order:
        if batch and (len(batch) + 1) * len(features[place]) > batch_tokens:
            yield batch
            batch = []
        batch.append(place)
    if batch:
        yield batch


def streams(features: Sequence[Feature]) -> tuple[list[list[int]], list[int]]:
    """Places of features that go on from one another, stream by stream, longest first; and the places of all others."""
    held: dict[Any, list[int]] = {}
    for place, feature in enumerate(features):
        held.setdefault(place if feature.stream is None else (feature.stream,), []).append(place)
    flowing = sorted((places for places in held.values() if len(places) > 1), key=len, reverse=True)
    return flowing, [places[0] for places in held.values() if len(places) == 1]


def read_streams(model: Model, features: Sequence[Feature], flowing: Sequence[Sequence[int]], batch_tokens: int, *,
                 surprise: bool) -> Iterator[tuple[list[int], list[dict[str, Any]]]]:
    """Outputs of streams, several side by side, piece after piece; the model carries its memory from each to the next."""
    longest = max((len(features[place]) for places in flowing for place in places), default=1)
    size = max(1, batch_tokens // longest)
    for begin in range(0, len(flowing), size):
        group = flowing[begin:begin + size]
        model.carries, model.memory = True, None
        try:
            for step in range(len(group[0])):
                batch = [places[step] for places in group if step < len(places)]  # those that end first stand last
                if model.memory is not None:
                    model.memory = [memory[:, :len(batch)] for memory in model.memory]
                yield batch, answer(model, [features[place] for place in batch], surprise=surprise)
        finally:
            model.carries, model.memory = False, None


def answer(model: Model, features: Sequence[Feature], *, surprise: bool = False) -> list[dict[str, Any]]:
    """The model's outputs for each of some features, as arrays by name; with `surprise`, that of the targets alone."""
    import torch

    model.module.eval()
    batch = collate(features, model.layout(packed=model.can_pack))
    with torch.inference_mode():
        outputs = model.surprises(batch) if surprise else model.forward(batch)
    return model.parted(batch, {name: values.float().cpu().numpy() for name, values in outputs.items()})


def pooled_states(task: Task[Any], model: Model, examples: Iterable[Example], *, batch_tokens: int) -> Any:
    """The mean token state of each example's first feature from the backbone as it is, (M, W).

    Of a joint head the first two (question and passage), side by side: (M, 2W).
    """
    import numpy as np
    import torch

    model.module.eval()
    many = 2 if task.head().joint else 1
    features = [feature for example in examples for feature in task.encode(example, model.tokenizer)[:many]]
    states: list[Any] = [None] * len(features)
    for batch in by_length(features, batch_tokens):
        with torch.inference_mode():
            layout = model.layout(packed=model.can_pack)
            rows = model.pooled(collate([features[place] for place in batch], layout)).float().cpu().numpy()
        for place, row in zip(batch, rows, strict=True):
            states[place] = row
    return np.asarray(states, dtype=np.float32).reshape(len(features) // many, -1)
