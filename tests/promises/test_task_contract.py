"""What every task promises; a new task adds one sample here."""

from dataclasses import dataclass, field
from random import Random

import numpy as np
import pytest
import tiny
import tiny_writers

from headstart import tasks
from headstart.artifacts.artifact import from_held
from headstart.contract import Column, Feature, Layout, Learned, Row, RowFault
from headstart.data.features import cache
from headstart.data.features.batches import collate
from headstart.data.features.features import Draws, Features
from headstart.errors import UserError
from headstart.evaluation.evaluate import evaluate
from headstart.models.loading.load import load
from headstart.prediction.predict import drawn_features, predict


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
        [{"text": text, "label": ("no", "maybe", "yes")[number % 3]} for number, text in enumerate(TEXTS)],
        {"text": " ", "label": "no"}, {"long_texts": "windows", "overlap": 4}),
    "regression": Sample([{"text": text, "target": len(text) / 7} for text in TEXTS], {"text": "x", "target": "3,5"},
                         {"long_texts": "windows", "overlap": 4}),
    "multilabel-classification": Sample(
        [{"text": text, "labels": ["short", "loud", "old"][number % 3:][:number % 4]} for number, text in enumerate(TEXTS)],
        {"text": "x", "labels": {"a": 1}}, {"long_texts": "windows", "overlap": 4}),
    "token-tagging": Sample(
        [{"tokens": text.split(), "tags": ["B-thing" if word in ("green", "broken") else "I-thing" if word[:5] in ("apple", "cards", "card")
                                            else "O" for word in text.split()]} for text in TEXTS],
        {"tokens": ["a", "b"], "tags": ["O"]}, {"overlap": 4}),
    "question-answering": Sample(
        [{"question": question, "passage": passage, "answer": answer, "start": start} for passage in PASSAGES for question, answer, start in (
            ("Who counts?", "Every teacher", passage.index("Every teacher")), ("Why?", "", None),
            ("What?", ["seven green apples", "apples"], [passage.index("seven green"), passage.index("apples")]))],
        {"question": "Who?", "passage": "The river bank.", "answer": "a doctor", "start": 0}, {"overlap": 4}),
    "multiple-choice": Sample(
        [{"context": text, "choices": [TEXTS[number - 1], TEXTS[number - 2], "The roses."][:2 + number % 2], "answer": number % 2}
         for number, text in enumerate(TEXTS)],
        {"context": "The river bank.", "choices": ["one"], "answer": 0}),
    "retrieval": Sample(
        [{"question": text, "passage": TEXTS[number - 1], "negatives": [TEXTS[number - 2]]} for number, text in enumerate(TEXTS)],
        {"question": "Who?", "passage": ""}),
    "masked-language-model": Sample([{"text": text.replace("the", "[MASK]", 1)} for text in TEXTS], {"text": ""}, {"blocks": False}),
    "language-model": Sample([{"text": text} for text in TEXTS], {"text": " "}, {"overlap": 0.4}),
    "long-answer": Sample(
        [{"question": text, "passages": [TEXTS[number - 1], TEXTS[number - 2]][:1 + number % 2], "answer": TEXTS[number - 1][:20]}
         for number, text in enumerate(TEXTS)],
        {"question": "?", "passages": ["x"], "answer": "y"}),
    "summarization": Sample([{"source": text, "target": text[:20]} for text in TEXTS], {"source": " ", "target": "x"}),
    "translation": Sample([{"source": text, "target": text.upper()} for text in TEXTS], {"source": " ", "target": "x"}),
    "text-to-text": Sample([{"source": text, "target": [text[:20], text[:10]]} for text in TEXTS], {"source": "", "target": "x"}),
    "next-sentence": Sample([{"text": text, "pair": TEXTS[number - 1]} for number, text in enumerate(TEXTS)], {"text": "", "pair": "x"}),
    "replaced-token-detection": Sample([{"text": text} for text in TEXTS], {"text": " "}),
    "bert-pretraining": Sample([{"text": text.replace("the", "[MASK]", 1), "pair": TEXTS[number - 1]} for number, text in enumerate(TEXTS)],
                               {"text": "x", "pair": " "}),
}
EVERY = pytest.mark.parametrize("name", tasks.names())


def test_every_task_has_a_sample():
    assert set(SAMPLES) == set(tasks.names())


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    place = tmp_path_factory.mktemp("contract")
    tiny.model_folder("gpt2", place / "decoder", "causal-language-model")
    tiny_writers.folder("t5", place / "sequence-to-sequence")
    tiny.model_folder("electra", place / "replaced-token", "replaced-token")
    return tiny.model_folder("bert", place / "encoder")


def made(name, folder, settings=None):
    kind = tasks.find(name)
    task = kind(kind.Settings(**(settings or {})))
    examples = [task.read(Row(number, row)) for number, row in enumerate(SAMPLES[name].rows)]
    task = task.knowing(task.learn(examples))
    own = folder.parent / task.head().kind  # a family that alone has this head
    model = load(str(own if own.exists() else folder.parent / task.kinds[0]), task.head(), seed=0)
    return task, examples, model


def answers(task, model, examples, batch_tokens=4096):
    return [prediction.values for prediction in predict(task, model, examples, batch_tokens=batch_tokens)]


def close(first, second):
    """Equal values; numbers to 1e-5."""
    if isinstance(first, dict):
        return set(first) == set(second) and all(close(first[key], second[key]) for key in first)
    if isinstance(first, list):
        return len(first) == len(second) and all(map(close, first, second))
    if isinstance(first, float):
        return abs(first - second) <= 1e-5 * max(1, abs(first))
    return first == second


@EVERY
def test_batching_changes_no_prediction(name, folder):
    task, examples, model = made(name, folder)
    whole = answers(task, model, examples)
    alone = [answers(task, model, [example])[0] for example in examples]
    small = answers(task, model, examples, batch_tokens=64)
    assert all(map(close, whole, alone)) and all(map(close, whole, small))


@EVERY
def test_packing_changes_no_output(name, folder):
    import torch

    task, examples, model = made(name, folder)
    if task.writes:
        pytest.skip("no model that writes a text for a text can pack")
    model.module.eval()
    features = [feature for example in examples for feature in task.encode(example, model.tokenizer)]
    with torch.no_grad():
        packed = model.forward(collate(features, Layout(packed=True)))
        padded = model.forward(collate(features, Layout(packed=False)))
    for key in packed:
        assert torch.allclose(packed[key], padded[key], atol=1e-5)


@EVERY
def test_a_row_without_its_target_can_be_predicted(name, folder):
    task, examples, model = made(name, folder)
    targets = {held.name for held in task.fields if held.target}
    bare = [task.read(Row(number, {key: value for key, value in row.items() if key not in targets}))
            for number, row in enumerate(SAMPLES[name].rows)]
    assert all(map(close, answers(task, model, examples), answers(task, model, bare)))


@EVERY
def test_a_long_text_loses_nothing_silently(name, folder):
    settings = SAMPLES[name].windows
    task, examples, model = made(name, folder, settings)
    short = model.tokenizer.with_longest(16)
    for example in examples:
        features = task.encode(example, short)
        assert all(len(feature) <= 16 for feature in features)
        assert sum(feature.weight for feature in features) == pytest.approx(1)
    cutting, _, _ = made(name, folder)
    if not cutting.cuts():
        return  # it reads in windows whatever its settings
    for example in examples:
        kept = sum(len(feature) for feature in cutting.encode(example, short))
        whole = sum(len(feature) for feature in cutting.encode(example, model.tokenizer))
        assert whole - kept == max(feature.cut for feature in cutting.encode(example, short))


@EVERY
def test_windows_hold_every_token(name, folder):
    if not SAMPLES[name].windows:
        pytest.skip("this task reads no long texts")
    task, examples, model = made(name, folder, SAMPLES[name].windows)
    short = model.tokenizer.with_longest(16)
    for example in examples:
        held = {token for feature in task.encode(example, short) for token in feature.ids}
        whole = {token for feature in task.encode(example, model.tokenizer) for token in feature.ids}
        assert held == whole


@EVERY
def test_saving_and_loading_change_no_prediction(name, folder, tmp_path):
    from headstart.artifacts import artifact, model_card

    task, examples, model = made(name, folder)
    before = answers(task, model, examples)
    artifact.save(tmp_path / "model", model, task, model_card.plain(task, "tiny"), {})
    again, loaded = artifact.load(str(tmp_path / "model"))
    assert again == task.knowing(task.shipped()[0])
    assert all(map(close, before, answers(again, loaded, examples)))


@EVERY
def test_what_was_learned_survives_json(name, folder):
    import json

    task, _, _ = made(name, folder)
    held = json.loads(json.dumps({"task": name, "task_settings": vars(task.settings), "learned": task.known.json()}))
    assert from_held(held) == task
    assert Learned.from_json(task.known.json()) == task.known


@EVERY
def test_features_are_stored_without_loss(name, folder):
    task, examples, model = made(name, folder)
    stored = Features.encode(task, examples, model.tokenizer, seed=0)
    draws = Draws("0:0")
    for number, example in enumerate(task.compose(examples, model.tokenizer, Random("0:compose:0"))):
        for place, feature in zip(stored.of(number), task.encode(example, model.tokenizer, draws.of(example)), strict=True):
            held: Feature = stored[place]
            assert list(held.ids) == list(feature.ids) and list(held.types) == list(feature.types)
            assert dict(held.targets) == dict(feature.targets) and held.weight == feature.weight


@EVERY
def test_features_that_were_kept_are_the_same_features(name, folder, tmp_path, monkeypatch):
    task, examples, model = made(name, folder)
    fresh = Features.encode(task, examples, model.tokenizer, seed=1)
    first = cache.encode(task, examples, model.tokenizer, seed=1, folder=str(tmp_path / "kept"))
    assert not hasattr(model.tokenizer.backend, "to_str") or len(list((tmp_path / "kept").iterdir())) == 1
    monkeypatch.setattr(Features, "encode", lambda *args, **more: pytest.fail("they were made again"))
    again = cache.encode(task, examples, model.tokenizer, seed=1, folder=str(tmp_path / "kept"))
    assert repr(list(fresh)) == repr(list(first)) == repr(list(again))
    assert fresh.example_lengths.tolist() == again.example_lengths.tolist() and fresh.cut.tolist() == again.cut.tolist()


@EVERY
def test_scores_come_with_the_one_that_chooses_first(name, folder):
    task, examples, model = made(name, folder)
    done = evaluate(task, examples, predict(task, model, examples, batch_tokens=4096), resamples=20, seed=0)
    assert next(iter(done.scores)) == task.best[0]
    for score in done.scores.values():
        assert (score.value is None) == (score.reason is not None) or score.low is None
        assert score.value is None or np.isfinite(score.value)
    for figure in task.figures(examples, done.predictions, done.measures):
        from headstart.reports.figures import render

        assert render(figure).startswith("<figure")


@EVERY
def test_a_faulty_row_is_told_not_guessed(name):
    task = tasks.find(name)()
    with pytest.raises(RowFault) as told:
        task.read(Row(0, SAMPLES[name].faulty))
    assert told.value.code[0] == "E" and told.value.fix


@EVERY
def test_its_own_columns_are_detected(name):
    rows = SAMPLES[name].rows * 10
    columns = [Column(key, [row[key] for row in rows]) for key in rows[0]]
    if name == "language-model":  # texts alone may be for masked words too
        with pytest.raises(UserError, match="Several tasks"):
            tasks.detect(columns, "rows.csv")
        return
    if name in ("next-sentence", "bert-pretraining", "replaced-token-detection", "summarization", "translation"):  # texts alone are no sign of them
        assert tasks.find(name).detect(columns) is None
        return
    task, detection = tasks.detect(columns, "rows.csv")
    assert task.name == name and detection.columns == {key: key for key in rows[0]}


@EVERY
def test_baselines_answer_in_the_tasks_own_form(name, folder):
    task, examples, model = made(name, folder)
    states = np.random.default_rng(0).normal(size=(len(examples), 4))
    features = drawn_features(task, model, examples, 0)
    for baseline in task.baselines():
        more = states if baseline.needs_states else features if baseline.needs_features else None
        rival = baseline.fit(examples, more, 0)
        found = rival.predict(examples, more)
        assert [set(one.values) for one in found] == [set(answers(task, model, examples[:1])[0])] * len(examples)
        assert rival.size_bytes > 0
