"""What a temperature would make of predictions that are there already: of classes, of tags, of ranked answers.

M examples, C classes, W words, N ranked answers.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from headstart.contract import Prediction, Tempered

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from headstart.contract import Ints


def tempered_classes(gold: Ints, predictions: Sequence[Prediction]) -> Callable[[float], Tempered]:
    """By the probabilities of each prediction's classes; gold (M,), a class from C on has no probability."""
    import numpy as np

    from headstart.metrics.calibration import tempered_log_probabilities
    from headstart.metrics.classification import log_losses

    probabilities = np.asarray([list(prediction.values["probabilities"].values()) for prediction in predictions])
    with np.errstate(divide="ignore"):
        log_probabilities = np.log(probabilities)

    def at_temperature(temperature: float) -> Tempered:
        changed = np.exp(tempered_log_probabilities(log_probabilities, temperature))
        return Tempered(log_losses(gold, changed), changed.max(axis=1))

    return at_temperature


def tempered_tags(gold: Sequence[NDArray[np.int64]], predictions: Sequence[Prediction]) -> Callable[[float], Tempered]:
    """By the log-probabilities (W, C) of each prediction's tags; gold (W,) of each, -1 for a tag unseen in training.

    The loss of a row is the mean of its words', its confidence the product of the probabilities of its tags.
    """
    import numpy as np

    from headstart.metrics.calibration import tempered_log_probabilities

    word_counts = np.asarray([len(prediction.detail["tag_path"]) for prediction in predictions])
    row_of_word = np.repeat(np.arange(len(predictions)), word_counts)
    log_probabilities, paths, gold_tags = (np.concatenate(parts) for parts in (
        [prediction.detail["tag_log_probabilities"] for prediction in predictions],
        [prediction.detail["tag_path"] for prediction in predictions], gold))
    words = np.arange(len(row_of_word))

    def row_sums(values: NDArray[np.float64]) -> NDArray[np.float64]:
        sums = np.bincount(row_of_word, weights=values, minlength=len(predictions))
        return np.asarray(sums, dtype=np.float64)

    def at_temperature(temperature: float) -> Tempered:
        changed = tempered_log_probabilities(log_probabilities, temperature)
        losses = -np.where(gold_tags < 0, np.log(np.finfo(np.float64).eps), changed[words, gold_tags])
        return Tempered(row_sums(losses) / np.maximum(1, word_counts), np.exp(row_sums(changed[words, paths])))

    return at_temperature


def tempered_answers(right: Sequence[bool], predictions: Sequence[Prediction]) -> Callable[[float], Tempered]:
    """By the probabilities of each question's ranked answers; a question that is not answered keeps its confidence.

    The loss is that of the confidence as the probability of being right.
    """
    import numpy as np

    from headstart.metrics.calibration import binary_losses, tempered_log_probabilities

    is_right = np.asarray(right, dtype=bool)
    is_answered = np.asarray([bool(prediction.values["prediction"]) for prediction in predictions])
    confidences = np.asarray([prediction.detail["confidence"] for prediction in predictions])
    answer_lists = [[answer["probability"] for answer in prediction.detail["n_best"]] or [1.0]
                    for prediction in predictions]
    longest = max(map(len, answer_lists))
    padded = np.asarray([answers + [0.0] * (longest - len(answers)) for answers in answer_lists])
    with np.errstate(divide="ignore"):
        log_probabilities = np.log(padded)
    answerable = confidences / padded[:, 0]

    def at_temperature(temperature: float) -> Tempered:
        best = np.exp(tempered_log_probabilities(log_probabilities, temperature))[:, 0]
        changed = np.where(is_answered, best * answerable, confidences)
        return Tempered(binary_losses(changed, is_right), changed)

    return at_temperature
