"""distil: a student is cut, taught, measured beside its teacher, and an ordinary model in the end."""

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
from conftest import made_rows, write_csv

import headstart as package
from headstart import settings
from headstart.artifacts import artifact
from headstart.contract import HeadSpec
from headstart.data.features.batches import collate
from headstart.errors import UserError
from headstart.models import hidden_states, layer_pruning
from headstart.models.loading.load import load
from headstart.training.losses import distillation, losses
from headstart.training.losses.distillation import Taught

FLAGS = ["--epochs", "1", "--batch-size", "16", "--quiet", "--set", "evaluation.resamples=10", "--set", "evaluation.baselines=false",
         "--set", "evaluation.explained=0", "--set", "evaluation.samples=0"]
LABELS = ["bad", "good", "mixed"]
SIZES = {"bert": {"num_hidden_layers": 4}, "gpt2": {"n_layer": 4}, "llama": {"num_hidden_layers": 4}, "t5": {"num_decoder_layers": 4},
         "bart": {"decoder_layers": 4}, "xlnet": {"n_layer": 4}, "xlm": {"n_layers": 4}, "modernbert": {"num_hidden_layers": 5},
         "albert": {"num_hidden_layers": 4}, "distilbert": {"n_layers": 4}, "deberta-v2": {"num_hidden_layers": 4}}


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    return tmp_path_factory.mktemp("distil")


@pytest.fixture(scope="module")
def teacher(place):
    """A published classifier of four layers."""
    return tiny.model_folder("bert", place / "teacher", "sequence-classification", LABELS, num_hidden_layers=4)


@pytest.fixture(scope="module")
def rows(place):
    return write_csv(place / "reviews.csv", made_rows(60))


def weights(run):
    return hashlib.sha256((run / "model" / "model.safetensors").read_bytes()).hexdigest()


def scores(run):
    return json.loads((run / "scores.json").read_text(encoding="utf-8"))


def taught(model, own=None, spec=None, *, teacher, training=None, **told):
    """The objective of a student, with every weight 0 that is not given."""
    told = settings.Distil(**{"alpha_soft": 0.0, "alpha_task": 0.0, "alpha_hidden": 0.0, "alpha_cosine": 0.0} | told)
    pairs = distillation.matches(told.matched, layer_pruning.stacks(model), layer_pruning.stacks(teacher))
    training = training or settings.Training()
    return Taught(own or losses.objective(spec, training, ()), spec, told, training, teacher, pairs)


def number(goal, model, batch):
    """The loss as a plain number."""
    return float(goal(model, batch).detach())


def batch_of(task, model, values, packed=False):
    from headstart.contract import Row

    features = [one for number, row in enumerate(values) for one in task.encode(task.read(Row(number, row)), model.tokenizer)]
    return collate(features, model.layout(packed=packed))


def test_layers_are_chosen_by_the_published_tables_and_else_evenly():
    assert layer_pruning.spread(6, 12) == (0, 2, 4, 7, 9, 11)
    assert layer_pruning.spread(3, 12) == (0, 6, 11)
    assert layer_pruning.spread(4, 16) == (0, 5, 10, 15)
    assert layer_pruning.spread(3, 6) == (0, 2, 5)
    assert layer_pruning.spread(4, 10) == (0, 3, 6, 9)
    assert layer_pruning.spread(1, 6) == (0,)
    for total in range(1, 40):
        for count in range(2, total + 1):
            found = layer_pruning.spread(count, total)
            assert found[0] == 0 and found[-1] == total - 1 and len(set(found)) == count
        assert layer_pruning.spread(total, total) == tuple(range(total))
    assert layer_pruning.choose("", 6, "distil.layers") == (0, 2, 5)
    assert layer_pruning.choose("0, 1,3", 4, "distil.layers") == (0, 1, 3)
    assert layer_pruning.choose("3,", 4, "distil.layers") == (3,)
    assert layer_pruning.choose("", 3, "distil.encoder_layers", whole=True) == (0, 1, 2)


@pytest.mark.parametrize("asked", ["7", "0", "0,6", "2,0", "1,1", "a", "0-2", "-1"])
def test_layers_that_the_teacher_has_not_are_refused(asked):
    with pytest.raises(UserError, match=r"distil\.layers"):
        layer_pruning.choose(asked, 6, "distil.layers")


def test_states_are_matched_evenly_or_as_asked():
    assert distillation.evenly(3, 6) == [(1, 2), (2, 4), (3, 6)]
    assert distillation.evenly(2, 3) == [(1, 2), (2, 3)]
    assert distillation.matches("1:1,2:4", {"": 2}, {"": 4}) == {"": [(1, 1), (2, 4)]}
    assert distillation.matches("1:3", {"encoder": 2, "decoder": 1}, {"encoder": 2, "decoder": 3}) == {
        "encoder": [(1, 1), (2, 2)], "decoder": [(1, 3)]}
    for wrong in ("1:5", "3:1", "1", "0:1", "a:b"):
        with pytest.raises(UserError, match=r"distil\.matched"):
            distillation.matches(wrong, {"": 2}, {"": 4})


def made(family, place, head):
    if family in tiny_writers.WRITERS:
        return tiny_writers.folder(family, place / family, **SIZES[family])
    return tiny.model_folder(family, place / f"{family}-{head}", head, LABELS[:2] if head == "question-answering" else LABELS, **SIZES[family])


HEADS = [(family, "sequence-classification") for family in ("bert", "distilbert", "modernbert", "albert", "deberta-v2", "xlnet", "xlm", "gpt2")]
HEADS += [("bert", "token-classification"), ("bert", "question-answering"), ("bert", "masked-language-model"),
          ("gpt2", "causal-language-model"), ("llama", "causal-language-model"), ("t5", ""), ("bart", "")]


def batch_for(model, sizes=(5, 9, 3), packed=None):
    """Some texts with targets that a head of this kind takes."""
    from headstart.contract import Feature, Target

    features, draw = [], np.random.default_rng(0)
    for size in sizes:
        ids, types = model.tokenizer.lay_out(draw.integers(10, 60, size).tolist())
        kind = model.head
        asks = None
        if kind == "token-classification":
            target = Target([-100, *draw.integers(0, 3, len(ids) - 1).tolist()], "token")
        elif kind == "question-answering":
            target = Target([1, 2])
        elif kind in ("masked-language-model", "causal-language-model"):
            asks = list(range(1, len(ids) - 1))
            target = Target(draw.integers(10, 60, len(asks)).tolist(), "asked")
        elif kind == "sequence-to-sequence":
            target = Target(draw.integers(10, 60, size).tolist(), "asked")
            asks = list(range(size))
        else:
            target = Target(size % 3)
        features.append(Feature(ids, types, {"label": target}, asks=asks))
    return collate(features, model.layout(packed=can_pack(model) if packed is None else packed))


def can_pack(model):
    """As a run decides it where hidden states are compared: those of an encoder-decoder are of padded rows."""
    return model.can_pack and model.kind != "encoder-decoder"


@pytest.mark.parametrize(("family", "head"), HEADS)
def test_a_student_of_all_layers_is_the_teacher_and_a_smaller_one_is_an_ordinary_model(family, head, tmp_path):
    model = load(str(made(family, tmp_path, head)), None, seed=0)
    model.module.eval()
    batch = batch_for(model)
    counts = layer_pruning.stacks(model)
    whole = layer_pruning.cut(model, {stack: tuple(range(count)) for stack, count in counts.items()})
    whole.module.eval()
    with torch.no_grad():
        expected, found = model.forward(batch)["logits"], whole.forward(batch)["logits"]
        torch.testing.assert_close(found, expected, rtol=0, atol=0)
        kept = {stack: layer_pruning.spread(2, count) for stack, count in counts.items()}
        small = layer_pruning.cut(model, kept)
        small.module.eval()
        mine = small.forward(batch)["logits"]
        assert not torch.allclose(mine, expected, atol=1e-3)
        small.save(tmp_path / "small")
        again = load(str(tmp_path / "small"), None, seed=0)  # refuses a config that its weights do not fit
        again.module.eval()
        torch.testing.assert_close(again.forward(batch)["logits"], mine, rtol=0, atol=1e-6)
    assert layer_pruning.stacks(again) == dict.fromkeys(counts, 2)
    assert sum(one.numel() for one in small.module.parameters()) < sum(one.numel() for one in model.module.parameters()) or family == "albert"


def test_the_second_layer_is_the_one_that_was_chosen(teacher):
    model = load(str(teacher), None, seed=0)
    small = layer_pruning.cut(model, {"": (0, 3)})
    own, theirs = small.module.state_dict(), model.module.state_dict()
    for name, weight in own.items():
        assert torch.equal(weight, theirs[name.replace("encoder.layer.1.", "encoder.layer.3.")]), name


def test_plain_transformers_answers_as_the_student_does(teacher, rows, headstart, tmp_path):
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    assert headstart("distil", teacher, rows, "--layers", "2", "--to", tmp_path / "run", *FLAGS)[0] == 0
    place = tmp_path / "run" / "model"
    plain = AutoModelForSequenceClassification.from_pretrained(place).eval()
    assert plain.config.num_hidden_layers == 2
    text = "the old captain forgets seven green apples"
    with torch.no_grad():
        expected = torch.softmax(plain(**AutoTokenizer.from_pretrained(place)(text, return_tensors="pt")).logits[0], dim=0)
    ours = package.load(place, device="cpu").predict([text])[0]["probabilities"]
    assert list(ours.values()) == pytest.approx(expected.tolist(), abs=1e-5)
    held = scores(tmp_path / "run")["distillation"]
    assert held["kept"] == {"layers": [0, 3]} and held["models"]["student"]["layers"] == 2
    assert held["models"]["student"]["parameters"] == sum(one.numel() for one in plain.parameters())
    gap = held["difference"]["macro_f1"]["value"]
    both = [held["models"][who]["scores"]["macro_f1"]["value"] for who in ("student", "teacher")]
    assert gap == pytest.approx(both[0] - both[1]) and held["speed"] > 0
    assert "student" in (tmp_path / "run" / "report.md").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def pair(teacher):
    """A teacher and its student of two layers, neither dropping."""
    model = load(str(teacher), None, seed=0)
    model.module.eval()
    small = layer_pruning.cut(model, {"": (0, 3)})
    small.module.eval()
    return model, small


def classes_batch(model, packed=False):
    task = artifact.load(str(model.facts.folder))[0]
    texts = ["the roses", "seven green apples before noon", "nobody here waters the river bank", "a broken card"]
    return batch_of(task, model, [{"text": text, "label": LABELS[at % 3]} for at, text in enumerate(texts)], packed)


@pytest.mark.parametrize("temperature", [1.0, 2.0, 5.0])
def test_the_soft_loss_is_t_squared_times_kl_worked_out_slowly(pair, temperature):
    model, small = pair
    spec = HeadSpec("sequence-classification", 3)
    batch = classes_batch(small, packed=True)
    found = number(taught(small, spec=spec, teacher=model, alpha_soft=1.0, temperature=temperature), small, batch)
    with torch.no_grad():
        ours, theirs = (one.forward(batch)["logits"].double().numpy() / temperature for one in (small, model))
    expected = 0.0
    for own, guide in zip(ours, theirs, strict=True):
        p, q = (np.exp(one) / np.exp(one).sum() for one in (guide, own))
        expected += sum(a * (np.log(a) - np.log(b)) for a, b in zip(p, q, strict=True))
    assert found == pytest.approx(temperature**2 * expected, rel=1e-4)
    assert number(taught(small, spec=spec, teacher=small, alpha_soft=1.0), small, batch) == pytest.approx(0, abs=1e-6)


@pytest.mark.parametrize("normalise", [True, False])
@pytest.mark.parametrize("packed", [True, False])
def test_the_hidden_loss_is_the_mean_over_real_tokens_of_matched_states(pair, normalise, packed):
    model, small = pair
    batch = classes_batch(small, packed)
    goal = taught(small, spec=HeadSpec("sequence-classification", 3), teacher=model, alpha_hidden=1.0, normalise_hidden=normalise)
    expected = 0.0
    for row, begin, end in batch.segments.tolist():  # each text by itself, in plain transformers
        ids = torch.from_numpy(batch.ids[row:row + 1, begin:end])
        with torch.no_grad():
            held = [one.module.base_model(ids, output_hidden_states=True).hidden_states for one in (small, model)]
        for ours, theirs in ((1, 2), (2, 4)):
            a, b = held[0][ours][0].double(), held[1][theirs][0].double()
            if normalise:
                a, b = ((one - one.mean(1, keepdim=True)) / (one.var(1, unbiased=False, keepdim=True) + 1e-5).sqrt() for one in (a, b))
            expected += float(((a - b) ** 2).mean()) / 2
    assert number(goal, small, batch) == pytest.approx(expected, rel=1e-4)


def test_the_cosine_loss_compares_last_states(pair):
    model, small = pair
    batch = classes_batch(small, packed=True)
    goal = taught(small, spec=HeadSpec("sequence-classification", 3), teacher=model, alpha_cosine=2.0)
    with torch.no_grad():
        ours, theirs = (hidden_states.whole(one).states(batch)[0] for one in (small, model))
    each = 1 - torch.nn.functional.cosine_similarity(ours, theirs)
    expected = sum(float(part.mean()) for part in each.split(batch.lengths.tolist()))
    assert number(goal, small, batch) == pytest.approx(2 * expected, rel=1e-4)


@pytest.mark.parametrize(("family", "head"), HEADS)
def test_micro_batches_add_up_to_the_whole_for_every_kind_of_head(family, head, tmp_path):
    model = load(str(made(family, tmp_path, head)), None, seed=0)
    small = layer_pruning.cut(model, {stack: layer_pruning.spread(2, count) for stack, count in layer_pruning.stacks(model).items()})
    small.module.eval()
    loss = {"question-answering": "span", "causal-language-model": "vocabulary", "sequence-to-sequence": "vocabulary"}.get(model.head, "cross-entropy")
    goal = taught(small, spec=HeadSpec(model.head, 3, loss=loss), teacher=model, alpha_soft=1.0, alpha_task=0.5, alpha_hidden=1.0,
                  alpha_cosine=0.5)
    batch = batch_for(small)
    value = goal(small, batch)
    assert torch.isfinite(value) and float(value.detach()) > 0
    value.backward()
    assert all(weight.grad is None for weight in model.module.parameters())
    moved = {name for name, weight in small.module.named_parameters() if weight.grad is not None and weight.grad.abs().sum()}
    assert any(name.endswith("weight") for name in moved)
    from headstart.contract import Feature, Target

    parts = 0.0
    places, asks = np.cumsum([0, *batch.lengths]), np.cumsum([0, *batch.asked])
    for n, (row, begin, end) in enumerate(batch.segments.tolist()):
        held, per = batch.targets["label"], batch.per["label"]
        mine = held[n] if per == "feature" else held[places[n]:places[n + 1]] if per == "token" else held[asks[n]:asks[n + 1]]
        target = Target(mine.tolist(), per)
        own = batch.asks[asks[n]:asks[n + 1]] - places[n]
        feature = Feature(batch.ids[row, begin:end].tolist(), batch.types[row, begin:end].tolist(), {"label": target},
                          asks=own.tolist() if per == "asked" else None)
        parts += float(goal(small, collate([feature], small.layout(packed=can_pack(small)))).detach())
    assert parts == pytest.approx(float(value.detach()), rel=2e-4)


@pytest.mark.parametrize("family", ["t5", "bart"])
def test_what_a_teacher_says_word_by_word_is_the_same_on_packed_rows(family, tmp_path):
    model = load(str(made(family, tmp_path, "")), None, seed=0)
    small = layer_pruning.cut(model, {stack: layer_pruning.spread(2, count) for stack, count in layer_pruning.stacks(model).items()})
    small.module.eval()
    goal = taught(small, spec=HeadSpec(model.head, 0, loss="vocabulary"), teacher=model, alpha_soft=1.0, alpha_task=0.5)
    packed, padded = (float(goal(small, batch_for(small, packed=way)).detach()) for way in (True, False))
    assert small.packs(batch_for(small, packed=True)) and packed == pytest.approx(padded, rel=1e-4)


def test_hidden_states_of_an_encoder_decoder_are_compared_on_padded_rows(tmp_path, headstart):
    rows = tmp_path / "rows.jsonl"
    rows.write_text("".join(json.dumps({"source": text, "target": text[:15]}) + "\n" for text in tiny.texts(30, seed=2)))
    teacher = made("t5", tmp_path, "")
    for way, setting in (("bucketed", "distil.alpha_hidden=1"), ("packed", "distil.alpha_hidden=0")):
        code, _, words = headstart("distil", teacher, rows, "--task", "text-to-text", "--to", tmp_path / way, "--epochs", 1, "--set", setting,
                                   "--set", "distil.decoder_layers=2", "--set", "evaluation.baselines=false", "--set", "generation.new_tokens=4")
        assert code == 0 and f"batches: {way}" in words, words


def test_a_vocabulary_is_compared_some_tokens_at_a_time_with_the_same_result(tmp_path, monkeypatch):
    from headstart.training.losses import chunked_cross_entropy

    model = load(str(made("gpt2", tmp_path, "causal-language-model")), None, seed=0)
    small = layer_pruning.cut(model, {"": (0, 3)})
    for one in (model, small):
        one.module.eval()
    batch = batch_for(small, (40, 50, 30))
    goal = taught(small, spec=HeadSpec("causal-language-model", 0, loss="vocabulary"), teacher=model, alpha_soft=1.0, alpha_task=0.3, temperature=3.0)
    with torch.no_grad():
        ours, theirs = small.forward(batch)["logits"], model.forward(batch)["logits"]
    gold = torch.from_numpy(batch.targets["label"])
    expected = 9 * torch.nn.functional.kl_div(torch.log_softmax(ours / 3, -1), torch.softmax(theirs / 3, -1), reduction="sum")
    expected = expected + 0.3 * torch.nn.functional.cross_entropy(ours, gold, reduction="sum")
    sizes = []
    plain = type(small).apply_head

    def seen(self, states):
        sizes.append(len(states))
        return plain(self, states)

    monkeypatch.setattr(type(small), "apply_head", seen)
    monkeypatch.setattr(chunked_cross_entropy, "CELLS", 1)
    assert number(goal, small, batch) == pytest.approx(float(expected), rel=1e-4)
    assert max(sizes) == 64 < len(gold)


def test_labels_by_themselves_and_numbers_have_a_form_of_their_own():
    ours, theirs = torch.tensor([[0.5, -1.0]]), torch.tensor([[2.0, 0.3]])
    p, q = torch.sigmoid(theirs / 2), torch.sigmoid(ours / 2)
    expected = 4 * (p * (p / q).log() + (1 - p) * ((1 - p) / (1 - q)).log()).mean()
    assert float(distillation.yes_or_no(ours, theirs, 2.0)) == pytest.approx(float(expected), rel=1e-5)
    assert distillation.likeness("squared", torch.tensor([[3.0]]), torch.tensor([[1.0]]), None, 2.0).tolist() == [4.0]
    found = distillation.grouped(torch.tensor([1.0, 2.0, 5.0]), torch.tensor([0.0, 0.0, 1.0]), np.array([0, 0, 1]), 2, 1.0)
    expected = torch.nn.functional.kl_div(torch.log_softmax(torch.tensor([1.0, 2.0]), 0), torch.tensor([0.5, 0.5]), reduction="sum")
    assert found.tolist() == pytest.approx([float(expected), 0.0], abs=1e-6)


def test_outputs_of_the_teacher_that_are_no_numbers_are_refused(teacher):
    model = load(str(teacher), None, seed=0)
    small = layer_pruning.cut(model, {"": (0, 3)})
    with torch.no_grad():
        model.module.classifier.weight.fill_(float("inf"))
    goal = taught(small, spec=HeadSpec("sequence-classification", 3), teacher=model, alpha_soft=1.0)
    with pytest.raises(UserError, match="no numbers") as caught:
        goal(small, classes_batch(small))
    assert caught.value.exit == 65


RUNS = {
    "token-tagging": ("bert", "token-classification", ["O", "B-thing", "I-thing"], {}),
    "question-answering": ("bert", "question-answering", ["LABEL_0", "LABEL_1"], {}),
    "multilabel-classification": ("bert", "sequence-classification", ["old", "loud", "short"], {"problem_type": "multi_label_classification"}),
    "regression": ("bert", "sequence-classification", ["LABEL_0"], {"problem_type": "regression"}),
    "multiple-choice": ("bert", "multiple-choice", None, {}),
    "masked-language-model": ("bert", "masked-language-model", None, {}),
    "bert-pretraining": ("bert", "pre-training", None, {}),
    "replaced-token-detection": ("electra", "replaced-token", None, {"num_hidden_layers": 4}),
    "language-model": ("gpt2", "causal-language-model", None, {}),
    "summarization": ("t5", "", None, {}),
    "text-to-text": ("bart", "", None, {}),
}


@pytest.mark.parametrize("task", RUNS)
def test_every_kind_of_task_has_students(task, headstart, tmp_path):
    from test_task_contract import SAMPLES

    family, head, labels, changes = RUNS[task]
    model = made(family, tmp_path, head) if family in tiny_writers.WRITERS else tiny.model_folder(
        family, tmp_path / "teacher", head, labels, **SIZES.get(family, {}) | changes)
    path = tmp_path / "rows.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in SAMPLES[task].rows), encoding="utf-8")
    more = ["--set", "data.split=40/30/30"] if task == "bert-pretraining" else []  # its texts are made of several rows
    code, out, err = headstart("distil", model, path, "--task", task, *more, "--to", tmp_path / "run", "--set", "generation.new_tokens=6", *FLAGS)
    assert code == 0, err
    held = scores(tmp_path / "run")["distillation"]
    two = family in tiny_writers.WRITERS
    assert held["kept"] == ({"encoder": [0, 1], "decoder": [0, 3]} if two else {"layers": [0, 3]})
    assert "times as fast" in out and held["models"]["student"]["milliseconds"] > 0
    again = load(str(tmp_path / "run" / "model"), None, seed=0)
    before = load(str(model), None, seed=0)
    theirs = before.module.state_dict()
    if two:  # an encoder that was kept whole stays as it is
        assert 'freeze = "encoder"' in (tmp_path / "run" / "settings.toml").read_text(encoding="utf-8")
        same = {name for name, weight in again.module.state_dict().items() if ".block." in name or ".layers." in name
                if "decoder" not in name and torch.equal(weight, theirs[name])}
        assert len(same) > 10 and not any(not torch.equal(again.module.state_dict()[name], theirs[name]) for name in same)
    answers = package.load(tmp_path / "run", device="cpu")
    assert answers.task.name == task


def test_a_teacher_of_numbers_keeps_its_own_unit(headstart, tmp_path):
    rows = [(text, len(text) * 1000) for text in tiny.texts(60, seed=3)]
    path = write_csv(tmp_path / "rows.csv", rows, ("text", "target"))
    model = tiny.model_folder("bert", tmp_path / "m", num_hidden_layers=3)
    assert headstart("finetune", path, "--task", "regression", "--model", model, "--to", tmp_path / "t", *FLAGS)[0] == 0
    assert headstart("distil", tmp_path / "t", path, "--layers", "0,1,2", "--to", tmp_path / "s", *FLAGS, "--learning-rate", "1e-12")[0] == 0
    mine, theirs = (package.load(tmp_path / name, device="cpu").predict([{"text": rows[0][0]}])[0]["prediction"] for name in ("s", "t"))
    assert mine == pytest.approx(theirs, rel=1e-3) and abs(mine) > 100
    held = scores(tmp_path / "s")["distillation"]
    assert held["difference"]["rmse" if "rmse" in held["difference"] else held["score"]]["value"] == pytest.approx(0, abs=50)


def test_a_run_is_repeated_from_its_settings_and_a_killed_one_ends_with_the_same_bits(teacher, rows, headstart, tmp_path):
    flags = [*FLAGS, "--epochs", "6", "--set", "training.save_every=2"]
    assert headstart("distil", teacher, rows, "--to", tmp_path / "whole", *flags)[0] == 0
    assert headstart("distil", "--settings", tmp_path / "whole" / "settings.toml", "--to", tmp_path / "again", "--quiet")[0] == 0
    assert weights(tmp_path / "again") == weights(tmp_path / "whole")
    cut = tmp_path / "cut"
    command = [sys.executable, "-m", "headstart", "distil", str(teacher), str(rows), "--to", str(cut), *flags]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    end = time.monotonic() + 90
    while not list((cut / "checkpoints").glob("update-*")):
        assert process.poll() is None and time.monotonic() < end
        time.sleep(0.005)
    process.kill()
    process.wait()
    assert not (cut / "report.html").exists()
    assert headstart("resume", cut, "--quiet")[0] == 0
    assert weights(cut) == weights(tmp_path / "whole")
    same = [scores(run)["dev"] for run in (cut, tmp_path / "whole")]
    assert same[0] == same[1]


def test_a_changed_teacher_is_refused(rows, headstart, tmp_path):
    model = tiny.model_folder("bert", tmp_path / "m", "sequence-classification", LABELS)
    assert headstart("distil", model, rows, "--to", tmp_path / "run", *FLAGS)[0] == 0
    tiny.model_folder("bert", tmp_path / "m", "sequence-classification", LABELS, seed=1)
    code, _, err = headstart("distil", "--settings", tmp_path / "run" / "settings.toml", "--to", tmp_path / "again", "--quiet")
    assert code == 69 and "not what it was" in err
    assert headstart("distil", model, rows, "--settings", tmp_path / "run" / "settings.toml", "--to", tmp_path / "again", "--quiet")[0] == 0


def test_the_tasks_own_loss_alone_is_plain_fine_tuning_from_the_cut_weights(teacher, rows, headstart, tmp_path):
    alone = ["distil.alpha_soft=0", "distil.alpha_task=1", "distil.alpha_hidden=0", "distil.alpha_cosine=0"]
    assert headstart("distil", teacher, rows, "--to", tmp_path / "a", *FLAGS, *(word for one in alone for word in ("--set", one)))[0] == 0
    assert headstart("distil", teacher, rows, "--to", tmp_path / "b", *FLAGS, "--set", "distil.with_teacher=false")[0] == 0
    assert weights(tmp_path / "a") == weights(tmp_path / "b")
    assert headstart("distil", teacher, rows, "--to", tmp_path / "c", *FLAGS)[0] == 0
    assert weights(tmp_path / "c") != weights(tmp_path / "a")
    assert "teacher" in scores(tmp_path / "b")["distillation"]["models"]  # measured beside it all the same


def test_a_student_of_its_own_needs_the_teachers_tokenizer(teacher, rows, headstart, tmp_path):
    narrow = tiny.model_folder("bert", tmp_path / "narrow", hidden_size=16, num_hidden_layers=1)
    code, _, err = headstart("distil", teacher, rows, "--student", narrow, "--to", tmp_path / "run", *FLAGS)
    assert code == 0, err
    held = scores(tmp_path / "run")["distillation"]
    assert held["kept"] == {} and "alpha_hidden = 0.0" in (tmp_path / "run" / "settings.toml").read_text(encoding="utf-8")
    code, _, err = headstart("distil", teacher, rows, "--student", narrow, "--to", tmp_path / "no", *FLAGS, "--set", "distil.alpha_hidden=1")
    assert code == 78 and "width 16" in err
    code, _, err = headstart("distil", teacher, rows, "--student", narrow, "--to", tmp_path / "no", *FLAGS, "--layers", "1")
    assert code == 78 and "keeps its layers" in err
    other = tiny.model_folder("roberta", tmp_path / "roberta")
    code, _, err = headstart("distil", teacher, rows, "--student", other, "--to", tmp_path / "no", *FLAGS)
    assert code == 2 and "pieces" in err and "--as-training-data" in err
    assert not (tmp_path / "no" / "settings.toml").exists()


@pytest.mark.parametrize(("more", "code", "words"), [
    (["--layers", "9"], 78, "the teacher has 4"), (["--layers", "0,9"], 78, "0 to 3"), (["--set", "distil.layers=0-2"], 78, "a count or a list"),
    (["--task", "regression"], 2, ""), (["--set", "distil.decoder_layers=1"], 78, "one stack"), (["--adapter", "lora"], 78, "trained whole"),
    (["--set", "distil.matched=1:9"], 78, "from 1 to 4 of the teacher"), (["--set", "distil.temperature=0"], 78, "above 0"),
    (["--set", "distil.alpha_soft=0", "--set", "distil.alpha_task=0", "--set", "distil.alpha_hidden=0"], 78, "nothing would be learned")])
def test_what_cannot_be_is_refused_in_words(teacher, rows, headstart, tmp_path, more, code, words):
    found, _, err = headstart("distil", teacher, rows, "--to", tmp_path / "no", *FLAGS, *more)
    assert found == code and words in err
    assert not (tmp_path / "no" / "settings.toml").exists()


def test_a_teacher_is_needed_and_must_be_trained_and_know_the_labels(teacher, tiny_bert, rows, headstart, tmp_path):
    assert headstart("distil", teacher)[0] == 2
    code, _, err = headstart("distil", tiny_bert, rows, "--to", tmp_path / "no", *FLAGS)
    assert code == 2 and "no trained head" in err
    strange = write_csv(tmp_path / "strange.csv", made_rows(60, labels=("good", "bad")) + [("the roses", "odd"), ("a card", "odd")] * 9)
    code, _, err = headstart("distil", teacher, strange, "--to", tmp_path / "no", *FLAGS)
    assert code == 65 and "does not know: odd" in err


def test_answers_with_beams_are_shrunk_but_not_taught(headstart, tmp_path):
    from test_task_contract import SAMPLES

    model = tiny.model_folder("xlnet", tmp_path / "m", "question-answering-beams", n_layer=4)
    path = tmp_path / "rows.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in SAMPLES["question-answering"].rows), encoding="utf-8")
    code, _, err = headstart("distil", model, path, "--to", tmp_path / "run", *FLAGS)
    assert code == 2 and "distil.with_teacher=false" in err
    code, _, err = headstart("distil", model, path, "--to", tmp_path / "run", *FLAGS, "--set", "distil.with_teacher=false")
    assert code == 0, err


def test_python_says_the_same(teacher, rows, headstart, tmp_path):
    more = {"epochs": 1, "batch_size": 16, "resamples": 10, "baselines": False, "explained": 0, "samples": 0, "temperature": 3, "layers": 2}
    run = package.distil(teacher, rows, to=tmp_path / "a", **more)
    assert headstart("distil", teacher, rows, "--layers", "2", "--set", "distil.temperature=3", "--to", tmp_path / "b", *FLAGS)[0] == 0
    assert weights(tmp_path / "a") == weights(tmp_path / "b")
    assert run.scores["distillation"]["models"]["student"]["layers"] == 2
    assert "student minus teacher" in run.words()


def test_rows_that_the_teacher_was_trained_on_are_told(tiny_bert, rows, headstart, tmp_path):
    quick = ["--epochs", 1, "--set", "evaluation.resamples=0", "--set", "evaluation.baselines=false", "--set", "evaluation.explained=0"]
    assert headstart("finetune", rows, "--model", tiny_bert, "--seed", 3, "--to", tmp_path / "teacher", *quick)[0] == 0
    for seed, told in ((0, True), (3, False)):
        code, _, words = headstart("distil", tmp_path / "teacher", rows, "--layers", 1, "--seed", seed, "--to", tmp_path / f"s{seed}", *quick)
        assert code == 0 and ("the teacher was trained on" in words) == told
