"""A family with encoder and decoder loads as EncoderDecoderModel, any other as Model; each answers for itself."""

import dataclasses

import numpy as np
import pytest
import tiny
import tiny_writers
import torch

from headstart.contract import Feature, HeadSpec, Layout, Target
from headstart.contract.losses import VocabularyCrossEntropy
from headstart.data.features.batches import collate
from headstart.models import hidden_states, layer_pruning
from headstart.models.encoder_decoder import EncoderDecoderModel
from headstart.models.loading.catalogue import CATALOGUE
from headstart.models.loading.from_config import info_from_config, load_from_config
from headstart.models.loading.load import class_of, load
from headstart.models.model import Model


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    folder = tmp_path_factory.mktemp("models")
    loaded = {family: load(str(tiny_writers.model_folder(family, folder / family, seed=3)), None, seed=0)
              for family in ("t5", "bart")}
    folders = {"gpt2": "causal-language-model", "bert": "token-classification", "albert": "token-classification"}
    return loaded | {family: load(str(tiny.model_folder(family, folder / family, head)), None, seed=0)
                     for family, head in folders.items()}


@pytest.mark.parametrize("family", CATALOGUE, ids=lambda family: family.name)
def test_a_family_loads_as_an_encoder_decoder_exactly_where_it_has_both(family):
    has_both = family.kinds == ("encoder-decoder",)
    assert class_of(family) is (EncoderDecoderModel if has_both else Model)
    assert class_of(family).generates_from_source == family.is_encoder_decoder == has_both
    assert all(head.pretrained == has_both for head in family.heads.values())
    assert not family.packed_forward or has_both


def test_a_model_keeps_its_class_from_a_config_pruned_and_without_shortcuts(models, tmp_path):
    for family, model in models.items():
        layers = {stack: tuple(range(count)) for stack, count in model.layer_counts.items()}
        smaller = layer_pruning.prune(model, layers)
        expected = EncoderDecoderModel if family in ("t5", "bart") else Model
        assert type(model) is type(smaller) is type(hidden_states.without_shortcuts(model)) is expected
    folder = tiny_writers.model_folder("t5", tmp_path, seed=3)
    untrained = load_from_config(info_from_config(str(folder / "config.json"), str(folder)),
                                 HeadSpec("sequence-to-sequence", 0, loss=VocabularyCrossEntropy()), seed=0)
    assert type(untrained) is EncoderDecoderModel and untrained.start_id == models["t5"].start_id


def test_stacks_and_layers_are_those_of_the_config(models):
    bart, gpt2, albert = models["bart"], models["gpt2"], models["albert"]
    config = bart.module.config
    assert bart.layer_counts == {"encoder": config.encoder_layers, "decoder": config.decoder_layers}
    assert bart.cached_layers == config.decoder_layers != config.encoder_layers, "both alike: nothing is told apart"
    assert gpt2.layer_counts == {"": gpt2.module.config.n_layer} and gpt2.cached_layers == gpt2.module.config.n_layer
    assert layer_pruning.repeats_a_layer(albert)
    assert not any(layer_pruning.repeats_a_layer(model) for model in (bart, gpt2, models["bert"]))


def test_every_weight_lies_at_one_depth_and_the_encoders_are_its_own(models):
    for model in models.values():
        names = [name for _, group in model.parameter_groups_by_depth() for name in group]
        assert sorted(names) == sorted(name for name, _ in model.module.named_parameters())
        layers = {name for depth, group in model.parameter_groups_by_depth() if "layer" in depth for name in group}
        assert {name for name in names if model.is_in_layer(name)} <= layers
    for family in ("t5", "bart"):
        encoder = models[family].module.get_encoder()
        weights = {id(weight) for weight in encoder.parameters()}
        tied = {id(weight) for weight in models[family].module.get_input_embeddings().parameters()}
        names = {name for name, weight in models[family].module.named_parameters() if id(weight) in weights - tied}
        assert models[family].encoder_parameters() == names
    assert not models["bert"].encoder_parameters() and not models["gpt2"].encoder_parameters()


def test_packed_rows_wait_while_layers_are_recomputed(models):
    assert all(model.can_pack_in_training(calls_layers=False) for model in models.values())
    for family, model in models.items():
        assert model.can_pack_in_training(calls_layers=True) == (family not in ("t5", "bart"))
    # a family without packed layers never packs, whatever its attention
    family = dataclasses.replace(models["t5"].info.family, packed_forward="")
    model = dataclasses.replace(models["t5"], info=dataclasses.replace(models["t5"].info, family=family))
    assert not model.can_pack


@pytest.mark.parametrize("family", ["t5", "bart"])
def test_target_states_read_no_other_source_and_no_later_target(family, models):
    """Changing one source changes the states of its own target alone; changing a target token, only later ones."""
    model, rng = models[family], np.random.default_rng(5)
    model.module.eval()
    pairs = [(rng.integers(5, 30, 7).tolist(), rng.integers(5, 30, 4).tolist()) for _ in range(3)]

    def states(texts):
        features = [Feature(ids, targets={"label": Target(target_ids, "position")}, label_positions=[0] * 4)
                    for ids, target_ids in texts]
        with torch.inference_mode():
            return [model.read_states(collate(features, Layout(packed, model.tokenizer.pad_id)))["logits"].view(3, 4, -1)
                    for packed in (True, False)]

    other_source = [pairs[0], (pairs[1][0][::-1], pairs[1][1]), pairs[2]]
    other_target = [pairs[0], (pairs[1][0], [*pairs[1][1][:2], 31, 32]), pairs[2]]
    for before, source, target in zip(states(pairs), states(other_source), states(other_target), strict=True):
        changed = ((before - source).abs().amax(dim=2) > 1e-4).tolist()
        assert changed == [[False] * 4, [True] * 4, [False] * 4]
        # the state at position 3 has read the token at position 2, which is another one
        changed = ((before - target).abs().amax(dim=2) > 1e-4).tolist()
        assert changed == [[False] * 4, [False, False, False, True], [False] * 4]
