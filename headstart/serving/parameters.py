"""Parameters of a request in OpenAI's form: each checked, those that nothing reads refused by name."""

from __future__ import annotations

import secrets
from collections.abc import Collection, Mapping
from typing import Any

from headstart.contract import Json
from headstart.errors import nearest
from headstart.serving.body import json_kind
from headstart.serving.refusal import Refusal
from headstart.text.json_values import is_number

# Parameters of OpenAI's that nothing here reads, with the values that ask for nothing.
NEUTRAL: Mapping[str, tuple[Any, ...]] = {
    "frequency_penalty": (0,), "presence_penalty": (0,), "logprobs": (False,), "top_logprobs": (), "echo": (False,),
    "best_of": (1,), "suffix": ("",), "logit_bias": ({},), "tools": ([],), "tool_choice": ("none", "auto"),
    "response_format": ({"type": "text"},), "store": (False,), "metadata": ({},), "service_tier": ("auto",),
    "parallel_tool_calls": (True, False), "modalities": (["text"],)}
MAX_STOPS = 16
MAX_TEXTS = 16  # texts for one prompt
LARGEST_SEED = 2**31 - 1


class Parameters:
    """The parameters of one request; null is as if it were not there."""

    def __init__(self, body: Mapping[str, Json], names: Collection[str]) -> None:
        self.values = {name: value for name, value in body.items() if value is not None}
        for name, value in self.values.items():
            if name in names or name == "user" or (name in NEUTRAL and value in NEUTRAL[name]):
                continue
            if name in NEUTRAL:
                raise Refusal(400, f"{name} is not supported here.", "Leave it out.", name)
            suggestion = nearest(name, names)
            raise Refusal(400, f"There is no parameter {name!r:.80}; there is {', '.join(names)}.",
                          f"Did you mean {suggestion}?" if suggestion else "Leave it out.", name[:80])

    def whole_number(self, name: str, low: int, high: int) -> int | None:
        """A whole number within bounds; None where it is not there. Raises Refusal (422)."""
        value = self.values.get(name)
        if value is None:
            return None
        if not isinstance(value, int) or isinstance(value, bool) or not low <= value <= high:
            raise Refusal(422, f"{name}: a whole number from {low:,} to {high:,} was expected, but "
                          f"{in_words(value)} came.", "Send one, or leave it out.", name)
        return value

    def number(self, name: str, low: float, high: float) -> float | None:
        """A number within bounds; None where it is not there. Raises Refusal (422)."""
        value = self.values.get(name)
        if value is None:
            return None
        if not is_number(value) or not low <= value <= high:
            raise Refusal(422, f"{name}: a number from {low:g} to {high:g} was expected, but {in_words(value)} came.",
                          "Send one, or leave it out.", name)
        return float(value)

    def flag(self, name: str) -> bool:
        """True or false, false where it is not there; raises Refusal (422)."""
        value = self.values.get(name, False)
        if not isinstance(value, bool):
            raise Refusal(422, f"{name}: true or false was expected, but {in_words(value)} came.", "Send one.", name)
        return value

    def texts(self, name: str, most: int) -> list[str]:
        """A text or a list of texts, none of them empty; raises Refusal (413, 422)."""
        value = self.values.get(name)
        if value is None:
            raise Refusal(422, f"{name}: a text or a list of texts was expected, but nothing came.",
                          f'Send "{name}": "…".', name)
        texts = value if isinstance(value, list) else [value]
        if not texts or not all(isinstance(text, str) and text for text in texts):
            wrong = next((text for text in texts if not isinstance(text, str) or not text), texts)
            raise Refusal(422, f"{name}: a text or a list of texts was expected, but {in_words(wrong)} came.",
                          "Send texts that are not empty; ids of tokens are not taken.", name)
        if len(texts) > most:
            raise Refusal(413, f"{name}: {most:,} texts at most were expected, but {len(texts):,} came.",
                          "Send them in several requests.", name)
        return texts

    def stops(self) -> tuple[str, ...]:
        """The texts at which writing stops."""
        return () if "stop" not in self.values or self.values["stop"] == [] else tuple(self.texts("stop", MAX_STOPS))

    def streams_usage(self) -> bool:
        """Whether the last event of a stream counts tokens: stream_options.include_usage."""
        options = self.values.get("stream_options", {})
        if not isinstance(options, dict) or set(options) - {"include_usage"}:
            raise Refusal(422, f'stream_options: {{"include_usage": true}} was expected, but {in_words(options)} came.',
                          "Leave it out.", "stream_options")
        return Parameters(options, ("include_usage",)).flag("include_usage")

    def generation(self, length_names: Collection[str]) -> dict[str, Json]:
        """The settings of generation that the request changes; sampling only where it is asked for."""
        changed: dict[str, Json] = {}
        for name in length_names:
            if (length := self.whole_number(name, 1, 2**20)) is not None:
                changed["max_new_tokens"] = length
        temperature, top_p = self.number("temperature", 0, 2), self.number("top_p", 0, 1)
        count = self.whole_number("n", 1, MAX_TEXTS) or 1
        if top_p == 0:
            raise Refusal(422, "top_p: a number above 0 was expected, but 0 came.", "Send temperature 0 instead.",
                          "top_p")
        if temperature or (temperature is None and top_p is not None and top_p < 1):
            changed |= {"do_sample": True, "num_beams": 1, "num_beam_groups": 1, "penalty_alpha": 0.0,
                        "prompt_lookup_num_tokens": 0, "num_return_sequences": count}
            changed |= {} if temperature is None else {"temperature": temperature}
            changed |= {} if top_p is None else {"top_p": top_p}
        elif temperature == 0:
            changed |= {"do_sample": False, "num_return_sequences": 1}
        if count > 1 and not changed.get("do_sample"):
            raise Refusal(422, f"n is {count}, but without sampling there is one likeliest text.",
                          "Send a temperature above 0.", "n")
        return changed

    def seed(self) -> int:
        """The seed of sampling; a random one where none is named."""
        seed = self.whole_number("seed", 0, LARGEST_SEED)
        return secrets.randbelow(LARGEST_SEED) if seed is None else seed


def in_words(value: Json) -> str:
    """A value in words: a number as it is, a text as its kind alone."""
    if is_number(value):
        return str(value)[:40]
    return "an empty text" if value == "" else "an empty list" if value == [] else json_kind(value)
