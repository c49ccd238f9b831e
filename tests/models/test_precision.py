"""Predictions in bf16 are those in fp32 within 2e-2, for every family and head; what is chosen is told."""

import concurrent.futures
import copy
import dataclasses
import functools
import tempfile
from pathlib import Path

import numpy as np
import pytest
import tiny
import tiny_writers
import torch
import transformers

from headstart.contract import Feature, Layout, Target
from headstart.data.features.batches import collate
from headstart.models import precision, precision_choice
from headstart.models.loading import device as devices
from headstart.models.loading.catalogue import FAMILIES
from headstart.models.loading.load import load
from headstart.models.loading.weights import checksum
from headstart.models.packing.packed_row import pack_segments
from headstart.models.precision import (
    PrecisionCopies,
    in_precision,
    precision_of,
    precision_text,
    round_weights,
)
from headstart.models.precision_choice import choose_evaluation_precision
from headstart.models.prepacked import PrepackedForward, can_prepack, unpack
from headstart.models.prepacked_layer import PrepackedLayer

TOLERANCE = 2e-2
LABELS = {"question-answering": ("start", "end"), "multiple-choice": ("score",)}
PAIRS = [(family, head) for family in tiny.FAMILIES for head in FAMILIES[family].heads
         if (family, head) in tiny.EXCEPTIONAL_CLASSES or head in tiny.HEAD_SUFFIXES]


@functools.cache
def model(family, head):
    """A tiny model with half the spread of other tests' weights, which is still five times the usual one."""
    folder = tiny.model_folder(family, Path(tempfile.mkdtemp(prefix="headstart-test-")), head,
                               LABELS.get(head, ("no", "maybe", "yes")), seed=3)
    loaded = load(str(folder), None, seed=0)
    with torch.no_grad():
        for weight in loaded.module.parameters():
            if weight.dim() > 1:
                weight.mul_(0.5)
    return loaded


@functools.cache
def cast(family, head):
    return in_precision(model(family, head), "bf16")


def features(loaded, count=24):
    return [Feature(*loaded.tokenizer.with_special_tokens(loaded.tokenizer.tokenize(text).ids[:50]))
            for text in tiny.texts(count, seed=1)]


def outputs(loaded, inputs, *, packed):
    """Each output of the head, in fp32; of a head that reads label positions, those of every token."""
    batch = collate(inputs, Layout(packed and loaded.can_pack, loaded.tokenizer.pad_id))
    head = loaded.info.family.heads[loaded.head]
    with torch.inference_mode():
        if any(output.reads == "positions" for output in head.outputs.values()):
            states, _ = loaded.states(batch)
            return {"logits": head.outputs["logits"].apply(loaded.module, states).float()}
        return {name: values.float() for name, values in loaded.forward(batch).items() if values.is_floating_point()}


def probabilities(logits, head):
    if head == "embedding":
        return logits
    if head in ("multiple-choice", "replaced-token"):
        return torch.cat([logits.sigmoid(), 1 - logits.sigmoid()], dim=-1)
    return logits.softmax(-1)


@pytest.mark.parametrize(("family", "head"), PAIRS)
def test_bf16_gives_the_answers_of_fp32(family, head):
    """Packed, padded and one by one; labels are equal wherever fp32 itself is decided by more than the tolerance."""
    loaded, copied = model(family, head), cast(family, head)
    inputs = features(loaded)
    name = "start_scores" if loaded.info.family.heads[head].beam_module else "logits"
    expected = probabilities(outputs(loaded, inputs, packed=True)[name], head)
    single = torch.cat([outputs(copied, [feature], packed=False)[name] for feature in inputs[:6]])
    for actual in (outputs(copied, inputs, packed=True)[name], outputs(copied, inputs, packed=False)[name], single):
        assert actual.dtype == torch.float32
        actual = probabilities(actual, head)
        assert (actual - expected[:len(actual)]).abs().max() <= TOLERANCE
        if head != "embedding":
            top = expected[:len(actual)].topk(2).values
            decided = top[:, 0] - top[:, 1] > TOLERANCE
            same = actual.argmax(-1) == expected[:len(actual)].argmax(-1)
            assert same[decided].float().mean() >= 0.995 or not decided.any()


@pytest.mark.parametrize("family", ["bert", "gpt2", "xlnet"])
def test_bf16_is_the_same_twice_and_in_every_thread(family):
    copied, inputs = cast(family, "sequence-classification"), features(model(family, "sequence-classification"))
    expected = outputs(copied, inputs, packed=True)["logits"]
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        for logits in pool.map(lambda _: outputs(copied, inputs, packed=True)["logits"], range(8)):
            assert torch.equal(logits, expected)


@pytest.mark.parametrize("family", ["t5", "bart", "marian", "led", "bert2bert"])
def test_a_writer_gives_its_targets_the_same_probability(family):
    folder = tiny_writers.model_folder(family, Path(tempfile.mkdtemp(prefix="headstart-test-")))
    loaded = load(str(folder), None, seed=0)
    copied = in_precision(loaded, "bf16")
    sources, targets = tiny.texts(6, seed=1), tiny.texts(6, seed=2)
    inputs = []
    for source, target in zip(sources, targets, strict=True):
        ids = loaded.tokenizer.target.tokenize(target).ids[:20]
        encoded = loaded.tokenizer.with_special_tokens(loaded.tokenizer.tokenize(source).ids[:40])
        inputs.append(Feature(*encoded, targets={"label": Target(ids, "position")}, label_positions=[0] * len(ids)))
    for packed in {loaded.can_pack, False}:
        batch = collate(inputs, loaded.layout(packed=packed))
        with torch.inference_mode():
            expected, actual = (each.surprisals(batch)["surprise"].float() for each in (loaded, copied))
        assert ((-actual).exp() - (-expected).exp()).abs().max() <= TOLERANCE


def test_a_copy_leaves_the_model_as_it_is_and_follows_its_weights():
    loaded = load(str(tiny.model_folder("bert", Path(tempfile.mkdtemp(prefix="headstart-test-")),
                                        "masked-language-model")), None, seed=0)
    before, copies = checksum(loaded.module.parameters()), PrecisionCopies()
    copied = copies.of(loaded, "bf16")
    assert (precision_of(loaded), precision_of(copied)) == ("fp32", "bf16")
    assert checksum(loaded.module.parameters()) == before
    assert copies.of(loaded, "bf16").module is copied.module and copies.of(loaded, "fp32") is loaded
    with torch.no_grad():
        next(loaded.module.parameters()).add_(1)
    assert copies.of(loaded, "bf16").module is not copied.module
    back = in_precision(copied, "fp32")
    assert outputs(back, features(back), packed=True)["logits"].dtype == torch.float32
    assert not any(weight.requires_grad for weight in copied.module.parameters())


@pytest.mark.parametrize(("family", "head"), [("bert", "sequence-classification"), ("llama", "causal-language-model"),
                                              ("ctrl", "token-classification"), ("bert", "masked-language-model")])
@pytest.mark.parametrize("dtype", ["bf16", "fp16"])
def test_weights_are_loaded_in_the_type_that_was_asked_for(family, head, dtype, tmp_path):
    folder = tiny.model_folder(family, tmp_path, head, seed=3)
    loaded, exact = load(str(folder), None, seed=0, dtype=dtype), load(str(folder), None, seed=0)
    assert precision_of(loaded) == dtype
    assert next(loaded.module.base_model.parameters()).dtype == precision.DTYPES[dtype]
    upcast = in_precision(loaded, "fp32")
    assert precision_text(upcast) == f"fp32, weights {dtype}"
    inputs = features(loaded)
    expected = outputs(exact, inputs, packed=True)["logits"].softmax(-1)
    assert (outputs(upcast, inputs, packed=True)["logits"].softmax(-1) - expected).abs().max() <= 2 * TOLERANCE
    if dtype == "bf16":
        actual = outputs(loaded, inputs, packed=True)["logits"].softmax(-1)
        assert (actual - expected).abs().max() <= 4 * TOLERANCE  # weights of ten times the usual spread


def test_the_type_that_weights_are_stored_in_can_be_kept(tmp_path):
    folder = tiny.model_folder("bert", tmp_path / "full", "sequence-classification")
    plain = transformers.AutoModelForSequenceClassification.from_pretrained(folder, dtype=torch.bfloat16)
    plain.save_pretrained(tmp_path / "half")
    transformers.AutoTokenizer.from_pretrained(folder).save_pretrained(tmp_path / "half")
    assert precision_of(load(str(tmp_path / "half"), None, seed=0, dtype="auto")) == "bf16"
    assert precision_of(load(str(tmp_path / "half"), None, seed=0)) == "fp32"
    assert precision_of(load(str(folder), None, seed=0, dtype="auto")) == "fp32"


def test_a_weight_that_is_too_large_for_fp16_is_told(tmp_path):
    from headstart.errors import UserError

    folder = tiny.model_folder("bert", tmp_path, "sequence-classification")
    plain = transformers.AutoModelForSequenceClassification.from_pretrained(folder)
    with torch.no_grad():
        plain.classifier.weight.fill_(1e5)
    plain.save_pretrained(folder)
    with pytest.raises(UserError, match="does not fit into fp16"):
        load(str(folder), None, seed=0, dtype="fp16")
    before = checksum(plain.parameters())
    assert not round_weights(plain, "fp16") and checksum(plain.parameters()) == before
    assert round_weights(plain, "bf16") and checksum(plain.parameters()) != before


@pytest.mark.parametrize(("setting", "flags", "scores", "name", "replaced", "words"), [
    ("auto", {"avx512_bf16"}, False, "bf16", False, "the processor has avx512_bf16"),
    ("auto", {"amx_bf16"}, True, "fp32", False, "scores are compared"),
    ("auto", {"avx2"}, False, "fp32", False, "no fast bf16"),
    ("fp32", {"avx512_bf16"}, False, "fp32", False, "you chose it"),
    ("bf16", {"avx512_bf16"}, True, "bf16", False, "you chose it"),
    ("bf16", {"avx2"}, False, "fp32", True, "emulated, it would be slower"),
    ("fp16", {"avx2"}, False, "fp32", True, "needs an NVIDIA GPU"),
    ("fp16", {"avx512_bf16"}, True, "bf16", True, "needs an NVIDIA GPU")])
def test_what_is_chosen_and_why(setting, flags, scores, name, replaced, words, monkeypatch):
    monkeypatch.setattr(devices, "processor_flags", lambda: frozenset(flags))
    monkeypatch.setattr(precision_choice, "multiplies_bf16", devices.multiplies_bf16)
    choice = choose_evaluation_precision(setting, "cpu", scores=scores)
    assert (choice.name, choice.replaced) == (name, replaced) and words in choice.sentence


def prepacked(module, kind):
    return [layer for layer in module.modules() if isinstance(vars(layer).get("forward"), kind)]


@pytest.mark.parametrize(("family", "head", "layers"), [
    ("llama", "sequence-classification", 0), ("modernbert", "sequence-classification", 0),
    *((family, head, 2) for family in ("bert", "distilbert", "roberta", "electra")
      for head in ("sequence-classification", "token-classification", "embedding")),
    ("bert", "causal-language-model", 2), ("xlm-roberta", "question-answering", 2)])
def test_packed_weights_give_the_answers_of_unpacked_ones(family, head, layers):
    copied = in_precision(model(family, head), "bf16")
    plain = copy.deepcopy(copied.module)
    unpack(plain)
    assert not prepacked(plain, (PrepackedForward, PrepackedLayer))
    assert len(prepacked(copied.module, PrepackedLayer)) == (layers if can_prepack() else 0)
    inputs, unpacked = features(copied), dataclasses.replace(copied, module=plain)
    for size in (1, 7, 24):
        expected = outputs(copied, inputs[:size], packed=True)["logits"]
        actual = outputs(unpacked, inputs[:size], packed=True)["logits"]
        assert (probabilities(actual, head) - probabilities(expected, head)).abs().max() <= TOLERANCE
        assert torch.equal(outputs(copied, inputs[:size], packed=True)["logits"], expected)
    assert torch.equal(outputs(copied, inputs, packed=False)["logits"].argmax(-1),
                       outputs(unpacked, inputs, packed=False)["logits"].argmax(-1))


@pytest.mark.parametrize("family", ["bert", "distilbert", "llama"])
def test_a_copy_of_a_packed_model_computes_with_the_weights_of_its_own(family):
    copied = in_precision(model(family, "sequence-classification"), "bf16")
    again, inputs = dataclasses.replace(copied, module=copy.deepcopy(copied.module)), features(copied, 7)
    expected = outputs(copied, inputs, packed=True)["logits"]
    actual = outputs(again, inputs, packed=True)["logits"]
    assert (actual.softmax(-1) - expected.softmax(-1)).abs().max() <= TOLERANCE
    with torch.no_grad():
        for weight in again.module.base_model.parameters():
            weight.mul_(0.5)
    assert not torch.allclose(outputs(again, inputs, packed=True)["logits"], actual, atol=TOLERANCE)
    assert torch.equal(outputs(copied, inputs, packed=True)["logits"], expected)


def test_a_packed_layer_computes_gradients_by_its_own_forward_pass():
    copied = in_precision(model("bert", "sequence-classification"), "bf16")
    layer, states = copied.module.base_model.encoder.layer[0], torch.randn(1, 5, copied.info.width)
    pack = pack_segments(np.array([[0, 0, 2], [0, 2, 5]]), torch.device("cpu"))
    states = states.to(torch.bfloat16).requires_grad_()
    with torch.enable_grad():
        layer(states, None, packing=pack).float().square().sum().backward()
    assert states.grad is not None
    with torch.no_grad():
        expected = type(layer).forward(layer, states, None, packing=pack)
        torch.testing.assert_close(layer(states, None, packing=pack), expected, atol=0.05, rtol=0.05)


@pytest.mark.parametrize("family", ["llama", "modernbert"])
def test_packed_weights_are_not_in_the_way_of_gradients(family):
    copied = in_precision(model(family, "sequence-classification"), "bf16")
    packed_layers = prepacked(copied.module, PrepackedForward)
    if can_prepack():
        assert packed_layers
        with torch.enable_grad():
            states = torch.randn(3, packed_layers[0].in_features, dtype=torch.bfloat16, requires_grad=True)
            packed_layers[0](states).sum().backward()
        assert states.grad is not None
        assert not packed_layers[0](states[:0].detach()).numel()


@pytest.mark.parametrize("family", ["bert", "distilbert", "modernbert", "gpt2"])
def test_texts_of_every_length_are_read_alone_as_among_others(family):
    """A text alone is rounded up to rows for which there are kernels; nothing of that is seen in what it gives."""
    copied = cast(family, "token-classification" if family != "gpt2" else "sequence-classification")
    feature = features(copied, 1)[0]
    ids = (feature.ids * 20)[:70]
    inputs = [Feature(ids[:length]) for length in (1, 2, 7, 8, 9, 15, 16, 17, 33, 64, 70)]
    together = outputs(copied, inputs, packed=True)["logits"]
    alone = [outputs(copied, [each], packed=True)["logits"] for each in inputs]
    assert all(torch.isfinite(logits).all() for logits in alone)
    assert (torch.cat(alone).softmax(-1) - together.softmax(-1)).abs().max() <= TOLERANCE
