"""The targets that an encoder-decoder generates for sources: by the library's generate, with our settings, in batches.

P sources, S tokens of the longest.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from headstart.contract import Feature, Json, Target
from headstart.data.features.batches import collate
from headstart.errors import Exit, UserError
from headstart.generation import contrastive_search, diverse_beams
from headstart.generation.generate import (
    GeneratedText,
    Stream,
    check_decoding,
    generation_config,
    rows_per_prompt,
)
from headstart.generation.memory import check_memory
from headstart.generation.prompts import end_token_ids
from headstart.generation.randomness import seeded
from headstart.models.encoder_decoder import EncoderDecoderModel
from headstart.models.loading.quiet import quiet
from headstart.models.loading.transformers_compat import with_cache
from headstart.settings import Generation

if TYPE_CHECKING:
    from torch import Tensor

    from headstart.models.model import Model

FORCED_KEYS = ("forced_bos_token_id", "forced_eos_token_id", "bad_words_ids", "suppress_tokens",
               "begin_suppress_tokens")
CONFIG_KEYS = ("num_beams", "length_penalty", "no_repeat_ngram_size", "repetition_penalty", "min_new_tokens",
               "max_new_tokens")


def published_settings(model: Model) -> Generation:
    """The settings of a published model's generation_config.json: beams, lengths, penalties."""
    config = model.module.generation_config
    changes: dict[str, Any] = {name: getattr(config, name) for name in CONFIG_KEYS if getattr(config, name, None)}
    if "max_new_tokens" not in changes and config.max_length not in (None, 20):  # 20 is the library's default
        changes["max_new_tokens"] = config.max_length - 1  # it counts the decoder's start token
    if "min_new_tokens" not in changes and config.min_length:
        changes["min_new_tokens"] = max(0, config.min_length - 1)
    return dataclasses.replace(Generation(), **changes)


def generation_settings(model: Model, saved: Mapping[str, Json]) -> Generation:
    """The settings saved by a model's run, else those of its folder."""
    return dataclasses.replace(Generation(), **saved) if saved else published_settings(model)


def generate_targets(model: EncoderDecoderModel, sources: Sequence[Sequence[int]], settings: Generation, *, seed: int,
                     stream: Callable[[str], None] | None = None) -> list[list[GeneratedText]]:
    """`settings.num_return_sequences` texts for each source (with its special tokens), in the order of the sources.

    `stream` gets the text of a single source while it is generated, without beams.
    """
    import torch

    check_decoding(model.info, settings)
    if model.module.training:
        model.module.eval()
    generations: list[list[GeneratedText]] = [[] for _ in sources]
    for batch_index, indices in enumerate(batches(sources, settings)):
        with seeded(settings.do_sample, seed * 1_000_003 + batch_index), torch.inference_mode(), quiet():
            batch_texts = generate_batch(model, [sources[index] for index in indices], settings, stream)
        for source_index, texts in zip(indices, batch_texts, strict=True):
            generations[source_index] = texts
    return generations


def batches(sources: Sequence[Sequence[int]], settings: Generation) -> Iterator[list[int]]:
    """The indices of sources in batches of similar length, longest first, so that too little memory shows at once."""
    order = sorted(range(len(sources)), key=lambda index: (-len(sources[index]), index))
    for start in range(0, len(order), settings.batch_size):
        yield order[start:start + settings.batch_size]


def generate_batch(model: EncoderDecoderModel, sources: Sequence[Sequence[int]], settings: Generation,
                   stream: Callable[[str], None] | None = None,
                   diversity: diverse_beams.HammingDiversity | None = None) -> list[list[GeneratedText]]:
    """One batch; `diversity` keeps a group of beams away from the tokens of earlier groups."""
    if settings.num_beam_groups > 1:
        group_beams = settings.num_beams // settings.num_beam_groups
        group_diversity = diverse_beams.HammingDiversity(len(sources), group_beams, 1, settings.diversity_penalty,
                                                         end_token_ids(model))
        return diverse_beams.search_groups(settings, group_diversity, lambda group_settings, diversity: generate_batch(
            model, sources, group_settings, diversity=diversity))
    max_tokens = (model.max_target_length or 10**9) - 1
    max_new_tokens = min(max_tokens, settings.max_new_tokens if settings.max_new_tokens != -1 else min(max_tokens, 512))
    check_memory(model, rows=len(sources) * rows_per_prompt(model, settings),
                 tokens=max(map(len, sources)) + max_new_tokens)
    ids, mask = padded_sources(sources, model.tokenizer.pad_id)
    arguments = library_arguments(model, ids, settings, stream, diversity)
    try:
        output_ids = model.module.generate(
            input_ids=ids.to(model.device), attention_mask=mask.to(model.device),
            generation_config=encoder_decoder_config(model, settings, max_new_tokens), **with_cache(new_cache()),
            synced_gpus=False, **arguments)  # of a sharded model one process writes alone
    except RuntimeError as error:
        if "probability tensor contains" in str(error):  # torch's message while it samples
            raise not_finite_error(model) from error
        raise
    return generated_texts(model, sources, output_ids.tolist(), settings.num_return_sequences)


def padded_sources(sources: Sequence[Sequence[int]], pad_id: int) -> tuple[Tensor, Tensor]:
    """The ids of sources padded on the right, and their mask: (P, S) each."""
    import torch

    ids = torch.full((len(sources), max(map(len, sources))), pad_id)
    mask = torch.zeros_like(ids)
    for row, source in enumerate(sources):
        ids[row, :len(source)] = torch.tensor(list(source))
        mask[row, :len(source)] = 1
    return ids, mask


def library_arguments(model: EncoderDecoderModel, ids: Tensor, settings: Generation,
                      stream: Callable[[str], None] | None,
                      diversity: diverse_beams.HammingDiversity | None) -> dict[str, Any]:
    """The arguments of the library's generate beside sources, cache and config."""
    arguments: dict[str, Any] = dict(model.info.family.encoder_inputs(ids.to(model.device)))
    if stream is not None and len(ids) == settings.num_beams == settings.num_return_sequences == 1:
        arguments["streamer"] = Stream(model, stream, ())
    if settings.penalty_alpha:
        arguments |= contrastive_search.generate_arguments(model, settings, arguments.pop("streamer", None))
    if diversity is not None:
        arguments |= {"stopping_criteria": [diversity.record], "logits_processor": [diversity.penalize]}
    return arguments


def generated_texts(model: EncoderDecoderModel, sources: Sequence[Sequence[int]], rows: Sequence[Sequence[int]],
                    texts_per_source: int) -> list[list[GeneratedText]]:
    """The rows of ids that were generated, `texts_per_source` for each source, as texts."""
    trimmed = [trim_after_end(model, row_ids[1:]) for row_ids in rows]  # without the decoder's start token
    row_sources = [sources[row // texts_per_source] for row in range(len(trimmed))]
    row_log_probabilities = log_probabilities(model, row_sources, [ids for ids, _, _ in trimmed])
    texts = [GeneratedText(decode_ids(model, ids), tuple(ids), tuple(values), finish_reason)
             for (ids, _, finish_reason), values in zip(trimmed, row_log_probabilities, strict=True)]
    return [texts[start:start + texts_per_source] for start in range(0, len(texts), texts_per_source)]


def new_cache() -> Any:
    """An empty cache that grows by itself: the library's own has room for the encoder's number of layers, not the
    decoder's.

    Beams are reordered among those of their own source, so the keys and values of the source stay as they are; the
    library copies them at every step (for 32 sources of 250 tokens by 4 beams of a T5-small about 1 GB).
    """
    from transformers import DynamicCache, EncoderDecoderCache

    class GrowingCache(EncoderDecoderCache):
        def reorder_cache(self, beam_idx: Any) -> None:
            self.self_attention_cache.reorder_cache(beam_idx)

    cache_class: Any = GrowingCache
    return cache_class(DynamicCache(), DynamicCache())


def encoder_decoder_config(model: EncoderDecoderModel, settings: Generation, max_new_tokens: int) -> Any:
    """Our settings as the library's GenerationConfig, with the tokens that the model must begin and end with."""
    config = generation_config(model, settings, max_new_tokens)
    for name in FORCED_KEYS:
        if (value := getattr(model.module.generation_config, name, None)) is not None:
            setattr(config, name, value)
    config.decoder_start_token_id = model.start_id
    return config


def trim_after_end(model: Model, ids: Sequence[int]) -> tuple[list[int], int, str]:
    """Ids up to and with the end token; how many there are; and why they end ("end" or "length")."""
    end_ids = {model.tokenizer.end_id}
    end_position = next((position for position, token in enumerate(ids) if token in end_ids), None)
    if end_position is None:
        unpadded = list(ids)
        while unpadded and unpadded[-1] == model.tokenizer.pad_id:
            unpadded.pop()
        return unpadded, len(unpadded), "length"
    return list(ids[:end_position + 1]), end_position + 1, "end"


def decode_ids(model: Model, ids: Sequence[int]) -> str:
    """Ids as text, without special tokens."""
    text: str = model.tokenizer.hf_tokenizer.decode(list(ids), skip_special_tokens=True,
                                                    clean_up_tokenization_spaces=False)
    return text.strip()


def log_probabilities(model: Model, sources: Sequence[Sequence[int]],
                      texts: Sequence[Sequence[int]]) -> list[list[float]]:
    """log p of each generated token under the model as it is, end token included."""
    import numpy as np

    nonempty = [index for index, text in enumerate(texts) if text]
    values: list[list[float]] = [[] for _ in texts]
    if not nonempty:
        return values
    features = [Feature(list(sources[index]), None, {"label": Target(list(texts[index]), "position")},
                        label_positions=[0] * len(texts[index])) for index in nonempty]
    surprise = model.surprisals(collate(features, model.layout(packed=False)))["surprise"]
    if not bool(surprise.isfinite().all()):
        raise not_finite_error(model)
    rows = np.split(-surprise.cpu().numpy(), np.cumsum([len(texts[index]) for index in nonempty])[:-1])
    for text_index, row in zip(nonempty, rows, strict=True):
        values[text_index] = [float(value) for value in row]
    return values


def not_finite_error(model: Model) -> UserError:
    """The error for a model whose scores are NaN or infinite."""
    return UserError(f"The scores of {model.info.reference} are not finite (NaN or infinity): nothing that it "
                     "generates means anything.",
                     fix="Its weights are damaged or its training went wrong; go back to an earlier checkpoint or a "
                         "fresh copy.",
                     exit=Exit.DATA)


def check_length(model: Model, max_new_tokens: int) -> None:
    """Refuse longer texts than the model has positions for; raises UserError (78)."""
    max_positions = model.info.family.max_target_length(model.module.config)
    if max_positions is not None and max_new_tokens >= max_positions:
        raise UserError(f"generation.max_new_tokens is {max_new_tokens:,}, but {model.info.reference} generates at "
                        f"most {max_positions - 1:,}.",
                        fix=f"Ask for {max_positions - 1:,} or fewer, or for -1: as many as it can.",
                        exit=Exit.SETTINGS)


def truncate_at_stop(model: Model, generated: GeneratedText, stop: Sequence[str]) -> GeneratedText:
    """The text exactly up to the first stop string, with the tokens that it takes."""
    stop_starts = [generated.text.find(stop_string) for stop_string in stop if stop_string
                   and stop_string in generated.text]
    if not stop_starts:
        return generated
    text = generated.text[:min(stop_starts)].rstrip()
    count = next(size for size in range(len(generated.ids) + 1)
                 if len(decode_ids(model, generated.ids[:size])) >= len(text))
    return GeneratedText(text, generated.ids[:count], generated.log_probabilities[:count], "stop", generated.cut_tokens)
