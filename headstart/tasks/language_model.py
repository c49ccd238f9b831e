"""Language model: what comes next in a text, or what answers a prompt.

A asked tokens, M examples, R resamples.
"""

from __future__ import annotations

import dataclasses
import math
import re
from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from random import Random
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from headstart.contract import (
    Baseline,
    Column,
    Detection,
    Example,
    Feature,
    Field,
    Figure,
    HeadSpec,
    Json,
    Kind,
    Learned,
    Measures,
    Prediction,
    Row,
    RowFault,
    Target,
    Task,
    Tokenizer,
)
from headstart.settings import Note
from headstart.tasks.shared.column_detection import named
from headstart.tasks.shared.text_blocks import blocks
from headstart.tasks.shared.text_pairs import TEXT_NAMES, plain

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from headstart.contract import Floats

PROMPTS, RESPONSES = ("prompt", "instruction", "input"), ("response", "completion", "output", "answer")


@dataclass(frozen=True)
class Settings:
    """What a language model can be told."""

    blocks: Annotated[bool, Note("join texts to blocks of the longest input, instead of one text an example")] = False
    overlap: Annotated[float, Note("share of a long text's window that is only read, not scored, in evaluation", low=0, below=1)] = 0.5
    order: Annotated[Literal["left-to-right", "drawn"], Note("in which tokens are learned; drawn: a new order each time, as XLNet was "
                                                             "pretrained (scores are always from left to right)")] = "left-to-right"
    chat: Annotated[bool, Note("lay prompts out by the tokenizer's chat template, where it has one")] = True


@dataclass(frozen=True)
class Passage(Example):
    """A text, or a prompt and its response; the response is None when it is to be written."""

    text: str
    prompt: str | None = None
    joined: bool = False  # whether it is a block of a longer text, and goes on from the block before

    @property
    def whole(self) -> str:
        """Prompt and text."""
        return self.text if self.prompt is None else f"{self.prompt}\n{self.text}"


@dataclass(frozen=True)
class LanguageModel(Task[Passage]):
    """How likely a text is, token by token."""

    name: ClassVar[str] = "language-model"
    summary: ClassVar[str] = "what comes next in a text, or what answers a prompt"
    fields: ClassVar[tuple[Field, ...]] = (
        Field("text", "the text", required=False, usual=TEXT_NAMES),
        Field("prompt", "what comes before the response, and is not learned", required=False, usual=PROMPTS),
        Field("response", "what answers the prompt", required=False, target=True, usual=RESPONSES),
    )
    kinds: ClassVar[tuple[Kind, ...]] = ("decoder",)
    best: ClassVar[tuple[str, bool]] = ("perplexity", False)
    default_model: ClassVar[str] = "distilgpt2"
    Settings: ClassVar[type] = Settings

    @classmethod
    def detect(cls, columns: Sequence[Column]) -> Detection | None:
        """Prompts with responses, or a file with nothing but texts."""
        prompt, response = named(columns, PROMPTS), named(columns, RESPONSES)
        if prompt is not None and response is not None:
            return Detection({"prompt": prompt.name, "response": response.name}, 0.9, f"{prompt.name!r} and {response.name!r} are there")
        columns = [column for column in columns if column.name.lower() != "document"]
        if len(columns) != 1 or columns[0].name.lower() not in TEXT_NAMES:
            return None
        return Detection({"text": columns[0].name}, 0.4, f"the only column, {columns[0].name!r}, holds texts")

    def read(self, row: Row) -> Passage:
        """The text, or prompt and response; raises RowFault where there is neither."""
        text, prompt, response = (plain(row, name) for name in ("text", "prompt", "response"))
        if prompt is not None and prompt.strip():
            return Passage(row.id, response or "", prompt)
        if text is None or not text.strip():
            field = "prompt" if "prompt" in row.values else "text"
            raise RowFault("E201", f"the {field} is empty.", fix="Fill it in, or leave the row out (--bad-rows skip).", field=field)
        return Passage(row.id, text)

    def subject(self, example: Passage) -> str:
        """Prompt and text."""
        return example.whole

    def gold(self, example: Passage) -> Json:
        """The text that is scored."""
        return example.text

    def cuts(self) -> bool:
        """Long texts are read in windows."""
        return False

    def learn(self, examples: Iterable[Passage]) -> Learned:
        """Nothing beside the weights."""
        return Learned()

    @classmethod
    def adopt(cls, config: Mapping[str, Json]) -> Learned | None:
        """A published model that writes on."""
        return Learned() if (config.get("architectures") or [""])[0].endswith(("ForCausalLM", "LMHeadModel")) else None

    def compose(self, examples: Sequence[Passage], tokenizer: Tokenizer, draw: Random) -> Sequence[Passage]:
        """The texts as they are, or joined until a block is full."""
        if not self.settings.blocks or any(example.prompt is not None for example in examples):
            return examples
        made = blocks(((one.row, one.text) for one in examples), tokenizer, tokenizer.longest - 2)
        return [Passage(row, text, joined=True) for row, text in made]

    def encode(self, example: Passage, tokenizer: Tokenizer, draw: Random | None = None) -> list[Feature]:
        """Windows of start, text and end; every token but the first is asked once.

        text [5, 6, 7] in windows of 3:  ids <start> 5 6 | 6 7 <end>   asked 5 6 | 7 <end>
        """
        before = [token for token in (tokenizer.start_id,) if token is not None]
        if example.prompt is not None:
            before += tokenizer.tokenize(tokenizer.as_prompt(example.prompt, chat=self.settings.chat)).ids
        ids = [*before, *tokenizer.tokenize(example.text).ids, *(token for token in (tokenizer.end_id,) if token is not None)]
        first = max(1, len(before))  # the first token that is asked
        cut = 0
        if example.prompt is not None and len(ids) > tokenizer.longest:
            cut = min(len(before) - 1, len(ids) - tokenizer.longest)
            ids, first = ids[cut:], first - cut
        if draw is not None:
            return self.windows(ids, first, tokenizer.longest, draw, cut)
        if tokenizer.remembers:
            made = self.segments(ids, first, tokenizer.longest, cut, "blocks" if example.joined else example.row)
        else:
            made = self.windows(ids, first, tokenizer.longest, draw, cut)
        return [dataclasses.replace(feature, info={"unknown": tokenizer.unknown_id}) for feature in made]

    def windows(self, ids: Sequence[int], first: int, longest: int, draw: Random | None, cut: int) -> list[Feature]:
        """Features that ask every token from `first` on once; in evaluation each window's beginning gives context alone."""
        context = 1 if draw is not None else max(1, min(longest - 1, round(longest * self.settings.overlap)))
        made: list[tuple[Sequence[int], list[int]]] = []
        begin, asked = 0, first
        while asked < len(ids):
            end = min(len(ids), begin + longest)
            part = ids[begin:end]
            places = list(range(asked - begin - 1, len(part) - 1))
            if places:
                made.append((part, places))
            asked, begin = max(asked, end), max(0, end - context)
        made = made or [(ids, [])]
        return [Feature(part, [0] * len(part), {"label": Target([part[place + 1] for place in places], "asked")}, 1 / len(made), cut,
                        asks=places) for part, places in made]

    def segments(self, ids: Sequence[int], first: int, longest: int, cut: int, stream: Hashable) -> list[Feature]:
        """The same for a model that remembers: the text once, piece after piece; a piece's last token asks for the next's first.

        text [5, 6, 7] in pieces of 2:  ids <start> 5 | 6 7   asked 5 6 | 7 <end>
        """
        whole, begins = max(1, len(ids) - 1), range(0, max(1, len(ids) - 1), longest)
        made = []
        for begin in begins:
            part = ids[begin:min(begin + longest, whole)]
            places = [place for place in range(len(part)) if first <= begin + place + 1 < len(ids)]
            target = Target([ids[begin + place + 1] for place in places], "asked")
            made.append(Feature(part, [0] * len(part), {"label": target}, 1 / len(begins), cut, asks=places, stream=stream))
        return made

    def head(self) -> HeadSpec:
        """A score for each piece of the vocabulary, at each token."""
        return HeadSpec("causal-language-model", 0, loss="vocabulary", drawn_order=self.settings.order == "drawn")

    def reduce(self, feature: Feature, output: Mapping[str, NDArray[Any]]) -> dict[str, float]:
        """How surprising the asked tokens were, and how many they are."""
        surprise = output["surprise"].astype("float64")
        unknown = sum(token == feature.info["unknown"] for token in feature.targets["label"].value)
        return {"loss": float(surprise.sum()), "hits": float(output["hit"].sum()), "count": len(surprise), "unknown": unknown}

    def decode(self, example: Passage, pieces: Sequence[dict[str, float]]) -> Prediction:
        """The text's log-probability in all."""
        sums = {name: sum(piece[name] for piece in pieces) for name in ("loss", "hits", "count", "unknown")}
        mean = sums["loss"] / sums["count"] if sums["count"] else 0.0
        return Prediction(example.row, {"log_probability": -sums["loss"], "perplexity": math.exp(min(mean, 700.0))}, sums)

    def measure(self, example: Passage, prediction: Prediction) -> Mapping[str, Any]:
        """Surprise, tokens, words and bytes of the text."""
        from headstart.metrics.language import measures

        found = measures(prediction.detail["loss"], int(prediction.detail["count"]), example.text)
        return found | {"unknown": prediction.detail.get("unknown", 0)}

    def warn(self, measures: Measures) -> str | None:
        """Unknown words are easy to foretell: a perplexity with many of them says little."""
        share = float(measures["unknown"].sum() / max(1, measures["tokens"].sum()))
        if share < 0.01:
            return None
        return f"{share:.1%} of the tokens are unknown to the tokenizer and easy to foretell: perplexity and bits per byte say little here"

    def score(self, measures: Measures, weights: Floats) -> dict[str, NDArray[Any]]:
        """perplexity (a token), word_perplexity, bits_per_byte."""
        import numpy as np

        from headstart.metrics.language import scores

        return {name: np.where(np.isfinite(values), values, np.nan) for name, values in scores(measures, weights).items()}

    def describe(self, name: str, measures: Measures) -> tuple[str, bool, str]:
        """Definition, direction and reason of a score."""
        from headstart.metrics.language import reason

        words = {"perplexity": "exp(mean of -log p of a token, the end included); depends on the vocabulary",
                 "word_perplexity": "exp(surprise of the whole text / its words)",
                 "bits_per_byte": "surprise of the whole text in bits / its bytes in UTF-8; comparable across vocabularies"}
        return words[name], False, reason(name, measures)

    def opening(self, example: Passage, tokenizer: Tokenizer) -> tuple[str, str] | None:
        """The prompt and its response; else the text's first words (a third of them, at most 24) and the rest."""
        if example.prompt is not None:
            return tokenizer.as_prompt(example.prompt, chat=self.settings.chat), example.text
        ends = [word.end() for word in re.finditer(r"\S+", example.text)]
        end = ends[max(1, min(24, len(ends) // 3)) - 1]
        return example.text[:end], example.text[end:].strip()

    def baselines(self) -> tuple[Baseline, ...]:
        """Counting what follows the two tokens before."""
        from headstart.tasks.shared.ngram_baseline import fit_ngrams

        return (Baseline("3-gram with back-off", fit_ngrams, needs_features=True),)

    def figures(self, examples: Sequence[Passage], predictions: Sequence[Prediction], measures: Measures) -> list[Figure]:
        """The texts that surprise the model most."""
        import numpy as np

        each = np.asarray([one.detail["loss"] / max(1, one.detail["count"]) for one in predictions])
        items = [{"text": examples[at].whole[:2000], "title": f"row {examples[at].row}",
                  "fields": {"mean surprise of a token": float(each[at])}} for at in np.argsort(-each, kind="stable")[:20].tolist()]
        return [Figure("surprising", "Most surprising texts", "texts", {"items": items})]
