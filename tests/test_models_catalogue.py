"""The catalogue says what there is, finds families, and knows the names of 2020."""

from __future__ import annotations

import pytest
import tiny

from headstart.errors import Exit, UserError
from headstart.models.catalogue import CATALOGUE, find, hub_names
from headstart.models.tokenizer import FamilyTokenizer, load_tokenizer


def test_every_family_has_a_row_with_checkpoints_licences_and_heads():
    assert {row.family for row in CATALOGUE} == set(tiny.FAMILIES)
    for row in CATALOGUE:
        held = row.json()
        assert held["checkpoints"] and held["heads"] and held["kinds"]
        assert all(one["licence"] and one["parameters"] for one in held["checkpoints"])


def test_every_class_and_config_key_of_the_catalogue_is_the_librarys():
    import dataclasses

    import transformers

    for row in CATALOGUE:
        config = transformers.CONFIG_MAPPING[row.model_type]
        fields = {field.name for field in dataclasses.fields(config)}
        assert set(row.names.values()) <= fields
        assert set(row.dropouts) | set(row.attention_dropouts) <= fields | set(row.config_keys)
        assert all(hasattr(transformers, head.cls) for head in row.heads.values())


@pytest.mark.parametrize("family", tiny.FAMILIES)
def test_every_dropout_of_a_family_is_named_in_the_catalogue(family, tmp_path):
    """Setting training.dropout leaves none behind."""
    from headstart.contract import HeadSpec
    from headstart.models.dropout import Dropout
    from headstart.models.load import load

    spec = HeadSpec("sequence-classification", 2, ("no", "yes"))
    folder = tiny.model_folder(family, tmp_path)
    module = load(str(folder), spec, seed=0, dropout=0.25, attention_dropout=0.25).module
    shares = {name: part.p for name, part in module.named_modules() if isinstance(part, Dropout)}
    assert shares and set(shares.values()) == {0.25}, shares


def test_an_unknown_family_is_told_with_the_nearest():
    with pytest.raises(UserError) as caught:
        find("robberta", "some/model")
    assert "roberta" in str(caught.value) and caught.value.exit is Exit.UNAVAILABLE


def test_short_names_have_their_present_homes_first():
    assert hub_names("distilbert-base-cased") == ["distilbert/distilbert-base-cased", "distilbert-base-cased"]
    assert hub_names("roberta-base")[0] == "FacebookAI/roberta-base"
    assert hub_names("FacebookAI/roberta-base") == ["FacebookAI/roberta-base", "roberta-base"]
    assert hub_names("some/model") == ["some/model"]


def test_a_long_text_is_tokenized_whole_and_without_a_warning(tmp_path):
    held = FamilyTokenizer(load_tokenizer(str(tiny.model_folder("bert", tmp_path))), tiny.POSITIONS)
    made = held.tokenize("green apples " * 500)
    assert len(made.ids) > 1000 and made.offsets is not None
    assert held.with_longest(16).room(1) == 14 and held.longest == tiny.POSITIONS


def test_a_text_without_tokens_gives_special_tokens_alone(tmp_path):
    held = FamilyTokenizer(load_tokenizer(str(tiny.model_folder("bert", tmp_path))), tiny.POSITIONS)
    for text in ("", "   ", "\n"):
        assert held.tokenize(text).ids == []
    assert held.lay_out([]) == ([2, 3], [0, 0])
    assert held.lay_out([], []) == ([2, 3, 3], [0, 0, 1])
