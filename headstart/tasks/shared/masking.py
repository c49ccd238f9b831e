"""Masked words: what masked language models and BERT's pre-training share."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from random import Random
from typing import TYPE_CHECKING, Any

from headstart.contract import Example, Feature, Prediction, Tokenizer
from headstart.errors import Exit, UserError
from headstart.text.masking import masked, words

if TYPE_CHECKING:
    from numpy.typing import NDArray


def hidden(ids: Sequence[int], offsets: Sequence[tuple[int, int]], text: str, tokenizer: Tokenizer, draw: Random, share: float,
           whole_words: bool) -> tuple[list[int], list[int], list[int]]:
    """Ids with some hidden, the hidden places, and what stood there."""
    mask = tokenizer.mask_id
    if mask is None:
        raise UserError("This model's tokenizer has no mask token.", fix="Choose a masked language model, such as "
                        "distilbert-base-cased.", exit=Exit.USAGE)
    groups = words(offsets, text) if whole_words else [[place] for place in range(len(ids))]
    made, places = masked(ids, groups, draw, share=share, mask_id=mask, any_piece=tokenizer.any_piece)
    return made, places, [ids[place] for place in places]


def reduced(logits: NDArray[Any], info: Mapping[str, Any], gold: Sequence[int] | None, count: int) -> dict[str, Any]:
    """For each asked place (A, V): the likeliest pieces; with gold, the sum of surprises, hits and number."""
    import numpy as np

    if not len(logits):
        return {"fills": [], "loss": 0.0, "hits": 0, "count": 0}
    shifted = logits.astype("float64") - logits.max(axis=1, keepdims=True)
    logs = shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))
    found: dict[str, Any] = {"fills": [], "loss": 0.0, "hits": 0, "count": 0}
    if gold is not None:
        taken = np.asarray(gold)
        found |= {"loss": float(-logs[np.arange(len(taken)), taken].sum()), "hits": int((logs.argmax(axis=1) == taken).sum()),
                  "count": len(taken)}
        return found
    for row in logs:
        best = np.argpartition(row, -count)[-count:]
        best = best[np.lexsort((best, -row[best]))]
        pieces = info["pieces"](best.tolist())
        found["fills"].append([{"token": piece, "probability": float(np.exp(row[place]))}
                               for piece, place in zip(pieces, best.tolist(), strict=True)])
    return found


@dataclass(frozen=True)
class Counted:
    """A fitted n-gram rival, in the form of a masked language model's predictions."""

    model: Any
    size: int

    @property
    def size_bytes(self) -> int:
        """How much it takes to keep."""
        return int(self.model.size_bytes)

    def predict(self, examples: Sequence[Example], features: Sequence[Sequence[Feature]]) -> list[Prediction]:
        """Surprise, hits and number of the hidden tokens; a token that training never showed counts as never seen."""
        import numpy as np

        asked = [(owner, *one) for owner, held in enumerate(features) for feature in held for one in hidden_places(feature)]
        loss, hits, count = np.zeros(len(features)), np.zeros(len(features)), np.zeros(len(features))
        place = 0
        low = [[min(token, self.size - 1) for token in (left, right)] for _, left, right, _ in asked]
        for table in self.model.probabilities([left for left, _ in low], [right for _, right in low]):
            for row in table:
                owner, _, _, gold = asked[place]
                share = float(row[gold]) if gold < self.size else float(self.model.alone.min())
                loss[owner] -= np.log(max(share, 1e-300))
                hits[owner] += int(row.argmax()) == gold
                count[owner] += 1
                place += 1
        return [Prediction(example.row, {"fills": []}, {"loss": loss[at], "hits": hits[at], "count": count[at]})
                for at, example in enumerate(examples)]


def hidden_places(feature: Feature) -> Iterator[tuple[int, int, int]]:
    """Left neighbour, right neighbour and hidden token of each asked place."""
    if feature.targets:
        for place, gold in zip(feature.asks or (), feature.targets["label"].value, strict=True):
            yield feature.ids[place - 1], feature.ids[min(place + 1, len(feature.ids) - 1)], gold


def fit_neighbours(examples: Sequence[Example], features: Sequence[Sequence[Feature]], seed: int) -> Counted:
    """Count neighbours in the training texts, the hidden tokens put back."""
    from headstart.baselines.neighbours import Neighbours

    whole = []
    for feature in (one for held in features for one in held):
        ids = list(feature.ids)
        if feature.targets:
            for place, gold in zip(feature.asks or (), feature.targets["label"].value, strict=True):
                ids[place] = gold
        whole.append(ids)
    size = 1 + max((max(ids) for ids in whole if ids), default=0)
    return Counted(Neighbours(whole, size), size)
