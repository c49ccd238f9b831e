"""The classifier of sentence vectors: a logistic regression on what the head's last layer reads, put into that layer.

Shapes: M training rows, N their features, W width, C classes.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from headstart.data.features.batches import collate, length_batches
from headstart.data.features.features import Features
from headstart.models.heads import linear_head
from headstart.models.model import Model

if TYPE_CHECKING:
    from headstart.contract import Floats, Ints

STRENGTH = 10.0  # inverse regularization of vectors of length 1; from 3 to 30 measured the same to half a point
NEVER = -30.0  # bias of a label that no training row has


@dataclass(frozen=True)
class HeadInputs:
    """What the head's last layer reads for each training feature, (N, W), and for a state of 0, (W,); labels (N,)."""

    inputs: Floats
    origin: Floats
    labels: Ints
    weights: Floats

    def classifier(self, positions: Ints, classes: int, *, balanced: bool) -> tuple[Floats, Floats]:
        """A logistic regression on some of the features, as the head's last layer: (C, W), (C,)."""
        import numpy as np

        labelled = positions[self.labels[positions] >= 0]
        vectors = self.inputs[labelled] - self.origin
        size = float(np.linalg.norm(vectors, axis=1).mean()) or 1.0
        weight, bias = logistic_regression(vectors / size, self.labels[labelled], self.weights[labelled], classes,
                                           balanced=balanced)
        return weight / size, bias - (weight / size) @ self.origin


def fit_classifier(model: Model, inputs: HeadInputs, classes: int, *, balanced: bool) -> None:
    """Fit a logistic regression on the training rows' vectors, and put it into the head's last layer."""
    import numpy as np

    linear_head.set_classifier(model, *inputs.classifier(np.arange(len(inputs.labels)), classes, balanced=balanced))


def head_inputs(model: Model, features: Features, *, batch_tokens: int) -> HeadInputs:
    """What the head's last layer reads for the training rows, with the weights as they are now."""
    import numpy as np
    import torch

    model.module.eval()
    feature_list = features[:]
    inputs = np.zeros((len(feature_list), model.info.width))
    layout = model.layout(packed=model.can_pack)
    with torch.inference_mode():
        for positions in length_batches(feature_list, batch_tokens):
            batch = collate([feature_list[position] for position in positions], layout)
            states = model.read_states(batch)["logits"]
            inputs[positions] = linear_head.head_inputs(model, states).double().cpu().numpy()
        zero = torch.zeros(1, model.info.width, device=model.device)
        origin = linear_head.head_inputs(model, zero)[0].double().cpu().numpy()
    labels = np.asarray([int(targets["label"].value) for targets in features.targets], dtype=np.int64)
    return HeadInputs(inputs, origin, labels, features.weights)


def logistic_regression(vectors: Floats, labels: Ints, weights: Floats, classes: int, *,
                        balanced: bool) -> tuple[Floats, Floats]:
    """Weights and biases of each class: (M, W), (M,) -> (C, W), (C,)."""
    import numpy as np
    from sklearn.linear_model import LogisticRegression

    weight, bias = np.zeros((classes, vectors.shape[1])), np.full(classes, NEVER)
    present = np.unique(labels)
    if len(present) == 1:
        bias[present] = 0.0
        return weight, bias
    fitted: Any = LogisticRegression(C=STRENGTH, max_iter=1_000, class_weight="balanced" if balanced else None)
    with warnings.catch_warnings():
        # scikit-learn takes many labels of one or two rows each for numbers that were meant for a regression.
        warnings.filterwarnings("ignore", "The number of unique classes is greater than 50%", UserWarning)
        fitted.fit(vectors, labels, sample_weight=weights)
    if len(present) == 2:  # one logit, for the second class: half of it for each
        weight[present], bias[present] = np.stack([-fitted.coef_[0], fitted.coef_[0]]) / 2, np.stack(
            [-fitted.intercept_[0], fitted.intercept_[0]]) / 2
        return weight, bias
    weight[present], bias[present] = fitted.coef_, fitted.intercept_
    return weight, bias
