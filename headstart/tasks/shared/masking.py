"""Masked tokens: shared by masked language models and BERT's pre-training."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from random import Random
from typing import TYPE_CHECKING, Any

from headstart.contract import Example, Feature, Prediction, Tokenizer
from headstart.errors import Exit, UserError
from headstart.text.masking import mask_tokens, word_groups

if TYPE_CHECKING:
    from numpy.typing import NDArray


def masked_input(ids: Sequence[int], offsets: Sequence[tuple[int, int]], text: str, tokenizer: Tokenizer, rng: Random,
                 mask_probability: float, whole_word_masking: bool) -> tuple[list[int], list[int], list[int]]:
    """Ids with some masked, the masked positions, and the original ids there."""
    mask_id = tokenizer.mask_id
    if mask_id is None:
        raise UserError("This model's tokenizer has no mask token.", fix="Choose a masked language model, such as "
                        "distilbert-base-cased.", exit=Exit.USAGE)
    groups = word_groups(offsets, text) if whole_word_masking else [[position] for position in range(len(ids))]
    masked_ids, positions = mask_tokens(ids, groups, rng, share=mask_probability, mask_id=mask_id,
                                        random_token_id=tokenizer.random_token_id)
    return masked_ids, positions, [ids[position] for position in positions]


def reduce_masked_logits(logits: NDArray[Any], info: Mapping[str, Any], gold: Sequence[int] | None,
                         n_best: int) -> dict[str, Any]:
    """The likeliest pieces for each masked position (A, V); with gold, instead the sum of losses, hits and count."""
    import numpy as np

    if not len(logits):
        return {"fills": [], "loss": 0.0, "hits": 0, "count": 0}
    shifted = logits.astype("float64") - logits.max(axis=1, keepdims=True)
    all_log_probabilities = shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))
    fills = []
    if gold is not None:
        gold_ids = np.asarray(gold)
        gold_log_probabilities = all_log_probabilities[np.arange(len(gold_ids)), gold_ids]
        hits = int((all_log_probabilities.argmax(axis=1) == gold_ids).sum())
        return {"fills": [], "loss": float(-gold_log_probabilities.sum()), "hits": hits, "count": len(gold_ids)}
    for log_probabilities in all_log_probabilities:
        best_ids = np.argpartition(log_probabilities, -n_best)[-n_best:]
        best_ids = best_ids[np.lexsort((best_ids, -log_probabilities[best_ids]))]
        pieces = info["pieces"](best_ids.tolist())
        fills.append([{"token": piece, "probability": float(np.exp(log_probabilities[token_id]))}
                      for piece, token_id in zip(pieces, best_ids.tolist(), strict=True)])
    return {"fills": fills, "loss": 0.0, "hits": 0, "count": 0}


@dataclass(frozen=True)
class FittedNeighbours:
    """A fitted n-gram baseline, with the predictions of a masked language model."""

    model: Any
    vocabulary_size: int

    @property
    def size_bytes(self) -> int:
        """Memory that it takes."""
        return int(self.model.size_bytes)

    def predict(self, examples: Sequence[Example], features: Sequence[Sequence[Feature]]) -> list[Prediction]:
        """Loss, hits and count of the masked tokens; a token unseen in training has the probability of an unseen one.
        """
        import numpy as np

        contexts = [(example_index, *context) for example_index, feature_list in enumerate(features)
                    for feature in feature_list for context in masked_contexts(feature)]
        losses, hits, counts = np.zeros(len(features)), np.zeros(len(features)), np.zeros(len(features))
        index = 0
        left_ids = [min(left_id, self.vocabulary_size - 1) for _, left_id, _, _ in contexts]
        right_ids = [min(right_id, self.vocabulary_size - 1) for _, _, right_id, _ in contexts]
        for probability_rows in self.model.probabilities(left_ids, right_ids):
            for probabilities in probability_rows:
                owner, _, _, gold = contexts[index]
                probability = float(probabilities[gold]) if gold < self.vocabulary_size else float(
                    self.model.unigram.min())
                losses[owner] -= np.log(max(probability, 1e-300))
                hits[owner] += int(probabilities.argmax()) == gold
                counts[owner] += 1
                index += 1
        return [Prediction(example.row, {"fills": []},
                           {"loss": losses[index], "hits": hits[index], "count": counts[index]})
                for index, example in enumerate(examples)]


def masked_contexts(feature: Feature) -> Iterator[tuple[int, int, int]]:
    """Left neighbour, right neighbour and original token of each masked position."""
    if feature.targets:
        for position, gold in zip(feature.label_positions or (), feature.targets["label"].value, strict=True):
            yield feature.ids[position - 1], feature.ids[min(position + 1, len(feature.ids) - 1)], gold


def fit_neighbours(examples: Sequence[Example], features: Sequence[Sequence[Feature]], seed: int) -> FittedNeighbours:
    """Count neighbours in the training texts, with the original tokens in place of the masks."""
    from headstart.baselines.bigram import BidirectionalBigram

    id_lists = []
    for feature in (feature for feature_list in features for feature in feature_list):
        ids = list(feature.ids)
        if feature.targets:
            for position, gold in zip(feature.label_positions or (), feature.targets["label"].value, strict=True):
                ids[position] = gold
        id_lists.append(ids)
    vocabulary_size = 1 + max((max(ids) for ids in id_lists if ids), default=0)
    return FittedNeighbours(BidirectionalBigram(id_lists, vocabulary_size), vocabulary_size)
