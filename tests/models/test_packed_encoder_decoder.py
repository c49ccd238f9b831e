"""Encoder-decoders on packed rows: states, losses and gradients are those of one text a row, of every family that packs."""

import json

import numpy as np
import pytest
import tiny
import tiny_writers
import torch

from headstart.contract import Feature, HeadSpec, Layout, Target
from headstart.data.features.batches import collate
from headstart.models import hidden_states
from headstart.models.loading.load import load
from headstart.models.packing import attention
from headstart.settings import Training
from headstart.training.losses.losses import objective, total_weight

CHANGES = {"gated": {"feed_forward_proj": "gated-gelu"}, "scaled": {"scale_embedding": True}}  # as published ones are
FAMILIES = ("t5", "t5-gated", "bart", "bart-scaled", "mbart", "mbart-scaled", "pegasus", "pegasus-scaled", "marian", "marian-scaled")
EVERY = pytest.mark.parametrize("family", FAMILIES)
SPEC = HeadSpec("sequence-to-sequence", 0, loss="vocabulary")


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    place, found = tmp_path_factory.mktemp("writers"), {}
    for family in FAMILIES:
        name, _, change = family.partition("-")
        found[family] = tiny_writers.folder(name, place / family, seed=2, **CHANGES.get(change, {}))
    return found


def opened(folder):
    languages = tiny_writers.languages("mbart") if folder.name.startswith("mbart") else {}
    return load(str(folder), None, seed=0, **languages)


def features(count=9, longest=40, seed=0):
    """Random pieces of sources and targets of very unlike lengths."""
    draw = np.random.default_rng(seed)
    made = []
    for place in range(count):
        ids, wanted = (draw.integers(5, 30, int(draw.integers(1, most + 1))).tolist() for most in (longest, 1 + 3 * place))
        made.append(Feature(ids, targets={"label": Target(wanted, "asked")}, asks=[0] * len(wanted), weight=1.0 + place % 2))
    return made


def gradients(held, made, *, packed, size=9, smoothing=0.0):
    batches = [collate(made[at:at + size], Layout(packed, held.tokenizer.pad_id)) for at in range(0, len(made), size)]
    held.module.zero_grad()
    goal, whole = objective(SPEC, Training(label_smoothing=smoothing), ()), total_weight(batches)
    losses = []
    for batch in batches:
        assert held.packs(batch) == packed
        loss = goal(held, batch) / whole
        loss.backward()
        losses.append(loss.item())
    return sum(losses), {name: weight.grad.clone() for name, weight in held.module.named_parameters() if weight.grad is not None}


@pytest.mark.parametrize("way", ["multiplied", "torch"])
@EVERY
def test_loss_and_gradients_are_those_of_one_text_a_row(family, way, folders, monkeypatch):
    if way == "torch":
        monkeypatch.setattr(attention, "SMALL_TRAINED", 0)
    held, made = opened(folders[family]), features()
    held.module.eval()
    loss, wanted = gradients(held, made, packed=False)
    for size in (9, 4):
        ours, found = gradients(held, made, packed=True, size=size)
        assert ours == pytest.approx(loss, rel=1e-5) and found.keys() == wanted.keys()
        for name, theirs in wanted.items():
            assert torch.allclose(found[name], theirs, atol=2e-5 * float(theirs.abs().max().clamp(min=1))), name


@EVERY
def test_surprises_of_every_written_token_are_those_of_one_text_a_row(family, folders):
    held, made = opened(folders[family]), features(seed=1)
    held.module.eval()
    with torch.inference_mode():
        packed, padded = (held.surprises(collate(made, Layout(way, held.tokenizer.pad_id)))["surprise"] for way in (True, False))
    assert torch.allclose(packed, padded, atol=1e-4) and len(packed) == sum(len(one.targets["label"].value) for one in made)


@EVERY
def test_weights_worked_out_again_change_no_gradient(family, folders, monkeypatch):
    from headstart.models.packing import segment_attention

    held, made, found = opened(folders[family]), features(), []
    held.module.train()
    for kept in (2**18, 0):
        monkeypatch.setattr(segment_attention, "KEPT", kept)
        torch.manual_seed(5)  # the same dropout
        found.append(gradients(held, made, packed=True))
    assert found[0][0] == found[1][0]
    assert all(torch.equal(theirs, found[1][1][name]) for name, theirs in found[0][1].items())


@EVERY
def test_hidden_states_are_told_of_a_single_text_too(family, folders):
    """A row without padding could go the packed way, on which no stack is called as a whole."""
    held, made = opened(folders[family]), features(1)
    held.module.eval()
    whole = hidden_states.whole(held)
    with hidden_states.listening(whole) as found, torch.inference_mode():
        states = whole.read_states(collate(made, Layout(False, held.tokenizer.pad_id)))["logits"]
    assert set(found) == {"encoder", "decoder"} and [len(found[name]) for name in ("encoder", "decoder")] == [3, 4]
    with torch.inference_mode():
        assert torch.allclose(states, held.read_states(collate(made, Layout(True, held.tokenizer.pad_id)))["logits"], atol=1e-5)


def test_dropout_of_packed_rows_keeps_the_mean(folders):
    """Over many draws the gradient's mean is that of padded rows within its noise: every dropout is there, none twice."""
    held, made = opened(folders["t5"]), features(4, 12)
    means = []
    for packed in (True, False):
        held.module.train()
        losses = []
        for seed in range(150):
            torch.manual_seed(seed)
            losses.append(gradients(held, made, packed=packed)[0])
        means.append((np.mean(losses), np.std(losses) / np.sqrt(len(losses)), np.std(losses)))
    held.module.eval()
    plain = gradients(held, made, packed=True)[0]
    assert abs(means[0][0] - means[1][0]) < 4 * np.hypot(means[0][1], means[1][1])
    assert means[0][2] == pytest.approx(means[1][2], rel=0.35) and means[0][0] > plain


@pytest.mark.parametrize("setting", [{"training.gradient_checkpointing": True}, {"training.layer_drop": 0.2}], ids=["again", "dropped"])
def test_what_does_not_go_with_packed_rows_is_padded_and_says_so(setting, folders, tmp_path):
    import headstart

    rows = [{"source": text, "target": text[:20]} for text in tiny.texts(24, seed=1)]
    file = tmp_path / "rows.jsonl"
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    told = []

    class Voice:
        def say(self, words):
            told.append(words)

        def __getattr__(self, name):
            return lambda *a, **k: None

    run = headstart.finetune(file, task="text-to-text", model=str(folders["bart"]), to=tmp_path / "run", epochs=1, voice=Voice(),
                             **setting, **{"evaluation.baselines": False, "generation.new_tokens": 4})
    assert run and any("batches: bucketed" in words for words in told), told
