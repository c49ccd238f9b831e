"""The comparison of texts by label: values by hand, and the same in one batch and in several."""

import math
from types import SimpleNamespace

import numpy as np
import torch

from headstart.contract.losses import CrossEntropy
from headstart.training.objectives.label_contrast import LabelContrast


def loss_of(vectors, labels, weights=None):
    batch = SimpleNamespace(targets={"label": np.asarray(labels)},
                            weights=np.ones(len(labels)) if weights is None else np.asarray(weights))
    return float(LabelContrast(CrossEntropy(), None, ()).loss(torch.tensor(vectors), [batch]))


def test_two_of_a_label_and_one_of_another_by_hand():
    vectors = [[1.0, 0.0], [0.6, 0.8], [0.0, 1.0]]  # cosines 0.6 (one label), 0.0 and 0.8 (two)
    assert math.isclose(loss_of(vectors, [0, 0, 1]), 3 * (0.4**2 + (0.0**2 + 0.8**2) / 2) / 2, rel_tol=1e-5)
    weighted = (1.0 * 0.0**2 + 0.5 * 0.8**2) / 1.5  # of two labels: 1 · 1 and 0.5 · 1
    assert math.isclose(loss_of(vectors, [0, 0, 1], weights=[1.0, 0.5, 1.0]), 2.5 * (0.4**2 + weighted) / 2,
                        rel_tol=1e-5)


def test_texts_without_a_label_count_nowhere():
    vectors = [[1.0, 0.0], [0.6, 0.8], [0.0, 1.0]]
    assert loss_of(vectors, [-100, -100, 0]) == 0.0
    assert math.isclose(loss_of(vectors, [0, 0, -100]), 2 * 0.4**2 / 2, rel_tol=1e-5)


def test_vectors_of_several_batches_are_compared_with_one_another():
    vectors = torch.nn.functional.normalize(torch.randn(6, 8, generator=torch.Generator().manual_seed(1)), dim=-1)
    labels = [0, 1, 0, 1, 2, 2]
    batches = [SimpleNamespace(targets={"label": np.asarray(labels[part])}, weights=np.ones(3))
               for part in (slice(0, 3), slice(3, 6))]
    split = float(LabelContrast(CrossEntropy(), None, ()).loss(vectors, batches))
    assert math.isclose(split, loss_of(vectors.tolist(), labels), rel_tol=1e-6)
