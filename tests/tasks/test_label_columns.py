"""Labels of multilabel classification: one delimiter for a whole column, and labels that only look different."""

import random

import pytest

from headstart.data.examples import read_examples
from headstart.errors import UserError
from headstart.settings import Data
from headstart.tasks.multilabel_classification.task import MultilabelClassification
from headstart.tasks.multilabel_classification.task import Settings as MultilabelSettings
from headstart.tasks.shared import label_lists

NAMES = ["Arts", "Sports", "News, World", "News, Local", "R&B; Soul", "Rock|Pop", "Food", "Travel", "Science", "a", "b", "I, me"]


def read_cells(path, cells, **settings):
    """The examples of texts with these cells of labels, read from a csv file."""
    path.write_text("text,labels\n" + "".join(f'the text {number},"{cell}"\n' for number, cell in enumerate(cells)))
    return read_examples(MultilabelClassification(MultilabelSettings(**settings)), str(path), Data(), columns={},
                         training=True)


@pytest.mark.parametrize("delimiter", [";", "|", ",", "; ", ", "])
def test_a_column_of_labels_is_read_as_it_was_written_or_asked_about(delimiter, tmp_path):
    decided = 0
    for seed in range(60):
        rng = random.Random(f"{delimiter}:{seed}")
        names = [name for name in rng.sample(NAMES, rng.randint(3, len(NAMES))) if delimiter.strip() not in name]
        rows = [rng.sample(names, min(len(names), rng.choice([1, 1, 2, 3])))
                for _ in range(rng.choice([3, 8, 30, 100]))]
        if not any(len(row) > 1 for row in rows):
            continue  # nothing separates anything
        cells = [delimiter.join(row) for row in rows]
        try:
            reading = read_cells(tmp_path / "rows.csv", cells)
        except UserError as error:
            assert error.exit == 65 and f"task.label_delimiter='{delimiter.strip()}'" in error.fix, str(error)
            reading = read_cells(tmp_path / "rows.csv", cells, label_delimiter=delimiter.strip())
        else:
            decided += 1
        assert [list(example.labels) for example in reading.examples] == rows, cells
    assert decided >= 20


def test_the_delimiter_is_told_with_an_example(tmp_path):
    reading = read_cells(tmp_path / "rows.csv", ["News, World;Sports", "News, World", "Sports", "Arts"] * 5)
    assert {example.labels for example in reading.examples} == {("News, World", "Sports"), ("News, World",),
                                                                ("Sports",), ("Arts",)}
    (finding,) = [finding for finding in reading.findings if finding.code == "N213"]
    assert "'News, World;Sports' is 'News, World' and 'Sports'); ',' in a label is part of it" in finding.message


def test_a_comma_that_may_belong_to_a_name_is_asked_about(tmp_path):
    cells = ["News, World", "Sports", "Arts"] * 4
    with pytest.raises(UserError) as error:
        read_cells(tmp_path / "rows.csv", cells)
    assert "'News, World' may be separated by ',' or one label" in error.value.message and error.value.exit == 65
    assert "--set task.label_delimiter=',' or --set task.label_delimiter=none" in error.value.fix
    reading = read_cells(tmp_path / "rows.csv", cells, label_delimiter="none")
    assert reading.examples[0].labels == ("News, World",)


def test_the_training_file_decides_for_the_others(tiny_bert, tmp_path, headstart):
    cells = {"train": ["News, World;Sports", "News, World", "Sports", "Arts;Sports", "Arts"] * 6,
             "dev": ["News, World", "Arts", "Sports", "Arts"]}
    for name, labels in cells.items():
        (tmp_path / f"{name}.csv").write_text("text,labels\n" + "".join(
            f'{name} cat {number},"{cell}"\n' for number, cell in enumerate(labels)))
    code, _, stderr = headstart("finetune", tmp_path / "train.csv", "--dev", tmp_path / "dev.csv", "--model", tiny_bert,
                                "--to", tmp_path / "run", "--epochs", 1, "--set", "evaluation.resamples=20")
    assert code == 0, stderr
    assert 'label_delimiter = ";"' in (tmp_path / "run" / "settings.toml").read_text()
    code, _, _ = headstart("evaluate", tmp_path / "run", tmp_path / "dev.csv", "--to", tmp_path / "scores")
    assert code == 0 and '"News, World"' in (tmp_path / "scores" / "predictions.jsonl").read_text()


@pytest.mark.parametrize("variants", [("caf\u00e9", "cafe\u0301"), ("red", "re\u200bd"), ("1", "1.0"), ("Red", "red"),
                                      ("a  b", "a b"), ("\uff21", "A"), ("x\u00a0y", "x y")])
def test_labels_that_only_look_different_are_told(variants):
    splits = {"train": [(variants[0], "other"), (variants[1],)] * 5, "dev": [("other",)]}
    (finding,) = [finding for finding in label_lists.check(splits) if finding.code == "W204"]
    assert "differ only by case, space, invisible characters, Unicode form" in finding.message
    assert "\u200b" not in finding.message
