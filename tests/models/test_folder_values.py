"""Wrong values in the JSON files of a model folder are refused by the file's and the field's name, quickly."""

import json
import os
import shutil
import time

import pytest
import tiny
import tiny_writers
import torch
from safetensors.torch import load_file, save_file
from test_sources import SPEC, change_config, refusal

from headstart.errors import Exit
from headstart.models.loading.load import load
from headstart.models.loading.model_info import model_info


@pytest.fixture(scope="module")
def original(tmp_path_factory):
    return tiny.model_folder("bert", tmp_path_factory.mktemp("bert"), SPEC.kind, SPEC.labels)


@pytest.fixture
def folder(original, tmp_path):
    return shutil.copytree(original, tmp_path / "model")


def change(folder, name, **values):
    content = json.loads((folder / name).read_text()) if (folder / name).exists() else {}
    (folder / name).write_text(json.dumps(content | values))


CONFIG = [("architectures", [5]), ("architectures", "BertModel"), ("num_labels", 20_000_000), ("num_labels", -1),
          ("num_labels", 3), ("id2label", {"0": None, "1": "x"}), ("hidden_size", -32), ("hidden_size", 2**40),
          ("num_hidden_layers", True), ("num_hidden_layers", "two"), ("max_position_embeddings", -5),
          ("vocab_size", 10**12), ("layer_norm_eps", "x"), ("layer_norm_eps", None), ("hidden_dropout_prob", 7),
          ("pad_token_id", "x"), ("hidden_act", 5), ("model_type", ["bert"]), ("id2label", {"0": "\ud83d", "1": "x"}),
          ("initializer_range", [1])]


@pytest.mark.parametrize("name, value", CONFIG)
def test_config_json(name, value, folder):
    change_config(folder, **{name: value}) if value is not None else change(folder, "config.json", **{name: value})
    start = time.monotonic()
    message = refusal(lambda: load(str(folder), None, seed=0), "config.json", exit=Exit.UNAVAILABLE).message
    assert time.monotonic() - start < 3
    assert name in message or name == "hidden_act"


TOKENIZER = [("model_max_length", "x"), ("model_max_length", -5), ("model_max_length", 2.5), ("model_max_length", [1]),
             ("unk_token", 5), ("pad_token", {"text": "x"}), ("do_lower_case", "yes"), ("model_input_names", [5]),
             ("added_tokens_decoder", {"x": {"content": "y"}}), ("added_tokens_decoder", {"99999999999": {}}),
             ("extra_ids", 20_000_000), ("chat_template", 5), ("tokenizer_class", [5])]


@pytest.mark.parametrize("name, value", TOKENIZER)
def test_tokenizer_config_json(name, value, folder):
    change(folder, "tokenizer_config.json", **{name: value})
    refusal(lambda: model_info(str(folder)), "tokenizer_config.json", name, exit=Exit.UNAVAILABLE)


def test_a_limit_that_leaves_no_room_for_a_text(folder):
    change(folder, "tokenizer_config.json", model_max_length=2)
    refusal(lambda: load(str(folder), None, seed=0), "2 tokens at most", "model_max_length", exit=Exit.UNAVAILABLE)


GENERATION = [("num_beams", -4), ("num_beams", "x"), ("max_length", "x"), ("max_new_tokens", 10**30), ("top_p", 3),
              ("no_repeat_ngram_size", -1), ("do_sample", "yes"), ("bad_words_ids", [5]), ("eos_token_id", "x"),
              ("repetition_penalty", [1]), ("decoder_start_token_id", -7)]


@pytest.mark.parametrize("name, value", GENERATION)
def test_generation_config_json(name, value, tmp_path):
    folder = tiny_writers.model_folder("t5", tmp_path / "model")
    change(folder, "generation_config.json", **{name: value})
    refusal(lambda: model_info(str(folder)), "generation_config.json", name, exit=Exit.UNAVAILABLE)


@pytest.mark.parametrize("part", ["encoder", "decoder"])
def test_a_pair_of_models(part, tmp_path):
    folder = tiny_writers.model_folder("bert2bert", tmp_path / "model")
    nested = json.loads((folder / "config.json").read_text())[part]
    change_config(folder, **{part: nested | {"num_labels": 20_000_000}})
    refusal(lambda: load(str(folder), None, seed=0), part, "num_labels", exit=Exit.UNAVAILABLE)


@pytest.mark.parametrize("name", ["config.json", "tokenizer_config.json", "generation_config.json",
                                  "special_tokens_map.json", "added_tokens.json"])
@pytest.mark.parametrize("text", ["", "[]", "{", '{"x": NaN}', '{"x": 1e999}', '{"a":' * 200 + "1" + "}" * 200,
                                  '{"a":' * 100_000, '{"a": "\\ud83d"}', "\0" * 99])
def test_what_is_no_json_object(name, text, folder):
    (folder / name).write_text(text)
    refusal(lambda: model_info(str(folder)), name, exit=Exit.UNAVAILABLE)


@pytest.mark.parametrize("dtype", [torch.int64, torch.int8, torch.bool])
def test_weights_that_are_no_floating_point_numbers(dtype, folder):
    weights = load_file(folder / "model.safetensors")
    name = next(name for name in weights if name.endswith("query.weight"))
    save_file(weights | {name: weights[name].to(dtype)}, folder / "model.safetensors", {"format": "pt"})
    refusal(lambda: load(str(folder), None, seed=0), name, "type", exit=Exit.UNAVAILABLE)


def test_whole_numbers_beside_the_weights_are_fine(folder):
    """Old folders hold the numbers of the positions."""
    weights = load_file(folder / "model.safetensors")
    save_file(weights | {"bert.embeddings.position_ids": torch.arange(128)[None]}, folder / "model.safetensors",
              {"format": "pt"})
    load(str(folder), None, seed=0)


# Links


@pytest.mark.parametrize("name", ["config.json", "model.safetensors", "tokenizer.json", "README.md", "headstart.json",
                                  "additional_chat_templates"])
def test_a_link_out_of_the_folder_is_refused(name, folder, tmp_path):
    target = tmp_path / "elsewhere"
    if (folder / name).exists():
        os.replace(folder / name, target)
    else:
        target.write_text("{}")
    (folder / name).symlink_to(target)
    refusal(lambda: load(str(folder), SPEC, seed=0), name, "link", "elsewhere", exit=Exit.REFUSED)


def test_links_inside_the_folder_and_to_the_folder_are_fine(folder, tmp_path):
    os.replace(folder / "model.safetensors", folder / "weights")
    (folder / "model.safetensors").symlink_to("weights")
    (tmp_path / "link").symlink_to(folder)
    load(str(tmp_path / "link"), SPEC, seed=0)


def test_a_folder_that_only_looks_like_the_hubs_cache_keeps_to_its_own_files(folder, tmp_path):
    snapshot = tmp_path / "models--x" / "snapshots" / "0"
    snapshot.parent.mkdir(parents=True)
    shutil.move(folder, snapshot)
    secret = tmp_path / "secret.json"
    os.replace(snapshot / "config.json", secret)
    (snapshot / "config.json").symlink_to("../../../secret.json")
    refusal(lambda: load(str(snapshot), SPEC, seed=0), "config.json", "link", exit=Exit.REFUSED)


def test_an_adapter_is_no_model(tmp_path):
    (tmp_path / "adapter_config.json").write_text("{}")
    refusal(lambda: model_info(str(tmp_path)), "adapter (LoRA)", "merged", exit=Exit.UNAVAILABLE)
