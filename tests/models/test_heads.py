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
from headstart.data.features.batches import collate
from headstart.models.heads.custom_heads import head_class
from headstart.models.loading import catalogue
from headstart.models.loading.load import load
from headstart.settings import Training
from headstart.training.losses.losses import objective, total_weight

SIZES = {"multiple-choice": 1, "question-answering": 2, "question-answering-beams": 2, "next-sentence": 2, "pre-training": 2, "replaced-token": 1}
PAIRS = [(family, head) for family in tiny.FAMILIES for head in catalogue.find(family, "tests").heads]
EVERY = pytest.mark.parametrize(("family", "head"), PAIRS)
LOSSES = {"question-answering": "span", "question-answering-beams": "beam-span", "multiple-choice": "choice", "pre-training": "pretraining", "replaced-token": "token-binary"}


@functools.cache
def folder(family: str, head: str) -> Path:
    """A published model with this head."""
    place = Path(tempfile.mkdtemp(prefix="headstart-test-"))
    names = [f"LABEL_{number}" for number in range(SIZES.get(head, 3))]
    return tiny.model_folder(family, place, head, names, seed=3)


@functools.cache
def model(family: str, head: str):
    held = load(str(folder(family, head)), None, seed=0)
    held.module.eval()
    return held


def features(family: str, head: str) -> list[Feature]:
    """Texts of mixed lengths as pairs, three of each group; some of their places are asked."""
    held, made = model(family, head).tokenizer, []
    for number, (first, second) in enumerate(zip(tiny.texts(9, seed=1), tiny.texts(9, seed=2), strict=True)):
        ids, types = held.lay_out(held.tokenize(first).ids[:40], held.tokenize(second).ids[:25])
        asks = list(range(1 + number % 2, len(ids), 3))
        targets = {"token-classification": Target([place % 3 if place % 2 else -100 for place in range(len(ids))], "token"),
                   "question-answering": Target([number % 3, number % 3 + 2]), "multiple-choice": Target(int(number % 3 == 1)),
                   "masked-language-model": Target([ids[place] for place in asks], "asked"),
                   "causal-language-model": Target([ids[place] for place in asks], "asked"),
                   "replaced-token": Target([place % 2 if place % 3 else -100 for place in range(len(ids))], "token"),
                   "pre-training": Target([ids[place] for place in asks], "asked")}
        own = {"label": targets.get(head, Target(number % 2))} | ({"next": Target(number % 2)} if head == "pre-training" else {})
        if head == "question-answering-beams":
            none, begin = held.summary_place(len(ids)), 3 + number
            own = {"label": Target([none, none] if number % 3 == 0 else [begin, begin + 2]),
                   "outside": Target([int(place < 3 and place != none) for place in range(len(ids))], "token")}
        weight = 1 / 3 if head == "multiple-choice" else 1.0
        made.append(Feature(ids, types, own, asks=asks, group=number // 3 if head == "multiple-choice" else None, weight=weight))
    return made


def parted(family: str, head: str, of: list[Feature], packed: bool) -> list[dict]:
    held = model(family, head)
    batch = collate(of, Layout(packed and (held.can_pack or len(of) == 1), held.tokenizer.pad_id))
    with torch.inference_mode():
        outputs = held.forward(batch)
    return held.parted(batch, {name: values.numpy() for name, values in outputs.items()})


def close(a, b) -> bool:
    return a.shape == b.shape and bool((np.abs(a - b) <= 1e-5 * np.maximum(1, np.abs(a))).all())


@EVERY
def test_packed_padded_and_one_by_one_give_the_same_answers(family, head):
    made = features(family, head)
    packed, padded = parted(family, head, made, True), parted(family, head, made, False)
    alone = [parted(family, head, [one], True)[0] for one in made]
    for one, two, three in zip(packed, padded, alone, strict=True):
        assert all(close(two[name], one[name]) and close(two[name], three[name]) for name in two)
    assert np.std(np.concatenate([one["logits"].ravel() for one in packed])) > 1e-2, "all answers are equal: nothing was tested"


@EVERY
def test_plain_transformers_gives_the_same_answers(family, head):
    """One row at a time, its own positions and segment numbers; choices as it wants them."""
    held = model(family, head)
    plain = head_class(held.facts.row.heads[head].cls).from_pretrained(folder(family, head)).eval()
    for one, ours in zip(features(family, head), parted(family, head, features(family, head), True), strict=True):
        ids, types = torch.tensor([one.ids]), torch.tensor([one.types])
        inputs = {"input_ids": ids} | ({"token_type_ids": types} if "token_type_ids" in held.tokenizer.held.model_input_names else {})
        if (family, head) == ("xlnet", "causal-language-model"):  # one place more to ask for, and nobody sees what follows
            size = ids.shape[1] + 1
            inputs = {"input_ids": torch.nn.functional.pad(ids, (0, 1)), "perm_mask": torch.ones(1, size, size).triu(),
                      "target_mapping": torch.eye(size)[None, 1:]}
        if head == "multiple-choice":
            inputs = {name: values[None] for name, values in inputs.items()}
        with torch.inference_mode():
            theirs = plain(**inputs)
        if head == "question-answering-beams":
            assert_beams(plain, inputs, one, ours)
            continue
        if head == "question-answering":
            found = torch.cat([theirs.start_logits, theirs.end_logits]).T
        elif head == "pre-training":
            found = theirs.prediction_logits[0][one.asks]
            assert close(theirs.seq_relationship_logits[0].numpy(), ours["next"])
        elif "DoubleHeads" in type(plain).__name__:
            found = theirs.mc_logits.reshape(-1)
        else:
            found = theirs.logits[0]
            found = found[one.asks] if "language-model" in head else found[:, None] if head == "replaced-token" else found
        assert close(found.numpy(), ours["logits"])


def assert_beams(plain, inputs, one, ours):
    """Starts, ends and class as transformers finds them; the loss too. Its flat lists run over ends, then starts."""
    outside, none = torch.tensor([one.targets["outside"].value]).float(), one.targets["outside"].value.index(0)
    none = none if none == 0 else len(one.ids) - 1
    extra = {"cls_index": torch.tensor([none]), "p_mask": outside}
    with torch.inference_mode():
        theirs = plain(**inputs, **extra)
        (first, last), = [one.targets["label"].value]
        loss = plain(**inputs, **extra, start_positions=torch.tensor([first]), end_positions=torch.tensor([last]),
                     is_impossible=torch.tensor([float(first == none)])).loss
    assert ours["starts"].tolist() == theirs.start_top_index[0].tolist()
    assert close(np.exp(ours["start_scores"]), theirs.start_top_log_probs[0].numpy())
    assert close(np.exp(ours["end_scores"]).T.ravel(), theirs.end_top_log_probs[0].numpy())
    assert ours["ends"].T.ravel().tolist() == theirs.end_top_index[0].tolist()
    assert close(ours["none"], theirs.cls_logits[0].numpy())
    held = model(plain.config.model_type, "question-answering-beams")
    spec = HeadSpec("question-answering-beams", 2, loss="beam-span")
    own = held.own_losses(collate([one], Layout(False, held.tokenizer.pad_id)), spec, None)
    assert abs(own.item() - loss.item()) < 1e-5


@EVERY
def test_gradients_of_packed_micro_batched_and_padded_are_the_same(family, head):
    loss = LOSSES.get(head, "cross-entropy")
    if not loss:
        pytest.skip("no task trains this head yet")
    goal = objective(HeadSpec(head, SIZES.get(head, 3), loss=loss), Training(), ())
    made, found = features(family, head), []
    held = model(family, head)
    for packed, size in ((True, 9), (False, 9), (True, 3)):
        batches = [collate(made[at:at + size], Layout(packed and held.can_pack, held.tokenizer.pad_id)) for at in range(0, 9, size)]
        whole = total_weight(batches)
        held.module.zero_grad()
        for batch in batches:
            (goal(held, batch) / whole).backward()
        found.append({name: weight.grad.numpy().copy() for name, weight in held.module.named_parameters() if weight.grad is not None})
    held.module.zero_grad()
    for name, theirs in found[0].items():
        assert close(theirs, found[1][name]) and close(theirs, found[2][name]), name


@EVERY
def test_a_fresh_head_is_drawn_from_the_seed_and_the_backbone_stays(family, head, tmp_path):
    if "pre-training" in head or "language-model" in head or head in ("next-sentence", "replaced-token", "embedding"):
        spec = HeadSpec(head, 2)
        kept = load(str(folder(family, head)), spec, seed=1)
        old = dict(model(family, head).module.named_parameters())
        assert not kept.drawn and all(torch.equal(held, old[name]) for name, held in kept.module.named_parameters())
        return
    place = tiny.model_folder(family, tmp_path / "bare", seed=3)
    spec = HeadSpec(head, SIZES.get(head, 3))
    first, again, other = (dict(load(str(place), spec, seed=seed).module.named_parameters()) for seed in (1, 1, 2))
    assert all(torch.equal(held, again[name]) for name, held in first.items())
    drawn = load(str(place), spec, seed=1).drawn
    assert drawn and any(not torch.equal(first[name], other[name]) for name in drawn)
    assert all(torch.equal(first[name], other[name]) for name in first if name not in drawn)
