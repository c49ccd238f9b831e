"""Texts that an encoder-decoder writes for texts: by the library's generate, with our settings, many side by side.

P sources, S tokens of the longest.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from headstart.contract import Feature, Json, Layout, Target
from headstart.data.features.batches import collate
from headstart.errors import Exit, UserError
from headstart.generation import decoding_strategies
from headstart.generation.generate import Stream, Written, config, ends
from headstart.generation.memory import check_room
from headstart.models.encoder_decoder import start_id, written_positions
from headstart.models.loading.cache_name import with_cache
from headstart.models.loading.weights import quiet
from headstart.settings import Generation

if TYPE_CHECKING:
    from headstart.models.model import Model

FORCED = ("forced_bos_token_id", "forced_eos_token_id", "bad_words_ids", "suppress_tokens", "begin_suppress_tokens")
PUBLISHED = {"num_beams": "beams", "length_penalty": "length_penalty", "no_repeat_ngram_size": "no_repeat_ngram",
             "repetition_penalty": "repetition_penalty", "min_new_tokens": "least_tokens", "max_new_tokens": "new_tokens"}


def published(model: Model) -> Generation:
    """How a published model says that it writes (generation_config.json): beams, lengths, penalties."""
    held = model.module.generation_config
    found: dict[str, Any] = {ours: getattr(held, name) for name, ours in PUBLISHED.items() if getattr(held, name, None)}
    if "new_tokens" not in found and held.max_length not in (None, 20):  # 20 is the library's "not said"
        found["new_tokens"] = held.max_length - 1  # its first token is what the decoder begins with
    if "least_tokens" not in found and held.min_length:
        found["least_tokens"] = max(0, held.min_length - 1)
    return dataclasses.replace(Generation(), **found)


def settings_of(model: Model, kept: Mapping[str, Json]) -> Generation:
    """What was chosen for this model object, else what its run kept, else what its folder says."""
    if model.writing is not None:
        chosen: Generation = model.writing
        return chosen
    return dataclasses.replace(Generation(), **kept) if kept else published(model)


def rewrite(model: Model, sources: Sequence[Sequence[int]], settings: Generation, *, seed: int,
            stream: Callable[[str], None] | None = None) -> list[list[Written]]:
    """What is written for each source (laid out, special tokens included), `settings.answers` texts each, in their order.

    `stream` hears the text of a single source while it is written, without beams.
    """
    import torch

    decoding_strategies.check(model.facts, settings)
    model.module.eval()
    found: list[list[Written]] = [[] for _ in sources]
    for number, places in enumerate(batches(sources, settings)):
        with torch.random.fork_rng(devices=[]), torch.inference_mode(), quiet():
            torch.manual_seed(seed * 1_000_003 + number)
            for place, texts in zip(places, written(model, [sources[place] for place in places], settings, stream), strict=True):
                found[place] = texts
    return found


def batches(sources: Sequence[Sequence[int]], settings: Generation) -> Iterator[list[int]]:
    """Sources of like length side by side, longest first, so that too little memory shows at once."""
    order = sorted(range(len(sources)), key=lambda place: (-len(sources[place]), place))
    for begin in range(0, len(order), settings.at_once):
        yield order[begin:begin + settings.at_once]


def written(model: Model, sources: Sequence[Sequence[int]], settings: Generation, stream: Callable[[str], None] | None = None,
            apart: decoding_strategies.Unlike | None = None) -> list[list[Written]]:
    """One batch: padded on the right, which the encoder does not see; `apart` is what groups of beams before this one took."""
    import torch

    if settings.beam_groups > 1:
        groups = decoding_strategies.Unlike(len(sources), settings.beams // settings.beam_groups, 1, settings.diversity, ends(model))
        return decoding_strategies.in_groups(settings, groups, lambda own, held: written(model, sources, own, apart=held))
    width = max(map(len, sources))
    ids = torch.full((len(sources), width), model.tokenizer.pad_id)
    mask = torch.zeros_like(ids)
    for row, source in enumerate(sources):
        ids[row, :len(source)] = torch.tensor(list(source))
        mask[row, :len(source)] = 1
    most = (written_positions(model.module.config) or 10**9) - 1
    new = min(most, settings.new_tokens if settings.new_tokens != -1 else min(most, 512))
    check_room(model, rows=len(sources) * decoding_strategies.ways(model, settings), tokens=width + new)
    more: dict[str, Any] = model.facts.row.beside(ids.to(model.device))
    if stream is not None and len(sources) == settings.beams == settings.answers == 1:
        more["streamer"] = Stream(model, stream, ())
    if settings.contrast:
        more |= decoding_strategies.searching(model, settings, more.pop("streamer", None))
    if apart is not None:
        more |= {"stopping_criteria": [apart.listen], "logits_processor": [apart.rule]}
    try:
        made = model.module.generate(input_ids=ids.to(model.device), attention_mask=mask.to(model.device),
                                     generation_config=own_config(model, settings, new), **with_cache(cache()), **more)
    except RuntimeError as error:
        if "probability tensor contains" in str(error):  # torch's words while it draws
            raise no_number(model) from error
        raise
    rows = [row[1:] for row in made.tolist()]  # without what the decoder begins with
    each = settings.answers
    texts = [ended(model, row) for row in rows]
    logs = log_probabilities(model, [sources[place // each] for place in range(len(rows))], [whole for whole, _, _ in texts])
    held = [Written(text_of(model, whole), tuple(whole), tuple(values), how)
            for (whole, _, how), values in zip(texts, logs, strict=True)]
    return [held[place:place + each] for place in range(0, len(held), each)]


def cache() -> Any:
    """An empty cache that grows by itself: the library's own has room for the encoder's number of layers, not the decoder's.

    Beams of one source change places among themselves, so what they read of it stays as it is; the library copies it at every
    step (for 32 sources of 250 tokens by 4 beams of a T5-small about 1 GB).
    """
    from transformers import DynamicCache, EncoderDecoderCache

    class Kept(EncoderDecoderCache):
        def reorder_cache(self, beam_idx: Any) -> None:
            self.self_attention_cache.reorder_cache(beam_idx)

    made: Any = Kept
    return made(DynamicCache(), DynamicCache())


def own_config(model: Model, settings: Generation, new: int) -> Any:
    """Our settings in the library's words, with what the model must begin and end with."""
    made = config(model, settings, new)
    for name in FORCED:
        if (value := getattr(model.module.generation_config, name, None)) is not None:
            setattr(made, name, value)
    made.decoder_start_token_id = start_id(model)
    return made


def ended(model: Model, ids: Sequence[int]) -> tuple[list[int], int, str]:
    """Ids up to the end token, which is kept; how many there are; and why they end."""
    last = {model.tokenizer.end_id}
    place = next((at for at, token in enumerate(ids) if token in last), None)
    if place is None:
        kept = list(ids)
        while kept and kept[-1] == model.tokenizer.pad_id:
            kept.pop()
        return kept, len(kept), "length"
    return list(ids[:place + 1]), place + 1, "end"


def text_of(model: Model, ids: Sequence[int]) -> str:
    """Ids as text, without special tokens."""
    found: str = model.tokenizer.held.decode(list(ids), skip_special_tokens=True, clean_up_tokenization_spaces=False)
    return found.strip()


def log_probabilities(model: Model, sources: Sequence[Sequence[int]], texts: Sequence[Sequence[int]]) -> list[list[float]]:
    """log p of each written token under the model as it is, end token included."""
    import numpy as np

    asked = [place for place, text in enumerate(texts) if text]
    found: list[list[float]] = [[] for _ in texts]
    if not asked:
        return found
    features = [Feature(list(sources[place]), None, {"label": Target(list(texts[place]), "asked")}, asks=[0] * len(texts[place]))
                for place in asked]
    surprise = model.surprises(collate(features, Layout(packed=False, pad_id=model.tokenizer.pad_id)))["surprise"]
    if not bool(surprise.isfinite().all()):
        raise no_number(model)
    parts = np.split(-surprise.cpu().numpy(), np.cumsum([len(texts[place]) for place in asked])[:-1])
    for place, part in zip(asked, parts, strict=True):
        found[place] = [float(value) for value in part]
    return found


def no_number(model: Model) -> UserError:
    """The error for a model whose scores are NaN or infinite."""
    return UserError(f"The scores of {model.facts.reference} are no numbers (NaN or infinity): nothing that it writes means anything.",
                     fix="Its weights are damaged or its training went wrong; go back to an earlier checkpoint or a fresh copy.",
                     exit=Exit.DATA)


def check_length(model: Model, new_tokens: int) -> None:
    """Refuse longer texts than the model has positions for; raises UserError (78)."""
    most = written_positions(model.module.config)
    if most is not None and new_tokens >= most:
        raise UserError(f"generation.new_tokens is {new_tokens:,}, but {model.facts.reference} writes at most {most - 1:,}.",
                        fix=f"Ask for {most - 1:,} or fewer, or for -1: as many as it can.", exit=Exit.SETTINGS)


def until(model: Model, one: Written, stop: Sequence[str]) -> Written:
    """The text exactly up to the first stop string, with the tokens that it takes."""
    places = [one.text.find(word) for word in stop if word and word in one.text]
    if not places:
        return one
    text = one.text[:min(places)].rstrip()
    count = next(count for count in range(len(one.ids) + 1) if len(text_of(model, one.ids[:count])) >= len(text))
    return Written(text, one.ids[:count], one.log_probabilities[:count], "stop", one.cut)
