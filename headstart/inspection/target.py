"""The target of an encoder-decoder that is inspected: a text that is given, or the one that the model writes."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from headstart.contract import Feature, Target
from headstart.errors import Exit, UserError
from headstart.generation.encoder_decoder import generate_targets, published_settings
from headstart.inspection.inspection import DecoderToken
from headstart.models.encoder_decoder import EncoderDecoderModel

if TYPE_CHECKING:
    from headstart.models.model import Model
    from headstart.settings import Generation


@dataclass(frozen=True)
class TargetText:
    """A target with its ids, special tokens included; `written_by_model` says whether the model wrote it."""

    text: str
    ids: tuple[int, ...]
    written_by_model: bool


def choose_target(model: EncoderDecoderModel, source_ids: Sequence[int], text: str | None,
                  generation: Generation | None) -> TargetText:
    """The target that is given, uncut, or what the model writes for the source by these settings, else by its own.

    Raises UserError (65) for a text without characters or longer than the model writes, and where it writes nothing.
    """
    if text is None:
        settings = dataclasses.replace(generation or published_settings(model), num_return_sequences=1)
        ((generated,),) = generate_targets(model, [list(source_ids)], settings, seed=0)
        if not generated.ids:
            raise UserError(f"{model.info.reference} writes nothing for this text, so its decoder has nothing to show.",
                            fix="Give a target: --target TEXT.", exit=Exit.DATA)
        return TargetText(generated.text, generated.ids, True)
    if not text.strip():
        raise UserError(f"The target needs at least one character, but it is {'only space' if text else 'empty'}.",
                        fix="Give a text, or none: the model then writes one.", exit=Exit.DATA)
    tokenizer = model.tokenizer.target
    ids, _ = tokenizer.with_special_tokens(tokenizer.tokenize(text).ids)
    if len(ids) > tokenizer.max_length:
        raise UserError(f"{model.info.reference} writes at most {tokenizer.max_length:,} tokens, but the target has "
                        f"{len(ids):,} (special tokens included).", fix="Inspect a part of it.", exit=Exit.DATA)
    return TargetText(text, tuple(ids), False)


def with_target(feature: Feature, target_ids: Sequence[int]) -> Feature:
    """A source with the tokens that a decoder predicts for it."""
    return dataclasses.replace(feature, targets={"label": Target(list(target_ids), "position")},
                               label_positions=[0] * len(target_ids))


def decoder_tokens(model: Model, start_id: int, target: TargetText,
                   log_probabilities: Sequence[float]) -> tuple[DecoderToken, ...]:
    """What the decoder reads, one token after the other, each with the token that comes next."""
    tokenizer = model.tokenizer.target
    ids = [start_id, *target.ids[:-1]]
    special_ids = {start_id, *tokenizer.hf_tokenizer.all_special_ids}
    return tuple(DecoderToken(token_id, piece, token_id in special_ids, next_id, next_piece, log_probability)
                 for token_id, piece, next_id, next_piece, log_probability
                 in zip(ids, tokenizer.pieces(ids), target.ids, tokenizer.pieces(target.ids), log_probabilities,
                        strict=True))
