"""Every head of every family: packed, padded, one by one, in plain transformers, saved and loaded give the same."""

from __future__ import annotations

import functools
import tempfile
from pathlib import Path

import numpy as np
import pytest
import tiny
import torch

from headstart.contract import Feature, HeadSpec, Layout, Target
from headstart.contract.losses import (
    BeamSpan,
    ChoiceCrossEntropy,
    CrossEntropy,
    MaskedTokensAndNextSentence,
    SpanCrossEntropy,
    TokenBinaryCrossEntropy,
)
from headstart.data.features.batches import collate
from headstart.models.heads.custom_heads import head_class
from headstart.models.loading import catalogue
from headstart.models.loading.load import load
from headstart.settings import Training
from headstart.training.losses import build_loss
from headstart.training.objectives.objective import total_weight

SIZES = {"multiple-choice": 1, "question-answering": 2, "question-answering-beams": 2, "next-sentence": 2,
         "pre-training": 2, "replaced-token": 1}
PAIRS = [(family, head) for family in tiny.FAMILIES for head in catalogue.find(family, "tests").heads]
EVERY = pytest.mark.parametrize(("family", "head"), PAIRS)
LOSSES = {"question-answering": SpanCrossEntropy(), "question-answering-beams": BeamSpan(),
          "multiple-choice": ChoiceCrossEntropy(), "pre-training": MaskedTokensAndNextSentence(),
          "replaced-token": TokenBinaryCrossEntropy()}


@functools.cache
def folder(family: str, head: str) -> Path:
    """A published model with this head."""
    path = Path(tempfile.mkdtemp(prefix="headstart-test-"))
    names = [f"LABEL_{index}" for index in range(SIZES.get(head, 3))]
    return tiny.model_folder(family, path, head, names, seed=3)


@functools.cache
def model(family: str, head: str):
    loaded = load(str(folder(family, head)), None, seed=0)
    loaded.module.eval()
    return loaded


def features(family: str, head: str) -> list[Feature]:
    """Text pairs of mixed lengths, three to a group; some of their positions have labels."""
    tokenizer, features = model(family, head).tokenizer, []
    for index, (first, second) in enumerate(zip(tiny.texts(9, seed=1), tiny.texts(9, seed=2), strict=True)):
        ids, types = tokenizer.with_special_tokens(tokenizer.tokenize(first).ids[:40],
                                                   tokenizer.tokenize(second).ids[:25])
        label_positions = list(range(1 + index % 2, len(ids), 3))
        targets_by_head = {"token-classification": Target([position % 3 if position % 2 else -100
                                                           for position in range(len(ids))], "token"),
                   "question-answering": Target([index % 3, index % 3 + 2]),
                   "multiple-choice": Target(int(index % 3 == 1)),
                   "masked-language-model": Target([ids[position] for position in label_positions], "position"),
                   "causal-language-model": Target([ids[position] for position in label_positions], "position"),
                   "replaced-token": Target([position % 2 if position % 3 else -100 for position in range(len(ids))],
                                            "token"),
                   "pre-training": Target([ids[position] for position in label_positions], "position")}
        targets = {"label": targets_by_head.get(head, Target(index % 2))} | ({"next": Target(index % 2)}
                                                                             if head == "pre-training" else {})
        if head == "question-answering-beams":
            null_position, start = tokenizer.pooled_position(len(ids)), 3 + index
            targets = {"label": Target([null_position, null_position] if index % 3 == 0 else [start, start + 2]),
                   "outside": Target([int(position < 3 and position != null_position) for position in range(len(ids))],
                                     "token")}
        weight = 1 / 3 if head == "multiple-choice" else 1.0
        group = index // 3 if head == "multiple-choice" else None
        features.append(Feature(ids, types, targets, label_positions=label_positions, group=group, weight=weight))
    return features


def split_outputs(family: str, head: str, feature_list: list[Feature], packed: bool) -> list[dict]:
    loaded = model(family, head)
    batch = collate(feature_list, Layout(packed and (loaded.can_pack or len(feature_list) == 1),
                                         loaded.tokenizer.pad_id))
    with torch.inference_mode():
        outputs = loaded.forward(batch)
    return loaded.split_outputs(batch, {name: values.numpy() for name, values in outputs.items()})


def close(a, b) -> bool:
    return a.shape == b.shape and bool((np.abs(a - b) <= 1e-5 * np.maximum(1, np.abs(a))).all())


@EVERY
def test_packed_padded_and_one_by_one_give_the_same_outputs(family, head):
    feature_list = features(family, head)
    packed, padded = split_outputs(family, head, feature_list, True), split_outputs(family, head, feature_list, False)
    alone = [split_outputs(family, head, [feature], True)[0] for feature in feature_list]
    for packed_outputs, padded_outputs, single_outputs in zip(packed, padded, alone, strict=True):
        for name, values in padded_outputs.items():
            assert close(values, packed_outputs[name]) and close(values, single_outputs[name]), name
    assert np.std(np.concatenate([outputs["logits"].ravel()
                                  for outputs in packed])) > 1e-2, "all outputs are equal: nothing was tested"


@EVERY
def test_plain_transformers_gives_the_same_outputs(family, head):
    """One row at a time, its own positions and segment numbers; choices as it wants them."""
    loaded = model(family, head)
    plain = head_class(loaded.info.family.heads[head].cls).from_pretrained(folder(family, head)).eval()
    for feature, outputs in zip(features(family, head), split_outputs(family, head, features(family, head), True),
                                strict=True):
        ids, types = torch.tensor([feature.ids]), torch.tensor([feature.types])
        inputs = {"input_ids": ids} | ({"token_type_ids": types}
                                       if "token_type_ids" in loaded.tokenizer.hf_tokenizer.model_input_names else {})
        # one more query position, and none attends to what follows
        if (family, head) == ("xlnet", "causal-language-model"):
            size = ids.shape[1] + 1
            inputs = {"input_ids": torch.nn.functional.pad(ids, (0, 1)), "perm_mask": torch.ones(1, size, size).triu(),
                      "target_mapping": torch.eye(size)[None, 1:]}
        if head == "multiple-choice":
            inputs = {name: values[None] for name, values in inputs.items()}
        with torch.inference_mode():
            reference = plain(**inputs)
        if head == "question-answering-beams":
            assert_beams(plain, inputs, feature, outputs)
            continue
        if head == "question-answering":
            expected = torch.cat([reference.start_logits, reference.end_logits]).T
        elif head == "pre-training":
            expected = reference.prediction_logits[0][feature.label_positions]
            assert close(reference.seq_relationship_logits[0].numpy(), outputs["next"])
        elif "DoubleHeads" in type(plain).__name__:
            expected = reference.mc_logits.reshape(-1)
        else:
            expected = reference.logits[0]
            if "language-model" in head:
                expected = expected[feature.label_positions]
            elif head == "replaced-token":
                expected = expected[:, None]
        assert close(expected.numpy(), outputs["logits"])


def assert_beams(plain, inputs, feature, outputs):
    """Starts, ends and class as transformers finds them; the loss too. Its flat lists run over ends, then starts."""
    outside, null_position = torch.tensor([feature.targets["outside"].value]).float(), feature.targets[
        "outside"].value.index(0)
    null_position = null_position if null_position == 0 else len(feature.ids) - 1
    extra = {"cls_index": torch.tensor([null_position]), "p_mask": outside}
    with torch.inference_mode():
        reference = plain(**inputs, **extra)
        (start, end), = [feature.targets["label"].value]
        loss = plain(**inputs, **extra, start_positions=torch.tensor([start]), end_positions=torch.tensor([end]),
                     is_impossible=torch.tensor([float(start == null_position)])).loss
    assert outputs["starts"].tolist() == reference.start_top_index[0].tolist()
    assert close(np.exp(outputs["start_scores"]), reference.start_top_log_probs[0].numpy())
    assert close(np.exp(outputs["end_scores"]).T.ravel(), reference.end_top_log_probs[0].numpy())
    assert outputs["ends"].T.ravel().tolist() == reference.end_top_index[0].tolist()
    assert close(outputs["none"], reference.cls_logits[0].numpy())
    loaded = model(plain.config.model_type, "question-answering-beams")
    loss_function = build_loss(BeamSpan(), Training(), ())
    model_loss = loss_function(loaded, collate([feature], Layout(False, loaded.tokenizer.pad_id)))
    assert abs(model_loss.item() - loss.item()) < 1e-5


@EVERY
def test_gradients_of_packed_micro_batched_and_padded_are_the_same(family, head):
    loss_function = build_loss(LOSSES.get(head, CrossEntropy()), Training(), ())
    feature_list, gradients = features(family, head), []
    loaded = model(family, head)
    for packed, size in ((True, 9), (False, 9), (True, 3)):
        layout = Layout(packed and loaded.can_pack, loaded.tokenizer.pad_id)
        batches = [collate(feature_list[start:start + size], layout) for start in range(0, 9, size)]
        total = total_weight(batches)
        loaded.module.zero_grad()
        for batch in batches:
            (loss_function(loaded, batch) / total).backward()
        gradients.append({name: weight.grad.numpy().copy() for name, weight in loaded.module.named_parameters()
                          if weight.grad is not None})
    loaded.module.zero_grad()
    for name, expected in gradients[0].items():
        assert close(expected, gradients[1][name]) and close(expected, gradients[2][name]), name


@EVERY
def test_a_new_head_is_initialised_from_the_seed_and_the_backbone_stays(family, head, tmp_path):
    if "pre-training" in head or "language-model" in head or head in ("next-sentence", "replaced-token", "embedding"):
        spec = HeadSpec(head, 2)
        loaded = load(str(folder(family, head)), spec, seed=1)
        old_weights = dict(model(family, head).module.named_parameters())
        assert not loaded.fresh_weights and all(torch.equal(weight, old_weights[name])
                                                for name, weight in loaded.module.named_parameters())
        return
    path = tiny.model_folder(family, tmp_path / "bare", seed=3)
    spec = HeadSpec(head, SIZES.get(head, 3))
    first, same_seed, other_seed = (dict(load(str(path), spec, seed=seed).module.named_parameters())
                                    for seed in (1, 1, 2))
    assert all(torch.equal(weight, same_seed[name]) for name, weight in first.items())
    initialised = load(str(path), spec, seed=1).fresh_weights
    assert initialised and any(not torch.equal(first[name], other_seed[name]) for name in initialised)
    assert all(torch.equal(first[name], other_seed[name]) for name in first if name not in initialised)
