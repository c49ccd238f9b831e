"""Training: the numbers of losses, schedules and gradients; checkpoints that are whole or not there."""

import errno
import math

import numpy as np
import pytest
import torch
from conftest import review_rows

from headstart.contract import Row
from headstart.data.features.batches import collate
from headstart.data.features.features import Features
from headstart.errors import UserError
from headstart.models.loading.load import load
from headstart.settings import Training
from headstart.tasks.text_classification import TextClassification
from headstart.training import checkpoint, loop, optimizer, precision
from headstart.training.early_stopping import EarlyStopping
from headstart.training.losses import build_loss
from headstart.training.losses.cross_entropy import balanced_class_weights, cross_entropy
from headstart.training.objectives.objective import total_weight
from headstart.training.schedule import schedule
from headstart.training.state import TrainingState


@pytest.fixture
def task_model_features(tiny_bert):
    task = TextClassification()
    examples = [task.read(Row(index, {"text": text, "label": label}))
                for index, (text, label) in enumerate(review_rows(24))]
    task = task.with_learned(task.learn(examples))
    model = load(str(tiny_bert), task.head(), seed=0, dropout=0.0, attention_dropout=0.0)
    return task, model, Features.encode(task, examples, model.tokenizer, seed=0)


def batches(model, features, index_batches, packed=True):
    return [collate(features.of_examples(indices), model.layout(packed=packed)) for indices in index_batches]


def gradients(task, model, step_batches, settings):
    model.module.train()
    model.module.zero_grad(set_to_none=True)
    goal = build_loss(task.head().loss, settings, task.learned.counts)
    weights = balanced_class_weights(task.learned.counts) if settings.class_weights == "balanced" else None
    total = total_weight(step_batches, weights)
    for batch in step_batches:
        (goal(model, batch) / total).backward()
    return {name: weight.grad.clone() for name, weight in model.module.named_parameters() if weight.grad is not None}


@pytest.mark.parametrize("settings", [
    Training(), Training(label_smoothing=0.1), Training(class_weights="balanced"), Training(focal_gamma=2.0)], ids=str)
@pytest.mark.parametrize("size", [1, 5, 8])
def test_the_gradient_of_micro_batches_is_the_gradient_of_the_batch(task_model_features, settings, size):
    task, model, features = task_model_features
    expected = gradients(task, model, batches(model, features, [range(24)]), settings)
    accumulated = gradients(task, model, batches(model, features, [range(start, min(24, start + size))
                                                                   for start in range(0, 24, size)]), settings)
    padded = gradients(task, model, batches(model, features, [range(24)], packed=False), settings)
    for name, value in expected.items():
        scale = max(1e-3, float(value.abs().max()))
        assert float((value - accumulated[name]).abs().max()) <= 1e-6 * max(1, scale)
        assert float((value - padded[name]).abs().max()) <= 1e-5 * max(1, scale)


@pytest.mark.parametrize("smoothing", [0.0, 0.2])
@pytest.mark.parametrize("weighted", [False, True])
def test_cross_entropy_equals_torchs(smoothing, weighted):
    torch.manual_seed(0)
    logits, targets = torch.randn(9, 4), torch.tensor([0, 1, 2, 3, -100, 1, 1, 0, -100])
    weights = torch.tensor([0.5, 1.0, 2.0, 3.0]) if weighted else None
    losses = cross_entropy(logits, targets, smoothing=smoothing, weights=weights).sum()
    reference = torch.nn.functional.cross_entropy(logits, targets, weight=weights, label_smoothing=smoothing,
                                                  reduction="sum", ignore_index=-100)
    assert float(losses) == pytest.approx(float(reference), abs=1e-5)


def test_focal_loss_by_hand():
    logits = torch.log(torch.tensor([[0.9, 0.1], [0.2, 0.8]]))
    losses = cross_entropy(logits, torch.tensor([0, 0]), gamma=2.0)
    assert losses.tolist() == pytest.approx([-(0.1**2) * math.log(0.9), -(0.8**2) * math.log(0.2)])


def test_balanced_weights_make_every_class_count_the_same():
    assert balanced_class_weights([10, 30, 0]) == [40 / 30, 40 / 90, 0.0]


@pytest.mark.parametrize(("name", "expected"), [
    ("linear", [0.5, 1.0, 1.0, 0.75, 0.5, 0.25]), ("constant", [0.5, 1, 1, 1, 1, 1]),
    ("cosine", [0.5, 1.0, 1.0, 0.853553, 0.5, 0.146447]), ("polynomial", [0.5, 1, 1, 0.5625, 0.25, 0.0625]),
    ("cosine-restarts", [0.5, 1.0, 1.0, 0.5, 1.0, 0.5])])
def test_schedules_by_hand(name, expected):
    settings = Training(schedule=name, warmup_steps=2)
    assert [schedule(step, 6, settings) for step in range(6)] == pytest.approx(expected, abs=1e-6)
    assert schedule(0, 100, Training(warmup_ratio=0.1)) == pytest.approx(0.1)


def test_biases_and_norms_do_not_decay_and_lower_layers_learn_slower(task_model_features):
    _, model, _ = task_model_features
    groups = optimizer.parameter_groups(model, Training(learning_rate=1e-3, layerwise_lr_decay=0.5, weight_decay=0.1))
    names = [name for group in groups for name in group["names"]]
    assert sorted(names) == sorted(name for name, _ in model.module.named_parameters())
    for group in groups:
        assert group["weight_decay"] == (0.1 if group["params"][0].dim() >= 2 else 0.0)
    scale = {name: group["scale"] for group in groups for name in group["names"]}
    assert scale["classifier.weight"] == 1 and scale["bert.encoder.layer.1.output.dense.weight"] == 0.5
    assert scale["bert.embeddings.word_embeddings.weight"] == 0.125


@pytest.mark.parametrize(("freeze", "moves"), [("embeddings", "layer.0"), ("layers:1", "layer.1"),
                                               ("backbone", "classifier")])
def test_what_is_frozen_stays(task_model_features, freeze, moves):
    task, model, features = task_model_features
    initial = {name: weight.detach().clone() for name, weight in model.module.named_parameters()}
    settings = Training(learning_rate=0.01, freeze=freeze)
    state = TrainingState.initial(model, settings, precision="fp32", device="cpu")
    goal = build_loss(task.head().loss, settings, task.learned.counts)
    loop.train_step(state, batches(model, features, [range(8)]), goal, total_weight, settings, total_steps=10, seed=0,
                    precision="fp32", device="cpu")
    changed = {name for name, weight in model.module.named_parameters() if not torch.equal(weight, initial[name])}
    assert any(moves in name for name in changed) and not any("embeddings" in name for name in changed)
    if freeze == "backbone":
        assert changed <= {"classifier.weight", "classifier.bias", "bert.pooler.dense.weight", "bert.pooler.dense.bias"}


def test_freeze_and_precision_that_mean_nothing_are_refused(task_model_features):
    _, model, _ = task_model_features
    for freeze in ("layers:99", "legs", "layers:x"):
        with pytest.raises(UserError) as error:
            optimizer.parameter_groups(model, Training(freeze=freeze))
        assert error.value.exit == 78
    with pytest.raises(UserError):
        precision.choose_precision("fp16", "cpu")


@pytest.mark.parametrize("name", ["adamw", "adafactor"])
def test_a_saved_state_goes_on_bit_for_bit(task_model_features, tiny_bert, tmp_path, name):
    task, model, features = task_model_features
    settings = Training(learning_rate=1e-3, optimizer=name)
    goal = build_loss(task.head().loss, settings, task.learned.counts)

    def go(state, steps):
        step_batches = batches(state.model, features, [range(12)])
        for _ in range(steps):
            loop.train_step(state, step_batches, goal, total_weight, settings, total_steps=10, seed=0, precision="fp32",
                            device="cpu")

    state = TrainingState.initial(model, settings, precision="fp32", device="cpu")
    go(state, 2)
    state.save(tmp_path, {"best": 1})
    go(state, 3)
    restored = TrainingState.initial(load(str(tiny_bert), task.head(), seed=5, dropout=0.0, attention_dropout=0.0),
                                     settings, precision="fp32", device="cpu")
    assert restored.load(tmp_path) == {"best": 1} and restored.step == 2
    go(restored, 3)
    for first, second in zip(state.model.module.parameters(), restored.model.module.parameters(), strict=True):
        assert torch.equal(first, second)


def test_too_little_memory_halves_the_micro_batch_and_changes_no_step(task_model_features):
    task, model, features = task_model_features
    settings = Training(learning_rate=1e-3, batch_size=8)
    goal = build_loss(task.head().loss, settings, task.learned.counts)
    sizes = []

    def make(examples, size):
        sizes.append(size)
        return batches(model, features, [examples[start:start + size] for start in range(0, len(examples), size)])

    def small(trainable, batch):
        if len(batch.segments) > 3:
            raise RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 10 bytes.")
        return goal(trainable, batch)

    state = TrainingState.initial(model, settings, precision="fp32", device="cpu")
    steps = list(loop.train(state, lambda epoch: [np.arange(8), np.arange(8, 16)], make, small, total_weight, settings,
                            total_steps=2, seed=0, precision="fp32", device="cpu"))
    assert sizes == [8, 4, 2, 2] and state.micro_batch_size == 2
    assert "memory" in steps[0].notes[0] and not steps[1].notes and steps[1].number == 2


def test_a_gradient_that_is_no_number_stops_before_the_weights_change(task_model_features):
    task, model, features = task_model_features
    settings = Training(learning_rate=1e-3)
    goal = build_loss(task.head().loss, settings, task.learned.counts)
    state = TrainingState.initial(model, settings, precision="fp32", device="cpu")
    initial = [weight.detach().clone() for weight in model.module.parameters()]
    for factor in (float("nan"), float("inf")):
        with pytest.raises(UserError) as error:
            loop.train_step(state, batches(model, features, [range(4)]), lambda *objective_arguments,
                            factor=factor: goal(*objective_arguments) * factor, total_weight,
                            settings, total_steps=10, seed=0, precision="fp32", device="cpu")
        assert error.value.exit == 65 and "learning rate" in error.value.fix
    assert all(map(torch.equal, initial, model.module.parameters())) and state.step == 0
    loop.train_step(state, batches(model, features, [range(4)]), goal, total_weight, settings, total_steps=10, seed=0,
                    precision="fp32", device="cpu")
    moments = state.optimizer.state.values()  # as if the bad steps had never been
    assert state.step == 1 and all(float(moment["step"]) == 1 and torch.isfinite(moment["exp_avg"]).all()
                                   for moment in moments)


def test_gradients_are_clipped_as_torch_clips_them():
    generator = torch.Generator().manual_seed(0)
    for max_norm in (1.0, 0.3, 5.0, float("inf")):
        for scale in (1e-3, 0.1, 1 - 2e-6, 1 - 1e-6, 1.0, 1 + 1e-6, 7.0, float("nan")):
            gradients = [torch.randn(size, generator=generator) for size in (3, 50, 1)]
            size = torch.nn.utils.get_total_norm(gradients)
            target = scale * (1.0 if max_norm == float("inf") else max_norm)
            pairs = [[torch.nn.Parameter(torch.zeros_like(gradient)) for gradient in gradients] for _ in range(2)]
            for weights in pairs:
                for weight, gradient in zip(weights, gradients, strict=True):
                    weight.grad = gradient * (target / size)
            expected = torch.nn.utils.clip_grad_norm_(pairs[0], max_norm, foreach=True)
            assert torch.equal(optimizer.clip(pairs[1], max_norm).nan_to_num(), expected.nan_to_num())
            if scale == scale:
                assert all(torch.equal(first.grad, second.grad) for first, second in zip(*pairs, strict=True))


def test_the_users_own_generator_is_left_alone(task_model_features):
    task, model, features = task_model_features
    settings = Training(learning_rate=1e-3)
    state = TrainingState.initial(model, settings, precision="fp32", device="cpu")
    torch.manual_seed(7)
    expected = torch.rand(3)
    torch.manual_seed(7)
    loop.train_step(state, batches(model, features, [range(4)]), build_loss(task.head().loss, settings, task.learned.counts),
                    total_weight, settings, total_steps=10, seed=0, precision="fp32", device="cpu")
    assert torch.equal(torch.rand(3), expected)


def test_a_checkpoint_is_whole_or_not_there(tmp_path):
    def write(folder):
        (folder / "a").write_text("first")
        (folder / "state.json").write_text('{"progress": {}}')

    saved = checkpoint.save(tmp_path, 3, write)
    assert saved.name == "step-000003" and checkpoint.verify(saved) is None

    def fill_disk(folder):
        (folder / "a").write_text("half")
        raise OSError(errno.ENOSPC, "No space left on device")

    with pytest.raises(UserError) as error:
        checkpoint.save(tmp_path, 4, fill_disk)
    assert error.value.exit == 74 and [path.name for path in tmp_path.iterdir()] == ["step-000003"]
    checkpoint.save(tmp_path, 5, write)
    (tmp_path / "step-000005" / "a").write_text("flips")
    newest, warnings = checkpoint.newest_valid(tmp_path)
    assert newest == saved and "step-000005" in warnings[0]


def test_pruning_keeps_the_newest_and_the_best(tmp_path):
    for step in (1, 2, 3, 4):
        checkpoint.save(tmp_path, step, lambda folder: (folder / "a").write_text("x"))
    checkpoint.prune(tmp_path, keep_last=1, protect=["step-000002"])
    assert sorted(path.name for path in tmp_path.iterdir()) == ["step-000002", "step-000004"]


def test_early_stopping_remembers_the_best_and_when_to_stop():
    progress = EarlyStopping("f1", True)
    for step, value in ((1, 0.5), (2, 0.7), (3, 0.7), (4, None)):
        progress = progress.after_evaluation(step, value)
    assert (progress.value, progress.step, progress.waited) == (0.7, 2, 2)
    assert progress.exhausted(2) and not progress.exhausted(3) and not progress.exhausted(None)
    assert EarlyStopping("loss", False).after_evaluation(1, 2.0).after_evaluation(2, 1.0).step == 2
