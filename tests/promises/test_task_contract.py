"""What every task promises; a new task adds one sample here."""

from dataclasses import dataclass, field
from random import Random

import numpy as np
import pytest
import tiny
import tiny_writers

from headstart import tasks
from headstart.artifacts.metadata import task_from_metadata
from headstart.contract import Column, Feature, Layout, Learned, Row, RowFault
from headstart.data.features import cache
from headstart.data.features.batches import collate
from headstart.data.features.features import ExampleRandom, Features
from headstart.errors import UserError
from headstart.evaluation.evaluate import evaluate
from headstart.models.loading.load import load
from headstart.prediction.predictor import random_features
from headstart.prediction.torch_runtime import torch_predictor


@dataclass(frozen=True)
class Sample:
    """Rows of a task under its field names, settings that read long texts in windows (if it can), and a faulty row."""

    rows: list[dict]
    faulty: dict
    windows: dict = field(default_factory=dict)


TEXTS = tiny.texts(24, seed=1)
PASSAGES = [f"{text} Every teacher counts the roses. Nobody here forgets seven green apples." for text in TEXTS[:8]]
SAMPLES = {
    "text-classification": Sample(
        [{"text": text, "label": ("no", "maybe", "yes")[index % 3]} for index, text in enumerate(TEXTS)],
        {"text": " ", "label": "no"}, {"long_texts": "windows", "overlap": 4}),
    "regression": Sample([{"text": text, "target": len(text) / 7} for text in TEXTS], {"text": "x", "target": "3,5"},
                         {"long_texts": "windows", "overlap": 4}),
    "multilabel-classification": Sample(
        [{"text": text, "labels": ["short", "loud", "old"][index % 3:][:index % 4]}
         for index, text in enumerate(TEXTS)],
        {"text": "x", "labels": {"a": 1}}, {"long_texts": "windows", "overlap": 4}),
    "token-tagging": Sample(
        [{"tokens": text.split(), "tags": ["B-thing" if word in ("green", "broken") else "I-thing"
                                           if word[:5] in ("apple", "cards", "card")
                                           else "O" for word in text.split()]} for text in TEXTS],
        {"tokens": ["a", "b"], "tags": ["O"]}, {"overlap": 4}),
    "question-answering": Sample(
        [{"question": question, "passage": passage, "answer": answer, "start": start} for passage in PASSAGES
         for question, answer, start in (
            ("Who counts?", "Every teacher", passage.index("Every teacher")), ("Why?", "", None),
            ("What?", ["seven green apples", "apples"], [passage.index("seven green"), passage.index("apples")]))],
        {"question": "Who?", "passage": "The river bank.", "answer": "a doctor", "start": 0}, {"overlap": 4}),
    "multiple-choice": Sample(
        [{"context": text, "choices": [TEXTS[index - 1], TEXTS[index - 2], "The roses."][:2 + index % 2],
          "answer": index % 2}
         for index, text in enumerate(TEXTS)],
        {"context": "The river bank.", "choices": ["one"], "answer": 0}),
    "retrieval": Sample(
        [{"question": text, "passage": TEXTS[index - 1], "negatives": [TEXTS[index - 2]]}
         for index, text in enumerate(TEXTS)],
        {"question": "Who?", "passage": ""}),
    "masked-language-model": Sample([{"text": text.replace("the", "[MASK]", 1)} for text in TEXTS], {"text": ""},
                                    {"group_texts": False}),
    "language-model": Sample([{"text": text} for text in TEXTS], {"text": " "}, {"overlap": 0.4}),
    "long-answer": Sample(
        [{"question": text, "passages": [TEXTS[index - 1], TEXTS[index - 2]][:1 + index % 2],
          "answer": TEXTS[index - 1][:20]}
         for index, text in enumerate(TEXTS)],
        {"question": "?", "passages": ["x"], "answer": "y"}),
    "summarization": Sample([{"source": text, "target": text[:20]} for text in TEXTS], {"source": " ", "target": "x"}),
    "translation": Sample([{"source": text, "target": text.upper()} for text in TEXTS], {"source": " ", "target": "x"}),
    "text-to-text": Sample([{"source": text, "target": [text[:20], text[:10]]} for text in TEXTS],
                           {"source": "", "target": "x"}),
    "next-sentence": Sample([{"text": text, "pair": TEXTS[index - 1]} for index, text in enumerate(TEXTS)],
                            {"text": "", "pair": "x"}),
    "replaced-token-detection": Sample([{"text": text} for text in TEXTS], {"text": " "}),
    "bert-pretraining": Sample([{"text": text.replace("the", "[MASK]", 1), "pair": TEXTS[index - 1]}
                                for index, text in enumerate(TEXTS)],
                               {"text": "x", "pair": " "}),
}
EVERY_TASK = pytest.mark.parametrize("name", tasks.names())


def test_every_task_has_a_sample():
    assert set(SAMPLES) == set(tasks.names())


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    parent = tmp_path_factory.mktemp("contract")
    tiny.model_folder("gpt2", parent / "decoder", "causal-language-model")
    tiny_writers.model_folder("t5", parent / "sequence-to-sequence")
    tiny.model_folder("electra", parent / "replaced-token", "replaced-token")
    return tiny.model_folder("bert", parent / "encoder")


def prepared_task(name, folder, settings=None):
    task_class = tasks.find(name)
    task = task_class(task_class.Settings(**(settings or {})))
    examples = [task.read(Row(index, row)) for index, row in enumerate(SAMPLES[name].rows)]
    task = task.with_learned(task.learn(examples))
    head_folder = folder.parent / task.head().kind  # a family that alone has this head
    model = load(str(head_folder if head_folder.exists() else folder.parent / task.kinds[0]), task.head(), seed=0)
    return task, examples, model


def answers(task, model, examples, batch_tokens=4096):
    return [prediction.values for prediction in torch_predictor(task, model, batch_tokens=batch_tokens).predict(examples)]


def close(actual, expected):
    """Equal values; numbers to 1e-5."""
    if isinstance(actual, dict):
        return set(actual) == set(expected) and all(close(actual[key], expected[key]) for key in actual)
    if isinstance(actual, list):
        return len(actual) == len(expected) and all(map(close, actual, expected))
    if isinstance(actual, float):
        return abs(actual - expected) <= 1e-5 * max(1, abs(actual))
    return actual == expected


@EVERY_TASK
def test_batching_changes_no_prediction(name, folder):
    task, examples, model = prepared_task(name, folder)
    batched = answers(task, model, examples)
    single = [answers(task, model, [example])[0] for example in examples]
    small_batches = answers(task, model, examples, batch_tokens=64)
    assert all(map(close, batched, single)) and all(map(close, batched, small_batches))


@EVERY_TASK
def test_packing_changes_no_output(name, folder):
    import torch

    task, examples, model = prepared_task(name, folder)
    if task.generative:
        pytest.skip("no encoder-decoder can pack")
    model.module.eval()
    features = [feature for example in examples for feature in task.encode(example, model.tokenizer)]
    with torch.no_grad():
        packed = model.forward(collate(features, Layout(packed=True)))
        padded = model.forward(collate(features, Layout(packed=False)))
    for key in packed:
        assert torch.allclose(packed[key], padded[key], atol=1e-5)


@EVERY_TASK
def test_a_row_without_its_target_can_be_predicted(name, folder):
    task, examples, model = prepared_task(name, folder)
    targets = {field.name for field in task.fields if field.target}
    unlabelled = [task.read(Row(index, {key: value for key, value in row.items() if key not in targets}))
                  for index, row in enumerate(SAMPLES[name].rows)]
    assert all(map(close, answers(task, model, examples), answers(task, model, unlabelled)))


@EVERY_TASK
def test_a_long_text_loses_nothing_silently(name, folder):
    settings = SAMPLES[name].windows
    task, examples, model = prepared_task(name, folder, settings)
    short_tokenizer = model.tokenizer.with_max_length(16)
    for example in examples:
        features = task.encode(example, short_tokenizer)
        assert all(len(feature) <= 16 for feature in features)
        assert sum(feature.weight for feature in features) == pytest.approx(1)
    truncating_task, _, _ = prepared_task(name, folder)
    if not truncating_task.truncates():
        return  # it reads in windows whatever its settings
    for example in examples:
        kept_tokens = sum(len(feature) for feature in truncating_task.encode(example, short_tokenizer))
        all_tokens = sum(len(feature) for feature in truncating_task.encode(example, model.tokenizer))
        assert all_tokens - kept_tokens == max(feature.truncated_tokens
                                               for feature in truncating_task.encode(example, short_tokenizer))


@EVERY_TASK
def test_windows_hold_every_token(name, folder):
    if not SAMPLES[name].windows:
        pytest.skip("this task reads no long texts")
    task, examples, model = prepared_task(name, folder, SAMPLES[name].windows)
    short_tokenizer = model.tokenizer.with_max_length(16)
    for example in examples:
        window_tokens = {token for feature in task.encode(example, short_tokenizer) for token in feature.ids}
        all_tokens = {token for feature in task.encode(example, model.tokenizer) for token in feature.ids}
        assert window_tokens == all_tokens


@EVERY_TASK
def test_saving_and_loading_change_no_prediction(name, folder, tmp_path):
    from headstart.artifacts import artifact, model_card

    task, examples, model = prepared_task(name, folder)
    expected = answers(task, model, examples)
    artifact.save(tmp_path / "model", model, task, model_card.render(model_card.card_of(task, model, "tiny")), {})
    loaded_task, loaded_model = artifact.load(str(tmp_path / "model"))
    assert loaded_task == task.with_learned(task.export_state()[0])
    assert all(map(close, expected, answers(loaded_task, loaded_model, examples)))


@EVERY_TASK
def test_what_was_learned_survives_json(name, folder):
    import json

    task, _, _ = prepared_task(name, folder)
    settings = json.loads(json.dumps({"task": name, "task_settings": vars(task.settings),
                                      "learned": task.learned.json()}))
    assert task_from_metadata(settings) == task
    assert Learned.from_json(task.learned.json()) == task.learned


@EVERY_TASK
def test_features_are_stored_without_loss(name, folder):
    task, examples, model = prepared_task(name, folder)
    stored = Features.encode(task, examples, model.tokenizer, seed=0)
    rngs = ExampleRandom("0:0")
    for index, example in enumerate(task.compose(examples, model.tokenizer, Random("0:compose:0"))):
        for position, feature in zip(stored.for_example(index),
                                     task.encode(example, model.tokenizer, rngs.for_example(example)), strict=True):
            stored_feature: Feature = stored[position]
            assert list(stored_feature.ids) == list(feature.ids) and list(stored_feature.types) == list(feature.types)
            assert dict(stored_feature.targets) == dict(feature.targets) and stored_feature.weight == feature.weight


@EVERY_TASK
def test_features_that_were_kept_are_the_same_features(name, folder, tmp_path, monkeypatch):
    task, examples, model = prepared_task(name, folder)
    first = Features.encode(task, examples, model.tokenizer, seed=1)
    second = cache.encode(task, examples, model.tokenizer, seed=1, folder=str(tmp_path / "kept"))
    assert not hasattr(model.tokenizer.backend, "to_str") or len(list((tmp_path / "kept").iterdir())) == 1
    monkeypatch.setattr(Features, "encode", lambda *args, **options: pytest.fail("they were made again"))
    third = cache.encode(task, examples, model.tokenizer, seed=1, folder=str(tmp_path / "kept"))
    assert repr(list(first)) == repr(list(second)) == repr(list(third))
    assert first.example_lengths.tolist() == third.example_lengths.tolist() and first.cut.tolist() == third.cut.tolist()


@EVERY_TASK
def test_scores_come_with_the_one_that_chooses_first(name, folder):
    task, examples, model = prepared_task(name, folder)
    predictions = torch_predictor(task, model, batch_tokens=4096).predict(examples)
    evaluation = evaluate(task, examples, predictions, resamples=20, seed=0)
    assert next(iter(evaluation.scores)) == task.selection_score[0]
    for score in evaluation.scores.values():
        assert (score.value is None) == (score.reason is not None) or score.low is None
        assert score.value is None or np.isfinite(score.value)
    for figure in task.figures(examples, evaluation.predictions, evaluation.measures):
        from headstart.reports.figures import render

        assert render(figure).startswith("<figure")


@EVERY_TASK
def test_a_faulty_row_is_an_error_not_a_guess(name):
    task = tasks.find(name)()
    with pytest.raises(RowFault) as error:
        task.read(Row(0, SAMPLES[name].faulty))
    assert error.value.code[0] == "E" and error.value.fix


@EVERY_TASK
def test_its_own_columns_are_detected(name):
    rows = SAMPLES[name].rows * 10
    columns = [Column(key, [row[key] for row in rows]) for key in rows[0]]
    if name == "language-model":  # texts alone may be for masked words too
        with pytest.raises(UserError, match="Several tasks"):
            tasks.detect(columns, "rows.csv")
        return
    # texts alone are no sign of them
    if name in ("next-sentence", "bert-pretraining", "replaced-token-detection", "summarization", "translation"):
        assert tasks.find(name).detect(columns) is None
        return
    task, detection = tasks.detect(columns, "rows.csv")
    assert task.name == name and detection.columns == {key: key for key in rows[0]}


@EVERY_TASK
def test_baselines_answer_in_the_tasks_own_form(name, folder):
    task, examples, model = prepared_task(name, folder)
    states = np.random.default_rng(0).normal(size=(len(examples), 4))
    features = random_features(task, model.tokenizer, examples, 0)
    for baseline in task.baselines():
        inputs = states if baseline.needs_states else features if baseline.needs_features else None
        fitted = baseline.fit(examples, inputs, 0)
        predictions = fitted.predict(examples, inputs)
        assert [set(prediction.values) for prediction in predictions] == [set(answers(task, model,
                                                                                      examples[:1])[0])] * len(examples)
        assert fitted.size_bytes > 0
