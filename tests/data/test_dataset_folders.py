"""Folders as `datasets` saves them and as the hub lays them out are read split by split, or refused with what is there."""

import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import headstart as package
from headstart.cli.main import run_guarded
from headstart.data.readers import hub
from headstart.data.table import find_splits, open_table
from headstart.errors import DataError, UserError
from headstart.settings import Data

CLASSES = {"names": ["bad", "good"], "_type": "ClassLabel"}


def rows(start, count):
    return pa.table({"text": [f"text {index}" for index in range(start, start + count)],
                     "label": [index % 2 for index in range(start, start + count)]})


def save_to_disk(folder, start=0, counts=(4, 3)):
    """What `Dataset.save_to_disk` writes: the stream format in numbered files, and two descriptions."""
    folder.mkdir(parents=True)
    names = [f"data-{number:05d}-of-{len(counts):05d}.arrow" for number in range(len(counts))]
    for name, count in zip(names, counts, strict=True):
        table = rows(start, count)
        start += count
        with pa.OSFile(str(folder / name), "wb") as file, pa.ipc.new_stream(file, table.schema) as writer:
            writer.write_table(table)
    (folder / "dataset_info.json").write_text(json.dumps({"features": {"label": CLASSES}}))
    (folder / "state.json").write_text(json.dumps({"_data_files": [{"filename": name} for name in names],
                                                   "_split": None}))
    return folder


def save_splits(folder, **starts):
    for name, start in starts.items():
        save_to_disk(folder / name, start)
    (folder / "dataset_dict.json").write_text(json.dumps({"splits": list(starts)}))
    return folder


def repository(folder, card, **files):
    for name, table in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        pq.write_table(table, path)
    (folder / "README.md").write_text(card)
    return folder


def texts(path):
    return [record.values[0] for record in open_table(path, Data())]


def labels(path):
    return {record.values[1] for record in open_table(path, Data())}


def test_a_saved_dataset_is_all_of_its_files_in_their_order_with_the_names_of_its_classes(tmp_path):
    folder = save_to_disk(tmp_path / "saved", counts=(4, 3, 5))
    splits = find_splits(str(folder), Data())
    assert list(splits) == ["train"]
    assert texts(splits["train"]) == [f"text {index}" for index in range(12)]
    assert labels(splits["train"]) == {"bad", "good"}
    table = open_table(splits["train"], Data())
    assert "saved by datasets (splits: train)" in table.format and "3 files" in table.format
    assert [record.id for record in table] == list(range(12))


def test_the_files_of_a_saved_dataset_stand_as_its_description_orders_them(tmp_path):
    folder = save_to_disk(tmp_path / "saved", counts=(2, 2))
    state = json.loads((folder / "state.json").read_text())
    (folder / "state.json").write_text(json.dumps(state | {"_data_files": state["_data_files"][::-1]}))
    assert texts(find_splits(str(folder), Data())["train"]) == ["text 2", "text 3", "text 0", "text 1"]


def test_saved_splits_are_used_under_headstarts_names_and_others_are_told(tmp_path):
    folder = save_splits(tmp_path / "saved", train=0, validation=100, unsupervised=200)
    splits = find_splits(str(folder), Data())
    assert list(splits) == ["train", "dev"] and texts(splits["dev"])[0] == "text 100"
    assert "(splits: train, dev; not used: unsupervised)" in open_table(splits["train"], Data()).format


CARD = """---
configs:
- config_name: default
  data_files:
  - split: train
    path: data/train-*
  - split: test
    path: data/test-*.parquet
dataset_info:
  features:
  - name: text
    dtype: string
  - name: label
    dtype:
      class_label:
        names:
          '0': bad
          '1': good
---
# A card
"""


def test_a_repository_is_read_as_its_card_says(tmp_path):
    folder = repository(tmp_path / "repo", CARD, **{"data/train-00000-of-00002.parquet": rows(0, 4),
                                                    "data/train-00001-of-00002.parquet": rows(4, 4),
                                                    "data/test-00000-of-00001.parquet": rows(50, 2)})
    splits = find_splits(str(folder), Data())
    assert list(splits) == ["train", "test"]
    assert texts(splits["train"]) == [f"text {index}" for index in range(8)] and labels(splits["train"]) == {"bad", "good"}
    assert texts(splits["test"]) == ["text 50", "text 51"]


def test_a_repository_without_a_card_goes_by_the_names_in_data(tmp_path):
    folder = tmp_path / "repo"
    repository(folder, "# nothing", **{"data/train-00000-of-00001.parquet": rows(0, 3),
                                       "data/validation-00000-of-00001.parquet": rows(9, 3)})
    splits = find_splits(str(folder), Data())
    assert list(splits) == ["train", "dev"] and texts(splits["dev"])[0] == "text 9"
    assert labels(splits["train"]) == {0, 1}  # nobody has named them


def test_text_files_in_a_repository_are_joined_too(tmp_path):
    (tmp_path / "repo" / "data").mkdir(parents=True)
    for number in range(2):
        (tmp_path / "repo" / "data" / f"train-{number}-of-2.csv").write_text(f"text,label\na{number},x\nb{number},y\n")
    (tmp_path / "repo" / "data" / "test.csv").write_text("text,label\nt,x\n")
    splits = find_splits(str(tmp_path / "repo"), Data())
    assert texts(splits["train"]) == ["a0", "b0", "a1", "b1"] and texts(splits["test"]) == ["t"]


def test_a_fault_in_one_of_several_files_names_that_file(tmp_path):
    folder = tmp_path / "data"
    folder.mkdir()
    (folder / "train-1-of-2.csv").write_text("text,label\na,x\nb,y\n")
    (folder / "train-2-of-2.csv").write_text("text,label\nc,x\nd,y,surplus\n")
    (finding,) = open_table(find_splits(str(folder), Data())["train"], Data()).findings
    assert finding.text().startswith(f"{folder / 'train-2-of-2.csv'}:3:5 [E104]") and finding.row == 3


SEVERAL = """---
configs:
- config_name: en
  data_files: en/*.parquet
- config_name: de
  data_files: [{split: train, path: "de/*.parquet"}]
---
"""


def test_of_several_data_sets_one_is_named_after_a_colon(tmp_path, capsys):
    folder = repository(tmp_path / "repo", SEVERAL, **{"en/a.parquet": rows(0, 2), "de/a.parquet": rows(30, 2)})
    with pytest.raises(UserError, match="several data sets: en, de"):
        find_splits(str(folder), Data())
    assert texts(find_splits(f"{folder}:de", Data())["train"]) == ["text 30", "text 31"]
    assert texts(f"{folder}:de") == ["text 30", "text 31"]
    with pytest.raises(UserError, match="no data set 'fr'; there are en, de"):
        find_splits(f"{folder}:fr", Data())


def broken_saves():
    yield "state.json cannot be read", lambda folder: (folder / "state.json").write_text("{")
    yield "names no files", lambda folder: (folder / "state.json").write_text('{"_data_files": []}')
    yield "is missing", lambda folder: next(folder.glob("*.arrow")).unlink()
    yield "is not an object", lambda folder: (folder / "state.json").write_text("[1]")
    yield "leads out of", lambda folder: (folder / "state.json").write_text(
        json.dumps({"_data_files": [{"filename": "../other.arrow"}]}))
    yield "picked out by a file of numbers", lambda folder: (folder / "state.json").write_text(
        json.dumps(json.loads((folder / "state.json").read_text()) | {"_indices_data_files": [{"filename": "x"}]}))


@pytest.mark.parametrize(("words", "damage"), list(broken_saves()), ids=lambda part: part if isinstance(part, str) else "")
def test_a_saved_dataset_that_lacks_something_is_refused_with_what(tmp_path, words, damage):
    folder = save_to_disk(tmp_path / "saved")
    damage(folder)
    with pytest.raises(UserError, match=words) as raised:
        find_splits(str(folder), Data())
    assert raised.value.exit == 66


def test_no_link_leads_out_of_the_folder(tmp_path):
    pq.write_table(rows(0, 3), tmp_path / "secret.parquet")
    folder = repository(tmp_path / "repo", CARD, **{"data/test-00000-of-00001.parquet": rows(0, 2)})
    (folder / "data" / "train-00000-of-00001.parquet").symlink_to(tmp_path / "secret.parquet")
    with pytest.raises(UserError, match="leads out of"):
        find_splits(str(folder), Data())


def test_a_missing_file_of_a_numbered_set_is_noticed(tmp_path):
    repository(tmp_path / "repo", "", **{"train-00000-of-00003.parquet": rows(0, 2),
                                         "train-00002-of-00003.parquet": rows(4, 2)})
    with pytest.raises(UserError, match="not one numbered set: train-00000"):
        find_splits(str(tmp_path / "repo"), Data())


def test_files_of_one_split_have_the_same_columns(tmp_path):
    repository(tmp_path / "repo", "", **{"train-00000-of-00002.parquet": rows(0, 2),
                                         "train-00001-of-00002.parquet": pa.table({"other": ["x"]})})
    with pytest.raises(DataError, match="E131"):
        open_table(find_splits(str(tmp_path / "repo"), Data())["train"], Data())


@pytest.mark.parametrize(("names", "words"), [
    (["pictures.zip", "notes.md"], "it holds notes.md, pictures.zip"),
    ([], "it is empty"),
])
def test_a_folder_of_no_known_layout_is_refused_with_what_it_holds(tmp_path, names, words):
    folder = tmp_path / "folder"
    folder.mkdir()
    for name in names:
        (folder / name).write_text("x")
    with pytest.raises(UserError, match=words):
        find_splits(str(folder), Data())


@pytest.mark.parametrize("card", ["---\nconfigs: [\n---\n", "---\nconfigs:\n- config_name: a\n  data_files: none/*\n---\n"])
def test_a_card_that_names_nothing_is_refused(tmp_path, card):
    folder = repository(tmp_path / "repo", card, **{"train.parquet": rows(0, 2)})
    with pytest.raises(UserError) as raised:
        find_splits(str(folder), Data())
    assert raised.value.exit == 66


def test_rows_for_training_are_asked_for_and_a_test_set_alone_can_be_opened(tmp_path):
    folder = save_splits(tmp_path / "saved", test=0)
    with pytest.raises(UserError, match="no training rows; it has test"):
        find_splits(str(folder), Data())
    assert len(open_table(str(folder), Data())) == 7


def test_a_hub_dataset_without_training_rows_is_refused(monkeypatch, headstart):
    monkeypatch.setattr(hub, "load", lambda name: {"validation": [], "test": []})
    for command in ("check", "finetune"):
        code, _, stderr = headstart(command, "someone/reviews", "--task", "text-classification")
        assert code == 66 and "someone/reviews holds no training rows; it has dev, test" in stderr, stderr
    with pytest.raises(UserError, match="no training rows"):
        package.check("someone/reviews")


def test_a_folder_is_measured_on_its_test_rows_and_that_is_told(tmp_path):
    folder = save_splits(tmp_path / "saved", train=0, validation=20, test=40)
    table = open_table(str(folder), Data())
    assert table[0].values[0] == "text 40"
    assert f"the test rows of {folder}" in table.format


def test_check_names_the_splits_of_a_folder(tmp_path, capsys):
    folder = save_splits(tmp_path / "saved", train=0, test=40)
    assert run_guarded(["check", str(folder)]) == 0
    output = capsys.readouterr().out
    assert "saved by datasets (splits: train, test)" in output and "'bad'" in output
