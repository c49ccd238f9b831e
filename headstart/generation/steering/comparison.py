"""Unsteered and steered text side by side: perplexity, how much of the attribute is there, and where its words stand."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from headstart.generation.generate import Written
from headstart.generation.steering import pplm as steered
from headstart.generation.steering.attributes import AttributeHead, Bag, mean_states, read
from headstart.settings import Generation, Steering

if TYPE_CHECKING:
    from headstart.models.model import Model

COLOURS = (31, 32, 34, 35, 36)  # of the terminal, one for each bag


def generate(model: Model, prompts: Sequence[str], settings: Generation, steering: Steering, steer: Sequence[str], *, seed: int,
             stop: Sequence[str] = ()) -> list[dict[str, Any]]:
    """Rows of both texts after each prompt: the steered one, and under "unsteered" the other; raises UserError."""
    steered.refuse(model, prompts, settings)
    attributes = read(model, steer)
    made = steered.generate(model, prompts, settings, steering, attributes, seed=seed, stop=stop)
    given = [""] if steering.uncond else prompts
    return [{"prompt": prompt, **described(model, moved, attributes), "unsteered": described(model, plain, attributes)}
            for prompt, pairs in zip(given, made, strict=True) for plain, moved in pairs]


def described(model: Model, one: Written, attributes: Sequence[Bag | AttributeHead]) -> dict[str, Any]:
    """A text with its scores: {"prediction", "perplexity", "attributes": {name: score}, "marks": [{"start", "end", "by"}]}.

    The perplexity is the unsteered model's. A bag's score is the share of new tokens that are of the bag, a head's the
    probability of its label for the new text.
    """
    scores: dict[str, float | None] = {}
    for held in attributes:
        if not one.ids:
            scores[held.name] = None
        elif isinstance(held, Bag):
            scores[held.name] = sum(token in held.ids for token in one.ids) / len(one.ids)
        else:
            scores[f"{held.name}={held.label}"] = float(held.logits(mean_states(model, [one.ids])).softmax(-1)[0, held.wanted])
    count = len(one.ids)
    return {
        "prediction": one.text, "log_probability": sum(one.log_probabilities),
        "tokens": [{"token": piece, "log_probability": value}
                   for piece, value in zip(model.tokenizer.pieces(one.ids), one.log_probabilities, strict=True)],
        "ended": one.ended, "cut_tokens": one.cut, "attributes": scores,
        "perplexity": math.exp(-sum(one.log_probabilities) / count) if count else None,
        "marks": sorted((mark for held in attributes if isinstance(held, Bag) for mark in held.marks(one.text)),
                        key=lambda mark: mark["start"]),
    }


def coloured(text: str, marks: Sequence[dict[str, Any]]) -> str:
    """A text with its marked words in colour, for a terminal."""
    names = list(dict.fromkeys(mark["by"] for mark in marks))
    made, place = "", 0
    for mark in marks:
        if mark["start"] < place:
            continue  # a word of two bags has the colour of the first
        colour = COLOURS[names.index(mark["by"]) % len(COLOURS)]
        made += f"{text[place:mark['start']]}\x1b[{colour}m{text[mark['start']:mark['end']]}\x1b[0m"
        place = mark["end"]
    return made + text[place:]


def words(row: dict[str, Any], *, colour: bool) -> str:
    """A row of both texts as a person reads it."""
    lines = []
    for name, held in (("unsteered", row["unsteered"]), ("steered", row)):
        shown = coloured(held["prediction"], held["marks"]) if colour else held["prediction"]
        scores = ", ".join(f"{key} {value:.3f}" if value is not None else f"{key} undefined" for key, value in held["attributes"].items())
        perplexity = "undefined" if held["perplexity"] is None else f"{held['perplexity']:.1f}"
        lines += [f"{name} (perplexity {perplexity}; {scores})", f"  {row['prompt']}{shown}"]
    return "\n".join(lines)
