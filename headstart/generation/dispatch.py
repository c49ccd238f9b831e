"""Generation for the features of a task, whatever the model's kind: from a source, or after a prompt."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from headstart.contract import Feature
from headstart.generation.encoder_decoder import generate_targets
from headstart.generation.generate import GeneratedText, continue_prompts
from headstart.generation.prompts import fit_prompt
from headstart.models.encoder_decoder import EncoderDecoderModel

if TYPE_CHECKING:
    from headstart.models.model import Model
    from headstart.settings import Generation


def generate_for_features(model: Model, features: Sequence[Feature], settings: Generation, *, seed: int,
                          stream: Callable[[str], None] | None = None) -> list[list[GeneratedText]]:
    """The texts for each feature, `settings.num_return_sequences` of them, in their order; the same seed gives the same
    texts.

    `stream` gets the text of a single feature while it is generated, without beams.
    """
    if isinstance(model, EncoderDecoderModel):
        return generate_targets(model, [list(feature.ids) for feature in features], settings, seed=seed, stream=stream)
    prompts = [(ids, feature.truncated_tokens + cut) for feature in features
               for ids, cut in [fit_prompt(model, prompt_ids(feature), settings)]]
    return continue_prompts(model, prompts, settings, seed=seed, stream=stream, new_text_penalties=True)


def prompt_ids(feature: Feature) -> list[int]:
    """A decoder's prompt: the ids up to the first label, which is the target's and left out."""
    ids = list(feature.ids)
    return ids if not feature.label_positions else ids[:feature.label_positions[0] + 1]
