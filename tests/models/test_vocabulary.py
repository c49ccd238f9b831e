"""A model folder without its vocabulary, or with one that cannot be its model's, is refused for every family."""

import json
import shutil

import pytest
import tiny
import tiny_writers
from test_sources import refusal

from headstart.contract import HeadSpec
from headstart.errors import Exit
from headstart.models.loading.load import load

VOCABULARY_FILES = ("tokenizer.json", "vocab.txt", "vocab.json", "merges.txt")
WRITERS = (*tiny_writers.ENCODER_DECODERS, "mbart", "led", "bert2bert")
SPEC = HeadSpec("sequence-classification", 2)
SEQ2SEQ = HeadSpec("sequence-to-sequence", 0)


@pytest.fixture(scope="session")
def family_folder(tmp_path_factory):
    """A folder of each family, made once."""
    folders = {}

    def build(family):
        if family not in folders:
            models = tiny_writers if family in WRITERS else tiny
            folders[family] = models.model_folder(family, tmp_path_factory.mktemp("families") / family)
        return folders[family]

    return build


def open_model(folder, family):
    if family in WRITERS:
        return load(str(folder), None, seed=0, **tiny_writers.language_arguments(family))
    return load(str(folder), SPEC, seed=0)


@pytest.mark.parametrize("family", [*tiny.FAMILIES, *WRITERS])
def test_a_folder_without_its_vocabulary_is_refused(family, family_folder, tmp_path):
    folder = shutil.copytree(family_folder(family), tmp_path / "model")
    for name in VOCABULARY_FILES:
        (folder / name).unlink(missing_ok=True)
    refusal(lambda: open_model(folder, family), "vocabulary", "none of tokenizer.json", exit=Exit.UNAVAILABLE)


@pytest.mark.parametrize("family", ["roberta", "ctrl", "xlm"])
def test_a_vocabulary_without_its_merges_is_refused(family, family_folder, tmp_path):
    folder = shutil.copytree(family_folder(family), tmp_path / "model")
    if (folder / "tokenizer.json").exists():
        content = json.loads((folder / "tokenizer.json").read_text())["model"]
        (folder / "vocab.json").write_text(json.dumps(content["vocab"]))
        (folder / "tokenizer.json").unlink()
    (folder / "merges.txt").unlink(missing_ok=True)
    refusal(lambda: open_model(folder, family), exit=Exit.UNAVAILABLE)


def test_the_older_files_of_a_vocabulary_are_enough(family_folder, tmp_path):
    """vocab.txt in the place of tokenizer.json, as before 2020."""
    folder = shutil.copytree(family_folder("bert"), tmp_path / "model")
    vocabulary = json.loads((folder / "tokenizer.json").read_text())["model"]["vocab"]
    expected = open_model(folder, "bert").tokenizer.tokenize("The roses were red.").ids
    (folder / "vocab.txt").write_text("".join(f"{piece}\n" for piece in sorted(vocabulary, key=vocabulary.get)))
    (folder / "tokenizer.json").unlink()
    assert open_model(folder, "bert").tokenizer.tokenize("The roses were red.").ids == expected


def damaged_vocabularies():
    """What may have become of a WordPiece vocabulary, and a phrase of the refusal."""
    def empty(vocabulary):
        vocabulary.clear()

    def shared(vocabulary):
        vocabulary["roses"] = vocabulary["broke"]

    def beyond(vocabulary):
        vocabulary["roses"] = 400_000

    def without_unknown(vocabulary):
        vocabulary["[unknown]"] = vocabulary.pop("[UNK]")

    def half(vocabulary):
        for piece in [piece for piece, token_id in vocabulary.items() if token_id > len(vocabulary) // 3]:
            del vocabulary[piece]

    def larger(vocabulary):
        vocabulary |= {f"word{index}": len(vocabulary) + index for index in range(9)}

    return [(empty, ""), (shared, "same id"), (beyond, "400000"), (without_unknown, ""), (half, "cut off"),
            (larger, "embeddings")]


@pytest.mark.parametrize("damage, phrase", damaged_vocabularies(), ids=lambda damage: getattr(damage, "__name__", ""))
def test_a_vocabulary_that_cannot_be_the_models_is_refused(damage, phrase, family_folder, tmp_path):
    folder = shutil.copytree(family_folder("bert"), tmp_path / "model")
    content = json.loads((folder / "tokenizer.json").read_text())
    damage(content["model"]["vocab"])
    (folder / "tokenizer.json").write_text(json.dumps(content))
    refusal(lambda: open_model(folder, "bert"), phrase, exit=Exit.UNAVAILABLE)


def test_words_for_a_lost_vocabulary_are_the_same_in_every_command(family_folder, tmp_path, reviews, headstart):
    folder = shutil.copytree(family_folder("bert"), tmp_path / "model")
    (folder / "tokenizer.json").unlink()
    for command in (("embed", folder, reviews, "--to", tmp_path / "e.jsonl", "--text", "text"),
                    ("finetune", reviews, "--model", folder, "--to", tmp_path / "run")):
        code, _, stderr = headstart(*command)
        assert code == 69 and "has no vocabulary" in stderr
