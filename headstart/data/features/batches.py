"""Features side by side: padded or packed, and in which order; a pure function of (seed, epoch).

Shapes: N features, B rows, S tokens of a row.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from headstart.contract import Batch, Feature, Kind, Layout, Per

if TYPE_CHECKING:
    from headstart.contract import Ints
    from headstart.data.features.features import Features
    from headstart.settings import Training

CHUNK = 50  # batches whose examples are sorted by length together: order stays random on the scale of a chunk
NONE = -100  # a token or row without a target


def collate(features: Sequence[Feature], layout: Layout) -> Batch:
    """Features as one batch: packed end to end in one row, or one a row with padding on the layout's side."""
    lengths = [len(feature) for feature in features]
    if layout.packed:
        shape = (1, sum(lengths))
        begins = np.concatenate([[0], np.cumsum(lengths)[:-1]]).astype(np.int64)
        rows = np.zeros(len(features), dtype=np.int64)
    else:
        shape = (len(features), max(lengths))
        rows = np.arange(len(features), dtype=np.int64)
        left = layout.side == "left"
        begins = np.asarray([shape[1] - length if left else 0 for length in lengths], dtype=np.int64)
    segments = np.stack([rows, begins, begins + lengths], axis=1)
    ids = np.full(shape, layout.pad_id, dtype=np.int64)
    types = np.zeros(shape, dtype=np.int64)
    for feature, (row, begin, end) in zip(features, segments.tolist(), strict=True):
        ids[row, begin:end] = feature.ids
        if feature.types is not None:
            types[row, begin:end] = feature.types
    targets = {name: gathered(name, features) for name in target_names(features)}
    weights = np.asarray([feature.weight for feature in features], dtype=np.float64)
    numbers: dict[Any, int] = {}
    groups = [numbers.setdefault((feature.group,) if feature.group is not None else place, len(numbers))
              for place, feature in enumerate(features)]
    places = [np.arange(len(feature)) if feature.asks is None else np.asarray(feature.asks, dtype=np.int64) for feature in features]
    before = np.concatenate([[0], np.cumsum(lengths)[:-1]]).astype(np.int64)
    asks = np.concatenate([held + begin for held, begin in zip(places, before, strict=True)])
    return Batch(ids, types, segments, targets, weights, np.asarray(groups, dtype=np.int64), asks.astype(np.int64),
                 np.asarray([len(held) for held in places], dtype=np.int64), {name: per_of(name, features) for name in targets})


def parted(batch: Batch, name: str) -> Sequence[Any]:
    """A target of each feature of a batch: a number, or one for each of its tokens, or for each that is asked for."""
    values = batch.targets[name]
    if batch.per[name] == "feature":
        return list(values)
    return np.split(values, np.cumsum(batch.lengths if batch.per[name] == "token" else batch.asked)[:-1])


def target_names(features: Sequence[Feature]) -> list[str]:
    """Every target that some feature has, in order."""
    return list(dict.fromkeys(name for feature in features for name in feature.targets))


def per_of(name: str, features: Sequence[Feature]) -> Per:
    """What a target belongs to."""
    return next(feature.targets[name].per for feature in features if name in feature.targets)


def gathered(name: str, features: Sequence[Feature]) -> Any:
    """One target of all features: (N, …) per feature; one after the other per token and per asked token."""
    per = per_of(name, features)
    if per == "feature":
        like = next(feature.targets[name].value for feature in features if name in feature.targets)
        none = np.full_like(np.asarray(like), NONE)
        return np.asarray([feature.targets[name].value if name in feature.targets else none for feature in features])
    parts = []
    for feature in features:
        size = len(feature) if per == "token" or feature.asks is None else len(feature.asks)
        value = feature.targets[name].value if name in feature.targets else np.full(size, NONE)
        assert len(value) == size, f"{len(value)} targets {name!r} for {size} tokens"
        parts.append(np.asarray(value, dtype=np.int64))
    return np.concatenate(parts)


def plan(lengths: Ints, *, batch_size: int, seed: int, epoch: int, bucketed: bool, written: Ints | None = None,
         tokens: int | None = None, in_order: bool = False) -> list[Ints]:
    """The updates of an epoch: arrays of example places, every example once.

    In order: as they stand. Not bucketed: a plain shuffle. Bucketed: within chunks of 50 batches examples are sorted by length
    (of like ones those for which like texts are `written` together), then batches are shuffled, the one with the longest example
    first so that too little memory shows at once. With `tokens`, a batch holds as many examples as this budget in the place of
    `batch_size`.
    """
    draw = np.random.default_rng([seed, epoch])
    order = np.arange(len(lengths)) if in_order else draw.permutation(len(lengths))
    others = np.zeros_like(lengths) if written is None else written

    def parts(chunk: Ints) -> list[Ints]:
        if tokens is not None:
            return within_budget(chunk, lengths, others, tokens, padded=bucketed)
        return [chunk[at:at + batch_size] for at in range(0, len(chunk), batch_size)]

    if not bucketed or in_order:
        return parts(order)
    batches: list[Ints] = []
    mean = float((lengths + others).mean()) if len(lengths) else 1.0
    size = CHUNK * (batch_size if tokens is None else max(1, int(tokens / max(1.0, mean))))
    for begin in range(0, len(order), size):
        chunk = order[begin:begin + size]
        batches += parts(chunk[np.lexsort((-others[chunk], -lengths[chunk]))])
    shuffled = [batches[place] for place in draw.permutation(len(batches))]
    longest = max(range(len(shuffled)), key=lambda place: lengths[shuffled[place]].max(), default=0)
    shuffled[:1], shuffled[longest:longest + 1] = shuffled[longest:longest + 1], shuffled[:1]
    return shuffled


def planned(kind: Kind, features: Features, training: Training, seed: int, epoch: int, *, packed: bool,
            in_order: bool = False) -> list[Ints]:
    """The updates of an epoch of these features, as they were asked for."""
    written = features.asked_lengths if kind == "encoder-decoder" else None
    return plan(features.example_lengths, batch_size=training.batch_size, seed=seed, epoch=epoch, bucketed=not packed,
                written=written, tokens=training.batch_tokens, in_order=in_order)


def costs(kind: Kind, features: Features) -> Ints:
    """Tokens that each example takes in the model: what is read, and what an encoder-decoder writes."""
    return features.example_lengths + features.asked_lengths if kind == "encoder-decoder" else features.example_lengths


def within_budget(order: Ints, lengths: Ints, written: Ints, tokens: int, *, padded: bool) -> list[Ints]:
    """Consecutive examples whose tokens fit a budget, padding included: rows x (longest source + longest text to write).

    An example that is longer by itself stands alone.
    """
    found, begin, source, target, held = [], 0, 0, 0, 0
    for at, place in enumerate(order.tolist()):
        source, target = max(source, int(lengths[place])), max(target, int(written[place]))
        held += int(lengths[place] + written[place])
        if at > begin and (held if not padded else (at - begin + 1) * (source + target)) > tokens:
            found.append(order[begin:at])
            begin, source, target = at, int(lengths[place]), int(written[place])
            held = source + target
    return [*found, order[begin:]] if len(order) else []


def micro(update: Ints, lengths: Ints, size: int) -> list[Ints]:
    """An update in parts of at most `size` examples, longest first, examples of like length together."""
    if len(update) <= size:
        return [update]
    order = update[np.argsort(-lengths[update], kind="stable")]
    return [order[begin:begin + size] for begin in range(0, len(order), size)]


def within(update: Ints, lengths: Ints, size: int, tokens: int) -> int:
    """The most examples, at most `size`, whose longest micro-batch holds at most this many tokens (one may hold more)."""
    held = np.sort(lengths[update])[::-1]
    while size > 1 and held[:size].sum() > tokens:
        size = -(-size // 2)
    return size


def choose_batcher(given: str, *, can_pack: bool) -> tuple[str, str]:
    """"packed" or "bucketed", and why; by rule, never by stopwatch.

    Packing wins on every machine and length measured for encoders that can: no padding at all, in plain random order
    (MiniLM on BANKING77, 2 cores, bf16: about 1.5 times the tokens per second of padding by length). Decoders of
    GPT-2's and Llama's form are as quick packed as sorted by length without a gap (0.8 to 1.5 times, 1 core, fp32). A T5 reads
    and writes 1.27 times as quickly (FLAN-T5 small on SciTLDR, 1 core, fp32): texts to write are of no like lengths in a batch.
    """
    if given == "packed" and not can_pack:
        return "bucketed", "this model cannot pack in this run"
    if given != "auto":
        return given, "you chose it"
    if can_pack:
        return "packed", "this model can put several examples in one row: no padding"
    return "bucketed", "this model cannot pack in this run; examples of like length share a batch"
