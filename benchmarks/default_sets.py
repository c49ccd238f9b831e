"""Small sets of every kind of task, cut the same way for everyone: at most 1,200 training rows and 800 test rows.

    FOLDER/banking77/train.csv, test.csv                    text, category
    FOLDER/hatespeech_davidson/labeled_data.csv             tweet, class
    FOLDER/trec/train_5500.label, TREC_10.label             CLASS:finer question
    FOLDER/sst2/sentiment-train, -dev, -test                grade 0 to 4 and sentence; grade 2 is left out
    FOLDER/cola/train.tsv, val.tsv, dev.tsv                 GLUE's columns
    FOLDER/rte/train.tsv, val.tsv, dev.tsv                  GLUE's columns
    FOLDER/stsb/sts-train.csv, sts-test.csv                 the seven columns of the STS benchmark
    FOLDER/wnut17/wnut17train.conll, emerging.dev.conll, emerging.test.annotated
    FOLDER/squad2_dev/squad.json                            35 articles: 25 to train, 5 dev, 5 test

A set whose files are in none of the folders is left out.
"""

import csv
import json
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tagging import read_conll

Row = dict[str, Any]
Pools = tuple[list[Row], list[Row]]  # rows to train and choose on, rows to test on
TEST_ROWS = 800


@dataclass(frozen=True)
class Splits:
    """The rows of one set."""

    train: list[Row]
    dev: list[Row]
    test: list[Row]


@dataclass(frozen=True)
class Set:
    """One set: what kind it is, how it is scored, how its rows are read, and how many passes its peers make."""

    name: str
    task: str
    score: str
    folder: str
    pools: Callable[[Path], Pools]
    train_rows: int
    dev_rows: int
    epochs: int  # of the peers

    def path(self, folders: Sequence[Path]) -> Path | None:
        """The first folder that holds it."""
        return first_folder(folders, self.folder)

    def splits(self, folder: Path, draw: int = 0) -> Splits:
        """Its rows; draws above 0 test on rows that draw 0 never shows, for trying settings out."""
        pool, test = self.pools(folder)
        if self.task != "question-answering":
            random.Random(0).shuffle(pool)
        size = self.train_rows + self.dev_rows
        if draw:
            rest = pool[size:]
            random.Random(draw).shuffle(rest)
            has_other_train = len(rest) >= size + self.dev_rows
            pool, test = (rest[:size], rest[size:]) if has_other_train else (pool[:size], rest)
        return Splits(pool[:self.train_rows], pool[self.train_rows:size], test[:TEST_ROWS])


def first_folder(folders: Sequence[Path], name: str) -> Path | None:
    """The first of the folders' folders of this name."""
    return next((folder / name for folder in folders if (folder / name).is_dir()), None)


def csv_rows(path: Path, text: str, label: str) -> list[Row]:
    with path.open(encoding="utf-8", newline="") as file:
        return [{"text": row[text], "label": row[label]} for row in csv.DictReader(file)]


def tab_rows(*paths: Path) -> list[list[str]]:
    return [line.rstrip("\n").split("\t") for path in paths for line in path.open(encoding="utf-8")]


def banking77(folder: Path) -> Pools:
    train, test = (csv_rows(folder / f"{name}.csv", "text", "category") for name in ("train", "test"))
    random.Random(0).shuffle(test)  # its file is sorted by label
    return train, test


def hatespeech(folder: Path) -> Pools:
    rows = csv_rows(folder / "labeled_data.csv", "tweet", "class")
    random.Random(1).shuffle(rows)
    return rows[TEST_ROWS:], rows[:TEST_ROWS]


def trec(folder: Path) -> Pools:
    def read(name: str) -> list[Row]:
        lines = (folder / name).read_text(encoding="utf-8").splitlines()
        return [{"text": line.split(" ", 1)[1], "label": line.split(":", 1)[0]} for line in lines]

    return read("train_5500.label"), read("TREC_10.label")


def sst2(folder: Path) -> Pools:
    def read(name: str) -> list[Row]:
        lines = (folder / f"sentiment-{name}").read_text(encoding="utf-8").splitlines()
        return [{"text": line[2:], "label": "positive" if line[0] > "2" else "negative"} for line in lines
                if line[0] != "2"]

    return read("train") + read("dev"), read("test")


def cola(folder: Path) -> Pools:
    def read(*names: str) -> list[Row]:
        return [{"text": cells[3], "label": {"0": "unacceptable", "1": "acceptable"}[cells[1]]}
                for cells in tab_rows(*(folder / f"{name}.tsv" for name in names))]

    return read("train", "val"), read("dev")


def rte(folder: Path) -> Pools:
    def read(name: str) -> list[Row]:
        return [{"text": cells[1], "pair": cells[2], "label": cells[3]} for cells in tab_rows(folder / f"{name}.tsv")
                if cells[3] != "label"]

    return read("train"), read("dev") + read("val")


def stsb(folder: Path) -> Pools:
    def read(name: str) -> list[Row]:
        return [{"text": cells[5], "pair": cells[6], "target": float(cells[4])}
                for cells in tab_rows(folder / f"sts-{name}.csv")]

    test = read("test")
    random.Random(0).shuffle(test)  # its file is sorted by source
    return read("train"), test


def wnut17(folder: Path) -> Pools:
    def read(name: str) -> list[Row]:
        return [{"tokens": words, "tags": tags} for words, tags in read_conll(folder / name)]

    return read("wnut17train.conll"), read("emerging.test.annotated")


def squad(folder: Path) -> Pools:
    articles = json.loads((folder / "squad.json").read_text(encoding="utf-8"))["data"]

    def rows(start: int, end: int, every: int) -> list[Row]:
        questions = [{"id": question["id"], "passage": passage["context"], "question": question["question"],
                      "answers": question["answers"]}
                     for article in articles[start:end] for passage in article["paragraphs"]
                     for question in passage["qas"]]
        return questions[::every]

    train, dev = rows(0, 25, 8), rows(25, 30, 8)
    return [*train[:320], *dev[:60], *train[320:]], rows(30, 35, 4)[:320]


SETS = (
    Set("trec", "text-classification", "accuracy", "trec", trec, 600, 150, 5),
    Set("cola", "text-classification", "matthews", "cola", cola, 1200, 200, 5),
    Set("sst2", "text-classification", "accuracy", "sst2", sst2, 600, 150, 5),
    Set("stsb", "regression", "spearman", "stsb", stsb, 600, 150, 5),
    Set("hatespeech", "text-classification", "macro_f1", "hatespeech_davidson", hatespeech, 600, 150, 5),
    Set("wnut17", "token-tagging", "f1", "wnut17", wnut17, 600, 150, 5),
    Set("rte", "text-classification", "accuracy", "rte", rte, 500, 120, 4),
    Set("banking77", "text-classification", "accuracy", "banking77", banking77, 1000, 150, 6),
    Set("squad2", "question-answering", "f1", "squad2_dev", squad, 320, 60, 2),
)


def write(task: str, rows: list[Row], path: Path) -> Path:
    """The rows as a file that headstart reads; gives its path."""
    if task != "question-answering":
        path = path.with_suffix(".jsonl")
        path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
        return path
    path = path.with_suffix(".json")
    paragraphs = [{"context": row["passage"],
                   "qas": [{"id": row["id"], "question": row["question"], "answers": row["answers"],
                            "is_impossible": not row["answers"]}]} for row in rows]
    path.write_text(json.dumps({"version": "v2.0", "data": [{"title": "part", "paragraphs": paragraphs}]}),
                    encoding="utf-8")
    return path
