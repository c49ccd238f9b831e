"""distil: a student is pruned from its teacher, distilled, compared with it, and saved as an ordinary model."""

import hashlib
import json
import subprocess
import sys
import time

import numpy as np
import pytest
import tiny
import tiny_writers
import torch
from conftest import review_rows, write_csv

import headstart as package
from headstart import settings
from headstart.artifacts import artifact
from headstart.contract.losses import CrossEntropy, SpanCrossEntropy, SquaredError, VocabularyCrossEntropy
from headstart.data.features.batches import collate
from headstart.errors import UserError
from headstart.models import hidden_states, layer_pruning
from headstart.models.loading.load import load
from headstart.training.losses import build_loss
from headstart.training.objectives import distillation, divergence
from headstart.training.objectives.distillation import DistillationLoss

FLAGS = ["--epochs", "1", "--batch-size", "16", "--quiet", "--set", "evaluation.resamples=10", "--set",
         "evaluation.baselines=false"]
LABELS = ["bad", "good", "mixed"]
SIZES = {"bert": {"num_hidden_layers": 4}, "gpt2": {"n_layer": 4}, "llama": {"num_hidden_layers": 4},
         "t5": {"num_decoder_layers": 4},
         "bart": {"decoder_layers": 4}, "xlnet": {"n_layer": 4}, "xlm": {"n_layers": 4},
         "modernbert": {"num_hidden_layers": 5},
         "albert": {"num_hidden_layers": 4}, "distilbert": {"n_layers": 4}, "deberta-v2": {"num_hidden_layers": 4}}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("distil")


@pytest.fixture(scope="module")
def teacher(folder):
    """A published classifier of four layers."""
    return tiny.model_folder("bert", folder / "teacher", "sequence-classification", LABELS, num_hidden_layers=4)


@pytest.fixture(scope="module")
def rows(folder):
    return write_csv(folder / "reviews.csv", review_rows(60))


def weights(run):
    return hashlib.sha256((run / "model" / "model.safetensors").read_bytes()).hexdigest()


def scores(run):
    return json.loads((run / "scores.json").read_text(encoding="utf-8"))


def student_objective(model, *, loss, teacher, training=None, **options):
    """The objective of a student, with every loss weight 0 that is not named."""
    options = settings.Distil(**{"alpha_soft": 0.0, "alpha_task": 0.0, "alpha_hidden": 0.0,
                                 "alpha_cosine": 0.0} | options)
    pairs = distillation.matched_layers(options.layer_map, model.layer_counts, teacher.layer_counts)
    training = training or settings.Training()
    return DistillationLoss(build_loss(loss, training, ()), options, teacher, pairs)


def loss_value(objective, model, batch):
    """The loss as a float."""
    return float(objective(model, batch).detach())


def batch_of(task, model, values, packed=False):
    from headstart.contract import Row

    features = [feature for index, row in enumerate(values)
                for feature in task.encode(task.read(Row(index, row)), model.tokenizer)]
    return collate(features, model.layout(packed=packed))


def test_layers_are_chosen_by_the_published_tables_and_else_evenly():
    assert layer_pruning.spaced_layers(6, 12) == (0, 2, 4, 7, 9, 11)
    assert layer_pruning.spaced_layers(3, 12) == (0, 6, 11)
    assert layer_pruning.spaced_layers(4, 16) == (0, 5, 10, 15)
    assert layer_pruning.spaced_layers(3, 6) == (0, 2, 5)
    assert layer_pruning.spaced_layers(4, 10) == (0, 3, 6, 9)
    assert layer_pruning.spaced_layers(1, 6) == (0,)
    for total in range(1, 40):
        for count in range(2, total + 1):
            layers = layer_pruning.spaced_layers(count, total)
            assert layers[0] == 0 and layers[-1] == total - 1 and len(set(layers)) == count
        assert layer_pruning.spaced_layers(total, total) == tuple(range(total))
    assert layer_pruning.layers_from_setting("", 6, "distil.layers") == (0, 2, 5)
    assert layer_pruning.layers_from_setting("0, 1,3", 4, "distil.layers") == (0, 1, 3)
    assert layer_pruning.layers_from_setting("3,", 4, "distil.layers") == (3,)
    assert layer_pruning.layers_from_setting("", 3, "distil.encoder_layers", all_by_default=True) == (0, 1, 2)


@pytest.mark.parametrize("layers", ["7", "0", "0,6", "2,0", "1,1", "a", "0-2", "-1"])
def test_layers_that_the_teacher_has_not_are_refused(layers):
    with pytest.raises(UserError, match=r"distil\.layers"):
        layer_pruning.layers_from_setting(layers, 6, "distil.layers")


def test_states_are_matched_evenly_or_as_asked():
    assert distillation.even_layer_pairs(3, 6) == [(1, 2), (2, 4), (3, 6)]
    assert distillation.even_layer_pairs(2, 3) == [(1, 2), (2, 3)]
    assert distillation.matched_layers("1:1,2:4", {"": 2}, {"": 4}) == {"": [(1, 1), (2, 4)]}
    assert distillation.matched_layers("1:3", {"encoder": 2, "decoder": 1}, {"encoder": 2, "decoder": 3}) == {
        "encoder": [(1, 1), (2, 2)], "decoder": [(1, 3)]}
    for wrong in ("1:5", "3:1", "1", "0:1", "a:b"):
        with pytest.raises(UserError, match=r"distil\.layer_map"):
            distillation.matched_layers(wrong, {"": 2}, {"": 4})


def teacher_folder(family, folder, head):
    if family in tiny_writers.ENCODER_DECODERS:
        return tiny_writers.model_folder(family, folder / family, **SIZES[family])
    return tiny.model_folder(family, folder / f"{family}-{head}", head,
                             LABELS[:2] if head == "question-answering" else LABELS, **SIZES[family])


HEADS = [(family, "sequence-classification") for family in ("bert", "distilbert", "modernbert", "albert", "deberta-v2",
                                                            "xlnet", "xlm", "gpt2")]
HEADS += [("bert", "token-classification"), ("bert", "question-answering"), ("bert", "masked-language-model"),
          ("gpt2", "causal-language-model"), ("llama", "causal-language-model"), ("t5", ""), ("bart", "")]


def batch_for(model, sizes=(5, 9, 3), packed=None):
    """Some texts with targets that a head of this kind takes."""
    from headstart.contract import Feature, Target

    features, generator = [], np.random.default_rng(0)
    for size in sizes:
        ids, types = model.tokenizer.with_special_tokens(generator.integers(10, 60, size).tolist())
        kind = model.head
        label_positions = None
        if kind == "token-classification":
            target = Target([-100, *generator.integers(0, 3, len(ids) - 1).tolist()], "token")
        elif kind == "question-answering":
            target = Target([1, 2])
        elif kind in ("masked-language-model", "causal-language-model"):
            label_positions = list(range(1, len(ids) - 1))
            target = Target(generator.integers(10, 60, len(label_positions)).tolist(), "position")
        elif kind == "sequence-to-sequence":
            target = Target(generator.integers(10, 60, size).tolist(), "position")
            label_positions = list(range(size))
        else:
            target = Target(size % 3)
        features.append(Feature(ids, types, {"label": target}, label_positions=label_positions))
    return collate(features, model.layout(packed=can_pack(model) if packed is None else packed))


def can_pack(model):
    """As a run decides it where hidden states are compared: those of an encoder-decoder are of padded rows."""
    return model.can_pack and model.kind != "encoder-decoder"


@pytest.mark.parametrize(("family", "head"), HEADS)
def test_a_student_of_all_layers_is_the_teacher_and_a_smaller_one_is_an_ordinary_model(family, head, tmp_path):
    model = load(str(teacher_folder(family, tmp_path, head)), None, seed=0)
    model.module.eval()
    batch = batch_for(model)
    counts = model.layer_counts
    full_student = layer_pruning.prune(model, {stack: tuple(range(count)) for stack, count in counts.items()})
    full_student.module.eval()
    with torch.no_grad():
        expected, full_logits = model.forward(batch)["logits"], full_student.forward(batch)["logits"]
        torch.testing.assert_close(full_logits, expected, rtol=0, atol=0)
        layers = {stack: layer_pruning.spaced_layers(2, count) for stack, count in counts.items()}
        student = layer_pruning.prune(model, layers)
        student.module.eval()
        student_logits = student.forward(batch)["logits"]
        assert not torch.allclose(student_logits, expected, atol=1e-3)
        student.save(tmp_path / "small")
        reloaded = load(str(tmp_path / "small"), None, seed=0)  # refuses a config that its weights do not fit
        reloaded.module.eval()
        torch.testing.assert_close(reloaded.forward(batch)["logits"], student_logits, rtol=0, atol=1e-6)
    assert reloaded.layer_counts == dict.fromkeys(counts, 2)
    sizes = [sum(weight.numel() for weight in network.module.parameters()) for network in (student, model)]
    assert sizes[0] < sizes[1] or family == "albert"


def test_the_second_layer_of_the_student_is_the_chosen_one(teacher):
    model = load(str(teacher), None, seed=0)
    student = layer_pruning.prune(model, {"": (0, 3)})
    student_weights, teacher_weights = student.module.state_dict(), model.module.state_dict()
    for name, weight in student_weights.items():
        assert torch.equal(weight, teacher_weights[name.replace("encoder.layer.1.", "encoder.layer.3.")]), name


def test_plain_transformers_answers_as_the_student_does(teacher, rows, headstart, tmp_path):
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    assert headstart("distil", teacher, rows, "--layers", "2", "--to", tmp_path / "run", *FLAGS)[0] == 0
    folder = tmp_path / "run" / "model"
    plain = AutoModelForSequenceClassification.from_pretrained(folder).eval()
    assert plain.config.num_hidden_layers == 2
    text = "the old captain forgets seven green apples"
    with torch.no_grad():
        expected = torch.softmax(plain(**AutoTokenizer.from_pretrained(folder)(text, return_tensors="pt")).logits[0],
                                 dim=0)
    probabilities = package.load(folder, device="cpu").predict([text])[0]["probabilities"]
    assert list(probabilities.values()) == pytest.approx(expected.tolist(), abs=1e-5)
    summary = scores(tmp_path / "run")["distillation"]
    assert summary["kept"] == {"layers": [0, 3]} and summary["models"]["student"]["layers"] == 2
    assert summary["models"]["student"]["parameters"] == sum(weight.numel() for weight in plain.parameters())
    difference = summary["difference"]["macro_f1"]["value"]
    values = [summary["models"][role]["scores"]["macro_f1"]["value"] for role in ("student", "teacher")]
    assert difference == pytest.approx(values[0] - values[1]) and summary["speed"] > 0
    assert "student" in (tmp_path / "run" / "report.md").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def pair(teacher):
    """A teacher and its student of two layers, both without dropout."""
    model = load(str(teacher), None, seed=0)
    model.module.eval()
    student = layer_pruning.prune(model, {"": (0, 3)})
    student.module.eval()
    return model, student


def classes_batch(model, packed=False):
    task = artifact.load(str(model.info.folder))[0]
    texts = ["the roses", "seven green apples before noon", "nobody here waters the river bank", "a broken card"]
    return batch_of(task, model, [{"text": text, "label": LABELS[index % 3]} for index, text in enumerate(texts)],
                    packed)


@pytest.mark.parametrize("temperature", [1.0, 2.0, 5.0])
def test_the_soft_loss_is_t_squared_times_kl_computed_row_by_row(pair, temperature):
    model, student = pair
    batch = classes_batch(student, packed=True)
    loss = loss_value(student_objective(student, loss=CrossEntropy(), teacher=model, alpha_soft=1.0, temperature=temperature),
                      student, batch)
    with torch.no_grad():
        student_logits, teacher_logits = (network.forward(batch)["logits"].double().numpy() / temperature
                                          for network in (student, model))
    expected = 0.0
    for student_row, teacher_row in zip(student_logits, teacher_logits, strict=True):
        p, q = (np.exp(row) / np.exp(row).sum() for row in (teacher_row, student_row))
        expected += sum(a * (np.log(a) - np.log(b)) for a, b in zip(p, q, strict=True))
    assert loss == pytest.approx(temperature**2 * expected, rel=1e-4)
    assert loss_value(student_objective(student, loss=CrossEntropy(), teacher=student, alpha_soft=1.0), student,
                      batch) == pytest.approx(0, abs=1e-6)


@pytest.mark.parametrize("normalise", [True, False])
@pytest.mark.parametrize("packed", [True, False])
def test_the_hidden_loss_is_the_mean_over_real_tokens_of_matched_states(pair, normalise, packed):
    model, student = pair
    batch = classes_batch(student, packed)
    objective = student_objective(student, loss=CrossEntropy(), teacher=model, alpha_hidden=1.0,
                                  normalise_hidden=normalise)
    expected = 0.0
    for row, start, end in batch.segments.tolist():  # each text by itself, in plain transformers
        ids = torch.from_numpy(batch.ids[row:row + 1, start:end])
        with torch.no_grad():
            states = [network.module.base_model(ids, output_hidden_states=True).hidden_states
                      for network in (student, model)]
        for student_layer, teacher_layer in ((1, 2), (2, 4)):
            a, b = states[0][student_layer][0].double(), states[1][teacher_layer][0].double()
            if normalise:
                a, b = ((array - array.mean(1, keepdim=True))
                        / (array.var(1, unbiased=False, keepdim=True) + 1e-5).sqrt() for array in (a, b))
            expected += float(((a - b) ** 2).mean()) / 2
    assert loss_value(objective, student, batch) == pytest.approx(expected, rel=1e-4)


def test_the_cosine_loss_compares_last_states(pair):
    model, student = pair
    batch = classes_batch(student, packed=True)
    objective = student_objective(student, loss=CrossEntropy(), teacher=model, alpha_cosine=2.0)
    with torch.no_grad():
        student_states, teacher_states = (hidden_states.without_shortcuts(network).states(batch)[0]
                                          for network in (student, model))
    distances = 1 - torch.nn.functional.cosine_similarity(student_states, teacher_states)
    expected = sum(float(text_distances.mean()) for text_distances in distances.split(batch.lengths.tolist()))
    assert loss_value(objective, student, batch) == pytest.approx(2 * expected, rel=1e-4)


@pytest.mark.parametrize(("family", "head"), HEADS)
def test_micro_batches_add_up_to_the_whole_for_every_kind_of_head(family, head, tmp_path):
    model = load(str(teacher_folder(family, tmp_path, head)), None, seed=0)
    student = layer_pruning.prune(model, {stack: layer_pruning.spaced_layers(2, count)
                                          for stack, count in model.layer_counts.items()})
    student.module.eval()
    loss = {"question-answering": SpanCrossEntropy(), "causal-language-model": VocabularyCrossEntropy(),
            "sequence-to-sequence": VocabularyCrossEntropy()}.get(model.head, CrossEntropy())
    objective = student_objective(student, loss=loss, teacher=model, alpha_soft=1.0,
                                  alpha_task=0.5, alpha_hidden=1.0,
                  alpha_cosine=0.5)
    batch = batch_for(student)
    value = objective(student, batch)
    assert torch.isfinite(value) and float(value.detach()) > 0
    value.backward()
    assert all(weight.grad is None for weight in model.module.parameters())
    trained = {name for name, weight in student.module.named_parameters() if weight.grad is not None
               and weight.grad.abs().sum()}
    assert any(name.endswith("weight") for name in trained)
    from headstart.contract import Feature, Target

    total = 0.0
    offsets, label_offsets = np.cumsum([0, *batch.lengths]), np.cumsum([0, *batch.label_counts])
    for index, (row, start, end) in enumerate(batch.segments.tolist()):
        targets, per = batch.targets["label"], batch.target_levels["label"]
        bounds = label_offsets if per == "position" else offsets
        target_values = targets[index] if per == "feature" else targets[bounds[index]:bounds[index + 1]]
        target = Target(target_values.tolist(), per)
        label_positions = batch.label_positions[label_offsets[index]:label_offsets[index + 1]] - offsets[index]
        feature = Feature(batch.ids[row, start:end].tolist(), batch.types[row, start:end].tolist(), {"label": target},
                          label_positions=label_positions.tolist() if per == "position" else None)
        total += float(objective(student, collate([feature], student.layout(packed=can_pack(student)))).detach())
    assert total == pytest.approx(float(value.detach()), rel=2e-4)


@pytest.mark.parametrize("family", ["t5", "bart"])
def test_the_token_level_loss_is_the_same_on_packed_rows(family, tmp_path):
    model = load(str(teacher_folder(family, tmp_path, "")), None, seed=0)
    student = layer_pruning.prune(model, {stack: layer_pruning.spaced_layers(2, count)
                                          for stack, count in model.layer_counts.items()})
    student.module.eval()
    objective = student_objective(student, loss=VocabularyCrossEntropy(), teacher=model,
                                  alpha_soft=1.0, alpha_task=0.5)
    packed, padded = (float(objective(student, batch_for(student, packed=is_packed)).detach())
                      for is_packed in (True, False))
    assert student.packs(batch_for(student, packed=True)) and packed == pytest.approx(padded, rel=1e-4)


def test_hidden_states_of_an_encoder_decoder_are_compared_on_padded_rows(tmp_path, headstart):
    rows = tmp_path / "rows.jsonl"
    rows.write_text("".join(json.dumps({"source": text, "target": text[:15]}) + "\n"
                            for text in tiny.texts(30, seed=2)))
    teacher = teacher_folder("t5", tmp_path, "")
    for batching, setting in (("bucketed", "distil.alpha_hidden=1"), ("packed", "distil.alpha_hidden=0")):
        code, _, stderr = headstart("distil", teacher, rows, "--task", "text-to-text", "--to", tmp_path / batching,
                                    "--epochs", 1, "--set", setting,
                                   "--set", "distil.decoder_layers=2", "--set", "evaluation.baselines=false", "--set",
                                   "generation.max_new_tokens=4")
        assert code == 0 and f"batches: {batching}" in stderr, stderr


def test_a_vocabulary_is_compared_some_tokens_at_a_time_with_the_same_result(tmp_path, monkeypatch):
    from headstart.training.objectives import chunked_cross_entropy

    model = load(str(teacher_folder("gpt2", tmp_path, "causal-language-model")), None, seed=0)
    student = layer_pruning.prune(model, {"": (0, 3)})
    for network in (model, student):
        network.module.eval()
    batch = batch_for(student, (40, 50, 30))
    objective = student_objective(student, loss=VocabularyCrossEntropy(), teacher=model,
                                  alpha_soft=1.0, alpha_task=0.3, temperature=3.0)
    with torch.no_grad():
        student_logits, teacher_logits = student.forward(batch)["logits"], model.forward(batch)["logits"]
    gold = torch.from_numpy(batch.targets["label"])
    expected = 9 * torch.nn.functional.kl_div(torch.log_softmax(student_logits / 3, -1),
                                              torch.softmax(teacher_logits / 3, -1), reduction="sum")
    expected = expected + 0.3 * torch.nn.functional.cross_entropy(student_logits, gold, reduction="sum")
    sizes = []
    original = type(student).apply_head

    def counting_head(self, states):
        sizes.append(len(states))
        return original(self, states)

    monkeypatch.setattr(type(student), "apply_head", counting_head)
    monkeypatch.setattr(chunked_cross_entropy, "MAX_LOGITS", 1)
    assert loss_value(objective, student, batch) == pytest.approx(float(expected), rel=1e-4)
    assert max(sizes) == 64 < len(gold)


def test_multilabel_and_regression_have_losses_of_their_own():
    student_logits, teacher_logits = torch.tensor([[0.5, -1.0]]), torch.tensor([[2.0, 0.3]])
    p, q = torch.sigmoid(teacher_logits / 2), torch.sigmoid(student_logits / 2)
    expected = 4 * (p * (p / q).log() + (1 - p) * ((1 - p) / (1 - q)).log()).mean()
    assert float(divergence.binary_divergence(student_logits, teacher_logits,
                                                2.0)) == pytest.approx(float(expected), rel=1e-5)
    assert build_loss(SquaredError(), settings.Training(), ()).divergence(torch.tensor([[3.0]]), torch.tensor([[1.0]]), None,
                                                                    2.0).tolist() == [4.0]
    group_losses = divergence.grouped_divergence(torch.tensor([1.0, 2.0, 5.0]), torch.tensor([0.0, 0.0, 1.0]),
                                                   np.array([0, 0, 1]), 2, 1.0)
    expected = torch.nn.functional.kl_div(torch.log_softmax(torch.tensor([1.0, 2.0]), 0), torch.tensor([0.5, 0.5]),
                                          reduction="sum")
    assert group_losses.tolist() == pytest.approx([float(expected), 0.0], abs=1e-6)


def test_teacher_outputs_that_are_not_finite_are_refused(teacher):
    model = load(str(teacher), None, seed=0)
    student = layer_pruning.prune(model, {"": (0, 3)})
    with torch.no_grad():
        model.module.classifier.weight.fill_(float("inf"))
    objective = student_objective(student, loss=CrossEntropy(), teacher=model, alpha_soft=1.0)
    with pytest.raises(UserError, match="not finite") as caught:
        objective(student, classes_batch(student))
    assert caught.value.exit == 65


RUNS = {
    "token-tagging": ("bert", "token-classification", ["O", "B-thing", "I-thing"], {}),
    "question-answering": ("bert", "question-answering", ["LABEL_0", "LABEL_1"], {}),
    "multilabel-classification": ("bert", "sequence-classification", ["old", "loud", "short"],
                                  {"problem_type": "multi_label_classification"}),
    "regression": ("bert", "sequence-classification", ["LABEL_0"], {"problem_type": "regression"}),
    "multiple-choice": ("bert", "multiple-choice", None, {}),
    "masked-language-model": ("bert", "masked-language-model", None, {}),
    "bert-pretraining": ("bert", "pre-training", None, {}),
    "replaced-token-detection": ("electra", "replaced-token", None, {"num_hidden_layers": 4}),
    "language-model": ("gpt2", "causal-language-model", None, {}),
    "summarization": ("t5", "", None, {}),
    "text-to-text": ("bart", "", None, {}),
}

TASK_FLAGS = {"bert-pretraining": ["--set", "data.split=40/30/30"],  # its examples are made of several rows
              "language-model": ["--set", "evaluation.generated_samples=0"],
              "summarization": ["--set", "generation.max_new_tokens=6"],
              "text-to-text": ["--set", "generation.max_new_tokens=6"]}


@pytest.mark.parametrize("task", RUNS)
def test_every_kind_of_task_has_students(task, headstart, tmp_path):
    from test_task_contract import SAMPLES

    family, head, labels, changes = RUNS[task]
    model = teacher_folder(family, tmp_path, head) if family in tiny_writers.ENCODER_DECODERS else tiny.model_folder(
        family, tmp_path / "teacher", head, labels, **SIZES.get(family, {}) | changes)
    path = tmp_path / "rows.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in SAMPLES[task].rows), encoding="utf-8")
    flags = TASK_FLAGS.get(task, [])
    code, stdout, stderr = headstart("distil", model, path, "--task", task, *flags, "--to", tmp_path / "run", *FLAGS)
    assert code == 0, stderr
    summary = scores(tmp_path / "run")["distillation"]
    encoder_decoder = family in tiny_writers.ENCODER_DECODERS
    assert summary["kept"] == ({"encoder": [0, 1], "decoder": [0, 3]} if encoder_decoder else {"layers": [0, 3]})
    assert "times as fast" in stdout and summary["models"]["student"]["milliseconds"] > 0
    student = load(str(tmp_path / "run" / "model"), None, seed=0)
    teacher = load(str(model), None, seed=0)
    teacher_weights = teacher.module.state_dict()
    if encoder_decoder:  # an encoder that was kept whole stays as it is
        assert 'freeze = "encoder"' in (tmp_path / "run" / "settings.toml").read_text(encoding="utf-8")
        unchanged = {name for name, weight in student.module.state_dict().items() if ".block." in name
                     or ".layers." in name
                if "decoder" not in name and torch.equal(weight, teacher_weights[name])}
        assert len(unchanged) > 10 and not any(not torch.equal(student.module.state_dict()[name], teacher_weights[name])
                                               for name in unchanged)
    student_model = package.load(tmp_path / "run", device="cpu")
    assert student_model.task.name == task


def test_a_teacher_of_numbers_keeps_its_own_unit(headstart, tmp_path):
    rows = [(text, len(text) * 1000) for text in tiny.texts(60, seed=3)]
    path = write_csv(tmp_path / "rows.csv", rows, ("text", "target"))
    model = tiny.model_folder("bert", tmp_path / "m", num_hidden_layers=3)
    assert headstart("finetune", path, "--task", "regression", "--model", model, "--to", tmp_path / "t", *FLAGS)[0] == 0
    assert headstart("distil", tmp_path / "t", path, "--layers", "0,1,2", "--to", tmp_path / "s", *FLAGS,
                     "--learning-rate", "1e-12")[0] == 0
    models = [package.load(tmp_path / name, device="cpu") for name in ("s", "t")]
    student_value, teacher_value = (loaded.predict([{"text": rows[0][0]}])[0]["prediction"] for loaded in models)
    assert student_value == pytest.approx(teacher_value, rel=1e-3) and abs(student_value) > 100
    summary = scores(tmp_path / "s")["distillation"]
    assert summary["difference"]["rmse" if "rmse" in summary["difference"]
                                 else summary["score"]]["value"] == pytest.approx(0, abs=50)


def test_a_run_is_repeated_from_its_settings_and_a_killed_one_ends_with_the_same_bits(teacher, rows, headstart,
                                                                                      tmp_path):
    flags = [*FLAGS, "--epochs", "6", "--set", "training.save_every=2", "--folds", "0"]
    assert headstart("distil", teacher, rows, "--to", tmp_path / "whole", *flags)[0] == 0
    assert headstart("distil", "--settings", tmp_path / "whole" / "settings.toml", "--to", tmp_path / "again",
                     "--quiet")[0] == 0
    assert weights(tmp_path / "again") == weights(tmp_path / "whole")
    cut = tmp_path / "cut"
    command = [sys.executable, "-m", "headstart", "distil", str(teacher), str(rows), "--to", str(cut), *flags]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 90
    while not list((cut / "checkpoints").glob("step-*")):
        assert process.poll() is None and time.monotonic() < deadline
        time.sleep(0.005)
    process.kill()
    process.wait()
    assert not (cut / "report.html").exists()
    assert headstart("resume", cut, "--quiet")[0] == 0
    assert weights(cut) == weights(tmp_path / "whole")
    dev_scores = [scores(run)["dev"] for run in (cut, tmp_path / "whole")]
    assert dev_scores[0] == dev_scores[1]


def test_a_changed_teacher_is_refused(rows, headstart, tmp_path):
    model = tiny.model_folder("bert", tmp_path / "m", "sequence-classification", LABELS)
    assert headstart("distil", model, rows, "--to", tmp_path / "run", *FLAGS)[0] == 0
    tiny.model_folder("bert", tmp_path / "m", "sequence-classification", LABELS, seed=1)
    code, _, stderr = headstart("distil", "--settings", tmp_path / "run" / "settings.toml", "--to", tmp_path / "again",
                                "--quiet")
    assert code == 69 and "has changed" in stderr
    assert headstart("distil", model, rows, "--settings", tmp_path / "run" / "settings.toml", "--to",
                     tmp_path / "again", "--quiet")[0] == 0


def test_the_tasks_own_loss_alone_is_plain_fine_tuning_from_the_cut_weights(teacher, rows, headstart, tmp_path):
    alone = ["distil.alpha_soft=0", "distil.alpha_task=1", "distil.alpha_hidden=0", "distil.alpha_cosine=0"]
    set_flags = [argument for setting in alone for argument in ("--set", setting)]
    assert headstart("distil", teacher, rows, "--to", tmp_path / "a", *FLAGS, *set_flags)[0] == 0
    assert headstart("distil", teacher, rows, "--to", tmp_path / "b", *FLAGS, "--set",
                     "distil.with_teacher=false")[0] == 0
    assert weights(tmp_path / "a") == weights(tmp_path / "b")
    assert headstart("distil", teacher, rows, "--to", tmp_path / "c", *FLAGS)[0] == 0
    assert weights(tmp_path / "c") != weights(tmp_path / "a")
    assert "teacher" in scores(tmp_path / "b")["distillation"]["models"]  # measured beside it all the same


def test_a_student_of_its_own_needs_the_teachers_tokenizer(teacher, rows, headstart, tmp_path):
    narrow = tiny.model_folder("bert", tmp_path / "narrow", hidden_size=16, num_hidden_layers=1)
    code, _, stderr = headstart("distil", teacher, rows, "--student", narrow, "--to", tmp_path / "run", *FLAGS)
    assert code == 0, stderr
    summary = scores(tmp_path / "run")["distillation"]
    assert summary["kept"] == {} and "alpha_hidden = 0.0" in (tmp_path / "run"
                                                              / "settings.toml").read_text(encoding="utf-8")
    code, _, stderr = headstart("distil", teacher, rows, "--student", narrow, "--to", tmp_path / "no", *FLAGS, "--set",
                                "distil.alpha_hidden=1")
    assert code == 78 and "width 16" in stderr
    code, _, stderr = headstart("distil", teacher, rows, "--student", narrow, "--to", tmp_path / "no", *FLAGS,
                                "--layers", "1")
    assert code == 78 and "has its own layers" in stderr
    roberta = tiny.model_folder("roberta", tmp_path / "roberta")
    code, _, stderr = headstart("distil", teacher, rows, "--student", roberta, "--to", tmp_path / "no", *FLAGS)
    assert code == 2 and "vocabulary" in stderr and "--as-training-data" in stderr
    assert not (tmp_path / "no" / "settings.toml").exists()


@pytest.mark.parametrize(("flags", "code", "phrase"), [
    (["--layers", "9"], 78, "the teacher has 4"), (["--layers", "0,9"], 78, "0 to 3"),
    (["--set", "distil.layers=0-2"], 78, "a count or a list"),
    (["--task", "regression"], 2, ""), (["--set", "distil.decoder_layers=1"], 78, "one stack"),
    (["--adapter", "lora"], 78, "all of them trained"),
    (["--set", "distil.layer_map=1:9"], 78, "from 1 to 4 of the teacher"),
    (["--set", "distil.temperature=0"], 78, "above 0"),
    (["--set", "distil.alpha_soft=0", "--set", "distil.alpha_task=0", "--set", "distil.alpha_hidden=0"], 78,
     "nothing would be learned")])
def test_what_cannot_be_is_refused_in_words(teacher, rows, headstart, tmp_path, flags, code, phrase):
    exit_code, _, stderr = headstart("distil", teacher, rows, "--to", tmp_path / "no", *FLAGS, *flags)
    assert exit_code == code and phrase in stderr
    assert not (tmp_path / "no" / "settings.toml").exists()


def test_a_teacher_is_needed_and_must_be_trained_and_know_the_labels(teacher, tiny_bert, rows, headstart, tmp_path):
    assert headstart("distil", teacher)[0] == 2
    code, _, stderr = headstart("distil", tiny_bert, rows, "--to", tmp_path / "no", *FLAGS)
    assert code == 2 and "no trained head" in stderr
    unknown_labels = write_csv(tmp_path / "strange.csv",
                               review_rows(60, labels=("good", "bad")) + [("the roses", "odd"), ("a card", "odd")] * 9)
    code, _, stderr = headstart("distil", teacher, unknown_labels, "--to", tmp_path / "no", *FLAGS)
    assert code == 65 and "does not know: odd" in stderr


def test_a_beam_span_head_can_be_pruned_but_not_distilled(headstart, tmp_path):
    from test_task_contract import SAMPLES

    model = tiny.model_folder("xlnet", tmp_path / "m", "question-answering-beams", n_layer=4)
    path = tmp_path / "rows.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in SAMPLES["question-answering"].rows), encoding="utf-8")
    code, _, stderr = headstart("distil", model, path, "--to", tmp_path / "run", *FLAGS)
    assert code == 2 and "distil.with_teacher=false" in stderr
    code, _, stderr = headstart("distil", model, path, "--to", tmp_path / "run", *FLAGS, "--set",
                                "distil.with_teacher=false")
    assert code == 0, stderr


def test_python_says_the_same(teacher, rows, headstart, tmp_path):
    options = {"epochs": 1, "batch_size": 16, "resamples": 10, "baselines": False, "temperature": 3, "layers": 2}
    run = package.distil(teacher, rows, to=tmp_path / "a", **options)
    assert headstart("distil", teacher, rows, "--layers", "2", "--set", "distil.temperature=3", "--to", tmp_path / "b",
                     *FLAGS)[0] == 0
    assert weights(tmp_path / "a") == weights(tmp_path / "b")
    assert run.scores["distillation"]["models"]["student"]["layers"] == 2
    assert "student minus teacher" in run.summary()


def test_rows_that_the_teacher_was_trained_on_are_told(tiny_bert, rows, headstart, tmp_path):
    quick = ["--epochs", 1, "--set", "evaluation.resamples=0", "--set", "evaluation.baselines=false", "--set",
             "evaluation.explained_errors=0"]
    assert headstart("finetune", rows, "--model", tiny_bert, "--seed", 3, "--to", tmp_path / "teacher", *quick)[0] == 0
    for seed, warned in ((0, True), (3, False)):
        code, _, stderr = headstart("distil", tmp_path / "teacher", rows, "--layers", 1, "--seed", seed, "--to",
                                    tmp_path / f"s{seed}", *quick)
        assert code == 0 and ("the teacher was trained on" in stderr) == warned
