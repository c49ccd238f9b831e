"""A temperature changes probabilities as dividing the outputs does, and no answer; `tempered` foretells it exactly."""

import dataclasses

import numpy as np
import pytest
from scipy.special import log_softmax, softmax

from headstart.contract import Abstention, Learned, Row
from headstart.contract.abstention import confidence, with_withheld
from headstart.tasks import find
from headstart.tasks.token_tagging.reading import gold_tag_indices

RNG = np.random.default_rng(0)
TEMPERATURES = (0.3, 1.0, 2.7)


def with_temperature(task, temperature):
    return task.with_learned(task.learned.with_value("temperature", temperature))


def classified():
    task = find("text-classification")().with_learned(Learned(("no", "so", "yes")))
    examples = [task.read(Row(index, {"text": f"text {index}", "label": label}))
                for index, label in enumerate(("no", "yes", "so", "yes", "unseen"))]
    return task, examples, [[RNG.normal(size=3) * 3] for _ in examples]


def tagged():
    task = find("token-tagging")()
    rows = [{"tokens": ["Ada", "met", "Bob"], "tags": ["B-P", "O", "B-P"]},
            {"tokens": ["a", "b", "c", "d"], "tags": ["O", "B-L", "I-L", "O"]}, {"tokens": ["x"], "tags": ["O"]}]
    examples = [task.read(Row(index, row)) for index, row in enumerate(rows)]
    task = task.with_learned(task.learn(examples))
    outputs = []
    for example in examples:
        logits = RNG.normal(size=(len(example.words), len(task.learned.labels))) * 3
        outputs.append([(list(range(len(example.words))), log_softmax(logits, axis=1).astype("float32"), {})])
    return task, examples, outputs


def asked(no_answer=False):
    task = find("question-answering")()
    examples = [task.read(Row(index, {"question": "who?", "passage": "Ada met Bob in Rome", "answer": answer}))
                for index, answer in enumerate(("Ada", "Bob", "Rome", "met Bob"))]
    task = task.with_learned(task.learn(examples))
    task = task.with_learned(task.learned.with_value("no_answer", no_answer))
    spans = [(0, 3), (8, 11), (15, 19), (4, 11)]
    return task, examples, [[{"no_answer": float(RNG.normal()), "spans": [
        (float(score), *span) for score, span in zip(RNG.normal(size=4) * 2 + 1, spans, strict=True)]}]
        for _ in examples]


CASES = {"text-classification": classified, "token-tagging": tagged, "question-answering": asked,
         "question-answering with none": lambda: asked(no_answer=True)}


@pytest.mark.parametrize("case", CASES)
def test_what_a_temperature_would_make_is_what_it_makes(case):
    task, examples, outputs = CASES[case]()
    plain = [task.decode(example, example_outputs) for example, example_outputs in zip(examples, outputs, strict=True)]
    for temperature in TEMPERATURES:
        hotter = with_temperature(task, temperature)
        changed = [hotter.decode(example, example_outputs)
                   for example, example_outputs in zip(examples, outputs, strict=True)]
        assert [prediction.values.get("prediction") for prediction in plain] == [
            prediction.values.get("prediction") for prediction in changed]
        foretold, foretold_back = task.tempered(examples, plain)(temperature), hotter.tempered(examples, changed)
        np.testing.assert_allclose(foretold.confidences, [confidence(prediction) for prediction in changed], rtol=1e-5)
        np.testing.assert_allclose(foretold_back(1 / temperature).confidences,
                                   [confidence(prediction) for prediction in plain], rtol=1e-4)
        np.testing.assert_allclose(foretold.losses, foretold_back(1.0).losses, rtol=1e-4, atol=1e-7)


def test_the_loss_of_classes_is_that_of_the_gold_one():
    task, examples, outputs = classified()
    predictions = [task.decode(example, example_outputs)
                   for example, example_outputs in zip(examples, outputs, strict=True)]
    losses = task.tempered(examples, predictions)(2.0).losses
    probabilities = softmax(np.concatenate(outputs) / 2, axis=1)
    np.testing.assert_allclose(losses[:4], -np.log(probabilities[np.arange(4), [0, 2, 1, 2]]))
    assert losses[4] > 30  # a label that was never trained on


def test_the_confidence_of_a_tagged_row_is_that_of_all_its_words_and_its_loss_their_mean():
    task, examples, outputs = tagged()
    predictions = [task.decode(example, example_outputs)
                   for example, example_outputs in zip(examples, outputs, strict=True)]
    tempered = task.tempered(examples, predictions)(1.0)
    for example, prediction, example_outputs, loss in zip(examples, predictions, outputs, tempered.losses, strict=True):
        log_probabilities = example_outputs[0][1]
        path = [task.learned.labels.index(tag) for tag in prediction.values["prediction"]]
        words = np.arange(len(path))
        assert confidence(prediction) == pytest.approx(np.exp(log_probabilities[words, path].sum()), rel=1e-5)
        gold = gold_tag_indices(example, task.learned.labels)
        assert loss == pytest.approx(-log_probabilities[words, gold].mean(), rel=1e-5)


def test_an_answer_is_as_sure_as_its_text_and_as_there_being_one():
    task, examples, outputs = asked(no_answer=True)
    task = dataclasses.replace(task, settings=dataclasses.replace(task.settings, threshold=1.0))
    for example, example_outputs in zip(examples, outputs, strict=True):
        prediction = task.decode(example, example_outputs)
        scores = np.array([score for score, _, _ in example_outputs[0]["spans"]])
        no_answer = 1 / (1 + np.exp(scores.max() - example_outputs[0]["no_answer"]))
        assert confidence(prediction) == pytest.approx(softmax(scores).max() * (1 - no_answer))


@pytest.mark.parametrize(("gold", "predicted", "is_right"), [
    (["B-P", "O", "B-P"], ["B-P", "O", "B-P"], True), (["B-P", "O", "B-P"], ["B-P", "O", "O"], False),
    (["O", "O", "O"], ["O", "O", "O"], True), (["B-P", "I-P", "O"], ["B-P", "B-P", "O"], False)])
def test_a_tagged_row_is_right_when_all_of_it_is(gold, predicted, is_right):
    task = find("token-tagging")()
    example = task.read(Row(0, {"tokens": ["a", "b", "c"], "tags": gold}))
    task = task.with_learned(Learned(("O", "B-P", "I-P")))
    prediction = task.read_prediction(example, {"prediction": predicted})
    assert task.is_right(example, prediction) is is_right


def test_an_answer_is_right_when_it_is_the_official_scripts_match():
    task, examples, _ = asked()
    prediction = task.read_prediction(examples[0], {"prediction": "the Ada!"})
    assert task.is_right(examples[0], prediction) and not task.is_right(examples[1], prediction)


@pytest.mark.parametrize("case", ["text-classification", "token-tagging"])
def test_the_temperature_is_folded_into_the_last_layer(case):
    task = with_temperature(CASES[case]()[0], 1.6)
    learned, fold = task.export_state()
    assert fold == (1 / 1.6, 0.0) and "temperature" not in learned.values


@pytest.mark.parametrize("case", CASES)
def test_silence_empties_the_answer_and_keeps_the_guess(case):
    task, examples, outputs = CASES[case]()
    (plain,) = [task.decode(examples[0], outputs[0])]
    for threshold, is_silent in ((0.0, False), (1.1, True), (None, True)):
        learned = Abstention(0.05, 0.95, threshold, rows=100)
        careful = task.with_learned(task.learned.with_value("abstention", learned.json()))
        (prediction,) = careful.abstaining([careful.decode(examples[0], outputs[0])])
        values = prediction.values
        assert values["abstained"] is is_silent
        assert values["withheld"] == (plain.values["prediction"] if is_silent else None)
        for column in task.answer_columns:
            if column in plain.values:
                assert values[column] == (None if is_silent else plain.values[column])
        assert values.get("confidence", values.get("probability")) == pytest.approx(confidence(plain))
        assert with_withheld(values, task.answer_columns)["prediction"] == plain.values["prediction"]


def test_spans_of_a_text_are_withheld_too():
    task = find("token-tagging")().with_learned(Learned(("O", "B-P", "I-P"), values={
        "abstention": Abstention(0.05, 0.95, None, rows=100).json()}))
    example = task.read(Row(0, {"text": "Ada met Bob"}))
    outputs = [([0, 1, 2], np.log(np.array([[0.1, 0.8, 0.1], [0.9, 0.05, 0.05], [0.2, 0.7, 0.1]])), {})]
    (prediction,) = task.abstaining([task.decode(example, outputs)])
    assert prediction.values["spans"] is None and len(prediction.values["withheld"]) == 2
    assert with_withheld(prediction.values, task.answer_columns)["spans"] == prediction.values["withheld"]
