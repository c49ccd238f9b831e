"""What every family promises: packing, padding, saving and precision change no prediction, and no weight is random."""

from __future__ import annotations

import functools
import tempfile
from pathlib import Path

import numpy as np
import pytest
import tiny
import torch
import transformers

from headstart.contract import Feature, HeadSpec, Layout
from headstart.data.features.batches import collate
from headstart.errors import UserError
from headstart.models.loading.load import load

SPEC = HeadSpec("sequence-classification", 3, ("no", "maybe", "yes"))
FAMILIES = pytest.mark.parametrize("family", tiny.FAMILIES)
LEFT = pytest.mark.parametrize("family", ["roberta", "xlm-roberta", "modernbert", "mpnet", "deberta-v2", "xlnet", "transfo-xl"])
PAIRS = list(zip(tiny.texts(9, seed=1), tiny.texts(9, seed=2), strict=True))


@functools.cache
def folder(family: str, **changes) -> Path:
    """A published fine-tuned model of three classes."""
    place = Path(tempfile.mkdtemp(prefix="headstart-test-"))
    return tiny.model_folder(family, place, SPEC.kind, SPEC.labels, seed=3, **changes)


@functools.cache
def model(family: str):
    held = load(str(folder(family)), None, seed=0)
    held.module.eval()
    return held


@functools.cache
def plain(family: str):
    """The same folder without headstart."""
    return transformers.AutoModelForSequenceClassification.from_pretrained(folder(family)).eval()


def features(family: str, pairs: bool = True) -> list[Feature]:
    """Texts of mixed lengths, alone and in pairs, as model input."""
    held = model(family).tokenizer
    made = []
    for number, (first, second) in enumerate(PAIRS):
        parts = [held.tokenize(first).ids[:40]]
        if pairs and number % 2:
            parts.append(held.tokenize(second).ids[:25])
        ids, types = held.lay_out(*parts)
        made.append(Feature(ids, types))
    return made


def batch(family: str, *, packed: bool, side: str = "right", of: list[Feature] | None = None):
    """Families that cannot pack are padded either way."""
    of, held = of or features(family), model(family)
    return collate(of, Layout(packed and (held.can_pack or len(of) == 1), held.tokenizer.pad_id, side))


def answers(family: str, **options) -> torch.Tensor:
    held = model(family)
    with torch.inference_mode():
        return held.forward(batch(family, **options))["logits"]


def close(a: torch.Tensor, b: torch.Tensor, within: float = 1e-5) -> bool:
    """|a - b| <= 1e-5 * max(1, |a|)."""
    return bool(((a - b).abs() <= within * a.abs().clamp(min=1)).all())


@FAMILIES
def test_packed_padded_and_one_by_one_give_the_same_answers(family):
    packed, padded = answers(family, packed=True), answers(family, packed=False)
    alone = torch.cat([answers(family, packed=False, of=[one]) for one in features(family)])
    alone_packed = torch.cat([answers(family, packed=True, of=[one]) for one in features(family)])
    assert packed.std() > 1e-2, "the tiny model answers the same to everything: nothing was tested"
    assert close(padded, packed) and close(padded, alone) and close(padded, alone_packed)


@FAMILIES
def test_plain_transformers_gives_the_same_answers(family):
    """Its own padding and attention mask, its own positions, its own segment numbers."""
    held, made = model(family).tokenizer, features(family)
    inputs = {"input_ids": [one.ids for one in made]}
    if "token_type_ids" in held.held.model_input_names:
        inputs["token_type_ids"] = [one.types for one in made]
    inputs = held.held.pad(inputs, return_tensors="pt")  # on the side that its tokenizer says: XLNet and Llama left
    with torch.inference_mode():
        theirs = plain(family)(**inputs).logits
    assert close(theirs, answers(family, packed=False)) and close(theirs, answers(family, packed=True))


@FAMILIES
def test_pieces_are_laid_out_as_the_librarys_own_tokenizer_does(family, tmp_path):
    """A tokenizer without special tokens is saved with the one that closes a text, and then they agree too."""
    held = load(str(folder(family)), SPEC, seed=0)
    held.save(tmp_path)
    ours, theirs = held.tokenizer, transformers.AutoTokenizer.from_pretrained(tmp_path)
    if family == "ctrl":  # its files cannot say it: plain transformers closes nothing, which changes no answer about one text
        theirs.special_tokens_pattern, theirs.eos_token = "eos", theirs.unk_token
    for first, second in PAIRS[:4]:
        alone, pair = theirs(first), theirs(first, second)
        assert ours.lay_out(ours.tokenize(first).ids)[0] == alone["input_ids"]
        ids, types = ours.lay_out(ours.tokenize(first).ids, ours.tokenize(second).ids)
        assert ids == pair["input_ids"]
        if "token_type_ids" in pair:
            assert types == pair["token_type_ids"]
        assert len(ids) == sum(len(ours.tokenize(text).ids) for text in (first, second)) + ours.longest - ours.room(2)


@FAMILIES
def test_offsets_point_at_the_characters(family):
    text = "The café's  owner can't find 7 green apples."
    held = model(family).tokenizer
    made = held.tokenize(text)
    assert made.offsets is not None and len(made.offsets) == len(made.ids)
    letters = {place for begin, end in made.offsets for place in range(begin, end)}
    assert all(place in letters for place, letter in enumerate(text) if not letter.isspace())


@LEFT
def test_left_padding_changes_nothing_where_it_is_allowed(family):
    assert close(answers(family, packed=False), answers(family, packed=False, side="left"))


@FAMILIES
def test_a_neighbour_in_the_row_changes_nothing(family):
    """Packed: the answer about a text is the same whoever stands before and after it."""
    made = features(family)
    before = answers(family, packed=True, of=made)[4]
    after = answers(family, packed=True, of=[made[7], made[0], made[4], made[2]])[2]
    assert close(before, after)


def gradients(family: str, *, packed: bool) -> dict[str, torch.Tensor]:
    held = model(family)
    held.module.zero_grad()
    logits = held.forward(batch(family, packed=packed))["logits"]
    torch.nn.functional.cross_entropy(logits, torch.arange(len(logits)) % 3).backward()
    found = {name: weight.grad.clone() for name, weight in held.module.named_parameters() if weight.grad is not None}
    held.module.zero_grad()
    return found


@FAMILIES
def test_gradients_of_packed_and_padded_are_the_same(family):
    packed, padded = gradients(family, packed=True), gradients(family, packed=False)
    assert packed.keys() == padded.keys()
    for name, theirs in padded.items():
        assert close(theirs, packed[name]), name


@FAMILIES
def test_gradient_checkpointing_changes_no_gradient(family):
    held = load(str(folder(family)), None, seed=0, dropout=0.0, attention_dropout=0.0)
    if not held.module.supports_gradient_checkpointing:
        with pytest.raises(UserError, match="gradient_checkpointing"):
            held.checkpoint_gradients()
        return
    before = gradients(family, packed=True)
    held.checkpoint_gradients()
    held.module.train()
    logits = held.forward(batch(family, packed=True))["logits"]
    torch.nn.functional.cross_entropy(logits, torch.arange(len(logits)) % 3).backward()
    for name, weight in held.module.named_parameters():
        if name in before:
            assert close(before[name], weight.grad), name


@FAMILIES
def test_bf16_probabilities_agree_with_fp32(family):
    full = {packed: answers(family, packed=packed).softmax(-1) for packed in (True, False)}
    with torch.autocast("cpu", torch.bfloat16):
        half = {packed: answers(family, packed=packed).float().softmax(-1) for packed in (True, False)}
    for packed in (True, False):
        assert close(full[packed], half[packed], 2e-2)


@FAMILIES
def test_a_saved_folder_loads_in_plain_transformers_with_equal_logits_and_labels(family, tmp_path):
    held = load(str(folder(family)), SPEC, seed=5)
    held.module.eval()
    held.save(tmp_path)
    theirs = transformers.AutoModelForSequenceClassification.from_pretrained(tmp_path).eval()
    assert theirs.config.id2label == {0: "no", 1: "maybe", 2: "yes"}
    assert theirs.config.label2id == {"no": 0, "maybe": 1, "yes": 2}
    tokenizer = transformers.AutoTokenizer.from_pretrained(tmp_path)
    pair = tiny.texts(1 if family == "ctrl" else 2, seed=4)
    with torch.inference_mode():
        logits = theirs(**tokenizer(*pair, return_tensors="pt")).logits
        ids, types = held.tokenizer.lay_out(*(held.tokenizer.tokenize(text).ids for text in pair))
        ours = held.forward(collate([Feature(ids, types)], Layout(True, 0)))["logits"]
    assert close(logits, ours)
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(path.name for path in folder(family).iterdir())
    again = load(str(tmp_path), None, seed=99)
    again.module.eval()
    with torch.inference_mode():
        assert torch.equal(ours, again.forward(collate([Feature(ids, types)], Layout(True, 0)))["logits"])


@FAMILIES
def test_the_same_seed_draws_the_same_head_and_leaves_the_global_generator_alone(family, tmp_path):
    base = str(tiny.model_folder(family, tmp_path))
    torch.manual_seed(11)
    before = torch.get_rng_state()
    weights = {}
    for seed in (1, 1, 2):
        module = load(base, SPEC, seed=seed).module
        weights.setdefault(seed, []).append({name: held.clone() for name, held in module.named_parameters()})
        assert torch.equal(before, torch.get_rng_state())
        torch.rand(3)
        torch.set_rng_state(before)
    (first, second), (other,) = weights[1], weights[2]
    drawn = [name for name in first if not torch.equal(first[name], other[name])]
    assert all(torch.equal(first[name], second[name]) for name in first)
    assert any(word in name for name in drawn for word in ("classifier", "score", "logits_proj", "summary"))
    groups = dict(load(base, SPEC, seed=1).parameter_groups_by_depth())
    assert set(drawn) <= set(groups["head"]), "only the head may be random"


@FAMILIES
def test_depth_groups_hold_every_weight_once_from_embeddings_to_head(family):
    held = model(family)
    groups = held.parameter_groups_by_depth()
    names = [name for _, members in groups for name in members]
    assert sorted(names) == sorted(name for name, _ in held.module.named_parameters())
    assert groups[0][0] == "embeddings" and groups[-1][0] == "head"
    assert len(groups) == (1 if family == "albert" else held.facts.layers) + 2 and all(members for _, members in groups)


@FAMILIES
def test_pooled_states_are_the_mean_of_real_tokens_whatever_the_layout(family):
    held = model(family)
    with torch.inference_mode():
        packed, padded = (held.pooled(batch(family, packed=choice)) for choice in (True, False))
        one = features(family)[3]
        alone = held.module.base_model(input_ids=torch.tensor([one.ids]), **(
            {"token_type_ids": torch.tensor([one.types])} if family in ("bert", "electra", "albert", "xlnet") else {}))[0].mean(1)
    assert packed.shape == (len(PAIRS), held.facts.width)
    assert close(packed, padded) and close(alone[0], packed[3])


@FAMILIES
def test_dropout_is_off_in_evaluation_and_seeded_in_training(family):
    held = load(str(folder(family)), None, seed=0, dropout=0.3, attention_dropout=0.3)
    held.module.eval()
    with torch.inference_mode():
        assert close(answers(family, packed=True), held.forward(batch(family, packed=True))["logits"])
        held.module.train()
        with torch.random.fork_rng(devices=[]):
            made = []
            for seed in (0, 0, 1):
                torch.manual_seed(seed)
                made.append(held.forward(batch(family, packed=True))["logits"])
    assert torch.equal(made[0], made[1]) and not torch.equal(made[0], made[2])


def test_modernbert_pools_as_its_config_says():
    place = folder("modernbert", classifier_pooling="mean")
    held = load(str(place), None, seed=0)
    held.module.eval()
    theirs = transformers.AutoModelForSequenceClassification.from_pretrained(place).eval()
    made = features("modernbert")
    inputs = held.tokenizer.held.pad({"input_ids": [one.ids for one in made]}, return_tensors="pt")
    with torch.inference_mode():
        logits = theirs(**inputs).logits
        for packed in (True, False):
            assert close(logits, held.forward(batch("modernbert", packed=packed))["logits"])
        assert not close(logits, answers("modernbert", packed=True))


def test_the_longest_input_uses_every_position_and_no_more():
    for family in tiny.FAMILIES:
        held = model(family)
        assert held.tokenizer.longest == tiny.POSITIONS
        word = held.tokenizer.tokenize("roses").ids[:1]
        ids, types = held.tokenizer.lay_out(word * held.tokenizer.room(1))
        assert len(ids) == tiny.POSITIONS
        with torch.inference_mode():
            for packed in (True, False):
                logits = held.forward(collate([Feature(ids, types)], Layout(packed, 0)))["logits"]
                assert np.isfinite(logits.numpy()).all()
