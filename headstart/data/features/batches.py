"""Features as batches: padded or packed, and in which order; a pure function of (seed, epoch).

Shapes: N features, B rows, S tokens of a row.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from headstart.contract import Batch, Feature, Kind, Layout, TargetLevel

if TYPE_CHECKING:
    from headstart.contract import Ints
    from headstart.data.features.features import Features
    from headstart.settings import Training

CHUNK_BATCHES = 50  # batches whose examples are sorted by length together: order stays random on the scale of a chunk
IGNORE_INDEX = -100  # a token or row without a target


def collate(features: Sequence[Feature], layout: Layout) -> Batch:
    """Features as one batch: packed end to end in one row, or one a row with padding on the layout's side."""
    lengths = [len(feature) for feature in features]
    if layout.packed:
        shape = (1, sum(lengths))
        starts = np.concatenate([[0], np.cumsum(lengths)[:-1]]).astype(np.int64)
        rows = np.zeros(len(features), dtype=np.int64)
    else:
        shape = (len(features), max(lengths))
        rows = np.arange(len(features), dtype=np.int64)
        left_padded = layout.side == "left"
        starts = np.asarray([shape[1] - length if left_padded else 0 for length in lengths], dtype=np.int64)
    segments = np.stack([rows, starts, starts + lengths], axis=1)
    ids = np.full(shape, layout.pad_id, dtype=np.int64)
    types = np.zeros(shape, dtype=np.int64)
    for feature, (row, start, end) in zip(features, segments.tolist(), strict=True):
        ids[row, start:end] = feature.ids
        if feature.types is not None:
            types[row, start:end] = feature.types
    targets = {name: gather_target(name, features) for name in target_names(features)}
    weights = np.asarray([feature.weight for feature in features], dtype=np.float64)
    group_ids: dict[Any, int] = {}
    groups = [group_ids.setdefault((feature.group,) if feature.group is not None else index, len(group_ids))
              for index, feature in enumerate(features)]
    label_positions = [np.arange(len(feature)) if feature.label_positions is None
                       else np.asarray(feature.label_positions, dtype=np.int64)
                       for feature in features]
    feature_starts = np.concatenate([[0], np.cumsum(lengths)[:-1]]).astype(np.int64)
    batch_label_positions = np.concatenate([positions + start
                                            for positions, start in zip(label_positions, feature_starts, strict=True)])
    label_counts = np.asarray([len(positions) for positions in label_positions], dtype=np.int64)
    return Batch(ids, types, segments, targets, weights, np.asarray(groups, dtype=np.int64),
                 batch_label_positions.astype(np.int64),
                 label_counts, {name: target_level(name, features) for name in targets})


def split_target(batch: Batch, name: str) -> Sequence[Any]:
    """A target of each feature of a batch: a number, or one for each of its tokens, or for each of its label positions.
    """
    values = batch.targets[name]
    if batch.target_levels[name] == "feature":
        return list(values)
    return np.split(values, np.cumsum(batch.lengths if batch.target_levels[name] == "token"
                                      else batch.label_counts)[:-1])


def target_names(features: Sequence[Feature]) -> list[str]:
    """Every target that some feature has, in order."""
    return list(dict.fromkeys(name for feature in features for name in feature.targets))


def target_level(name: str, features: Sequence[Feature]) -> TargetLevel:
    """What a target belongs to: the feature, each token, or each label position."""
    return next(feature.targets[name].level for feature in features if name in feature.targets)


def gather_target(name: str, features: Sequence[Feature]) -> Any:
    """One target of all features: (N, …) per feature; one after the other per token and per label position."""
    level = target_level(name, features)
    if level == "feature":
        example_value = next(feature.targets[name].value for feature in features if name in feature.targets)
        ignored = np.full_like(np.asarray(example_value), IGNORE_INDEX)
        return np.asarray([feature.targets[name].value if name in feature.targets else ignored for feature in features])
    values = []
    for feature in features:
        size = len(feature) if level == "token" or feature.label_positions is None else len(feature.label_positions)
        value = feature.targets[name].value if name in feature.targets else np.full(size, IGNORE_INDEX)
        assert len(value) == size, f"{len(value)} targets {name!r} for {size} tokens"
        values.append(np.asarray(value, dtype=np.int64))
    return np.concatenate(values)


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


def plan_batches(lengths: Ints, *, batch_size: int, seed: int, epoch: int, bucketed: bool,
                 target_lengths: Ints | None = None,
                 batch_tokens: int | None = None, in_order: bool = False) -> list[Ints]:
    """The steps of an epoch: arrays of example indices, every example once.

    In order: as they stand. Not bucketed: a plain shuffle. Bucketed: within chunks of 50 batches examples are sorted by
    length (of equal ones by `target_lengths`), then batches are shuffled, the one with the longest example
    first so that too little memory shows at once. With `batch_tokens`, a batch holds as many examples as this budget
    instead of `batch_size`.
    """
    rng = np.random.default_rng([seed, epoch])
    order = np.arange(len(lengths)) if in_order else rng.permutation(len(lengths))
    written_lengths = np.zeros_like(lengths) if target_lengths is None else target_lengths

    def split_chunk(chunk: Ints) -> list[Ints]:
        if batch_tokens is not None:
            return batches_within_budget(chunk, lengths, written_lengths, batch_tokens, padded=bucketed)
        return [chunk[start:start + batch_size] for start in range(0, len(chunk), batch_size)]

    if not bucketed or in_order:
        return split_chunk(order)
    batches: list[Ints] = []
    mean = float((lengths + written_lengths).mean()) if len(lengths) else 1.0
    chunk_size = CHUNK_BATCHES * (batch_size if batch_tokens is None else max(1, int(batch_tokens / max(1.0, mean))))
    for chunk_start in range(0, len(order), chunk_size):
        chunk = order[chunk_start:chunk_start + chunk_size]
        batches += split_chunk(chunk[np.lexsort((-written_lengths[chunk], -lengths[chunk]))])
    shuffled = [batches[index] for index in rng.permutation(len(batches))]
    longest = max(range(len(shuffled)), key=lambda batch: lengths[shuffled[batch]].max(), default=0)
    shuffled[:1], shuffled[longest:longest + 1] = shuffled[longest:longest + 1], shuffled[:1]
    return shuffled


def epoch_batches(kind: Kind, features: Features, training: Training, seed: int, epoch: int, *, packed: bool,
                  in_order: bool = False) -> list[Ints]:
    """The steps of an epoch of these features under the training settings."""
    target_lengths = features.label_counts if kind == "encoder-decoder" else None
    return plan_batches(features.example_lengths, batch_size=training.examples_per_step, seed=seed, epoch=epoch,
                        bucketed=not packed,
                        target_lengths=target_lengths, batch_tokens=training.batch_tokens, in_order=in_order)


def example_costs(kind: Kind, features: Features) -> Ints:
    """Tokens that each example takes in the model: what is read, and what an encoder-decoder writes."""
    return features.example_lengths + features.label_counts if kind == "encoder-decoder" else features.example_lengths


def batches_within_budget(order: Ints, lengths: Ints, target_lengths: Ints, batch_tokens: int, *,
                          padded: bool) -> list[Ints]:
    """Consecutive examples whose tokens fit a budget, padding included: rows x (longest source + longest text to
    write).

    An example that is longer by itself is a batch of its own.
    """
    batches, start, longest_source, longest_target, packed_tokens = [], 0, 0, 0, 0
    for position, example in enumerate(order.tolist()):
        source, target = int(lengths[example]), int(target_lengths[example])
        longest_source, longest_target = max(longest_source, source), max(longest_target, target)
        packed_tokens += source + target
        padded_tokens = (position - start + 1) * (longest_source + longest_target)
        if position > start and (padded_tokens if padded else packed_tokens) > batch_tokens:
            batches.append(order[start:position])
            start, longest_source, longest_target = position, source, target
            packed_tokens = longest_source + longest_target
    return [*batches, order[start:]] if len(order) else []


def micro_batches(step: Ints, lengths: Ints, size: int) -> list[Ints]:
    """A step as micro-batches of at most `size` examples, longest first, examples of similar length together."""
    if len(step) <= size:
        return [step]
    order = step[np.argsort(-lengths[step], kind="stable")]
    return [order[start:start + size] for start in range(0, len(order), size)]


def shared_micro_batches(step: Ints, lengths: Ints, size: int, shares: int) -> list[Ints]:
    """A step dealt into shares of about equal length, each as micro-batches of at most `size` examples.

    Sorted by length, examples are dealt out forwards and backwards; the micro-batches of share s are s, s + shares …:
        lengths 9 8 7 6 5    2 shares    [9 6 5] [8 7]    size 2    [9 6] [8 7] [5]
    """
    if shares == 1 or len(step) == 1:
        return micro_batches(step, lengths, size)
    order, count = step[np.argsort(-lengths[step], kind="stable")], min(shares, len(step))
    rounds, places = np.divmod(np.arange(len(order)), count)
    dealt_to = np.where(rounds % 2 == 0, places, count - 1 - places)
    parts = sorted((order[dealt_to == share] for share in range(count)), key=len, reverse=True)
    return [part[start:start + size] for start in range(0, len(parts[0]), size) for part in parts if start < len(part)]


def fitting_micro_batch_size(step: Ints, lengths: Ints, size: int, max_tokens: int) -> int:
    """The most examples, at most `size`, whose longest micro-batch holds at most this many tokens (one may hold more).
    """
    descending = np.sort(lengths[step])[::-1]
    while size > 1 and descending[:size].sum() > max_tokens:
        size = -(-size // 2)
    return size


def choose_batcher(requested: str, *, can_pack: bool) -> tuple[str, str]:
    """"packed" or "bucketed", and why; by rule, never by stopwatch.

    Packing wins on every machine and length measured for encoders that can: no padding at all, in plain random order
    (MiniLM on BANKING77, 2 cores, bf16: about 1.5 times the tokens per second of padding by length). Decoders of
    GPT-2's and Llama's form are as quick packed as sorted by length without a gap (0.8 to 1.5 times, 1 core, fp32). A
    T5 reads and writes 1.27 times as quickly (FLAN-T5 small on SciTLDR, 1 core, fp32): the lengths of targets differ
    within a batch.
    """
    if requested == "packed" and not can_pack:
        return "bucketed", "this model cannot pack in this run"
    if requested != "auto":
        return requested, "you chose it"
    if can_pack:
        return "packed", "this model can put several examples in one row: no padding"
    return "bucketed", "this model cannot pack in this run; examples of similar length share a batch"
