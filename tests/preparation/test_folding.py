"""When rows are scored in folds, in how many, and what is refused before anything is trained."""

import json

import pytest
from conftest import review_rows, write_csv
from listeners import Messages

from headstart.errors import Exit, UserError
from headstart.preparation import folding
from headstart.preparation.dataset import read_dataset
from headstart.progress import Reporter
from headstart.settings.run_settings import run_settings


@pytest.fixture(autouse=True)
def the_rule(monkeypatch):
    monkeypatch.setattr(folding, "FEW_ROWS", 200)


def read(path, words=None, *, dev=None, test=None, task=None, columns=None, **settings):
    values = {key.replace("__", "."): value for key, value in settings.items()}
    run_values = {"train": str(path), "dev": dev, "test": test, "task": task}
    reporter = Reporter(words) if words is not None else Reporter()
    return read_dataset(run_settings(run_values, columns or {}, values), reporter, None)


def refusal(path, **settings):
    with pytest.raises(UserError) as error:
        read(path, **settings)
    assert error.value.exit == Exit.SETTINGS and error.value.fix
    return f"{error.value.message} {error.value.fix}"


def test_few_rows_are_all_trained_on_and_scored_in_five_folds_and_that_is_said(tmp_path):
    words = Messages()
    dataset = read(write_csv(tmp_path / "few.csv", review_rows(99)), words)
    assert set(dataset.splits) == {"train"} and len(dataset.splits["train"]) == 99 and dataset.folds.count == 5
    assert any("99 rows are too few" in text and "--folds 0" in text for text in words.texts)
    assert dataset.json()["folds"] == {"count": 5, "of_row": (dataset.folds.of_row + 1).tolist()}


@pytest.mark.parametrize("settings", [{"evaluation__folds": 0}, {"evaluation__folds": 1}, {"data__split": "60/20/20"},
                                      {"data__dev_rows": 0.5}, {"training__patience": 2},
                                      {"evaluation__metric": "accuracy"}])
def test_what_asks_for_a_split_gets_one(settings, tmp_path):
    dataset = read(write_csv(tmp_path / "few.csv", review_rows(99)), **settings)
    assert dataset.folds is None and {"train", "dev"} <= set(dataset.splits)


def test_two_hundred_rows_or_a_dev_file_make_no_folds(tmp_path):
    few = write_csv(tmp_path / "few.csv", review_rows(60))
    assert read(write_csv(tmp_path / "many.csv", review_rows(200))).folds is None
    assert read(few, dev=str(write_csv(tmp_path / "dev.csv", review_rows(30, seed=1)))).folds is None


def test_a_test_file_is_kept_for_the_final_model(tmp_path):
    dataset = read(write_csv(tmp_path / "few.csv", review_rows(60)),
                   test=str(write_csv(tmp_path / "test.csv", review_rows(30, seed=1))))
    assert dataset.folds.count == 5 and set(dataset.splits) == {"train", "test"}


@pytest.mark.parametrize(("rare", "count"), [(9, 5), (4, 4), (3, 3), (2, 3)])
def test_a_rare_class_asks_for_fewer_folds_but_three(rare, count, tmp_path):
    rows = [*review_rows(60, labels=("good", "bad")), *review_rows(rare, seed=1, labels=("mixed",))]
    dataset = read(write_csv(tmp_path / "few.csv", rows))
    assert dataset.folds.count == count
    labels = [example.label for example in dataset.splits["train"]]
    for fold in range(count):  # whatever is predicted, its class was trained on
        assert {labels[place] for place in dataset.folds.train_places(fold)} == {"good", "bad", "mixed"}


def test_a_class_of_one_row_is_told_to_count_as_wrong(tmp_path):
    words = Messages()
    rows = [*review_rows(60, labels=("good", "bad")), ("apples and tea", "mixed")]
    assert read(write_csv(tmp_path / "few.csv", rows), words).folds.count == 5
    assert any("'mixed'" in text and "counts as wrong" in text for text in words.texts)


def test_rows_that_all_have_one_text_are_refused_in_those_words(tmp_path):
    rows = [("apples and tea", label) for label in ("good", "bad") * 10]
    with pytest.raises(UserError, match="all 20 rows have the same text") as error:
        read(write_csv(tmp_path / "same.csv", rows))
    assert error.value.exit == Exit.DATA


def test_equal_texts_and_questions_on_one_passage_stay_in_one_fold(tmp_path):
    rows = review_rows(30) + review_rows(30)
    folds = read(write_csv(tmp_path / "twice.csv", rows)).folds
    assert (folds.of_row[:30] == folds.of_row[30:]).all()
    questions = [(f"passage {index % 7} tells of roses", f"what {index}?", "roses") for index in range(42)]
    dataset = read(write_csv(tmp_path / "questions.csv", questions, ("passage", "question", "answer")))
    assert dataset.task.name == "question-answering" and dataset.folds.count == 5
    for number in range(7):
        assert len({fold for index, fold in enumerate(dataset.folds.of_row) if index % 7 == number}) == 1


def test_rows_linked_through_others_stay_together(tmp_path):
    """Two questions are one text, each on passages with further questions: all of them are one group."""
    rows = [("first passage of roses", "what grows?", "roses"), ("first passage of roses", "what else?", "roses"),
            ("second passage of roses", "what grows?", "roses")]
    rows += [(f"passage {index} of roses", f"what {index}?", "roses") for index in range(20)]
    folds = read(write_csv(tmp_path / "questions.csv", rows, ("passage", "question", "answer"))).folds
    assert folds.of_row[0] == folds.of_row[1] and folds.class_sizes == {}


def test_more_folds_than_a_class_groups_or_rows_have_are_refused_with_the_way_out(tmp_path):
    rows = [*review_rows(60, labels=("good", "bad")), *review_rows(3, seed=1, labels=("mixed",))]
    few = write_csv(tmp_path / "few.csv", rows)
    assert "'mixed' has 3 rows" in refusal(few, evaluation__folds=5) and "--folds 3" in refusal(few,
                                                                                               evaluation__folds=5)
    assert read(few, evaluation__folds=3).folds.count == 3
    alone = write_csv(tmp_path / "alone.csv", [*rows, ("tea", "odd")])
    assert "'odd' has 1 row" in refusal(alone, evaluation__folds=2)
    numbers = write_csv(tmp_path / "numbers.csv", [(f"text {index}", index / 7) for index in range(20)],
                        ("text", "target"))
    assert "there are 20 rows" in refusal(numbers, evaluation__folds=21)
    questions = [(f"passage {index % 3} of roses", f"what {index}?", "roses") for index in range(30)]
    path = write_csv(tmp_path / "questions.csv", questions, ("passage", "question", "answer"))
    assert "in 3 groups" in refusal(path, evaluation__folds=4)


def test_folds_beside_dev_rows_or_of_running_text_are_refused(tmp_path):
    few, dev = write_csv(tmp_path / "few.csv", review_rows(60)), write_csv(tmp_path / "dev.csv", review_rows(30))
    assert "headstart finetune TRAIN DEV" in refusal(few, dev=str(dev), evaluation__folds=5)
    assert "test_rows" in refusal(few, evaluation__folds=5, data__test_rows=0.5)
    text = tmp_path / "book.txt"
    text.write_text("The tea was cold. " * 300)
    for name in ("language-model", "masked-language-model"):
        assert "folds" in refusal(text, task=name, evaluation__folds=5)
        assert read(text, task=name).folds is None
    pairs = write_csv(tmp_path / "pairs.csv", [(f"who {index}?", f"passage {index}") for index in range(40)],
                      ("question", "passage"))
    assert "ranked among" in refusal(pairs, task="retrieval", evaluation__folds=5)
    assert read(pairs, task="retrieval").folds is None


def test_folds_can_be_asked_for_any_number_of_rows(tmp_path):
    dataset = read(write_csv(tmp_path / "many.csv", review_rows(450)), evaluation__folds=10)
    assert dataset.folds.count == 10 and sorted(map(len, map(dataset.folds.held_out_places, range(10)))) == [45] * 10
    assert json.dumps(dataset.json())
