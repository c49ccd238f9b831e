"""Replaced-token detection: which tokens of a text do not belong there; how ELECTRA's discriminator is trained.

Clark et al. 2020, ELECTRA, section 3.1; tokens are replaced by draws from the vocabulary where the paper has a generator
model, which makes them easier to find. T tokens of a feature, M examples, R resamples.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from random import Random
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

from headstart.contract import (
    Baseline,
    Column,
    Detection,
    Example,
    Feature,
    Field,
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
from headstart.tasks.shared.text_pairs import TEXT_NAMES, plain

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from headstart.contract import Floats

COUNTS = ("hits", "called", "replaced", "right", "tokens", "loss")


@dataclass(frozen=True)
class Settings:
    """What replaced-token detection can be told."""

    share: Annotated[float, Note("of the tokens that are replaced", above=0, below=1)] = 0.15


@dataclass(frozen=True)
class Text(Example):
    """A text."""

    text: str


@dataclass(frozen=True)
class ReplacedTokenDetection(Task[Text]):
    """Which tokens of a text were replaced."""

    name: ClassVar[str] = "replaced-token-detection"
    summary: ClassVar[str] = "which tokens do not belong in a text: ELECTRA's pre-training"
    fields: ClassVar[tuple[Field, ...]] = (Field("text", "the text", usual=TEXT_NAMES),)
    kinds: ClassVar[tuple[Kind, ...]] = ("encoder",)
    best: ClassVar[tuple[str, bool]] = ("f1", True)
    default_model: ClassVar[str] = "google/electra-small-discriminator"
    Settings: ClassVar[type] = Settings
    draws: ClassVar[bool] = True

    @classmethod
    def detect(cls, columns: Sequence[Column]) -> Detection | None:
        """Texts alone are no sign of it; it is asked for by name."""
        return None

    def read(self, row: Row) -> Text:
        """The text; raises RowFault for an empty one."""
        text = plain(row, "text")
        if text is None or not text.strip():
            raise RowFault("E201", "the text is empty.", fix="Fill it in, or leave the row out (--bad-rows skip).", field="text")
        return Text(row.id, text)

    def subject(self, example: Text) -> str:
        """The text."""
        return example.text

    def cuts(self) -> bool:
        """Long texts are read in windows."""
        return False

    def learn(self, examples: Iterable[Text]) -> Learned:
        """Nothing beside the weights."""
        return Learned()

    @classmethod
    def adopt(cls, config: Mapping[str, Json]) -> Learned | None:
        """A published ELECTRA discriminator."""
        return Learned() if (config.get("architectures") or [""])[0] == "ElectraForPreTraining" else None

    def encode(self, example: Text, tokenizer: Tokenizer, draw: Random | None = None) -> list[Feature]:
        """One feature for each window; with a draw some tokens are replaced, and each token is asked whether it was."""
        held = tokenizer.tokenize(example.text)
        room, at = tokenizer.room(1), tokenizer.lay_out([-1])[0].index(-1)
        made, begins = [], range(0, max(1, len(held.ids)), room)
        for begin in begins:
            part = list(held.ids[begin:begin + room])
            targets: dict[str, Target] = {}
            if draw is not None and part:
                part, changed = replaced(part, draw, self.settings.share, tokenizer)
                ids, types = tokenizer.lay_out(part)
                targets = {"label": Target([-100] * at + changed + [-100] * (len(ids) - at - len(part)), "token")}
            else:
                ids, types = tokenizer.lay_out(part)
            info = {} if targets else {"at": at, "offsets": list(held.offsets or ())[begin:begin + room]}
            made.append(Feature(ids, types, targets, weight=1 / len(begins), info=info))
        return made

    def head(self) -> HeadSpec:
        """One score for each token."""
        return HeadSpec("replaced-token", 1, loss="token-binary")

    def reduce(self, feature: Feature, output: Mapping[str, NDArray[Any]]) -> dict[str, Any]:
        """What was found, counted; or the probability of each of the text's own tokens."""
        import numpy as np

        logits = output["logits"][:, 0].astype("float64")
        if not feature.targets:
            at, offsets = int(feature.info["at"]), feature.info["offsets"]
            shares = 1 / (1 + np.exp(-logits[at:at + len(offsets)]))
            return {"found": [(*place, float(share)) for place, share in zip(offsets, shares, strict=True)], **dict.fromkeys(COUNTS, 0.0)}
        gold = np.asarray(feature.targets["label"].value)
        real = gold >= 0
        logits, gold = logits[real], gold[real]
        called = logits > 0
        return {"found": [], "hits": float((called & (gold == 1)).sum()), "called": float(called.sum()), "replaced": float(gold.sum()),
                "right": float((called == (gold == 1)).sum()), "tokens": float(len(gold)),
                "loss": float(np.logaddexp(0, np.where(gold == 1, -logits, logits)).sum())}

    def decode(self, example: Text, pieces: Sequence[dict[str, Any]]) -> Prediction:
        """The places that do not seem to belong, likeliest first as they stand."""
        spans = [{"start": begin, "end": end, "text": example.text[begin:end], "probability": share}
                 for piece in pieces for begin, end, share in piece["found"] if share > 0.5]
        return Prediction(example.row, {"spans": spans}, {name: sum(piece[name] for piece in pieces) for name in COUNTS})

    def measure(self, example: Text, prediction: Prediction) -> Mapping[str, Any]:
        """Tokens found, called, replaced, and right, and the sum of their losses."""
        return {name: float(prediction.detail[name]) for name in COUNTS}

    def score(self, measures: Measures, weights: Floats) -> dict[str, NDArray[Any]]:
        """f1, precision and recall of the replaced tokens, accuracy and loss of all."""
        import numpy as np

        sums = {name: weights @ measures[name] for name in COUNTS}

        def share(part: str, whole: NDArray[Any]) -> NDArray[Any]:
            found: NDArray[Any] = np.divide(sums[part], whole, out=np.full(len(whole), np.nan), where=whole > 0)
            return found

        both = sums["called"] + sums["replaced"]
        return {"f1": 2 * share("hits", both), "precision": share("hits", sums["called"]), "recall": share("hits", sums["replaced"]),
                "accuracy": share("right", sums["tokens"]), "loss": share("loss", sums["tokens"])}

    def describe(self, name: str, measures: Measures) -> tuple[str, bool, str]:
        """Definition, direction and reason of a score."""
        words = {"f1": "2·precision·recall/(precision+recall) of the tokens called replaced", "precision": "of the tokens called replaced",
                 "recall": "of the replaced tokens", "accuracy": "share of tokens that are called what they are",
                 "loss": "mean cross-entropy of a token"}
        return f"{words[name]}; replacements fixed by the seed", name != "loss", "no token was called or replaced"

    def baselines(self) -> tuple[Baseline, ...]:
        """Calling every token replaced."""
        return (Baseline("every token", lambda *_: EveryToken(), needs_features=True),)


def replaced(ids: Sequence[int], draw: Random, share: float, tokenizer: Tokenizer) -> tuple[list[int], list[int]]:
    """Ids with about this share drawn anew, at least one; and 1 where that changed something."""
    made = list(ids)
    for place in draw.sample(range(len(ids)), max(1, round(share * len(ids)))):
        made[place] = tokenizer.any_piece(draw)
    return made, [int(one != other) for one, other in zip(ids, made, strict=True)]


@dataclass(frozen=True)
class EveryToken:
    """The rival that calls every token replaced."""

    size_bytes: int = 1

    def predict(self, examples: Sequence[Text], features: Sequence[Sequence[Feature]]) -> list[Prediction]:
        """All tokens; its loss has no meaning and is that of a coin."""
        import math

        found = []
        for example, held in zip(examples, features, strict=True):
            gold = [one for feature in held if feature.targets for one in feature.targets["label"].value if one >= 0]
            count, hits = float(len(gold)), float(sum(gold))
            found.append(Prediction(example.row, {"spans": []}, {
                "hits": hits, "called": count, "replaced": hits, "right": hits, "tokens": count, "loss": count * math.log(2)}))
        return found
