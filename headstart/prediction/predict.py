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
from headstart.data.features.features import ExampleRandom
from headstart.generation.dispatch import generate_for_features
from headstart.generation.encoder_decoder import generation_settings

if TYPE_CHECKING:
    from headstart.models.model import Model

GENERATION_CHUNK = 256  # rows that are generated together: what an interrupted prediction may have to generate again
# rows whose features are sorted by length together: padding and attention fall, memory stays flat
PREDICTION_CHUNK = 2048


def predict(task: Task[Any], model: Model, examples: Iterable[Example], *, batch_tokens: int,
            seed: int | None = None) -> Iterator[Prediction]:
    """One prediction an example, in order. The model answers in fp32, so batching changes nothing beyond 1e-5.

    With a seed, a task with random encoding (masked words) encodes the same each time.
    """
    source = iter(examples)
    random = ExampleRandom(f"{seed}:fixed") if seed is not None and task.random_encoding else None
    while chunk := list(islice(source, GENERATION_CHUNK if task.generative else PREDICTION_CHUNK)):
        yield from predict_chunk(task, model, chunk, batch_tokens, random)


def random_features(task: Task[Any], model: Model, examples: Iterable[Example], seed: int) -> list[list[Feature]]:
    """Each example's features, encoded with the random numbers that `predict` uses with this seed."""
    random = ExampleRandom(f"{seed}:fixed")
    return [task.encode(example, model.tokenizer, random.for_example(example)) for example in examples]


def compose(task: Task[Any], model: Model, examples: Sequence[Example], seed: int) -> Sequence[Example]:
    """The examples that a model is evaluated on: as they are, or composed, the same each time."""
    return task.compose(examples, model.tokenizer, Random(f"{seed}:compose:fixed"))


def predict_chunk(task: Task[Any], model: Model, chunk: Sequence[Example], batch_tokens: int,
                  random: ExampleRandom | None) -> list[Prediction]:
    """Predictions for some examples, features of similar length side by side."""
    if task.generative:
        return generate_chunk(task, model, chunk)
    features: list[Feature] = []
    example_indices: list[int] = []
    for index, example in enumerate(chunk):
        example_features = task.encode(example, model.tokenizer,
                                       random.for_example(example) if random is not None else None)
        features += example_features
        example_indices += [index] * len(example_features)
    reduced: list[Any] = [None] * len(features)
    surprisals = task.head().loss == "vocabulary"
    stream_positions, single_positions = split_streams(features)
    batches = ([single_positions[index] for index in batch]
               for batch in length_batches([features[position] for position in single_positions], batch_tokens))
    single_outputs = ((batch, feature_outputs(model, [features[position] for position in batch], surprisals=surprisals))
                      for batch in batches)
    streamed_outputs = stream_outputs(model, features, stream_positions, batch_tokens, surprisals=surprisals)
    for batch, outputs in itertools.chain(single_outputs, streamed_outputs):
        for position, output in zip(batch, outputs, strict=True):
            reduced[position] = task.reduce(features[position], output)
    outputs_by_example: list[list[Any]] = [[] for _ in chunk]
    for position, index in enumerate(example_indices):
        outputs_by_example[index].append(reduced[position])
    return [task.decode(example, example_outputs) for example, example_outputs in zip(chunk, outputs_by_example,
                                                                                      strict=True)]


def generate_chunk(task: Task[Any], model: Model, chunk: Sequence[Example]) -> list[Prediction]:
    """Predictions of a generative task; a text read in parts may get a second pass, as the task says."""
    pieces = generated_pieces(task, model, chunk)
    second_examples = {index: second_example for index, (example,
                                                         example_pieces) in enumerate(zip(chunk, pieces, strict=True))
                       if (second_example := task.second_pass(example, example_pieces)) is not None}
    for index, example_pieces in zip(second_examples, generated_pieces(task, model, list(second_examples.values())),
                                     strict=True):
        pieces[index] = example_pieces
    return [task.decode(example, example_pieces) for example, example_pieces in zip(chunk, pieces, strict=True)]


def generated_pieces(task: Task[Any], model: Model, examples: Sequence[Example]) -> list[list[dict[str, Any]]]:
    """Each example's pieces: {"text", "log_probability", "tokens", "ended", "cut"} of each feature."""
    features = [task.encode(example, model.tokenizer) for example in examples]
    settings = generation_settings(model, task.learned.values.get("generation") or {})
    flat_features = [feature for example_features in features for feature in example_features]
    generations = iter(generate_for_features(model, flat_features, settings, seed=0))
    return [[{"text": generation.text, "log_probability": sum(generation.log_probabilities),
              "tokens": len(generation.ids), "ended": generation.finish_reason, "cut": feature.truncated_tokens}
             for feature in example_features for generation in next(generations)[:1]] for example_features in features]


def length_batches(features: Sequence[Feature], batch_tokens: int) -> Iterator[list[int]]:
    """Positions of features in batches of similar length; a batch holds at most this many tokens, padding included."""
    order = sorted(range(len(features)), key=lambda position: len(features[position]))
    batch: list[int] = []
    for position in order:
        if batch and (len(batch) + 1) * len(features[position]) > batch_tokens:
            yield batch
            batch = []
        batch.append(position)
    if batch:
        yield batch


def split_streams(features: Sequence[Feature]) -> tuple[list[list[int]], list[int]]:
    """Positions of features that continue one another, stream by stream, longest first; and the positions of all
    others.
    """
    positions_by_stream: dict[Any, list[int]] = {}
    for position, feature in enumerate(features):
        positions_by_stream.setdefault(position if feature.stream is None else (feature.stream,), []).append(position)
    stream_positions = sorted((positions for positions in positions_by_stream.values() if len(positions) > 1), key=len,
                              reverse=True)
    return stream_positions, [positions[0] for positions in positions_by_stream.values() if len(positions) == 1]


def stream_outputs(model: Model, features: Sequence[Feature], stream_positions: Sequence[Sequence[int]],
                   batch_tokens: int, *, surprisals: bool) -> Iterator[tuple[list[int], list[dict[str, Any]]]]:
    """Outputs of streams, several side by side, piece after piece; the model carries its memory from each to the next.
    """
    longest = max((len(features[position]) for positions in stream_positions for position in positions), default=1)
    size = max(1, batch_tokens // longest)
    for start in range(0, len(stream_positions), size):
        group = stream_positions[start:start + size]
        model.carries_memory, model.memory = True, None
        try:
            for step in range(len(group[0])):
                # those that end first stand last
                batch = [positions[step] for positions in group if step < len(positions)]
                if model.memory is not None:
                    model.memory = [memory[:, :len(batch)] for memory in model.memory]
                yield batch, feature_outputs(model, [features[position] for position in batch], surprisals=surprisals)
        finally:
            model.carries_memory, model.memory = False, None


def feature_outputs(model: Model, features: Sequence[Feature], *, surprisals: bool = False) -> list[dict[str, Any]]:
    """The model's outputs for each of some features, as arrays by name; with `surprisals`, those of the targets alone.
    """
    import torch

    model.module.eval()
    batch = collate(features, model.layout(packed=model.can_pack))
    with torch.inference_mode():
        outputs = model.surprisals(batch) if surprisals else model.forward(batch)
    return model.split_outputs(batch, {name: values.float().cpu().numpy() for name, values in outputs.items()})


def pooled_states(task: Task[Any], model: Model, examples: Iterable[Example], *, batch_tokens: int) -> Any:
    """The mean token state of each example's first feature from the backbone as it is, (M, W).

    Of a joint head the first two (question and passage), side by side: (M, 2W).
    """
    import numpy as np
    import torch

    model.module.eval()
    per_example = 2 if task.head().joint else 1
    features = [feature for example in examples for feature in task.encode(example, model.tokenizer)[:per_example]]
    states: list[Any] = [None] * len(features)
    for batch in length_batches(features, batch_tokens):
        with torch.inference_mode():
            layout = model.layout(packed=model.can_pack)
            vectors = model.pooled(collate([features[position] for position in batch], layout)).float().cpu().numpy()
        for position, vector in zip(batch, vectors, strict=True):
            states[position] = vector
    return np.asarray(states, dtype=np.float32).reshape(len(features) // per_example, -1)
