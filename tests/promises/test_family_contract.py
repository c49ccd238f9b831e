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
EVERY_FAMILY = pytest.mark.parametrize("family", tiny.FAMILIES)
LEFT_PADDED = pytest.mark.parametrize("family", ["roberta", "xlm-roberta", "modernbert", "mpnet", "deberta-v2", "xlnet",
                                                 "transfo-xl"])
PAIRS = list(zip(tiny.texts(9, seed=1), tiny.texts(9, seed=2), strict=True))


@functools.cache
def folder(family: str, **changes) -> Path:
    """A published fine-tuned model of three classes."""
    path = Path(tempfile.mkdtemp(prefix="headstart-test-"))
    return tiny.model_folder(family, path, SPEC.kind, SPEC.labels, seed=3, **changes)


@functools.cache
def model(family: str):
    loaded = load(str(folder(family)), None, seed=0)
    loaded.module.eval()
    return loaded


@functools.cache
def plain(family: str):
    """The same folder without headstart."""
    return transformers.AutoModelForSequenceClassification.from_pretrained(folder(family)).eval()


def features(family: str, pairs: bool = True) -> list[Feature]:
    """Texts of mixed lengths, alone and in pairs, as model input."""
    tokenizer = model(family).tokenizer
    pair_features = []
    for index, (first, second) in enumerate(PAIRS):
        segments = [tokenizer.tokenize(first).ids[:40]]
        if pairs and index % 2:
            segments.append(tokenizer.tokenize(second).ids[:25])
        ids, types = tokenizer.with_special_tokens(*segments)
        pair_features.append(Feature(ids, types))
    return pair_features


def batch(family: str, *, packed: bool, side: str = "right", of: list[Feature] | None = None):
    """Families that cannot pack are padded either way."""
    of, loaded = of or features(family), model(family)
    return collate(of, Layout(packed and (loaded.can_pack or len(of) == 1), loaded.tokenizer.pad_id, side))


def answers(family: str, **options) -> torch.Tensor:
    loaded = model(family)
    with torch.inference_mode():
        return loaded.forward(batch(family, **options))["logits"]


def close(expected: torch.Tensor, actual: torch.Tensor, tolerance: float = 1e-5) -> bool:
    """|a - b| <= 1e-5 * max(1, |a|)."""
    return bool(((expected - actual).abs() <= tolerance * expected.abs().clamp(min=1)).all())


@EVERY_FAMILY
def test_packed_padded_and_one_by_one_give_the_same_answers(family):
    packed, padded = answers(family, packed=True), answers(family, packed=False)
    single = torch.cat([answers(family, packed=False, of=[feature]) for feature in features(family)])
    single_packed = torch.cat([answers(family, packed=True, of=[feature]) for feature in features(family)])
    assert packed.std() > 1e-2, "the tiny model answers the same to everything: nothing was tested"
    assert close(padded, packed) and close(padded, single) and close(padded, single_packed)


@EVERY_FAMILY
def test_plain_transformers_gives_the_same_answers(family):
    """Its own padding and attention mask, its own positions, its own segment numbers."""
    tokenizer, model_features = model(family).tokenizer, features(family)
    inputs = {"input_ids": [feature.ids for feature in model_features]}
    if "token_type_ids" in tokenizer.hf_tokenizer.model_input_names:
        inputs["token_type_ids"] = [feature.types for feature in model_features]
    # on the side that its tokenizer says: XLNet and Llama left
    inputs = tokenizer.hf_tokenizer.pad(inputs, return_tensors="pt")
    with torch.inference_mode():
        plain_logits = plain(family)(**inputs).logits
    assert close(plain_logits, answers(family, packed=False)) and close(plain_logits, answers(family, packed=True))


@EVERY_FAMILY
def test_pieces_are_laid_out_as_the_librarys_own_tokenizer_does(family, tmp_path):
    """A tokenizer without special tokens is saved with the one that closes a text, and then they agree too."""
    loaded = load(str(folder(family)), SPEC, seed=0)
    loaded.save(tmp_path)
    tokenizer, plain_tokenizer = loaded.tokenizer, transformers.AutoTokenizer.from_pretrained(tmp_path)
    # its files cannot say it: plain transformers closes nothing, which changes no answer about one text
    if family == "ctrl":
        plain_tokenizer.special_tokens_pattern, plain_tokenizer.eos_token = "eos", plain_tokenizer.unk_token
    for first, second in PAIRS[:4]:
        single, pair = plain_tokenizer(first), plain_tokenizer(first, second)
        assert tokenizer.with_special_tokens(tokenizer.tokenize(first).ids)[0] == single["input_ids"]
        ids, types = tokenizer.with_special_tokens(tokenizer.tokenize(first).ids, tokenizer.tokenize(second).ids)
        assert ids == pair["input_ids"]
        if "token_type_ids" in pair:
            assert types == pair["token_type_ids"]
        assert len(ids) == sum(len(tokenizer.tokenize(text).ids)
                               for text in (first, second)) + tokenizer.max_length - tokenizer.max_content_length(2)


@EVERY_FAMILY
def test_offsets_point_at_the_characters(family):
    text = "The café's  owner can't find 7 green apples."
    tokenizer = model(family).tokenizer
    tokens = tokenizer.tokenize(text)
    assert tokens.offsets is not None and len(tokens.offsets) == len(tokens.ids)
    covered = {index for start, end in tokens.offsets for index in range(start, end)}
    assert all(index in covered for index, letter in enumerate(text) if not letter.isspace())


@LEFT_PADDED
def test_left_padding_changes_nothing_where_it_is_allowed(family):
    assert close(answers(family, packed=False), answers(family, packed=False, side="left"))


@EVERY_FAMILY
def test_a_neighbour_in_the_row_changes_nothing(family):
    """Packed: the answer about a text is the same whoever stands before and after it."""
    all_features = features(family)
    expected = answers(family, packed=True, of=all_features)[4]
    actual = answers(family, packed=True, of=[all_features[7], all_features[0], all_features[4], all_features[2]])[2]
    assert close(expected, actual)


def gradients(family: str, *, packed: bool) -> dict[str, torch.Tensor]:
    loaded = model(family)
    loaded.module.zero_grad()
    logits = loaded.forward(batch(family, packed=packed))["logits"]
    torch.nn.functional.cross_entropy(logits, torch.arange(len(logits)) % 3).backward()
    weight_gradients = {name: weight.grad.clone() for name, weight in loaded.module.named_parameters()
                        if weight.grad is not None}
    loaded.module.zero_grad()
    return weight_gradients


@EVERY_FAMILY
def test_gradients_of_packed_and_padded_are_the_same(family):
    packed, padded = gradients(family, packed=True), gradients(family, packed=False)
    assert packed.keys() == padded.keys()
    for name, gradient in padded.items():
        assert close(gradient, packed[name]), name


@EVERY_FAMILY
def test_gradient_checkpointing_changes_no_gradient(family):
    loaded = load(str(folder(family)), None, seed=0, dropout=0.0, attention_dropout=0.0)
    if not loaded.module.supports_gradient_checkpointing:
        with pytest.raises(UserError, match="gradient_checkpointing"):
            loaded.checkpoint_gradients()
        return
    expected = gradients(family, packed=True)
    loaded.checkpoint_gradients()
    loaded.module.train()
    logits = loaded.forward(batch(family, packed=True))["logits"]
    torch.nn.functional.cross_entropy(logits, torch.arange(len(logits)) % 3).backward()
    for name, weight in loaded.module.named_parameters():
        if name in expected:
            assert close(expected[name], weight.grad), name


@EVERY_FAMILY
def test_bf16_probabilities_agree_with_fp32(family):
    full = {packed: answers(family, packed=packed).softmax(-1) for packed in (True, False)}
    with torch.autocast("cpu", torch.bfloat16):
        half = {packed: answers(family, packed=packed).float().softmax(-1) for packed in (True, False)}
    for packed in (True, False):
        assert close(full[packed], half[packed], 2e-2)


@EVERY_FAMILY
def test_a_saved_folder_loads_in_plain_transformers_with_equal_logits_and_labels(family, tmp_path):
    loaded = load(str(folder(family)), SPEC, seed=5)
    loaded.module.eval()
    loaded.save(tmp_path)
    plain_model = transformers.AutoModelForSequenceClassification.from_pretrained(tmp_path).eval()
    assert plain_model.config.id2label == {0: "no", 1: "maybe", 2: "yes"}
    assert plain_model.config.label2id == {"no": 0, "maybe": 1, "yes": 2}
    tokenizer = transformers.AutoTokenizer.from_pretrained(tmp_path)
    pair = tiny.texts(1 if family == "ctrl" else 2, seed=4)
    with torch.inference_mode():
        plain_logits = plain_model(**tokenizer(*pair, return_tensors="pt")).logits
        ids, types = loaded.tokenizer.with_special_tokens(*(loaded.tokenizer.tokenize(text).ids for text in pair))
        logits = loaded.forward(collate([Feature(ids, types)], Layout(True, 0)))["logits"]
    assert close(plain_logits, logits)
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(path.name for path in folder(family).iterdir())
    reloaded = load(str(tmp_path), None, seed=99)
    reloaded.module.eval()
    with torch.inference_mode():
        assert torch.equal(logits, reloaded.forward(collate([Feature(ids, types)], Layout(True, 0)))["logits"])


@EVERY_FAMILY
def test_the_same_seed_draws_the_same_head_and_leaves_the_global_generator_alone(family, tmp_path):
    base = str(tiny.model_folder(family, tmp_path))
    torch.manual_seed(11)
    generator_state = torch.get_rng_state()
    weights = {}
    for seed in (1, 1, 2):
        module = load(base, SPEC, seed=seed).module
        weights.setdefault(seed, []).append({name: weight.clone() for name, weight in module.named_parameters()})
        assert torch.equal(generator_state, torch.get_rng_state())
        torch.rand(3)
        torch.set_rng_state(generator_state)
    (first, second), (third,) = weights[1], weights[2]
    random_names = [name for name in first if not torch.equal(first[name], third[name])]
    assert all(torch.equal(first[name], second[name]) for name in first)
    assert any(word in name for name in random_names for word in ("classifier", "score", "logits_proj", "summary"))
    groups = dict(load(base, SPEC, seed=1).parameter_groups_by_depth())
    assert set(random_names) <= set(groups["head"]), "only the head may be random"


@EVERY_FAMILY
def test_depth_groups_hold_every_weight_once_from_embeddings_to_head(family):
    loaded = model(family)
    groups = loaded.parameter_groups_by_depth()
    names = [name for _, members in groups for name in members]
    assert sorted(names) == sorted(name for name, _ in loaded.module.named_parameters())
    assert groups[0][0] == "embeddings" and groups[-1][0] == "head"
    assert len(groups) == (1 if family == "albert" else loaded.info.layers) + 2 and all(members
                                                                                        for _, members in groups)


@EVERY_FAMILY
def test_pooled_states_are_the_mean_of_real_tokens_whatever_the_layout(family):
    loaded = model(family)
    with torch.inference_mode():
        packed, padded = (loaded.pooled(batch(family, packed=choice)) for choice in (True, False))
        feature = features(family)[3]
        single = loaded.module.base_model(input_ids=torch.tensor([feature.ids]), **(
            {"token_type_ids": torch.tensor([feature.types])} if family in ("bert", "electra", "albert", "xlnet")
            else {}))[0].mean(1)
    assert packed.shape == (len(PAIRS), loaded.info.width)
    assert close(packed, padded) and close(single[0], packed[3])


@EVERY_FAMILY
def test_dropout_is_off_in_evaluation_and_seeded_in_training(family):
    loaded = load(str(folder(family)), None, seed=0, dropout=0.3, attention_dropout=0.3)
    loaded.module.eval()
    with torch.inference_mode():
        assert close(answers(family, packed=True), loaded.forward(batch(family, packed=True))["logits"])
        loaded.module.train()
        with torch.random.fork_rng(devices=[]):
            logits = []
            for seed in (0, 0, 1):
                torch.manual_seed(seed)
                logits.append(loaded.forward(batch(family, packed=True))["logits"])
    assert torch.equal(logits[0], logits[1]) and not torch.equal(logits[0], logits[2])


def test_modernbert_pools_as_its_config_says():
    path = folder("modernbert", classifier_pooling="mean")
    loaded = load(str(path), None, seed=0)
    loaded.module.eval()
    plain_model = transformers.AutoModelForSequenceClassification.from_pretrained(path).eval()
    model_features = features("modernbert")
    inputs = loaded.tokenizer.hf_tokenizer.pad({"input_ids": [feature.ids for feature in model_features]},
                                               return_tensors="pt")
    with torch.inference_mode():
        logits = plain_model(**inputs).logits
        for packed in (True, False):
            assert close(logits, loaded.forward(batch("modernbert", packed=packed))["logits"])
        assert not close(logits, answers("modernbert", packed=True))


def test_the_longest_input_uses_every_position_and_no_more():
    for family in tiny.FAMILIES:
        loaded = model(family)
        assert loaded.tokenizer.max_length == tiny.POSITIONS
        word = loaded.tokenizer.tokenize("roses").ids[:1]
        ids, types = loaded.tokenizer.with_special_tokens(word * loaded.tokenizer.max_content_length(1))
        assert len(ids) == tiny.POSITIONS
        with torch.inference_mode():
            for packed in (True, False):
                logits = loaded.forward(collate([Feature(ids, types)], Layout(packed, 0)))["logits"]
                assert np.isfinite(logits.numpy()).all()
