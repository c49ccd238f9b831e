"""Training: the numbers of losses, schedules and gradients; checkpoints that are whole or not there."""

import errno
import math

import numpy as np
import pytest
import torch
from conftest import made_rows

from headstart.contract import Row
from headstart.data.features.batches import collate
from headstart.data.features.features import Features
from headstart.errors import UserError
from headstart.models.loading.load import load
from headstart.settings import Training
from headstart.tasks.text_classification import TextClassification
from headstart.training import checkpoint, loop, optimizer, precision
from headstart.training.early_stopping import Progress
from headstart.training.loop import State
from headstart.training.losses.losses import balanced, cross_entropy, objective, total_weight
from headstart.training.schedule import schedule


@pytest.fixture
def made(tiny_bert):
    task = TextClassification()
    examples = [task.read(Row(number, {"text": text, "label": label})) for number, (text, label) in enumerate(made_rows(24))]
    task = task.knowing(task.learn(examples))
    model = load(str(tiny_bert), task.head(), seed=0, dropout=0.0, attention_dropout=0.0)
    return task, model, Features.encode(task, examples, model.tokenizer, seed=0)


def batches(model, features, parts, packed=True):
    return [collate(features.of_examples(part), model.layout(packed=packed)) for part in parts]


def gradients(task, model, held, settings):
    model.module.train()
    model.module.zero_grad(set_to_none=True)
    goal = objective(task.head(), settings, task.known.counts)
    weights = balanced(task.known.counts) if settings.class_weights == "balanced" else None
    whole = total_weight(held, weights)
    for batch in held:
        (goal(model, batch) / whole).backward()
    return {name: weight.grad.clone() for name, weight in model.module.named_parameters() if weight.grad is not None}


@pytest.mark.parametrize("settings", [
    Training(), Training(label_smoothing=0.1), Training(class_weights="balanced"), Training(focal_gamma=2.0)], ids=str)
@pytest.mark.parametrize("size", [1, 5, 8])
def test_the_gradient_of_micro_batches_is_the_gradient_of_the_batch(made, settings, size):
    task, model, features = made
    whole = gradients(task, model, batches(model, features, [range(24)]), settings)
    parts = gradients(task, model, batches(model, features, [range(begin, min(24, begin + size)) for begin in range(0, 24, size)]), settings)
    padded = gradients(task, model, batches(model, features, [range(24)], packed=False), settings)
    for name, value in whole.items():
        scale = max(1e-3, float(value.abs().max()))
        assert float((value - parts[name]).abs().max()) <= 1e-6 * max(1, scale)
        assert float((value - padded[name]).abs().max()) <= 1e-5 * max(1, scale)


@pytest.mark.parametrize("smoothing", [0.0, 0.2])
@pytest.mark.parametrize("weighted", [False, True])
def test_cross_entropy_equals_torchs(smoothing, weighted):
    torch.manual_seed(0)
    logits, targets = torch.randn(9, 4), torch.tensor([0, 1, 2, 3, -100, 1, 1, 0, -100])
    weights = torch.tensor([0.5, 1.0, 2.0, 3.0]) if weighted else None
    ours = cross_entropy(logits, targets, smoothing=smoothing, weights=weights).sum()
    theirs = torch.nn.functional.cross_entropy(logits, targets, weight=weights, label_smoothing=smoothing, reduction="sum", ignore_index=-100)
    assert float(ours) == pytest.approx(float(theirs), abs=1e-5)


def test_focal_loss_by_hand():
    logits = torch.log(torch.tensor([[0.9, 0.1], [0.2, 0.8]]))
    found = cross_entropy(logits, torch.tensor([0, 0]), gamma=2.0)
    assert found.tolist() == pytest.approx([-(0.1**2) * math.log(0.9), -(0.8**2) * math.log(0.2)])


def test_balanced_weights_make_every_class_count_the_same():
    assert balanced([10, 30, 0]) == [40 / 30, 40 / 90, 0.0]


@pytest.mark.parametrize(("name", "wanted"), [
    ("linear", [0.5, 1.0, 1.0, 0.75, 0.5, 0.25]), ("constant", [0.5, 1, 1, 1, 1, 1]),
    ("cosine", [0.5, 1.0, 1.0, 0.853553, 0.5, 0.146447]), ("polynomial", [0.5, 1, 1, 0.5625, 0.25, 0.0625]),
    ("cosine-restarts", [0.5, 1.0, 1.0, 0.5, 1.0, 0.5])])
def test_schedules_by_hand(name, wanted):
    settings = Training(schedule=name, warmup_updates=2)
    assert [schedule(update, 6, settings) for update in range(6)] == pytest.approx(wanted, abs=1e-6)
    assert schedule(0, 100, Training(warmup=0.1)) == pytest.approx(0.1)


def test_biases_and_norms_do_not_decay_and_lower_layers_learn_slower(made):
    _, model, _ = made
    groups = optimizer.parameter_groups(model, Training(learning_rate=1e-3, layer_decay=0.5, weight_decay=0.1))
    every = [name for group in groups for name in group["names"]]
    assert sorted(every) == sorted(name for name, _ in model.module.named_parameters())
    for group in groups:
        assert group["weight_decay"] == (0.1 if group["params"][0].dim() >= 2 else 0.0)
    scale = {name: group["scale"] for group in groups for name in group["names"]}
    assert scale["classifier.weight"] == 1 and scale["bert.encoder.layer.1.output.dense.weight"] == 0.5
    assert scale["bert.embeddings.word_embeddings.weight"] == 0.125


@pytest.mark.parametrize(("freeze", "moves"), [("embeddings", "layer.0"), ("layers:1", "layer.1"), ("backbone", "classifier")])
def test_what_is_frozen_stays(made, freeze, moves):
    task, model, features = made
    before = {name: weight.detach().clone() for name, weight in model.module.named_parameters()}
    settings = Training(learning_rate=0.01, freeze=freeze)
    state = State.fresh(model, settings, precision="fp32", device="cpu")
    goal = objective(task.head(), settings, task.known.counts)
    loop.one_update(state, batches(model, features, [range(8)]), goal, total_weight, settings, total=10, seed=0, precision="fp32", device="cpu")
    changed = {name for name, weight in model.module.named_parameters() if not torch.equal(weight, before[name])}
    assert any(moves in name for name in changed) and not any("embeddings" in name for name in changed)
    if freeze == "backbone":
        assert changed <= {"classifier.weight", "classifier.bias", "bert.pooler.dense.weight", "bert.pooler.dense.bias"}


def test_freeze_and_precision_that_mean_nothing_are_refused(made):
    _, model, _ = made
    for freeze in ("layers:99", "legs", "layers:x"):
        with pytest.raises(UserError) as told:
            optimizer.parameter_groups(model, Training(freeze=freeze))
        assert told.value.exit == 78
    with pytest.raises(UserError):
        precision.choose("fp16", "cpu")


@pytest.mark.parametrize("name", ["adamw", "adafactor"])
def test_a_saved_state_goes_on_bit_for_bit(made, tiny_bert, tmp_path, name):
    task, model, features = made
    settings = Training(learning_rate=1e-3, optimizer=name)
    goal = objective(task.head(), settings, task.known.counts)

    def go(state, updates):
        held = batches(state.model, features, [range(12)])
        for _ in range(updates):
            loop.one_update(state, held, goal, total_weight, settings, total=10, seed=0, precision="fp32", device="cpu")

    state = State.fresh(model, settings, precision="fp32", device="cpu")
    go(state, 2)
    state.save(tmp_path, {"best": 1})
    go(state, 3)
    other = State.fresh(load(str(tiny_bert), task.head(), seed=5, dropout=0.0, attention_dropout=0.0), settings, precision="fp32", device="cpu")
    assert other.load(tmp_path) == {"best": 1} and other.update == 2
    go(other, 3)
    for first, second in zip(state.model.module.parameters(), other.model.module.parameters(), strict=True):
        assert torch.equal(first, second)


def test_too_little_memory_halves_the_micro_batch_and_changes_no_update(made):
    task, model, features = made
    settings = Training(learning_rate=1e-3, batch_size=8)
    goal = objective(task.head(), settings, task.known.counts)
    sizes = []

    def make(examples, size):
        sizes.append(size)
        return batches(model, features, [examples[begin:begin + size] for begin in range(0, len(examples), size)])

    def small(trainable, batch):
        if len(batch.segments) > 3:
            raise RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 10 bytes.")
        return goal(trainable, batch)

    state = State.fresh(model, settings, precision="fp32", device="cpu")
    steps = list(loop.train(state, lambda epoch: [np.arange(8), np.arange(8, 16)], make, small, total_weight, settings, total=2, seed=0,
                            precision="fp32", device="cpu"))
    assert sizes == [8, 4, 2, 2] and state.micro == 2
    assert "memory" in steps[0].notes[0] and not steps[1].notes and steps[1].update == 2


def test_a_gradient_that_is_no_number_stops_before_the_weights_change(made):
    task, model, features = made
    settings = Training(learning_rate=1e-3)
    goal = objective(task.head(), settings, task.known.counts)
    state = State.fresh(model, settings, precision="fp32", device="cpu")
    before = [weight.detach().clone() for weight in model.module.parameters()]
    for factor in (float("nan"), float("inf")):
        with pytest.raises(UserError) as told:
            loop.one_update(state, batches(model, features, [range(4)]), lambda *held, factor=factor: goal(*held) * factor, total_weight,
                            settings, total=10, seed=0, precision="fp32", device="cpu")
        assert told.value.exit == 65 and "learning rate" in told.value.fix
    assert all(map(torch.equal, before, model.module.parameters())) and state.update == 0


def test_the_users_own_generator_is_left_alone(made):
    task, model, features = made
    settings = Training(learning_rate=1e-3)
    state = State.fresh(model, settings, precision="fp32", device="cpu")
    torch.manual_seed(7)
    wanted = torch.rand(3)
    torch.manual_seed(7)
    loop.one_update(state, batches(model, features, [range(4)]), objective(task.head(), settings, task.known.counts), total_weight, settings,
                    total=10, seed=0, precision="fp32", device="cpu")
    assert torch.equal(torch.rand(3), wanted)


def test_a_checkpoint_is_whole_or_not_there(tmp_path):
    def write(place):
        (place / "a").write_text("first")

    done = checkpoint.save(tmp_path, 3, write)
    assert done.name == "update-000003" and checkpoint.verify(done) is None

    def full(place):
        (place / "a").write_text("half")
        raise OSError(errno.ENOSPC, "No space left on device")

    with pytest.raises(UserError) as told:
        checkpoint.save(tmp_path, 4, full)
    assert told.value.exit == 74 and [path.name for path in tmp_path.iterdir()] == ["update-000003"]
    checkpoint.save(tmp_path, 5, write)
    (tmp_path / "update-000005" / "a").write_text("flips")
    newest, words = checkpoint.newest_valid(tmp_path)
    assert newest == done and "update-000005" in words[0]


def test_pruning_keeps_the_newest_and_the_best(tmp_path):
    for update in (1, 2, 3, 4):
        checkpoint.save(tmp_path, update, lambda place: (place / "a").write_text("x"))
    checkpoint.prune(tmp_path, keep=1, protect=["update-000002"])
    assert sorted(path.name for path in tmp_path.iterdir()) == ["update-000002", "update-000004"]


def test_progress_remembers_the_best_and_when_to_stop():
    held = Progress("f1", True)
    for update, value in ((1, 0.5), (2, 0.7), (3, 0.7), (4, None)):
        held = held.after(update, value)
    assert (held.value, held.update, held.waited) == (0.7, 2, 2)
    assert held.exhausted(2) and not held.exhausted(3) and not held.exhausted(None)
    assert Progress("loss", False).after(1, 2.0).after(2, 1.0).update == 2


def test_defaults_follow_the_models_width_and_the_data():
    from headstart.runs import defaults

    assert defaults.learning_rate(Training(), 768).value == 5e-5
    assert defaults.learning_rate(Training(), 384).value == 2e-4
    assert defaults.learning_rate(Training(), 128).value == 3e-4
    assert defaults.learning_rate(Training(learning_rate=1e-3), 768).value == 1e-3
    assert [defaults.epochs(Training(), rows, labels).value for rows, labels in ((9003, 77), (650, 8), (20000, 3), (90, 3))] == [5, 7, 3, 10]
    assert defaults.epochs(Training(epochs=2.5), 100, 2).value == 2.5
