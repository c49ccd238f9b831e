"""Encoder-decoders on packed rows: states, losses and gradients are those of one text a row, of every family that
packs.
"""

import json

import numpy as np
import pytest
import tiny
import tiny_writers
import torch
from listeners import Messages

from headstart.contract import Feature, HeadSpec, Layout, Target
from headstart.contract.losses import VocabularyCrossEntropy
from headstart.data.features.batches import collate
from headstart.models import hidden_states
from headstart.models.loading.load import load
from headstart.models.packing import attention
from headstart.progress import Reporter
from headstart.settings import Training
from headstart.training.losses import build_loss
from headstart.training.objectives.objective import total_weight

CHANGES = {"gated": {"feed_forward_proj": "gated-gelu"}, "scaled": {"scale_embedding": True}}  # as published ones are
FAMILIES = ("t5", "t5-gated", "bart", "bart-scaled", "mbart", "mbart-scaled", "pegasus", "pegasus-scaled", "marian",
            "marian-scaled")
EVERY_FAMILY = pytest.mark.parametrize("family", FAMILIES)
SPEC = HeadSpec("sequence-to-sequence", 0, loss=VocabularyCrossEntropy())


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    base, folders = tmp_path_factory.mktemp("encoder-decoders"), {}
    for family in FAMILIES:
        name, _, change = family.partition("-")
        folders[family] = tiny_writers.model_folder(name, base / family, seed=2, **CHANGES.get(change, {}))
    return folders


def load_model(folder):
    languages = tiny_writers.language_arguments("mbart") if folder.name.startswith("mbart") else {}
    return load(str(folder), None, seed=0, **languages)


def features(count=9, longest=40, seed=0):
    """Random token ids of sources and targets of very different lengths."""
    generator = np.random.default_rng(seed)
    features = []
    for index in range(count):
        ids, target_ids = (generator.integers(5, 30, int(generator.integers(1, limit + 1))).tolist()
                           for limit in (longest, 1 + 3 * index))
        features.append(Feature(ids, targets={"label": Target(target_ids, "position")},
                                label_positions=[0] * len(target_ids), weight=1.0 + index % 2))
    return features


def gradients(model, feature_list, *, packed, size=9, smoothing=0.0):
    layout = Layout(packed, model.tokenizer.pad_id)
    batches = [collate(feature_list[start:start + size], layout) for start in range(0, len(feature_list), size)]
    model.module.zero_grad()
    loss_function, total = build_loss(SPEC.loss, Training(label_smoothing=smoothing), ()), total_weight(batches)
    losses = []
    for batch in batches:
        assert model.packs(batch) == packed
        loss = loss_function(model, batch) / total
        loss.backward()
        losses.append(loss.item())
    return sum(losses), {name: weight.grad.clone() for name, weight in model.module.named_parameters()
                         if weight.grad is not None}


@pytest.mark.parametrize("implementation", ["batched", "torch"])
@EVERY_FAMILY
def test_loss_and_gradients_are_those_of_one_text_a_row(family, implementation, folders, monkeypatch):
    if implementation == "torch":
        monkeypatch.setattr(attention, "MAX_SMALL_TRAINING", 0)
    model, feature_list = load_model(folders[family]), features()
    model.module.eval()
    loss, expected = gradients(model, feature_list, packed=False)
    for size in (9, 4):
        packed_loss, packed_gradients = gradients(model, feature_list, packed=True, size=size)
        assert packed_loss == pytest.approx(loss, rel=1e-5) and packed_gradients.keys() == expected.keys()
        for name, gradient in expected.items():
            assert torch.allclose(packed_gradients[name], gradient,
                                  atol=2e-5 * float(gradient.abs().max().clamp(min=1))), name


@EVERY_FAMILY
def test_losses_of_every_target_token_are_those_of_one_text_a_row(family, folders):
    model, feature_list = load_model(folders[family]), features(seed=1)
    model.module.eval()
    with torch.inference_mode():
        layouts = [Layout(is_packed, model.tokenizer.pad_id) for is_packed in (True, False)]
        packed, padded = (model.surprisals(collate(feature_list, layout))["surprise"] for layout in layouts)
    assert torch.allclose(packed, padded, atol=1e-4) and len(packed) == sum(len(feature.targets["label"].value)
                                                                            for feature in feature_list)


@EVERY_FAMILY
def test_recomputed_attention_weights_change_no_gradient(family, folders, monkeypatch):
    from headstart.models.packing import segment_attention

    model, feature_list, results = load_model(folders[family]), features(), []
    model.module.train()
    for limit in (2**18, 0):
        monkeypatch.setattr(segment_attention, "MAX_SAVED_WEIGHTS", limit)
        torch.manual_seed(5)  # the same dropout
        results.append(gradients(model, feature_list, packed=True))
    assert results[0][0] == results[1][0]
    assert all(torch.equal(gradient, results[1][1][name]) for name, gradient in results[0][1].items())


@EVERY_FAMILY
def test_hidden_states_of_a_single_text_are_recorded_too(family, folders):
    """A row without padding could take the packed path, which calls no stack as a whole."""
    model, feature_list = load_model(folders[family]), features(1)
    model.module.eval()
    unpacked = hidden_states.without_shortcuts(model)
    with hidden_states.recorded_hidden_states(unpacked) as states_by_stack, torch.inference_mode():
        states = unpacked.read_states(collate(feature_list, Layout(False, model.tokenizer.pad_id)))["logits"]
    assert set(states_by_stack) == {"encoder", "decoder"} and [len(states_by_stack[name])
                                                               for name in ("encoder", "decoder")] == [3, 4]
    with torch.inference_mode():
        assert torch.allclose(states, model.read_states(collate(feature_list, Layout(True, model.tokenizer.pad_id)))[
            "logits"], atol=1e-5)


def test_dropout_of_packed_rows_keeps_the_mean(folders):
    """Over many dropout masks the mean loss is that of padded rows within its noise: every dropout is applied once."""
    model, feature_list = load_model(folders["t5"]), features(4, 12)
    means = []
    for packed in (True, False):
        model.module.train()
        losses = []
        for seed in range(150):
            torch.manual_seed(seed)
            losses.append(gradients(model, feature_list, packed=packed)[0])
        means.append((np.mean(losses), np.std(losses) / np.sqrt(len(losses)), np.std(losses)))
    model.module.eval()
    plain = gradients(model, feature_list, packed=True)[0]
    assert abs(means[0][0] - means[1][0]) < 4 * np.hypot(means[0][1], means[1][1])
    assert means[0][2] == pytest.approx(means[1][2], rel=0.35) and means[0][0] > plain


@pytest.mark.parametrize("setting", [{"training.gradient_checkpointing": True}, {"training.layer_drop": 0.2}],
                         ids=["again", "dropped"])
def test_what_does_not_go_with_packed_rows_is_padded_and_says_so(setting, folders, tmp_path):
    import headstart

    rows = [{"source": text, "target": text[:20]} for text in tiny.texts(24, seed=1)]
    file = tmp_path / "rows.jsonl"
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    messages = Messages()
    run = headstart.finetune(file, task="text-to-text", model=str(folders["bart"]), to=tmp_path / "run", epochs=1,
                             reporter=Reporter(messages), **setting,
                             **{"evaluation.baselines": False, "generation.max_new_tokens": 4})
    assert run and any("batches: bucketed" in text for text in messages.texts), messages.texts
