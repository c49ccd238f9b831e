"""Multiple choice: SWAG's columns and lists, any number of choices, answers by number, letter or text."""

import json

import numpy as np
import pytest
import tiny
from conftest import write_csv

from headstart.contract import Column, Row, RowFault
from headstart.tasks.multiple_choice.task import MultipleChoice

FAULTS = [({"choices": "a"}, "E330"), ({"choices": {"a": 1}}, "E330"), ({"choices": None}, "E330"),
          ({"choices": []}, "E331"),
          ({"choices": ["one"]}, "E331"), ({"choices": ["one", " "]}, "E332"), ({"choices": ["one", None]}, "E332"),
          ({"answer": 5}, "E333"),
          ({"answer": "Z"}, "E333"), ({"answer": "three"}, "E333"), ({"context": ""}, "E201"), ({"answer": -2}, "E333")]


@pytest.mark.parametrize(("values", "code"), FAULTS)
def test_faulty_rows_are_reported(values, code):
    with pytest.raises(RowFault) as error:
        MultipleChoice().read(Row(0, {"context": "Who?", "choices": ["one", "two"], "answer": 0} | values))
    assert error.value.code == code and error.value.fix


@pytest.mark.parametrize(("answer", "index"), [(1, 1), ("1", 1), ("B", 1), ("two", 1), (0, 0), ("A", 0), (None, None),
                                               ("", None), (-1, None)])
def test_answers_are_read_in_every_form(answer, index):
    assert MultipleChoice().read(Row(0, {"context": "Who?", "choices": ["one", "two"],
                                         "answer": answer})).answer == index


def test_choices_may_be_a_json_list_in_a_text():
    assert MultipleChoice().read(Row(0, {"context": "Who?", "choices": ' ["one", "two"]'})).choices == ("one", "two")
    with pytest.raises(RowFault, match="a list of texts was expected"):
        MultipleChoice().read(Row(0, {"context": "Who?", "choices": '["one", '}))


def test_swag_is_recognised():
    columns = [Column(name, ["x"]) for name in ("video-id", "sent1", "sent2", "ending0", "ending1", "ending2",
                                                "ending3", "label")]
    detection = MultipleChoice.detect(columns)
    assert detection is not None and detection.columns == {"context": "sent1", "start": "sent2", "answer": "label",
                                                           "choices": "ending0,ending1,ending2,ending3"}


def test_swag_is_trained_and_predicted(tiny_bert, tmp_path, headstart):
    texts = tiny.texts(90, seed=6)
    rows = [(text, "She", *(f"counts {word}." for word in ("roses", "apples", "cards")), index % 3)
            for index, text in enumerate(texts)]
    data = write_csv(tmp_path / "swag.csv", rows, ("sent1", "sent2", "ending0", "ending1", "ending2", "label"))
    code, _, stderr = headstart("finetune", data, "--model", tiny_bert, "--to", tmp_path / "run", "--epochs", 1,
                                "--set", "evaluation.resamples=20")
    assert code == 0, stderr
    assert "multiple-choice, because there are choices" in stderr
    scores = json.loads((tmp_path / "run" / "scores.json").read_text())
    assert set(scores["baselines"]) == {"random choice", "longest choice"} and scores["test"]["accuracy"]["n"] == 9
    write_csv(tmp_path / "new.csv", [row[:5] for row in rows[:3]], ("sent1", "sent2", "ending0", "ending1", "ending2"))
    code, _, stderr = headstart("predict", tmp_path / "run", tmp_path / "new.csv", "--to", tmp_path / "answers.jsonl")
    assert code == 0, stderr
    answers = [json.loads(line) for line in (tmp_path / "answers.jsonl").read_text().splitlines()]
    assert all(answer["prediction"] == answer[f"ending{answer['choice']}"] and len(answer["probabilities"]) == 3
               for answer in answers)


def double_heads(folder, family):
    """A tiny decoder with both heads, two rows of three choices with their targets, and what they lose together."""
    from headstart.data.features.features import Features
    from headstart.models.loading.load import load

    model = load(str(tiny.model_folder(family, folder, "multiple-choice", ["a"], seed=4)), None, seed=0)
    task = MultipleChoice(MultipleChoice.Settings(lm_loss_weight=0.5))
    rows = [{"context": f"{text} She", "choices": ["counts roses.", "waters seven green apples.", "sells it."],
             "answer": index % 3}
            for index, text in enumerate(tiny.texts(2, seed=6))]
    examples = [task.read(Row(index, row)) for index, row in enumerate(rows)]
    return model, task, Features.encode(task, examples, model.tokenizer, seed=0)


@pytest.mark.parametrize("family", ["gpt2", "openai-gpt"])
def test_both_heads_lose_what_transformers_says(family, tmp_path):
    import torch
    import transformers

    from headstart.contract import Layout
    from headstart.data.features.batches import collate
    from headstart.settings import Training
    from headstart.training.losses import build_loss
    from headstart.training.objectives.objective import total_weight

    model, task, features = double_heads(tmp_path / "m", family)
    model.module.eval()
    plain = getattr(transformers, type(model.module).__name__).from_pretrained(tmp_path / "m").eval()
    plain_losses = []
    for row in range(2):
        choice_features = [features[3 * row + choice] for choice in range(3)]
        size = max(map(len, choice_features))
        ids, labels = torch.zeros(1, 3, size, dtype=torch.long), torch.full((1, 3, size), -100)
        for choice, feature in enumerate(choice_features):
            ids[0, choice, :len(feature)] = torch.tensor(feature.ids)
            if feature.targets["label"].value:
                labels[0, choice, :len(feature)] = torch.tensor(feature.ids)
        correct_choice = torch.tensor([next(choice for choice, feature in enumerate(choice_features)
                                            if feature.targets["label"].value)])
        outputs = plain(input_ids=ids, mc_token_ids=torch.tensor([[len(feature) - 1 for feature in choice_features]]),
                        labels=labels, mc_labels=correct_choice)
        plain_losses.append(outputs.mc_loss + 0.5 * outputs.loss)
    (sum(plain_losses) / 2).backward()
    batch = collate(list(features), Layout(model.can_pack, model.tokenizer.pad_id))
    loss = build_loss(task.head().loss, Training(), ())(model, batch) / total_weight([batch])
    loss.backward()
    assert abs(loss.item() - (sum(plain_losses) / 2).item()) < 1e-5
    plain_gradients = {name: weight.grad for name, weight in plain.named_parameters() if weight.grad is not None}
    tied_names = {"transformer.tokens_embed.weight": "lm_head.weight",
                  "lm_head.weight": "transformer.tokens_embed.weight"}
    for name, weight in model.module.named_parameters():
        plain_gradient = plain_gradients.get(name, plain_gradients.get(tied_names.get(name, "")))
        assert (weight.grad is None) == (plain_gradient is None) and (
            weight.grad is None or torch.allclose(weight.grad, plain_gradient, atol=1e-5)), name


@pytest.mark.parametrize("family", ["gpt2", "openai-gpt", "llama", "ctrl"])
def test_decoders_choose_and_those_with_two_heads_learn_the_words_too(family, tmp_path, headstart):
    import transformers

    from headstart.models.heads.custom_heads import head_class

    rows = [(text, "She counts roses.", "She waters seven green apples.", index % 2)
            for index, text in enumerate(tiny.texts(60, seed=6))]
    data = write_csv(tmp_path / "rows.csv", rows, ("context", "choice0", "choice1", "answer"))
    has_two_heads = family in ("gpt2", "openai-gpt")
    arguments = ["finetune", data, "--task", "multiple-choice", "--model", tiny.model_folder(family, tmp_path / "base"),
                 "--to", tmp_path / "run", "--epochs", 1, "--set", "evaluation.resamples=20"]
    code, _, stderr = headstart(*arguments, "--set", "task.lm_loss_weight=0.5")
    assert code == (0 if has_two_heads else 2), stderr
    if not has_two_heads:
        assert "gpt2" in stderr and "lm_loss_weight" in stderr
        code, _, stderr = headstart(*arguments)
        assert code == 0, stderr
    assert headstart("predict", tmp_path / "run", data, "--to", tmp_path / "out.jsonl")[0] == 0
    first_probability, second_probability = json.loads((tmp_path
                                                        / "out.jsonl").read_text().splitlines()[0])["probabilities"]
    name = json.loads((tmp_path / "run" / "model" / "config.json").read_text())["architectures"][0]
    assert hasattr(transformers, name) == has_two_heads
    plain = head_class(name).from_pretrained(tmp_path / "run" / "model").eval()
    model = headstart_load(tmp_path / "run")
    features = model.task.encode(model.task.read(Row(0, {"context": rows[0][0], "choices": rows[0][1:3]})),
                                 model.transformer.tokenizer)
    outputs = [plain(**{"input_ids": input_ids(feature)}) for feature in features]
    logits = [(output.mc_logits if has_two_heads else output.logits).reshape(-1)[0].item() for output in outputs]
    assert 1 / (1 + np.exp(logits[1] - logits[0])) == pytest.approx(
        first_probability, abs=1e-5) and second_probability == pytest.approx(1 - first_probability, abs=1e-6)


def input_ids(feature):
    import torch

    return torch.tensor([[list(feature.ids)]])


def headstart_load(folder):
    import headstart

    return headstart.load(folder)
