"""Writing at the limits: what is too long, broken folders, prompts of a run trained on short texts, stop strings
everywhere.
"""

import io
import json
import shutil

import pytest
import tiny

import headstart as headstart_package
from headstart.contract import HeadSpec
from headstart.errors import UserError
from headstart.models.loading import manifest
from headstart.models.loading.load import load

CAUSAL_LM = "causal-language-model"


@pytest.fixture(scope="module")
def folder_of(tmp_path_factory):
    folders = {}

    def build(family):
        if family not in folders:
            folders[family] = tiny.model_folder(family, tmp_path_factory.mktemp("limits") / family, CAUSAL_LM, seed=4)
        return folders[family]

    return build


def changed_copy(folder, target, **keys):
    copy = shutil.copytree(folder, target)
    config = json.loads((copy / "config.json").read_text())
    (copy / "config.json").write_text(json.dumps(config | keys))
    return copy


def test_more_tokens_than_there_are_positions_are_refused_and_without_positions_written(folder_of, headstart):
    code, _, stderr = headstart("generate", folder_of("gpt2"), "The roses", "--max-new-tokens", tiny.POSITIONS)
    assert code == 78 and "takes 128 tokens in all" in stderr and "-1" in stderr
    for family in ("xlnet", "transfo-xl"):
        model = headstart_package.load(folder_of(family))
        long_prompt = " ".join(["roses"] * 200)
        (row,) = model.generate([long_prompt], max_new_tokens=2, prefix="none")
        assert row["cut_tokens"] == 0
    code, _, stderr = headstart("generate", folder_of("gpt2"), " ".join(["roses"] * 300), "--max-new-tokens", 5)
    assert code == 0 and "tokens of the prompt do not fit and were left out" in stderr


@pytest.mark.parametrize("name", ["layers", "half", "flipped", "gone"])
def test_a_broken_folder_is_refused(name, folder_of, tmp_path, headstart):
    folder = changed_copy(folder_of("transfo-xl"), tmp_path / "m", **({"n_layer": 10**6} if name == "layers" else {}))
    weights = folder / "model.safetensors"
    content = weights.read_bytes()
    if name == "half":
        weights.write_bytes(content[:len(content) // 2])
    elif name == "flipped":
        manifest.write(folder, {"headstart": "0.1.0", "task": "language-model", "task_settings": {},
                                "learned": {"labels": []}, "max_length": 128, "tokenizer": {},
                                "sha256": manifest.file_hashes(folder)})
        weights.write_bytes(content[:-9] + bytes([content[-9] ^ 1]) + content[-8:])
    elif name == "gone":
        weights.unlink()
    code, _, stderr = headstart("generate", folder, "The roses")
    assert code == 69 and any(word in stderr for word in ("n_layer = 1000000", "cut off", "SHA-256", "no weights"))


def test_a_config_that_makes_no_transformer_xl_is_reported(folder_of, tmp_path, headstart):
    code, _, stderr = headstart("generate", changed_copy(folder_of("transfo-xl"), tmp_path / "m", cutoffs=[90, 40]),
                                "The roses")
    assert code == 69 and "cutoffs must grow" in stderr


def test_a_run_trained_on_short_texts_still_reads_whole_prompts(folder_of, tmp_path, headstart):
    (tmp_path / "texts.txt").write_text("\n".join(["The roses."] * 3 + tiny.sentences()[:57]))
    code, _, stderr = headstart("finetune", tmp_path / "texts.txt", "--task", "language-model", "--model",
                                folder_of("gpt2"), "--to", tmp_path / "run",
                               "--epochs", 1, "--set", "evaluation.resamples=0", "--set", "evaluation.baselines=false")
    assert code == 0, stderr
    (row,) = headstart_package.load(tmp_path / "run").generate([" ".join(["roses"] * 10)], max_new_tokens=60)
    assert row["cut_tokens"] == 0 and len(row["tokens"]) <= 60


@pytest.mark.parametrize("family", ["xlnet", "transfo-xl", "xlm", "ctrl", "bert"])
def test_a_stop_string_ends_a_text_exactly(family, folder_of):
    model = headstart_package.load(folder_of(family))
    settings = {"prefix": "none", "max_new_tokens": 12}
    (unstopped,) = model.generate(["The gardener"], **settings)
    text = unstopped["prediction"]
    (cut,) = model.generate(["The gardener"], stop=[text[4:7], "no such thing"], **settings)
    assert cut["prediction"] == text[:text.find(text[4:7])] and cut["ended"] == "stop"
    assert len(cut["tokens"]) < len(unstopped["tokens"])
    (unmatched,) = model.generate(["The gardener"], stop=["no such thing"], **settings)
    assert unmatched["prediction"] == text and unmatched["ended"] == unstopped["ended"]


def test_prompt_and_text_are_joined_with_their_blank_and_streamed_so(folder_of, headstart):
    for family in ("transfo-xl", "xlnet", "openai-gpt", "llama"):
        code, stdout, _ = headstart("generate", folder_of(family), "The gardener", "--max-new-tokens", 6)
        (row,) = headstart_package.load(folder_of(family)).generate(["The gardener"], max_new_tokens=6)
        assert code == 0 and stdout == f"The gardener{row['prediction']}\n"
        assert family != "transfo-xl" or row["prediction"][0] in " !.,"


def test_prompts_come_from_standard_input_one_a_line(folder_of, monkeypatch, headstart):
    monkeypatch.setattr("sys.stdin", io.StringIO("The gardener\nNobody here\n"))
    code, stdout, _ = headstart("generate", folder_of("gpt2"), "-", "--max-new-tokens", 3, "--json")
    assert code == 0 and [json.loads(line)["prompt"] for line in stdout.splitlines()] == ["The gardener", "Nobody here"]


def test_a_family_that_never_follows_sentences_says_so_before_weights_are_read(folder_of, tmp_path):
    folder = changed_copy(folder_of("transfo-xl"), tmp_path / "m")
    (folder / "model.safetensors").write_bytes((folder / "model.safetensors").read_bytes()[:-40] + b"\xff" * 40)
    with pytest.raises(UserError, match="never trained on sentences") as caught:
        load(str(folder), HeadSpec("next-sentence", 2), seed=0)
    assert "bert" in caught.value.fix


def test_more_beams_than_memory_holds_are_refused_before_they_are_begun(folder_of, headstart):
    code, _, stderr = headstart("generate", folder_of("gpt2"), "The roses", "--num-beams", 10**9)
    assert code == 78 and "GiB of memory" in stderr and "generation.num_beams" in stderr
