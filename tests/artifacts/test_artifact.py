"""A saved model knows its files, its values and its tokenizer: what is not as it was saved is refused in words."""

import json
import shutil
import time

import pytest
import tiny

import headstart as package
from headstart.artifacts import artifact
from headstart.artifacts.metadata import read_metadata, task_from_metadata
from headstart.errors import Exit, UserError
from headstart.models.loading import manifest
from headstart.models.tokenizers import token_record

ROWS = [{"text": text} for text in ("The roses were red.", "Nobody counts a broken card in 1984.")]


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    """An artifact of a tiny BERT, and what it predicts."""
    home = tmp_path_factory.mktemp("artifact")
    task, model = artifact.load(str(tiny.model_folder("bert", home / "bert", "sequence-classification", ["no", "yes"])))
    artifact.save(home / "model", model, task, "# A card\n", {"golden": [{"text": "The roses were red."}]})
    return home / "model", predictions(home / "model")


@pytest.fixture
def folder(saved, tmp_path):
    return shutil.copytree(saved[0], tmp_path / "model")


def predictions(folder):
    return package.load(folder, device="cpu").predict(ROWS)


def refusal(folder, *phrases, exit=Exit.UNAVAILABLE):
    with pytest.raises(UserError) as caught:
        predictions(folder)
    for phrase in phrases:
        assert phrase in str(caught.value)
    assert caught.value.exit is exit
    return str(caught.value)


def change(folder, *path, value, name="headstart.json"):
    """Another value in a JSON file, as an editor writes it."""
    content = json.loads((folder / name).read_text())
    node = content
    for key in path[:-1]:
        node = node[key]
    node[path[-1]] = value
    (folder / name).write_text(json.dumps(content))


def test_every_file_but_the_card_is_recorded(saved):
    folder, _ = saved
    recorded = json.loads((folder / "headstart.json").read_text())["sha256"]
    files = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
    assert set(recorded) == files - {"headstart.json", "README.md"} >= {"config.json", "tokenizer.json"}


@pytest.mark.parametrize("name", ["config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json"])
def test_a_file_that_is_missing_or_changed_is_named(name, folder):
    content = (folder / name).read_bytes()
    (folder / name).write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    assert name in refusal(folder, "is not the file that was saved", f"headstart accept {folder}")
    (folder / name).unlink()
    assert name in refusal(folder, "lacks")


def test_the_card_may_be_edited_and_other_files_put_beside(saved, folder):
    (folder / "README.md").unlink()
    (folder / "notes.txt").write_text("mine")
    (folder / "more").mkdir()
    (folder / "more" / "notes.md").write_text("mine")
    assert predictions(folder) == saved[1]


@pytest.mark.parametrize("path, value", [(("learned", "labels"), ["yes", "no"]), (("max_length",), 9),
                                         (("task_settings", "long_texts"), "windows"), (("scores",), {}),
                                         (("tokenizer",), {}), (("seal",), "0" * 64)])
def test_a_changed_value_of_headstart_json_is_found(path, value, folder):
    change(folder, *path, value=value)
    refusal(folder, "headstart.json", "changed since", f"headstart accept {folder}")


def test_blanks_and_the_order_of_fields_change_nothing(saved, folder):
    content = json.loads((folder / "headstart.json").read_text())
    (folder / "headstart.json").write_text(json.dumps(dict(reversed(content.items())), ensure_ascii=True))
    assert predictions(folder) == saved[1]


def test_an_artifact_without_headstart_json_is_no_plain_folder(folder):
    (folder / "headstart.json").unlink()
    refusal(folder, "lacks headstart.json", "labels and thresholds", '"headstart"', "config.json")


WRONG_VALUES = [(("task",), 5), (("task",), "no-such-task"), (("max_length",), -3), (("max_length",), 10**30),
                (("max_length",), 2), (("max_length",), "x"), (("learned", "labels"), ["no", "no"]),
                (("learned", "labels"), [5, 6]), (("learned", "labels"), ["no"]), (("learned",), []),
                (("learned", "counts"), [-1, 2]), (("learned", "values"), None), (("task_settings",), [1]),
                (("task_settings", "long_texts"), "x"), (("task_settings", "overlap"), -5),
                (("learned", "values", "generation"), {"num_beams": -4}), (("sha256",), {"../x": "0" * 64}),
                (("sha256", "config.json"), "x"), (("tokenizer", "texts"), [{"text": 5, "ids": ""}]),
                (("tokenizer", "versions"), {"transformers": "5; rm -r ~"})]


@pytest.mark.parametrize("path, value", WRONG_VALUES)
def test_a_wrong_value_is_refused_by_its_name_also_when_it_is_sealed(path, value, folder):
    change(folder, *path, value=value)
    manifest.write(folder, json.loads((folder / "headstart.json").read_text()))  # who changed it knew of the seal
    start = time.monotonic()
    message = refusal(folder, "headstart.json")
    assert time.monotonic() - start < 5
    assert path[-1] in message or path[0] in message or "labels" in message


@pytest.mark.parametrize("task, values, name", [
    ("regression", {"mean": 0.0}, "scale"), ("regression", {"mean": "x", "scale": 1.0}, "mean"),
    ("multilabel-classification", {}, "thresholds"), ("multilabel-classification", {"thresholds": [0.5]}, "thresholds"),
    ("question-answering", {"no_answer": 3, "threshold": 0.1}, "no_answer")])
def test_a_task_says_what_it_must_have_learned(task, values, name):
    metadata = {"task": task, "task_settings": {}, "learned": {"labels": ["a", "b"], "values": values}}
    with pytest.raises(UserError, match=name) as caught:
        task_from_metadata(metadata)
    assert caught.value.exit is Exit.UNAVAILABLE


@pytest.mark.parametrize("depth", [100, 100_000])
def test_deep_objects_are_refused(depth, folder):
    (folder / "headstart.json").write_text('{"a":' * depth + "1" + "}" * depth)
    refusal(folder, "headstart.json")


# What was changed on purpose


def test_accept_takes_the_model_as_it_is_and_says_what_had_changed(saved, folder, headstart):
    change(folder, "learned", "labels", value=["nein", "ja"])
    change(folder, "model_max_length", value=100, name="tokenizer_config.json")
    code, stdout, _ = headstart("accept", folder)
    assert code == 0 and "tokenizer_config.json is changed" in stdout and "values of headstart.json" in stdout
    assert {row["prediction"] for row in predictions(folder)} <= {"nein", "ja"}
    code, stdout, _ = headstart("accept", folder)
    assert code == 0 and "as it was saved" in stdout


def test_accept_leaves_a_folder_as_it_was_that_cannot_be_used(folder, headstart):
    (folder / "tokenizer.json").unlink()
    before = (folder / "headstart.json").read_bytes()
    code, _, stderr = headstart("accept", folder)
    assert code == 69 and "vocabulary" in stderr and (folder / "headstart.json").read_bytes() == before


def test_accept_needs_a_model_that_headstart_saved(tmp_path, headstart):
    folder = tiny.model_folder("bert", tmp_path / "bert")
    code, _, stderr = headstart("accept", folder)
    assert code == 66 and "not saved by headstart" in stderr


# The tokenizer reads texts as it did


def other_tokenizer(folder):
    """A vocabulary with two words swapped: the same size, the same files, recorded anew."""
    content = json.loads((folder / "tokenizer.json").read_text())
    vocabulary = content["model"]["vocab"]
    first, second = "roses", "broke"
    vocabulary[first], vocabulary[second] = vocabulary[second], vocabulary[first]
    (folder / "tokenizer.json").write_text(json.dumps(content))
    record_hashes(folder)


def record_hashes(folder, **changes):
    metadata = json.loads((folder / "headstart.json").read_text()) | changes
    manifest.write(folder, metadata | {"sha256": manifest.file_hashes(folder)})


def test_a_tokenizer_that_gives_other_ids_is_refused(folder):
    other_tokenizer(folder)
    refusal(folder, "is not the one that its model was trained with", "The roses were red.", "tokens")


def test_the_versions_that_gave_other_ids_are_named(folder):
    other_tokenizer(folder)
    record = json.loads((folder / "headstart.json").read_text())["tokenizer"]
    record["versions"]["tokenizers"] = "0.1.2"
    record_hashes(folder, tokenizer=record)
    refusal(folder, "saved with tokenizers 0.1.2", "pip install tokenizers==0.1.2")


def test_other_special_tokens_are_refused(folder):
    record = json.loads((folder / "headstart.json").read_text())["tokenizer"]
    record["special_tokens"][0] = record["special_tokens"][0][::-1]
    record_hashes(folder, tokenizer=record)
    refusal(folder, "other special tokens")


def test_accept_records_another_tokenizer(folder, headstart):
    other_tokenizer(folder)
    code, stdout, _ = headstart("accept", folder)
    assert code == 0 and "the tokenizer is another" in stdout
    predictions(folder)


def test_the_golden_texts_cost_little(saved):
    folder, _ = saved
    _, model = artifact.load(str(folder))
    record = read_metadata(str(folder))["tokenizer"]
    assert "The roses were red." in [entry["text"] for entry in record["texts"]]
    start = time.perf_counter()
    assert token_record.difference(model.tokenizer, record) == ""
    assert time.perf_counter() - start < 0.02


# The same door for training, embedding, searching


@pytest.mark.parametrize("command", [("finetune", "FILE", "--model", "FOLDER", "--to", "OUT"),
                                     ("embed", "FOLDER", "FILE", "--to", "OUT", "--text", "text"),
                                     ("index", "NOTES", "--to", "OUT", "--model", "FOLDER"),
                                     ("inspect", "FOLDER", "the roses"), ("evaluate", "FOLDER", "FILE")])
def test_every_command_refuses_a_changed_artifact(command, folder, reviews, tmp_path, headstart):
    (folder / "tokenizer.json").unlink()
    (tmp_path / "notes").mkdir()
    (tmp_path / "notes" / "a.txt").write_text("The roses were red.")
    paths = {"FILE": reviews, "FOLDER": folder, "OUT": tmp_path / "out", "NOTES": tmp_path / "notes"}
    code, _, stderr = headstart(*(paths.get(word, word) for word in command))
    assert code == 69 and "tokenizer.json" in stderr
