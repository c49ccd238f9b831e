"""Writing at the limits: what is too long, broken folders, prompts of a run trained on short texts, stop strings everywhere."""

import io
import json
import shutil

import pytest
import tiny

import headstart as package
from headstart.contract import HeadSpec
from headstart.errors import UserError
from headstart.models.loading.load import load

WRITER = "causal-language-model"


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    made = {}

    def found(family):
        if family not in made:
            made[family] = tiny.model_folder(family, tmp_path_factory.mktemp("limits") / family, WRITER, seed=4)
        return made[family]

    return found


def changed(folder, target, **keys):
    copy = shutil.copytree(folder, target)
    config = json.loads((copy / "config.json").read_text())
    (copy / "config.json").write_text(json.dumps(config | keys))
    return copy


def test_more_tokens_than_there_are_positions_are_refused_and_without_positions_written(place, headstart):
    code, _, words = headstart("generate", place("gpt2"), "The roses", "--new-tokens", tiny.POSITIONS)
    assert code == 78 and "takes 128 tokens in all" in words and "-1" in words
    for family in ("xlnet", "transfo-xl"):
        model = package.load(place(family))
        long = " ".join(["roses"] * 200)
        (row,) = model.generate([long], new_tokens=2, passage="none")
        assert row["cut_tokens"] == 0
    code, _, words = headstart("generate", place("gpt2"), " ".join(["roses"] * 300), "--new-tokens", 5)
    assert code == 0 and "tokens of the prompt do not fit and were left out" in words


@pytest.mark.parametrize("name", ["layers", "half", "flipped", "gone"])
def test_a_broken_folder_is_refused(name, place, tmp_path, headstart):
    folder = changed(place("transfo-xl"), tmp_path / "m", **({"n_layer": 10**6} if name == "layers" else {}))
    weights = folder / "model.safetensors"
    held = weights.read_bytes()
    if name == "half":
        weights.write_bytes(held[:len(held) // 2])
    elif name == "flipped":
        import hashlib

        (folder / "headstart.json").write_text(json.dumps({"task": "language-model", "learned": {"labels": []}, "longest": 128,
                                                           "sha256": {weights.name: hashlib.sha256(held).hexdigest()}}))
        weights.write_bytes(held[:-9] + bytes([held[-9] ^ 1]) + held[-8:])
    elif name == "gone":
        weights.unlink()
    code, _, words = headstart("generate", folder, "The roses")
    assert code == 69 and any(word in words for word in ("n_layer = 1000000", "cut off", "SHA-256", "no weights"))


def test_a_config_that_makes_no_transformer_xl_is_told(place, tmp_path, headstart):
    code, _, words = headstart("generate", changed(place("transfo-xl"), tmp_path / "m", cutoffs=[90, 40]), "The roses")
    assert code == 69 and "cutoffs must grow" in words


def test_a_run_trained_on_short_texts_still_reads_whole_prompts(place, tmp_path, headstart):
    (tmp_path / "texts.txt").write_text("\n".join(["The roses."] * 3 + tiny.sentences()[:57]))
    code, _, words = headstart("finetune", tmp_path / "texts.txt", "--task", "language-model", "--model", place("gpt2"), "--to", tmp_path / "run",
                               "--epochs", 1, "--set", "evaluation.resamples=0", "--set", "evaluation.baselines=false")
    assert code == 0, words
    (row,) = package.load(tmp_path / "run").generate([" ".join(["roses"] * 10)], new_tokens=60)
    assert row["cut_tokens"] == 0 and len(row["tokens"]) <= 60


@pytest.mark.parametrize("family", ["xlnet", "transfo-xl", "xlm", "ctrl", "bert"])
def test_a_stop_string_ends_a_text_exactly(family, place):
    model = package.load(place(family))
    more = {"passage": "none", "new_tokens": 12}
    (whole,) = model.generate(["The gardener"], **more)
    text = whole["prediction"]
    (cut,) = model.generate(["The gardener"], stop=[text[4:7], "no such thing"], **more)
    assert cut["prediction"] == text[:text.find(text[4:7])] and cut["ended"] == "stop"
    assert len(cut["tokens"]) < len(whole["tokens"])
    (same,) = model.generate(["The gardener"], stop=["no such thing"], **more)
    assert same["prediction"] == text and same["ended"] == whole["ended"]


def test_prompt_and_text_are_joined_with_their_blank_and_streamed_so(place, headstart):
    for family in ("transfo-xl", "xlnet", "openai-gpt", "llama"):
        code, out, _ = headstart("generate", place(family), "The gardener", "--new-tokens", 6)
        (row,) = package.load(place(family)).generate(["The gardener"], new_tokens=6)
        assert code == 0 and out == f"The gardener{row['prediction']}\n"
        assert family != "transfo-xl" or row["prediction"][0] in " !.,"


def test_prompts_come_from_standard_input_one_a_line(place, monkeypatch, headstart):
    monkeypatch.setattr("sys.stdin", io.StringIO("The gardener\nNobody here\n"))
    code, out, _ = headstart("generate", place("gpt2"), "-", "--new-tokens", 3, "--json")
    assert code == 0 and [json.loads(line)["prompt"] for line in out.splitlines()] == ["The gardener", "Nobody here"]


def test_a_family_that_never_follows_sentences_says_so_before_weights_are_read(place, tmp_path):
    folder = changed(place("transfo-xl"), tmp_path / "m")
    (folder / "model.safetensors").write_bytes((folder / "model.safetensors").read_bytes()[:-40] + b"\xff" * 40)
    with pytest.raises(UserError, match="never trained on sentences") as caught:
        load(str(folder), HeadSpec("next-sentence", 2), seed=0)
    assert "bert" in caught.value.fix


def test_more_beams_than_memory_holds_are_refused_before_they_are_begun(place, headstart):
    code, _, words = headstart("generate", place("gpt2"), "The roses", "--beams", 10**9)
    assert code == 78 and "GiB of memory" in words and "generation.beams" in words
