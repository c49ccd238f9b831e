"""One output of a model as a function of the embeddings of its input: values, gradients, and the scores of tokens.

Shapes: T tokens, W width of an embedding, K points of a path.
"""

from __future__ import annotations

import contextlib
from collections.abc import Generator, Iterator, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

from headstart.contract import Feature
from headstart.data.features.batches import collate
from headstart.inspection.encode import Word
from headstart.models.hidden_states import without_shortcuts
from headstart.models.loading.quiet import quiet

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from torch import Tensor

    from headstart.inspection.explained_output import ExplainedOutput
    from headstart.models.model import Model

Scores = TypeVar("Scores")
MIN_STEPS, MAX_STEPS = 32, 512  # points of the path; doubled until the error is small
MAX_ERROR = 0.01  # of completeness, as a share of the difference that is explained
BATCH_TOKENS = 512  # tokens that go through the model together: 0.7 GB of activations in a base-size model


class Scorer:
    """One output at an input, at its baseline, at points between them, and with some tokens hidden.

    `replaced` says which of the feature's tokens the baseline has `baseline_id` in the place of. Every variant is given
    as embeddings under the ids of the input, so that a head which looks for the last token finds the same one.
    """

    def __init__(self, model: Model, feature: Feature, replaced: Sequence[bool], baseline_id: int,
                 output: ExplainedOutput) -> None:
        import torch

        self.model = without_shortcuts(model) if model.generates_from_source else model
        self.feature, self.output = feature, output
        self.token_count = len(feature)
        model.module.eval()
        baseline_ids = [baseline_id if hidden else token for token, hidden in zip(feature.ids, replaced, strict=True)]
        with torch.no_grad():
            ids = torch.tensor([list(feature.ids), baseline_ids], device=model.device)
            self.embeddings, self.baseline_embeddings = source_embeddings(model)(ids).float()  # (T, W) each
        self.difference = self.embeddings - self.baseline_embeddings
        self.value, self.baseline_value = self.values(torch.stack([self.embeddings, self.baseline_embeddings])).tolist()

    def values(self, points: Tensor) -> NDArray[Any]:
        """The output at some inputs, (K, T, W) -> (K,)."""
        import torch

        values = []
        for start in range(0, len(points), self.batch_size):
            part = points[start:start + self.batch_size]
            with torch.no_grad(), quiet(), embeddings_replaced(self.model, part):
                values.append(self.output(self.model, self.batch(len(part))))
        all_values: NDArray[Any] = torch.cat(values).cpu().double().numpy()
        return all_values

    def gradients(self, shares: Sequence[float]) -> Tensor:
        """The gradient of the output at each point of the straight path, by the embeddings: (K, T, W)."""
        import torch

        gradients = []
        for start in range(0, len(shares), self.batch_size):
            batch_shares = torch.tensor(shares[start:start + self.batch_size]).to(self.embeddings)
            points = (self.baseline_embeddings + batch_shares[:, None, None] * self.difference).requires_grad_()
            with torch.enable_grad(), quiet(), embeddings_replaced(self.model, points):
                (gradient,) = torch.autograd.grad(self.output(self.model, self.batch(len(points))).sum(), points)
            gradients.append(gradient)
        return torch.cat(gradients)

    def batch(self, count: int) -> Any:
        """The input so many times, one a row."""
        return collate([self.feature] * count, self.model.layout(packed=False))

    @property
    def batch_size(self) -> int:
        """How many variants go through the model together."""
        return max(1, BATCH_TOKENS // (self.token_count + len(self.feature.label_positions or ())))


def source_embeddings(model: Model) -> Any:
    """The table of token embeddings; of an encoder-decoder, the encoder's."""
    stack = model.module.base_model.encoder if model.generates_from_source else model.module
    return stack.get_input_embeddings()


@contextlib.contextmanager
def embeddings_replaced(model: Model, points: Tensor) -> Iterator[None]:
    """For a while the embeddings of the input's tokens are these numbers (K, T, W), whatever the ids.

    Positions that the model adds behind the input (XLNet's language model: one; LED: up to a whole window) keep their
    own. An encoder-decoder may read its target by the same table, after the source.
    """
    import torch

    positions = 0 if model.info.family.time_first else 1
    replacement = points.transpose(0, 1) if model.info.family.time_first else points
    was_read = False

    def replace_output(_: Any, __: Any, output: Tensor) -> Tensor:
        """A forward hook of the embedding table."""
        nonlocal was_read
        if model.generates_from_source and was_read:
            return output
        was_read = True
        count = points.shape[1]
        assert output.shape[1 - positions] == len(points), "one row for each variant"
        return torch.cat([replacement, output.narrow(positions, count, output.shape[positions] - count)], positions)

    hook = source_embeddings(model).register_forward_hook(replace_output)
    try:
        yield
    finally:
        hook.remove()
    assert was_read, "the model reads its embeddings"


def finished(steps: Generator[None, None, Scores]) -> Scores:
    """What a computation that pauses after each batch gives in the end, computed without a pause."""
    while True:
        try:
            next(steps)
        except StopIteration as end:
            scores: Scores = end.value
            return scores


def integrated_gradients(scorer: Scorer, steps: int | None) -> Generator[None, None, tuple[NDArray[Any], int]]:
    """Equation 1 of the paper by Gauss-Legendre quadrature, (T,), and its number of points; pauses after each batch."""
    import numpy as np
    import torch

    step_count = steps if steps is not None else MIN_STEPS
    difference = scorer.value - scorer.baseline_value
    while True:
        nodes, weights = np.polynomial.legendre.leggauss(step_count)
        total = torch.zeros_like(scorer.embeddings, dtype=torch.float64, device="cpu")  # Apple's GPU has no float64
        shares = ((1 + nodes) / 2).tolist()
        for start in range(0, step_count, scorer.batch_size):
            gradients = scorer.gradients(shares[start:start + scorer.batch_size]).cpu().double()
            batch_weights = torch.from_numpy(weights[start:start + scorer.batch_size] / 2)
            total += (gradients * batch_weights[:, None, None]).sum(dim=0)
            yield
        scores: NDArray[Any] = (total * scorer.difference.cpu().double()).sum(dim=-1).numpy()
        error = abs(scores.sum() - difference)
        if steps is not None or step_count >= MAX_STEPS or error <= MAX_ERROR * abs(difference):
            return scores, step_count
        step_count *= 2


def gradient_times_input(scorer: Scorer) -> NDArray[Any]:
    """The gradient times the embedding, (T,)."""
    scores: NDArray[Any] = (scorer.gradients([1.0])[0] * scorer.embeddings).sum(dim=-1).cpu().double().numpy()
    return scores


def occlusion(scorer: Scorer, words: Sequence[Word]) -> Generator[None, None, NDArray[Any]]:
    """How much the output falls when a word is hidden, divided evenly among its tokens, (T,); pauses after each batch.
    """
    import numpy as np
    import torch

    hidden = torch.zeros((len(words), scorer.token_count, 1), dtype=torch.bool)
    for row, word in enumerate(words):
        hidden[row, list(word.token_indices)] = True
    points = torch.where(hidden.to(scorer.embeddings.device), scorer.baseline_embeddings, scorer.embeddings)
    scores = np.zeros(scorer.token_count)
    for start in range(0, len(words), scorer.batch_size):
        batch_words = words[start:start + scorer.batch_size]
        for word, value in zip(batch_words, scorer.values(points[start:start + scorer.batch_size]), strict=True):
            scores[list(word.token_indices)] = (scorer.value - value) / len(word.token_indices)
        yield
    return scores
