"""Unsteered and steered text compared: perplexity, scores of the attributes, and the positions of their words."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from headstart.generation.generate import GeneratedText
from headstart.generation.steering import pplm
from headstart.generation.steering.attributes import AttributeHead, BagOfWords, load_attributes, mean_states
from headstart.progress.visible import visible
from headstart.settings import Generation, Steering

if TYPE_CHECKING:
    from headstart.models.model import Model

COLOURS = (31, 32, 34, 35, 36)  # of the terminal, one for each bag


def generate(model: Model, prompts: Sequence[str], settings: Generation, steering: Steering, steer: Sequence[str], *,
             seed: int, stop: Sequence[str] = ()) -> list[dict[str, Any]]:
    """Rows of both texts after each prompt: the steered one, and under "unsteered" the other; raises UserError."""
    pplm.check_steering(model, prompts, settings)
    attributes = load_attributes(model, steer)
    generations = pplm.generate(model, prompts, settings, steering, attributes, seed=seed, stop=stop)
    row_prompts = [""] if steering.uncond else prompts
    return [{"prompt": prompt, **scored_text(model, steered, attributes),
             "unsteered": scored_text(model, unsteered, attributes)}
            for prompt, pairs in zip(row_prompts, generations, strict=True) for unsteered, steered in pairs]


def scored_text(model: Model, generated: GeneratedText,
                attributes: Sequence[BagOfWords | AttributeHead]) -> dict[str, Any]:
    """A text with its scores: {"prediction", "perplexity", "attributes": {name: score}, "marks": [{"start", "end",
    "by"}]}.

    The perplexity is the unsteered model's. A bag's score is the share of new tokens that are of the bag, a head's the
    probability of its label for the new text.
    """
    scores: dict[str, float | None] = {}
    for target in attributes:
        if not generated.ids:
            scores[target.name] = None
        elif isinstance(target, BagOfWords):
            scores[target.name] = sum(token in target.ids for token in generated.ids) / len(generated.ids)
        else:
            logits = target.logits(mean_states(model, [generated.ids]))
            scores[f"{target.name}={target.label}"] = float(logits.softmax(-1)[0, target.label_index])
    count = len(generated.ids)
    return {
        "prediction": generated.text, "log_probability": sum(generated.log_probabilities),
        "tokens": [{"token": piece, "log_probability": value}
                   for piece, value in zip(model.tokenizer.pieces(generated.ids), generated.log_probabilities,
                                           strict=True)],
        "ended": generated.finish_reason, "cut_tokens": generated.cut_tokens, "attributes": scores,
        "perplexity": math.exp(-sum(generated.log_probabilities) / count) if count else None,
        "marks": sorted((match for attribute in attributes if isinstance(attribute, BagOfWords)
                         for match in attribute.matches(generated.text)),
                        key=lambda match: match["start"]),
    }


def coloured(text: str, matches: Sequence[dict[str, Any]]) -> str:
    """A text with its marked words in colour, for a terminal."""
    names = list(dict.fromkeys(match["by"] for match in matches))
    coloured_text, position = "", 0
    for match in matches:
        if match["start"] < position:
            continue  # a word of two bags has the colour of the first
        colour = COLOURS[names.index(match["by"]) % len(COLOURS)]
        before, word = visible(text[position:match["start"]]), visible(text[match["start"]:match["end"]])
        coloured_text += f"{before}\x1b[{colour}m{word}\x1b[0m"
        position = match["end"]
    return coloured_text + visible(text[position:])


def row_text(row: dict[str, Any], *, colour: bool) -> str:
    """A row of both texts as lines for a terminal."""
    lines = []
    for name, text_row in (("unsteered", row["unsteered"]), ("steered", row)):
        text = coloured(text_row["prediction"], text_row["marks"]) if colour else text_row["prediction"]
        scores = ", ".join(f"{key} {value:.3f}" if value is not None else f"{key} undefined"
                           for key, value in text_row["attributes"].items())
        perplexity = "undefined" if text_row["perplexity"] is None else f"{text_row['perplexity']:.1f}"
        prompt = visible(row["prompt"]) if colour else row["prompt"]
        lines += [f"{name} (perplexity {perplexity}; {visible(scores) if colour else scores})", f"  {prompt}{text}"]
    return "\n".join(lines)
