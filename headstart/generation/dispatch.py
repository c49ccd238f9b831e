"""What a model writes for features of a task that writes, whatever its kind: it reads a source, or goes on after a prompt."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from headstart.contract import Feature
from headstart.generation.encoder_decoder import rewrite
from headstart.generation.generate import Written, go_on

if TYPE_CHECKING:
    from headstart.models.model import Model
    from headstart.settings import Generation


def write(model: Model, features: Sequence[Feature], settings: Generation, *, seed: int,
          stream: Callable[[str], None] | None = None) -> list[list[Written]]:
    """The texts for each feature, `settings.answers` of them, in their order; the same seed writes the same.

    `stream` hears the text of a single feature while it is written, without beams.
    """
    if model.facts.row.rewrite is not None:
        return rewrite(model, [list(one.ids) for one in features], settings, seed=seed, stream=stream)
    return go_on(model, [(prompt_of(one), one.cut) for one in features], settings, seed=seed, stream=stream, afresh=True)


def prompt_of(feature: Feature) -> list[int]:
    """What a model that goes on is given: the ids up to the first token that is asked, which is a target's and not shown."""
    ids = list(feature.ids)
    return ids if not feature.asks else ids[:feature.asks[0] + 1]
