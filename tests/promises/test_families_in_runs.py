"""Tasks on families unlike BERT: trained, saved, loaded again and asked, from the command line."""

from __future__ import annotations

import json

import numpy as np
import pytest
import tiny
import torch
import transformers
from conftest import QUICK

from headstart.contract import HeadSpec, Row
from headstart.models.heads.custom_heads import head_class
from headstart.models.loading.load import load
from headstart.tasks import find

NOUNS = ["roses", "apples", "tables", "card"]


def questions(count: int) -> list[dict]:
    """What is counted? Some passages do not say it."""
    draw, made = np.random.default_rng(0), []
    for number in range(count):
        noun = NOUNS[draw.integers(4)]
        said = number % 4 > 0
        passage = f"Nobody here forgets. {'The old captain counts the ' + noun if said else 'The river bank'} in 1984."
        made.append({"question": "what does he count?", "passage": passage, "answer": [noun] if said else []})
    return made


def tagged(count: int) -> list[dict]:
    """Nouns are things; accents and an emoji among them."""
    draw, made = np.random.default_rng(0), []
    for _ in range(count):
        words = ["The", "café's", *draw.choice(NOUNS, 2).tolist(), "😀", "never"]
        made.append({"tokens": words, "tags": ["B-THING" if word in NOUNS else "O" for word in words]})
    return made


TASKS = {"question-answering": questions, "token-tagging": tagged}


@pytest.mark.parametrize(("family", "task"), [("gpt2", "question-answering"), ("ctrl", "question-answering"), ("ctrl", "token-tagging"),
                                              ("xlm", "token-tagging"), ("xlnet", "question-answering"), ("openai-gpt", "token-tagging"),
                                              ("deberta-v2", "token-tagging"), ("albert", "question-answering"),
                                              ("transfo-xl", "question-answering"), ("transfo-xl", "token-tagging")])
def test_a_task_runs_on_a_family_and_answers_in_the_rows_own_characters(family, task, tmp_path, headstart):
    file, run, out = tmp_path / "rows.jsonl", tmp_path / "run", tmp_path / "out.jsonl"
    rows = TASKS[task](60)
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    code, _, err = headstart("finetune", file, "--task", task, "--model", tiny.model_folder(family, tmp_path / "base"), "--to", run,
                             *QUICK, "--learning-rate", "2e-3")
    assert code == 0, err
    assert headstart("predict", run, file, "--to", out)[0] == 0
    predicted = [json.loads(line) for line in out.read_text().splitlines()]
    assert len(predicted) == len(rows)
    for row, one in zip(rows, predicted, strict=True):
        if task == "question-answering":
            assert one["prediction"] == row["passage"][one["start"]:one["end"]] if one["prediction"] else one["start"] is None
        else:
            assert len(one["prediction"]) == len(row["tokens"])
    own = not hasattr(transformers, json.loads((run / "model" / "config.json").read_text())["architectures"][0])
    assert ("headstart.load reads this folder" in (run / "model" / "README.md").read_text()) == own
    scores = json.loads((run / "scores.json").read_text())["dev"]
    assert all(score["value"] is not None or score["reason"] for score in scores.values())


def test_a_decoder_that_finds_no_answer_points_at_its_last_token(tmp_path):
    task = find("question-answering")()
    for family, last in (("gpt2", True), ("ctrl", True), ("xlnet", True), ("transfo-xl", True), ("bert", False), ("xlm", False)):
        held = load(str(tiny.model_folder(family, tmp_path / family)), HeadSpec("question-answering", 2), seed=0)
        example = task.read(Row(0, next(row for row in questions(8) if not row["answer"])))
        (feature,) = task.knowing(task.learn([example])).encode(example, held.tokenizer)
        assert feature.targets["label"].value == ([len(feature) - 1] * 2 if last else [0, 0])


@pytest.mark.parametrize("family", ["openai-gpt", "ctrl"])
def test_a_head_of_our_own_is_named_by_its_folder_and_loads_again(family, tmp_path):
    place = tiny.model_folder(family, tmp_path / "m", "token-classification", ("O", "B-THING"))
    name = json.loads((place / "config.json").read_text())["architectures"][0]
    assert name.endswith("ForTokenClassification") and "auto_map" not in (place / "config.json").read_text()
    held = load(str(place), None, seed=0)
    assert type(held.module) is head_class(name) and held.head == "token-classification"
    again = transformers.AutoModelForTokenClassification.from_pretrained(place)  # conftest registers our classes
    assert type(again) is head_class(name) and torch.equal(again.score.weight, held.module.score.weight)
    base = type(held.module.base_model).from_pretrained(place)  # plain transformers reads the backbone
    for weight, other in zip(base.parameters(), held.module.base_model.parameters(), strict=True):
        assert torch.equal(weight, other)
