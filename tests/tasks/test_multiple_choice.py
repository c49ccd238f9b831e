"""Multiple choice: SWAG's columns and lists, any number of choices, answers by number, letter or text."""

import json

import numpy as np
import pytest
import tiny
from conftest import write_csv

from headstart.contract import Column, Row, RowFault
from headstart.tasks.multiple_choice import MultipleChoice

FAULTS = [({"choices": "a"}, "E330"), ({"choices": {"a": 1}}, "E330"), ({"choices": None}, "E330"), ({"choices": []}, "E331"),
          ({"choices": ["one"]}, "E331"), ({"choices": ["one", " "]}, "E332"), ({"choices": ["one", None]}, "E332"), ({"answer": 5}, "E333"),
          ({"answer": "Z"}, "E333"), ({"answer": "three"}, "E333"), ({"context": ""}, "E201"), ({"answer": -1}, "E333")]


@pytest.mark.parametrize(("values", "code"), FAULTS)
def test_faulty_rows_are_told(values, code):
    with pytest.raises(RowFault) as told:
        MultipleChoice().read(Row(0, {"context": "Who?", "choices": ["one", "two"], "answer": 0} | values))
    assert told.value.code == code and told.value.fix


@pytest.mark.parametrize(("answer", "place"), [(1, 1), ("1", 1), ("B", 1), ("two", 1), (0, 0), ("A", 0), (None, None), ("", None)])
def test_answers_are_read_in_every_form(answer, place):
    assert MultipleChoice().read(Row(0, {"context": "Who?", "choices": ["one", "two"], "answer": answer})).answer == place


def test_choices_may_be_a_json_list_in_a_text():
    assert MultipleChoice().read(Row(0, {"context": "Who?", "choices": ' ["one", "two"]'})).choices == ("one", "two")
    with pytest.raises(RowFault, match="a list of texts was expected"):
        MultipleChoice().read(Row(0, {"context": "Who?", "choices": '["one", '}))


def test_swag_is_recognised():
    columns = [Column(name, ["x"]) for name in ("video-id", "sent1", "sent2", "ending0", "ending1", "ending2", "ending3", "label")]
    found = MultipleChoice.detect(columns)
    assert found is not None and found.columns == {"context": "sent1", "start": "sent2", "answer": "label",
                                                  "choices": "ending0,ending1,ending2,ending3"}


def test_swag_is_trained_and_predicted(tiny_bert, tmp_path, headstart):
    texts = tiny.texts(90, seed=6)
    rows = [(text, "She", *(f"counts {word}." for word in ("roses", "apples", "cards")), number % 3) for number, text in enumerate(texts)]
    data = write_csv(tmp_path / "swag.csv", rows, ("sent1", "sent2", "ending0", "ending1", "ending2", "label"))
    code, _, words = headstart("finetune", data, "--model", tiny_bert, "--to", tmp_path / "run", "--epochs", 1, "--set", "evaluation.resamples=20")
    assert code == 0, words
    assert "multiple-choice, because there are choices" in words
    scores = json.loads((tmp_path / "run" / "scores.json").read_text())
    assert set(scores["baselines"]) == {"random choice", "longest choice"} and scores["test"]["accuracy"]["n"] == 9
    write_csv(tmp_path / "new.csv", [row[:5] for row in rows[:3]], ("sent1", "sent2", "ending0", "ending1", "ending2"))
    code, _, words = headstart("predict", tmp_path / "run", tmp_path / "new.csv", "--to", tmp_path / "answers.jsonl")
    assert code == 0, words
    answers = [json.loads(line) for line in (tmp_path / "answers.jsonl").read_text().splitlines()]
    assert all(answer["prediction"] == answer[f"ending{answer['choice']}"] and len(answer["probabilities"]) == 3 for answer in answers)


def double_heads(place, family):
    """A tiny decoder with both heads, two rows of three choices with their targets, and what they lose together."""
    from headstart.data.features.features import Features
    from headstart.models.loading.load import load

    held = load(str(tiny.model_folder(family, place, "multiple-choice", ["a"], seed=4)), None, seed=0)
    task = MultipleChoice(MultipleChoice.Settings(words_share=0.5))
    rows = [{"context": f"{text} She", "choices": ["counts roses.", "waters seven green apples.", "sells it."], "answer": number % 3}
            for number, text in enumerate(tiny.texts(2, seed=6))]
    examples = [task.read(Row(number, row)) for number, row in enumerate(rows)]
    return held, task, Features.encode(task, examples, held.tokenizer, seed=0)


@pytest.mark.parametrize("family", ["gpt2", "openai-gpt"])
def test_both_heads_lose_what_transformers_says(family, tmp_path):
    import torch
    import transformers

    from headstart.contract import Layout
    from headstart.data.features.batches import collate
    from headstart.settings import Training
    from headstart.training.losses.losses import objective, total_weight

    held, task, features = double_heads(tmp_path / "m", family)
    held.module.eval()
    plain = getattr(transformers, type(held.module).__name__).from_pretrained(tmp_path / "m").eval()
    theirs = []
    for row in range(2):
        three = [features[3 * row + place] for place in range(3)]
        size = max(map(len, three))
        ids, labels = torch.zeros(1, 3, size, dtype=torch.long), torch.full((1, 3, size), -100)
        for place, one in enumerate(three):
            ids[0, place, :len(one)] = torch.tensor(one.ids)
            if one.targets["label"].value:
                labels[0, place, :len(one)] = torch.tensor(one.ids)
        right = torch.tensor([next(place for place, one in enumerate(three) if one.targets["label"].value)])
        found = plain(input_ids=ids, mc_token_ids=torch.tensor([[len(one) - 1 for one in three]]), labels=labels, mc_labels=right)
        theirs.append(found.mc_loss + 0.5 * found.loss)
    (sum(theirs) / 2).backward()
    batch = collate(list(features), Layout(held.can_pack, held.tokenizer.pad_id))
    ours = objective(task.head(), Training(), ())(held, batch) / total_weight([batch])
    ours.backward()
    assert abs(ours.item() - (sum(theirs) / 2).item()) < 1e-5
    wanted = {name: weight.grad for name, weight in plain.named_parameters() if weight.grad is not None}
    same = {"transformer.tokens_embed.weight": "lm_head.weight", "lm_head.weight": "transformer.tokens_embed.weight"}
    for name, weight in held.module.named_parameters():
        theirs_grad = wanted.get(name, wanted.get(same.get(name, "")))
        assert (weight.grad is None) == (theirs_grad is None) and (weight.grad is None or torch.allclose(weight.grad, theirs_grad, atol=1e-5)), name


@pytest.mark.parametrize("family", ["gpt2", "openai-gpt", "llama", "ctrl"])
def test_decoders_choose_and_those_with_two_heads_learn_the_words_too(family, tmp_path, headstart):
    import transformers

    from headstart.models.heads.custom_heads import head_class

    rows = [(text, "She counts roses.", "She waters seven green apples.", number % 2) for number, text in enumerate(tiny.texts(60, seed=6))]
    data = write_csv(tmp_path / "rows.csv", rows, ("context", "choice0", "choice1", "answer"))
    two = family in ("gpt2", "openai-gpt")
    words = ["finetune", data, "--task", "multiple-choice", "--model", tiny.model_folder(family, tmp_path / "base"), "--to", tmp_path / "run", "--epochs", 1,
             "--set", "evaluation.resamples=20"]
    code, _, err = headstart(*words, "--set", "task.words_share=0.5")
    assert code == (0 if two else 2), err
    if not two:
        assert "gpt2" in err and "words_share" in err
        code, _, err = headstart(*words)
        assert code == 0, err
    assert headstart("predict", tmp_path / "run", data, "--to", tmp_path / "out.jsonl")[0] == 0
    first, second = json.loads((tmp_path / "out.jsonl").read_text().splitlines()[0])["probabilities"]
    name = json.loads((tmp_path / "run" / "model" / "config.json").read_text())["architectures"][0]
    assert hasattr(transformers, name) == two
    plain = head_class(name).from_pretrained(tmp_path / "run" / "model").eval()
    held = headstart_load(tmp_path / "run")
    made = held.task.encode(held.task.read(Row(0, {"context": rows[0][0], "choices": rows[0][1:3]})), held.loaded.tokenizer)
    scores = [plain(**{"input_ids": torch_ids(one)}) for one in made]
    logits = [(one.mc_logits if two else one.logits).reshape(-1)[0].item() for one in scores]
    assert 1 / (1 + np.exp(logits[1] - logits[0])) == pytest.approx(first, abs=1e-5) and second == pytest.approx(1 - first, abs=1e-6)


def torch_ids(feature):
    import torch

    return torch.tensor([[list(feature.ids)]])


def headstart_load(place):
    import headstart

    return headstart.load(place)
