"""Viterbi decoding of tags.

W words, C tags.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from headstart.metrics.calibration import tempered_log_probabilities
from headstart.text.tags import BEGIN_PREFIXES, END_PREFIXES, INSIDE_PREFIXES, Entity, entities, split_tag

FORBIDDEN = -1e12


@lru_cache(maxsize=16)
def transition_scores(labels: tuple[str, ...]) -> tuple[NDArray[Any], NDArray[Any]]:
    """Scores of first tags (C,), and of tag after tag (C, C): 0 where allowed.

    A tag inside of an entity follows a tag of its type that does not end one. Where some type has no B- (IOB1), every
    tag may follow every other.
    """
    start_scores, transitions = np.zeros(len(labels)), np.zeros((len(labels), len(labels)))
    parsed_labels = [split_tag(label) or ("O", "") for label in labels]
    types_with_begin = {kind for prefix, kind in parsed_labels if prefix in BEGIN_PREFIXES}
    if not {kind for prefix, kind in parsed_labels if prefix in INSIDE_PREFIXES} <= types_with_begin:
        return start_scores, transitions
    for index, (prefix, kind) in enumerate(parsed_labels):
        if prefix not in INSIDE_PREFIXES:
            continue
        start_scores[index] = FORBIDDEN
        for previous, (previous_prefix, previous_kind) in enumerate(parsed_labels):
            if previous_kind != kind or previous_prefix in END_PREFIXES or previous_prefix == "O":
                transitions[previous, index] = FORBIDDEN
    return start_scores, transitions


def viterbi(log_probabilities: NDArray[Any], labels: Sequence[str]) -> list[int]:
    """The tags with the highest sum of log-probabilities (W, C) among allowed sequences (Viterbi 1967)."""
    if not len(log_probabilities):
        return []
    start_scores, transitions = transition_scores(tuple(labels))
    best_tags = log_probabilities.argmax(axis=1)
    if start_scores[best_tags[0]] == 0 and not transitions[best_tags[:-1], best_tags[1:]].any():
        return [int(tag) for tag in best_tags]  # the best tag of each word is allowed
    best_scores, backpointers = log_probabilities[0] + start_scores, np.zeros(log_probabilities.shape, dtype=np.int32)
    for word in range(1, len(log_probabilities)):
        path_scores = best_scores[:, None] + transitions
        backpointers[word] = path_scores.argmax(axis=0)
        best_scores = path_scores.max(axis=0) + log_probabilities[word]
    tag_path = [int(best_scores.argmax())]
    for word in range(len(log_probabilities) - 1, 0, -1):
        tag_path.append(int(backpointers[word, tag_path[-1]]))
    return tag_path[::-1]


@dataclass(frozen=True)
class DecodedTags:
    """What was decoded of a text: its entities, each with the mean probability of its words' tags, and for the W words
    that have tokens their numbers, log-probabilities (W, C), and tags.
    """

    entities: list[tuple[Entity, float]]
    words: NDArray[np.int64]
    log_probabilities: NDArray[Any]
    tag_path: NDArray[np.int64]

    @property
    def confidence(self) -> float:
        """The product of the probabilities of its words' tags: that of all of them being right, were they independent.
        """
        return float(np.exp(self.log_probabilities[np.arange(len(self.words)), self.tag_path].sum()))


def decode_entities(outputs: Sequence[tuple[Sequence[int], NDArray[Any], Mapping[int, int]]],
                    labels: Sequence[str], temperature: float = 1.0) -> DecodedTags:
    """The entities of a text from all its windows; outputs are divided by the temperature.

    A word without tokens belongs to the entity around it, or to that of the word whose token covers it.
    """
    words = np.concatenate([np.asarray(output[0], dtype=np.int64) for output in outputs])
    order = np.argsort(words, kind="stable")
    log_probabilities = np.concatenate([output[1] for output in outputs])[order]
    words_with_tokens, covering_words = words[order].tolist(), outputs[0][2]
    tag_path = viterbi(log_probabilities, labels)  # which is the same at every temperature
    if temperature != 1 and len(log_probabilities):
        log_probabilities = tempered_log_probabilities(log_probabilities, temperature)
    probabilities = np.exp(log_probabilities[np.arange(len(tag_path)), tag_path])
    scored_entities = []
    for entity in entities([labels[tag] for tag in tag_path]):
        start, end = words_with_tokens[entity.begin], words_with_tokens[entity.end - 1] + 1
        while covering_words.get(end, -1) == words_with_tokens[entity.end - 1]:
            end += 1
        scored_entities.append((Entity(start, end, entity.type), float(probabilities[entity.begin:entity.end].mean())))
    return DecodedTags(scored_entities, words[order], log_probabilities, np.asarray(tag_path, dtype=np.int64))
