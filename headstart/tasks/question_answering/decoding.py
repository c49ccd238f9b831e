"""From a reader's logits to spans of the passage, and from ranked spans to a prediction."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from headstart.contract import Json, Prediction
from headstart.tasks.question_answering.reading import Question

if TYPE_CHECKING:
    from numpy.typing import NDArray


def best_spans(logits: NDArray[Any], max_length: int, count: int) -> list[tuple[float, int, int]]:
    """The highest sums of a first and a last token's logit, at most `max_length` tokens long: (n, 2) -> (score, first,
    last).
    """
    import numpy as np

    token_count = len(logits)
    span_scores = np.full((min(max_length, token_count), token_count), -np.inf)
    for offset in range(len(span_scores)):
        span_scores[offset, :token_count - offset] = logits[:token_count - offset, 0] + logits[offset:, 1]
    flat_scores = span_scores.ravel()
    best_indices = np.argpartition(flat_scores,
                                   -count)[-count:] if len(flat_scores) > count else np.arange(len(flat_scores))
    best_indices = best_indices[np.lexsort((best_indices, -flat_scores[best_indices]))]
    return [(float(flat_scores[index]), index % token_count, index % token_count + index // token_count)
            for index in best_indices.tolist() if np.isfinite(flat_scores[index])]


def token_probabilities(logits: NDArray[Any], candidates: NDArray[Any]) -> NDArray[Any]:
    """Each token's probability of being the answer's first, and its last, among the candidates (n,): (n, 2) -> (n, 2).
    """
    import numpy as np

    powers = np.exp(logits - logits[candidates].max(axis=0)) * candidates[:, None]
    probabilities: NDArray[Any] = powers / powers.sum(axis=0)
    return probabilities


def beam_spans(output: Mapping[str, NDArray[Any]], passage_start: int, offsets: Sequence[tuple[int, int]],
               max_length: int) -> list[tuple[float, int, int]]:
    """Each start with each of its ends that makes a span of the passage: log p of both, and the characters."""
    spans = []
    columns = (output[name].tolist() for name in ("starts", "start_scores", "ends", "end_scores"))
    for start, start_score, end_positions, end_scores in zip(*columns, strict=True):
        for end, end_score in zip(end_positions, end_scores, strict=True):
            start, end = int(start), int(end)
            if passage_start <= start <= end < passage_start + len(offsets) and end - start < max_length:
                spans.append((start_score + end_score, offsets[start - passage_start][0],
                              offsets[end - passage_start][1]))
    return spans


def answer_prediction(example: Question, ranked_spans: Sequence[tuple[tuple[int, int], float]], no_answer_score: float,
                      threshold: float | None, detail: Mapping[str, Any], temperature: float) -> Prediction:
    """Ranked spans ((start, end), score) and the no-answer score, in the user's terms.

    The temperature makes the probabilities of spans, among each other; none is in the no-answer probability, whose
    threshold is tuned. The confidence of an answer is its probability, times that of there being one where there may be
    none.
    """
    passage = example.passage
    best_score = ranked_spans[0][1] if ranked_spans else no_answer_score - 700.0
    powers = [math.exp((score - best_score) / temperature) for _, score in ranked_spans]
    texts = [passage[start:end].strip() for (start, end), _ in ranked_spans]
    no_answer_probability = 1 / (1 + math.exp(min(700.0, best_score - no_answer_score)))
    n_best = [{"text": text, "probability": power / sum(powers), "score": score}
              for text, power, (_, score) in zip(texts, powers, ranked_spans, strict=True)]
    values: dict[str, Json] = {"prediction": "", "start": None, "end": None, "probability": no_answer_probability,
                               "no_answer_probability": no_answer_probability}
    if ranked_spans and (threshold is None or no_answer_probability <= threshold):
        begin = ranked_spans[0][0][0] + len(passage[ranked_spans[0][0][0]:]) - len(
            passage[ranked_spans[0][0][0]:].lstrip())
        values |= {"prediction": texts[0], "start": begin, "end": begin + len(texts[0]),
                   "probability": n_best[0]["probability"]}
    is_answered = bool(values["prediction"])
    confidence = values["probability"] * (1 - no_answer_probability if is_answered and threshold is not None else 1)
    return Prediction(example.row, values, {"best": texts[0] if texts else "", "n_best": n_best,
                                            "confidence": confidence, **detail})
