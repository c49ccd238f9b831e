"""What the frozen-encoder baseline reads of a pair: u, v, |u - v| and u · v of the texts by themselves."""

import numpy as np
import pytest
import tiny

from headstart.contract import HeadSpec, Learned
from headstart.models.loading.load import load
from headstart.prediction.torch_runtime import mean_states, pair_states, pooled_states, single_text
from headstart.tasks.text_classification import LabelledText, TextClassification

PAIRS = [("the roses grow", "a broken cup"), ("apples", "the old river bank of the town")]


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    folder = tiny.model_folder("bert", tmp_path_factory.mktemp("pairs") / "bert")
    return load(str(folder), HeadSpec("sequence-classification", 2), seed=0)


def test_a_pair_is_both_vectors_their_distance_and_their_product(model):
    first, second = np.array([[3.0, 4.0]]), np.array([[0.0, 2.0]])
    expected = [0.6, 0.8, 0.0, 1.0, 0.6, 0.2, 0.0, 0.8 * np.sqrt(2)]
    assert np.allclose(pair_states(first, second), [expected])


def test_pairs_are_read_text_by_text_and_single_texts_as_before(model):
    task = TextClassification(state=Learned(("no", "yes"), (1, 1)))
    pairs = [LabelledText(row, text, pair) for row, (text, pair) in enumerate(PAIRS)]
    states = pooled_states(task, model, pairs, batch_tokens=512)
    singles = [mean_states(model, [single_text(texts[place], model.tokenizer) for texts in PAIRS], batch_tokens=512)
               for place in (0, 1)]
    assert states.shape == (2, 4 * model.info.width) and np.allclose(states, pair_states(*singles), atol=1e-6)
    texts = [LabelledText(row, text) for row, (text, _) in enumerate(PAIRS)]
    assert np.allclose(pooled_states(task, model, texts, batch_tokens=512), singles[0], atol=1e-6)
