"""Figures of a language model: its loss by how much of the text it has seen, and the texts that surprise it most.

B bins of positions: the first has 1 token before the label, bin b those with 2^b to 2^(b+1) - 1.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from headstart.contract import Figure, Json, Prediction

if TYPE_CHECKING:
    from numpy.typing import NDArray

BINS = 17  # up to 131,071 tokens before a label
MAX_TEXTS, MAX_CHARACTERS = 20, 2000


def position_sums(losses: NDArray[Any], positions: Sequence[int]) -> NDArray[Any]:
    """Summed loss and number of labels by the tokens before them in the window: (2, B); `positions` (L,) are those of
    the tokens that predict the L labels.
    """
    import numpy as np

    tokens_before = np.asarray(positions, dtype=np.int64) + 1
    bins = np.minimum(np.log2(tokens_before).astype(np.int64), BINS - 1)
    return np.stack([np.bincount(bins, weights=losses, minlength=BINS), np.bincount(bins, minlength=BINS)])


def figures(texts: Sequence[str], predictions: Sequence[Prediction]) -> list[Figure]:
    """The loss by position, where the predictions have it, and the texts of the highest mean loss."""
    import numpy as np

    mean_losses = np.asarray([prediction.detail["loss"] / max(1, prediction.detail["count"])
                              for prediction in predictions])
    order = np.argsort(-mean_losses, kind="stable")[:MAX_TEXTS].tolist()
    items = [{"text": texts[index][:MAX_CHARACTERS], "title": f"row {predictions[index].row}",
              "fields": {"mean loss of a token": float(mean_losses[index])}} for index in order]
    surprising = Figure("surprising", "Texts of the highest loss", "texts", {"items": items})
    return [*loss_by_position(predictions), surprising]


def loss_by_position(predictions: Sequence[Prediction]) -> list[Figure]:
    """The mean loss of a token by how many tokens stand before it; [] where there are fewer than two bins."""
    import numpy as np

    sums = [prediction.detail["positions"] for prediction in predictions if "positions" in prediction.detail]
    total = np.sum(sums, axis=0) if sums else np.zeros((2, BINS))
    places = np.flatnonzero(total[1]).tolist()
    if len(places) < 2:
        return []
    points = [[float(2**place), float(total[0, place] / total[1, place])] for place in places]
    counts: dict[float, Json] = {float(2**place): int(total[1, place]) for place in places}
    lasts: dict[float, Json] = {float(2**place): 2 ** (place + 1) - 1 for place in places}
    return [Figure("loss_by_position", "Loss by position", "curve",
                   {"x_title": "tokens before, from", "y_title": "mean loss of a token", "diagonal": False,
                    "series": {"loss": points}, "more": {"to": lasts, "tokens": counts}},
                   "What it has read of the text in the same window; a curve that goes on falling says that a longer "
                   "context helps.")]
