"""Retrieval: gradients of big batches, negatives that are none, places among all passages, the saved folder."""

import json

import numpy as np
import pytest
import tiny
import torch

from headstart import tasks
from headstart.contract import Layout, Prediction, Row, RowFault
from headstart.contract.losses import InBatchNegatives
from headstart.data.features.batches import collate
from headstart.models.loading.load import load
from headstart.prediction.torch_runtime import torch_predictor
from headstart.settings import Training
from headstart.tasks.retrieval import examples as retrieval_examples
from headstart.tasks.retrieval.examples import QuestionPassages
from headstart.training.loop import train_step
from headstart.training.losses import build_loss
from headstart.training.losses.in_batch_negatives import false_negatives
from headstart.training.objectives.objective import total_weight
from headstart.training.state import TrainingState

RetrievalTask = tasks.find("retrieval")
TEXTS = tiny.texts(24, seed=5)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tiny.model_folder("bert", tmp_path_factory.mktemp("retrieval") / "model")


def pair_examples(task):
    """Eight rows; the first two ask the same, the next two have the same passage; half have a hard negative."""
    rows = [{"question": TEXTS[index], "passage": TEXTS[index + 8],
             "negatives": [TEXTS[index + 16]] if index % 2 else []}
            for index in range(8)]
    rows[1]["question"], rows[3]["passage"] = rows[0]["question"].upper(), rows[2]["passage"]
    return [task.read(Row(index, row)) for index, row in enumerate(rows)]


def loss_and_gradients(folder, micro_size, *, dropout=0.0, packed=True):
    """Gradients and loss of one step over eight rows in micro-batches."""
    task = RetrievalTask()
    model = load(str(folder), task.head(), seed=0, dropout=dropout, attention_dropout=dropout)
    features = [task.encode(example, model.tokenizer) for example in pair_examples(task)]
    batches = [collate([feature for example_features in features[start:start + micro_size]
                        for feature in example_features], Layout(packed, model.tokenizer.pad_id))
               for start in range(0, 8, micro_size)]
    settings = Training(learning_rate=0.0, max_grad_norm=0.0)
    state = TrainingState.initial(model, settings, precision="fp32", device="cpu")
    step = train_step(state, batches, build_loss(task.head().loss, settings, ()), total_weight, settings, total_steps=1,
                      seed=0, precision="fp32", device="cpu")
    gradients = {name: weight.grad.double() for name, weight in model.module.named_parameters()
                 if weight.grad is not None}
    return step.loss, gradients


@pytest.mark.parametrize("micro_size", [1, 3, 4])
@pytest.mark.parametrize("packed", [True, False])
def test_a_batch_in_parts_has_the_gradient_of_the_whole_batch(folder, micro_size, packed):
    loss, batch_gradients = loss_and_gradients(folder, 8)
    micro_loss, micro_gradients = loss_and_gradients(folder, micro_size, packed=packed)
    assert micro_loss == pytest.approx(loss, rel=1e-6) and batch_gradients.keys() == micro_gradients.keys()
    for name, gradient in batch_gradients.items():
        assert torch.allclose(gradient, micro_gradients[name], rtol=1e-5,
                              atol=1e-5 * float(max(1.0, gradient.abs().max()))), name
    assert max(float(gradient.abs().max()) for gradient in batch_gradients.values()) > 1e-3


def test_both_passes_through_the_encoder_drop_the_same(folder):
    """With dropout, the stand-in's gradient is that of the loss on the vectors of the same draws."""
    task = RetrievalTask()
    model = load(str(folder), task.head(), seed=0, dropout=0.3, attention_dropout=0.3)
    model.module.train()
    contrastive_loss = build_loss(InBatchNegatives(0.05), Training(), ())
    batches = [collate([feature for example in pair_examples(task)[start:start + 4]
                        for feature in task.encode(example, model.tokenizer)], Layout(True, 0))
               for start in (0, 4)]
    vectors = []
    for index, batch in enumerate(batches):
        torch.manual_seed(index)  # as the loop does for batch n of the first step of seed 0
        vectors.append(contrastive_loss.vectors(model, batch))
    contrastive_loss.loss(torch.cat(vectors), batches).div(8).backward()
    expected_gradients = {name: weight.grad.clone() for name, weight in model.module.named_parameters()
                          if weight.grad is not None}
    settings = Training(learning_rate=0.0, max_grad_norm=0.0)
    model.module.zero_grad()
    train_step(TrainingState.initial(model, settings, precision="fp32", device="cpu"), batches, contrastive_loss,
               total_weight, settings, total_steps=1, seed=0, precision="fp32", device="cpu")
    for name, weight in model.module.named_parameters():
        assert weight.grad is None or torch.allclose(weight.grad, expected_gradients[name], atol=1e-5
                                                     * float(max(1.0, expected_gradients[name].abs().max()))), name


def test_the_loss_is_the_mean_of_both_directions_written_out():
    vectors = torch.nn.functional.normalize(torch.randn(7, 5, generator=torch.Generator().manual_seed(0),
                                                        dtype=torch.float64), dim=1)

    class RoleBatch:
        targets = {"role": np.array([0, 1, 2, 0, 1, 0, 1]), "text": np.array([1, 11, 99, 2, 12, 3, 13])}

    questions, passages, negative = vectors[[0, 3, 5]], vectors[[1, 4, 6]], vectors[2]
    total = 0.0
    for index in range(3):
        question_logits = [float(questions[index] @ vector) / 0.1 for vector in [*passages, negative]]
        passage_logits = [float(vector @ passages[index]) / 0.1 for vector in questions]
        total += (np.log(np.exp(question_logits).sum()) - question_logits[index] + np.log(np.exp(passage_logits).sum())
                  - passage_logits[index]) / 2
    loss = build_loss(InBatchNegatives(0.1), Training(), ())
    assert float(loss.loss(vectors, [RoleBatch()])) == pytest.approx(total, rel=1e-9)


def test_equal_questions_and_equal_passages_are_no_negatives():
    mask = false_negatives(np.array([1, 1, 2]), np.array([10, 11, 12]), np.array([10, 11, 12, 11, 50]))
    # row 1 answers the same question; its text is a hard negative too
    assert mask.tolist() == [[False, True, False, True, False],
                             [True, False, False, True, False], [False, False, False, False, False]]
    same_passage = false_negatives(np.array([1, 2]), np.array([10, 10]), np.array([10, 10]))
    assert same_passage.tolist() == [[False, True], [True, False]]


def test_ranks_are_among_all_passages_of_the_split():
    examples = [QuestionPassages(0, "a?", "x"), QuestionPassages(1, "b?", "y"), QuestionPassages(2, "A?", "z"),
                QuestionPassages(3, "c?", "Y ")]
    passage_vectors = {"x": [1.0, 0.0], "y": [0.0, 1.0], "z": [0.8, 0.6], "Y ": [0.0, 1.0]}
    question_vectors = {0: [0.9, 0.1], 1: [0.6, 0.8], 2: [0.0, 1.0], 3: [1.0, 0.0]}
    predictions = [Prediction(example.row, {}, {"question": np.array(question_vectors[example.row]),
                                                "passage": np.array(passage_vectors[example.passage])})
                   for example in examples]
    details = [prediction.detail for prediction in retrieval_examples.rank_passages(examples, predictions)]
    assert [detail["mrr"] for detail in details] == [1.0, 1 / 2, 1 / 2, 1 / 3]  # x z y | z y x | y z x | x z y
    assert [detail["recall_10"] for detail in details] == [1.0] * 4
    ideal = 1 + 1 / np.log2(3)
    assert details[2]["ndcg_10"] == pytest.approx((1 / np.log2(3) + 1 / np.log2(4)) / ideal)
    assert retrieval_examples.rank_passages(examples, retrieval_examples.rank_passages(examples, predictions))[
        0].detail == details[0]


def test_further_answers_with_a_good_score_become_pairs():
    task = RetrievalTask()
    example = task.read(Row(0, {"question": "Why?", "answers": [
        {"text": "one", "score": 1}, {"text": "two", "score": 2.5}, {"text": "three", "score": 3}]}))
    assert example.passage == "one" and example.other_passages == ("three",)
    assert [pair.passage for pair in task.compose([example], None, None)] == ["one", "three"]
    with pytest.raises(RowFault, match="answer 0"):
        task.read(Row(0, {"question": "Why?", "answers": [{"score": 1}]}))
    filtered_example = task.read(Row(0, {"question": "Why?", "passage": "Leaves fall.",
                                         "negatives": ["leaves  fall.", "Snow."]}))
    assert filtered_example.negatives == ("Snow.",)


def test_the_saved_folder_gives_the_same_vectors_by_the_layout_of_sentence_transformers(folder, tmp_path):
    """modules.json, pooling and normalisation followed by hand on transformers' own AutoModel."""
    from transformers import AutoModel, AutoTokenizer

    task = RetrievalTask()
    model = load(str(folder), task.head(), seed=0)
    examples = pair_examples(task)
    vectors = [prediction.detail["question"] for prediction in torch_predictor(task, model, batch_tokens=64).predict(examples)]
    model.save(tmp_path / "out")
    module_names = [module["type"].rpartition(".")[2]
                    for module in json.loads((tmp_path / "out/modules.json").read_text())]
    pooling = json.loads((tmp_path / "out/1_Pooling/config.json").read_text())
    assert module_names == ["Transformer", "Pooling", "Normalize"]
    assert [name for name, value in pooling.items() if value is True
            and name.startswith("pooling")] == ["pooling_mode_mean_tokens"]
    plain, tokenizer = AutoModel.from_pretrained(tmp_path
                                                 / "out").eval(), AutoTokenizer.from_pretrained(tmp_path / "out")
    for example, vector in zip(examples, vectors, strict=True):
        inputs = tokenizer(example.question, return_tensors="pt")
        with torch.inference_mode():
            mean = plain(**inputs).last_hidden_state[0].mean(dim=0)
        assert np.allclose((mean / mean.norm()).numpy(), vector, atol=1e-5)
