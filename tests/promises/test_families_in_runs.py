"""Tasks on families other than BERT: trained, saved, loaded again, predicted with, from the command line."""

from __future__ import annotations

import json

import numpy as np
import pytest
import tiny
import torch
import transformers
from conftest import QUICK_FLAGS

from headstart.contract import HeadSpec, Row
from headstart.models.heads.custom_heads import head_class
from headstart.models.loading.load import load
from headstart.tasks import find

NOUNS = ["roses", "apples", "tables", "card"]


def question_rows(count: int) -> list[dict]:
    """What is counted? Some passages do not say it."""
    rng, rows = np.random.default_rng(0), []
    for index in range(count):
        noun = NOUNS[rng.integers(4)]
        answerable = index % 4 > 0
        passage = (f"Nobody here forgets. {'The old captain counts the ' + noun if answerable else 'The river bank'} "
                   "in 1984.")
        rows.append({"question": "what does he count?", "passage": passage, "answer": [noun] if answerable else []})
    return rows


def tagged_rows(count: int) -> list[dict]:
    """Nouns are things; accents and an emoji among them."""
    rng, rows = np.random.default_rng(0), []
    for _ in range(count):
        words = ["The", "café's", *rng.choice(NOUNS, 2).tolist(), "😀", "never"]
        rows.append({"tokens": words, "tags": ["B-THING" if word in NOUNS else "O" for word in words]})
    return rows


TASKS = {"question-answering": question_rows, "token-tagging": tagged_rows}


@pytest.mark.parametrize(("family", "task"), [("gpt2", "question-answering"), ("ctrl", "question-answering"),
                                              ("ctrl", "token-tagging"),
                                              ("xlm", "token-tagging"), ("xlnet", "question-answering"),
                                              ("openai-gpt", "token-tagging"),
                                              ("deberta-v2", "token-tagging"), ("albert", "question-answering"),
                                              ("transfo-xl", "question-answering"), ("transfo-xl", "token-tagging")])
def test_a_task_runs_on_a_family_and_answers_in_the_rows_own_characters(family, task, tmp_path, headstart):
    file, run, output_path = tmp_path / "rows.jsonl", tmp_path / "run", tmp_path / "out.jsonl"
    rows = TASKS[task](60)
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    code, _, stderr = headstart("finetune", file, "--task", task, "--model",
                                tiny.model_folder(family, tmp_path / "base"), "--to", run,
                                *QUICK_FLAGS, "--learning-rate", "2e-3")
    assert code == 0, stderr
    assert headstart("predict", run, file, "--to", output_path)[0] == 0
    predictions = [json.loads(line) for line in output_path.read_text().splitlines()]
    assert len(predictions) == len(rows)
    for row, prediction in zip(rows, predictions, strict=True):
        if task == "question-answering":
            assert prediction["prediction"] == row["passage"][prediction["start"]:prediction["end"]] if prediction[
                "prediction"] else prediction["start"] is None
        else:
            assert len(prediction["prediction"]) == len(row["tokens"])
    is_custom_class = not hasattr(transformers, json.loads((run / "model"
                                                            / "config.json").read_text())["architectures"][0])
    assert ("headstart.load reads this folder" in (run / "model" / "README.md").read_text()) == is_custom_class
    scores = json.loads((run / "scores.json").read_text())["dev"]
    assert all(score["value"] is not None or score["reason"] for score in scores.values())


def test_a_decoder_that_finds_no_answer_points_at_its_last_token(tmp_path):
    task = find("question-answering")()
    for family, points_at_last in (("gpt2", True), ("ctrl", True), ("xlnet", True), ("transfo-xl", True),
                                   ("bert", False), ("xlm", False)):
        model = load(str(tiny.model_folder(family, tmp_path / family)), HeadSpec("question-answering", 2), seed=0)
        example = task.read(Row(0, next(row for row in question_rows(8) if not row["answer"])))
        (feature,) = task.with_learned(task.learn([example])).encode(example, model.tokenizer)
        assert feature.targets["label"].value == ([len(feature) - 1] * 2 if points_at_last else [0, 0])


@pytest.mark.parametrize("family", ["openai-gpt", "ctrl"])
def test_a_head_of_our_own_is_named_by_its_folder_and_loads_again(family, tmp_path):
    folder = tiny.model_folder(family, tmp_path / "m", "token-classification", ("O", "B-THING"))
    name = json.loads((folder / "config.json").read_text())["architectures"][0]
    assert name.endswith("ForTokenClassification") and "auto_map" not in (folder / "config.json").read_text()
    model = load(str(folder), None, seed=0)
    assert type(model.module) is head_class(name) and model.head == "token-classification"
    plain = transformers.AutoModelForTokenClassification.from_pretrained(folder)  # conftest registers our classes
    assert type(plain) is head_class(name) and torch.equal(plain.score.weight, model.module.score.weight)
    backbone = type(model.module.base_model).from_pretrained(folder)  # plain transformers reads the backbone
    for weight, model_weight in zip(backbone.parameters(), model.module.base_model.parameters(), strict=True):
        assert torch.equal(weight, model_weight)
