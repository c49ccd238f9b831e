"""The catalogue says what there is, finds families, and knows the names of 2020."""

from __future__ import annotations

import pytest
import tiny

from headstart.errors import Exit, UserError
from headstart.models.loading.catalogue import CATALOGUE, RARE_HEADS, find, hub_names
from headstart.models.tokenizers.tokenizer import FamilyTokenizer, load_tokenizer


def test_every_family_has_a_row_with_checkpoints_licences_and_heads():
    assert {row.name for row in CATALOGUE if "encoder-decoder" not in row.kinds} == set(tiny.FAMILIES)
    for row in CATALOGUE:
        entry = row.json()
        assert entry["checkpoints"] and entry["heads"] and entry["kinds"]
        assert all(checkpoint["licence"] and checkpoint["parameters"] for checkpoint in entry["checkpoints"])


def test_every_class_and_config_key_of_the_catalogue_is_the_librarys():
    import dataclasses

    import transformers

    from headstart.models.heads.custom_heads import head_class

    for row in CATALOGUE:
        config = transformers.CONFIG_MAPPING[row.model_type]
        fields = {field.name for field in dataclasses.fields(config)}
        assert {key.split(".")[0] for key in row.size_keys.values()} <= fields  # "decoder.hidden_size" is of a part
        dropout_keys = {*row.dropouts, *row.attention_dropouts, *row.layer_drops}
        assert {key.split(".")[0] for key in dropout_keys} <= fields | set(row.config_keys)
        assert all(head_class(head.cls).__name__ == head.cls for head in row.heads.values())


@pytest.mark.parametrize("family", tiny.FAMILIES)
def test_every_dropout_of_a_family_is_named_in_the_catalogue(family, tmp_path):
    """Setting training.dropout reaches every one."""
    from headstart.contract import HeadSpec
    from headstart.models.loading.load import load
    from headstart.models.packing.dropout import Dropout

    spec = HeadSpec("sequence-classification", 2, ("no", "yes"))
    folder = tiny.model_folder(family, tmp_path)
    module = load(str(folder), spec, seed=0, dropout=0.25, attention_dropout=0.25).module
    rates = {name: submodule.p for name, submodule in module.named_modules() if isinstance(submodule, Dropout)}
    if family == "llama":  # it drops attention weights alone
        attention_rates = {layer.attention_dropout for layer in module.modules() if hasattr(layer, "attention_dropout")}
        assert not rates and attention_rates == {0.25}
        return
    assert rates and set(rates.values()) == {0.25}, rates


@pytest.mark.parametrize("row", CATALOGUE, ids=lambda row: row.name)
def test_every_hole_has_a_reason(row):
    """Each head of any family of the same kind is there, or the row says why not."""
    expected = {head for other_row in CATALOGUE for head in other_row.heads
                if set(other_row.kinds) & set(row.kinds)} - set(RARE_HEADS)
    assert set(row.heads) | set(row.missing_heads) >= expected
    assert not set(row.heads) & set(row.missing_heads) and all(row.missing_heads.values())


def test_a_head_that_a_family_lacks_is_refused_with_the_reason_before_weights_are_read(tmp_path):
    from headstart.contract import HeadSpec
    from headstart.models.loading.load import load

    folder = tiny.model_folder("gpt2", tmp_path)
    weights = folder / "model.safetensors"
    content = weights.read_bytes()
    weights.write_bytes(content[:-400] + b"\xff" * 400)  # NaNs: reading them would be reported
    with pytest.raises(UserError) as caught:
        load(str(folder), HeadSpec("next-sentence", 2), seed=0)
    assert "never trained on sentences" in str(caught.value) and "bert" in caught.value.fix
    assert caught.value.exit is Exit.USAGE


ENCODER_DECODERS = [row for row in CATALOGUE if row.kinds == ("encoder-decoder",)]


@pytest.mark.parametrize("row", ENCODER_DECODERS, ids=lambda row: row.name)
def test_encoder_decoders_are_known_and_refused_for_every_task_before_weights_are_read(row, tmp_path):
    """Weights are not even looked for: there is no file."""
    from headstart.contract import HeadSpec
    from headstart.models.loading.catalogue import check_head

    with pytest.raises(UserError) as caught:
        check_head(row, HeadSpec("sequence-classification", 2).kind, "some/model")
    assert "generates a text from a text" in str(
        caught.value) and "bert" in caught.value.fix and "bart" not in caught.value.fix


def test_a_folder_of_an_encoder_decoder_is_refused_before_its_weights_are_read(tmp_path):
    import json

    import torch
    from safetensors.torch import save_file

    from headstart.contract import HeadSpec
    from headstart.models.loading.load import load

    config = {"model_type": "t5", "architectures": ["T5ForConditionalGeneration"], "d_model": 32, "num_layers": 2}
    (tmp_path / "config.json").write_text(json.dumps(config))
    save_file({"shared.weight": torch.full((4, 32), float("nan"))}, tmp_path / "model.safetensors")
    with pytest.raises(UserError, match="generates a text from a text"):
        load(str(tmp_path), HeadSpec("token-classification", 3), seed=0)


def test_a_missing_package_of_a_tokenizer_is_named(tmp_path, monkeypatch):
    import sys

    folder = tiny.model_folder("xlm", tmp_path)
    monkeypatch.setitem(sys.modules, "sacremoses", None)
    with pytest.raises(UserError) as caught:
        load_tokenizer(str(folder))
    assert caught.value.fix == "pip install sacremoses" and caught.value.exit is Exit.UNAVAILABLE


def test_the_catalogue_is_printed_with_what_each_family_lacks(headstart):
    code, stdout, _ = headstart("models")
    assert (code == 0
            and "lacks next-sentence, pre-training: it was never trained on sentences that "
                "follow one another" in stdout)


def test_the_command_prints_what_the_page_of_families_says(headstart):
    import json
    from pathlib import Path

    page = (Path(__file__).parents[2] / "docs" / "families.md").read_text(encoding="utf-8")
    (_, stdout, _), (_, json_text, _) = headstart("models"), headstart("models", "--json")
    entries = {row["family"]: row for row in json.loads(json_text)}
    for row in CATALOGUE:
        assert entries[row.name]["aliases"] == row.aliases
        for checkpoint in row.checkpoints:
            flag = "`--allow-pickle`" if checkpoint.pickled else ""
            assert f"| `{checkpoint.name}` | {checkpoint.parameters} | {checkpoint.terms} | {flag} |" in page
            (line,) = [line for line in stdout.splitlines() if line.split()[:1] == [checkpoint.name]]
            assert checkpoint.parameters in line and checkpoint.terms in line and (
                "--allow-pickle" in line) == checkpoint.pickled
        assert all(f"`{old}` is `{new}`" in page and old in stdout for old, new in row.aliases.items())


def test_an_unknown_family_is_refused_with_the_nearest():
    with pytest.raises(UserError) as caught:
        find("robberta", "some/model")
    assert "roberta" in str(caught.value) and caught.value.exit is Exit.UNAVAILABLE


def test_short_names_have_their_present_homes_first():
    assert hub_names("distilbert-base-cased") == ["distilbert/distilbert-base-cased", "distilbert-base-cased"]
    assert hub_names("roberta-base")[0] == "FacebookAI/roberta-base"
    assert hub_names("FacebookAI/roberta-base") == ["FacebookAI/roberta-base", "roberta-base"]
    assert hub_names("some/model") == ["some/model"]


@pytest.mark.parametrize(("short", "home"), [
    ("gpt2", "openai-community/gpt2"), ("distilgpt2", "distilbert/distilgpt2"), ("ctrl", "Salesforce/ctrl"),
    ("openai-gpt", "openai-community/openai-gpt"), ("xlnet-base-cased", "xlnet/xlnet-base-cased"),
    ("xlm-mlm-enfr-1024", "FacebookAI/xlm-mlm-enfr-1024"), ("albert-base-v2", "albert/albert-base-v2"),
    ("t5-small", "google-t5/t5-small"), ("transfo-xl-wt103", "transfo-xl/transfo-xl-wt103")])
def test_names_of_2020_are_known(short, home):
    assert hub_names(short)[0] == home


def test_a_long_text_is_tokenized_whole_and_without_a_warning(tmp_path):
    tokenizer = FamilyTokenizer(load_tokenizer(str(tiny.model_folder("bert", tmp_path))), tiny.POSITIONS)
    encoding = tokenizer.tokenize("green apples " * 500)
    assert len(encoding.ids) > 1000 and encoding.offsets is not None
    assert tokenizer.with_max_length(16).max_content_length(1) == 14 and tokenizer.max_length == tiny.POSITIONS


def test_a_text_without_tokens_gives_special_tokens_alone(tmp_path):
    tokenizer = FamilyTokenizer(load_tokenizer(str(tiny.model_folder("bert", tmp_path))), tiny.POSITIONS)
    for text in ("", "   ", "\n"):
        assert tokenizer.tokenize(text).ids == []
    assert tokenizer.with_special_tokens([]) == ([2, 3], [0, 0])
    assert tokenizer.with_special_tokens([], []) == ([2, 3, 3], [0, 0, 1])
