"""Retrieval: gradients of big batches, negatives that are none, places among all passages, the saved folder."""

import json

import numpy as np
import pytest
import tiny
import torch

from headstart import tasks
from headstart.contract import Layout, Prediction, Row, RowFault
from headstart.data.features.batches import collate
from headstart.models.loading.load import load
from headstart.prediction.predict import predict
from headstart.settings import Training
from headstart.tasks.retrieval import examples as _retrieval
from headstart.tasks.retrieval.examples import Asked
from headstart.training.loop import State, one_update
from headstart.training.losses.contrastive import InBatch, related
from headstart.training.losses.losses import objective, total_weight

TASK = tasks.find("retrieval")
TEXTS = tiny.texts(24, seed=5)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tiny.model_folder("bert", tmp_path_factory.mktemp("retrieval") / "model")


def pairs(task):
    """Eight rows; the first two ask the same, the next two have the same passage; half have a hard negative."""
    rows = [{"question": TEXTS[number], "passage": TEXTS[number + 8], "negatives": [TEXTS[number + 16]] if number % 2 else []}
            for number in range(8)]
    rows[1]["question"], rows[3]["passage"] = rows[0]["question"].upper(), rows[2]["passage"]
    return [task.read(Row(number, row)) for number, row in enumerate(rows)]


def updated(folder, size, *, dropout=0.0, packed=True):
    """Gradients and loss of one update over eight rows in micro-batches."""
    task = TASK()
    model = load(str(folder), task.head(), seed=0, dropout=dropout, attention_dropout=dropout)
    features = [task.encode(example, model.tokenizer) for example in pairs(task)]
    batches = [collate([one for part in features[at:at + size] for one in part], Layout(packed, model.tokenizer.pad_id))
               for at in range(0, 8, size)]
    settings = Training(learning_rate=0.0, clip=0.0)
    state = State.fresh(model, settings, precision="fp32", device="cpu")
    step = one_update(state, batches, objective(task.head(), settings, ()), total_weight, settings, total=1, seed=0, precision="fp32",
                      device="cpu")
    found = {name: held.grad.double() for name, held in model.module.named_parameters() if held.grad is not None}
    return step.loss, found


@pytest.mark.parametrize("size", [1, 3, 4])
@pytest.mark.parametrize("packed", [True, False])
def test_a_batch_in_parts_has_the_gradient_of_the_whole_batch(folder, size, packed):
    loss, whole = updated(folder, 8)
    other, parts = updated(folder, size, packed=packed)
    assert other == pytest.approx(loss, rel=1e-6) and whole.keys() == parts.keys()
    for name, held in whole.items():
        assert torch.allclose(held, parts[name], rtol=1e-5, atol=1e-5 * float(max(1.0, held.abs().max()))), name
    assert max(float(held.abs().max()) for held in whole.values()) > 1e-3


def test_both_passes_through_the_encoder_drop_the_same(folder):
    """With dropout, the stand-in's gradient is that of the loss on the vectors of the same draws."""
    task = TASK()
    model = load(str(folder), task.head(), seed=0, dropout=0.3, attention_dropout=0.3)
    model.module.train()
    goal = InBatch(0.05)
    batches = [collate([one for example in pairs(task)[at:at + 4] for one in task.encode(example, model.tokenizer)], Layout(True, 0))
               for at in (0, 4)]
    vectors = []
    for number, batch in enumerate(batches):
        torch.manual_seed(number)  # as the loop does for batch n of the first update of seed 0
        vectors.append(goal.vectors(model, batch))
    goal.loss(torch.cat(vectors), batches).div(8).backward()
    plain = {name: held.grad.clone() for name, held in model.module.named_parameters() if held.grad is not None}
    settings = Training(learning_rate=0.0, clip=0.0)
    model.module.zero_grad()
    one_update(State.fresh(model, settings, precision="fp32", device="cpu"), batches, goal, total_weight, settings, total=1, seed=0,
               precision="fp32", device="cpu")
    for name, held in model.module.named_parameters():
        assert held.grad is None or torch.allclose(held.grad, plain[name], atol=1e-5 * float(max(1.0, plain[name].abs().max()))), name


def test_the_loss_is_the_mean_of_both_directions_written_out():
    vectors = torch.nn.functional.normalize(torch.randn(7, 5, generator=torch.Generator().manual_seed(0), dtype=torch.float64), dim=1)

    class Held:
        targets = {"role": np.array([0, 1, 2, 0, 1, 0, 1]), "text": np.array([1, 11, 99, 2, 12, 3, 13])}

    questions, passages, negative = vectors[[0, 3, 5]], vectors[[1, 4, 6]], vectors[2]
    total = 0.0
    for number in range(3):
        down = [float(questions[number] @ other) / 0.1 for other in [*passages, negative]]
        up = [float(other @ passages[number]) / 0.1 for other in questions]
        total += (np.log(np.exp(down).sum()) - down[number] + np.log(np.exp(up).sum()) - up[number]) / 2
    assert float(InBatch(0.1).loss(vectors, [Held()])) == pytest.approx(total, rel=1e-9)


def test_equal_questions_and_equal_passages_are_no_negatives():
    found = related(np.array([1, 1, 2]), np.array([10, 11, 12]), np.array([10, 11, 12, 11, 50]))
    assert found.tolist() == [[False, True, False, True, False],  # row 1 answers the same question; its text is a hard negative too
                              [True, False, False, True, False], [False, False, False, False, False]]
    same_passage = related(np.array([1, 2]), np.array([10, 10]), np.array([10, 10]))
    assert same_passage.tolist() == [[False, True], [True, False]]


def test_places_are_among_all_passages_of_the_split():
    examples = [Asked(0, "a?", "x"), Asked(1, "b?", "y"), Asked(2, "A?", "z"), Asked(3, "c?", "Y ")]
    vectors = {"x": [1.0, 0.0], "y": [0.0, 1.0], "z": [0.8, 0.6], "Y ": [0.0, 1.0]}
    asked = {0: [0.9, 0.1], 1: [0.6, 0.8], 2: [0.0, 1.0], 3: [1.0, 0.0]}
    plain = [Prediction(one.row, {}, {"question": np.array(asked[one.row]), "passage": np.array(vectors[one.passage])}) for one in examples]
    found = [one.detail for one in _retrieval.ranked(examples, plain)]
    assert [one["mrr"] for one in found] == [1.0, 1 / 2, 1 / 2, 1 / 3]  # x z y | z y x | y z x | x z y
    assert [one["recall_10"] for one in found] == [1.0] * 4
    best = 1 + 1 / np.log2(3)
    assert found[2]["ndcg_10"] == pytest.approx((1 / np.log2(3) + 1 / np.log2(4)) / best)
    assert _retrieval.ranked(examples, _retrieval.ranked(examples, plain))[0].detail == found[0]


def test_further_answers_with_a_good_score_become_pairs():
    task = TASK()
    example = task.read(Row(0, {"question": "Why?", "answers": [{"text": "one", "score": 1}, {"text": "two", "score": 2.5}, {"text": "three", "score": 3}]}))
    assert example.passage == "one" and example.more == ("three",)
    assert [one.passage for one in task.compose([example], None, None)] == ["one", "three"]
    with pytest.raises(RowFault, match="answer 0"):
        task.read(Row(0, {"question": "Why?", "answers": [{"score": 1}]}))
    kept = task.read(Row(0, {"question": "Why?", "passage": "Leaves fall.", "negatives": ["leaves  fall.", "Snow."]}))
    assert kept.negatives == ("Snow.",)


def test_the_saved_folder_gives_the_same_vectors_by_the_layout_of_sentence_transformers(folder, tmp_path):
    """modules.json, pooling and normalisation followed by hand on transformers' own AutoModel."""
    from transformers import AutoModel, AutoTokenizer

    task = TASK()
    model = load(str(folder), task.head(), seed=0)
    examples = pairs(task)
    ours = [one.detail["question"] for one in predict(task, model, examples, batch_tokens=64)]
    model.save(tmp_path / "out")
    kinds = [one["type"].rpartition(".")[2] for one in json.loads((tmp_path / "out/modules.json").read_text())]
    pooling = json.loads((tmp_path / "out/1_Pooling/config.json").read_text())
    assert kinds == ["Transformer", "Pooling", "Normalize"]
    assert [name for name, value in pooling.items() if value is True and name.startswith("pooling")] == ["pooling_mode_mean_tokens"]
    plain, tokenizer = AutoModel.from_pretrained(tmp_path / "out").eval(), AutoTokenizer.from_pretrained(tmp_path / "out")
    for example, mine in zip(examples, ours, strict=True):
        inputs = tokenizer(example.question, return_tensors="pt")
        with torch.inference_mode():
            mean = plain(**inputs).last_hidden_state[0].mean(dim=0)
        assert np.allclose((mean / mean.norm()).numpy(), mine, atol=1e-5)
