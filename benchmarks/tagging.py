"""WNUT17 entity F1 beside the token-classification recipe of transformers: same weights, epochs and seeds.

    python benchmarks/tagging.py --data FOLDER --model DISTILBERT [--seeds 0 1 2]

FOLDER/wnut17 holds wnut17train.conll, emerging.dev.conll, emerging.test.annotated. The recipe: Trainer, fp32, batch 32, 5e-5, padding to
the longest of a batch, first piece of a word labelled.
"""

import argparse
import json
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

import headstart
from headstart.metrics import intervals, spans
from headstart.text.tags import entities

EPOCHS, BATCH, RATE = 3, 32, 5e-5
FILES = ("wnut17train.conll", "emerging.dev.conll", "emerging.test.annotated")
Sentence = tuple[list[str], list[str]]


def read(path: Path) -> list[Sentence]:
    found: list[Sentence] = [([], [])]
    for line in path.read_text(encoding="utf-8").splitlines():
        if line.strip():
            word, tag = line.split("\t")
            found[-1][0].append(word.strip())
            found[-1][1].append(tag.strip())
        elif found[-1][0]:
            found.append(([], []))
    return [one for one in found if one[0]]


def ours(folder: Path, model: str, seed: int, place: Path) -> tuple[list[list[str]], float]:
    begun = time.perf_counter()
    run = headstart.finetune(*(folder / name for name in FILES), model=model, seed=seed, to=place / f"ours{seed}", epochs=EPOCHS,
                             batch_size=BATCH, learning_rate=RATE, evaluation={"baselines": False, "resamples": 0})
    seconds = time.perf_counter() - begun
    answers = run.model.predict([{"tokens": words} for words, _ in read(folder / "emerging.test.annotated")])
    return [row["prediction"] for row in answers], seconds


def theirs(folder: Path, model: str, seed: int, place: Path) -> tuple[list[list[str]], float]:
    from transformers import (
        AutoModelForTokenClassification,
        AutoTokenizer,
        DataCollatorForTokenClassification,
        Trainer,
        TrainingArguments,
        set_seed,
    )

    begun = time.perf_counter()
    set_seed(seed)
    train, dev, test = (read(folder / name) for name in FILES)
    labels = sorted({tag for _, tags in train for tag in tags})
    tokenizer = AutoTokenizer.from_pretrained(model)

    def encode(sentences: list[Sentence]) -> list[dict[str, Any]]:
        made = []
        for words, tags in sentences:
            held = tokenizer(words, is_split_into_words=True, truncation=True)
            before, targets = None, []
            for word in held.word_ids():
                targets.append(-100 if word is None or word == before or tags[word] not in labels else labels.index(tags[word]))
                before = word
            made.append({"input_ids": held["input_ids"], "attention_mask": held["attention_mask"], "labels": targets})
        return made

    module = AutoModelForTokenClassification.from_pretrained(model, num_labels=len(labels))
    arguments = TrainingArguments(
        str(place / f"theirs{seed}"), num_train_epochs=EPOCHS, per_device_train_batch_size=BATCH, learning_rate=RATE, seed=seed,
        report_to=[], eval_strategy="epoch", save_strategy="no", logging_strategy="no", disable_tqdm=True, use_cpu=True)
    trainer = Trainer(module, arguments, train_dataset=encode(train), eval_dataset=encode(dev),
                      data_collator=DataCollatorForTokenClassification(tokenizer))
    trainer.train()
    made = encode(test)
    output = trainer.predict(made)
    seconds = time.perf_counter() - begun
    found = []
    for row, (words, _) in enumerate(test):
        held, tags, before = tokenizer(words, is_split_into_words=True, truncation=True).word_ids(), ["O"] * len(words), None
        for place_, word in enumerate(held):
            if word is not None and word != before:
                tags[word] = labels[int(output.predictions[row, place_].argmax())]
            before = word
        found.append(tags)
    return found, seconds


def measured(gold: list[list[str]], answers: list[list[str]]) -> dict[str, np.ndarray]:
    types = sorted({one.type for tags in gold for one in entities(tags)})
    rows = []
    for tags in zip(gold, answers, strict=True):
        first, second = ([(one.begin, one.end, one.type) for one in entities(one_)] for one_ in tags)
        rows.append(spans.counts(first, second, types))
    return {name: np.asarray([row[name] for row in rows]) for name in rows[0]}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--model", required=True)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--keep", type=Path, help="write each seed's answers to this folder")
    given = parser.parse_args()
    folder = given.data / "wnut17"
    gold = [tags for _, tags in read(folder / "emerging.test.annotated")]
    gaps, ratios = [], []
    with tempfile.TemporaryDirectory() as place:
        for seed in given.seeds:
            (first, one), (second, two) = ours(folder, given.model, seed, Path(place)), theirs(folder, given.model, seed, Path(place))
            if given.keep:
                given.keep.mkdir(parents=True, exist_ok=True)
                kept = json.dumps({"ours": first, "theirs": second, "seconds": [one, two]})
                (given.keep / f"seed{seed}.json").write_text(kept, encoding="utf-8")
            held = [measured(gold, answers) for answers in (first, second)]
            whole = [float(spans.scores(one_, np.ones((1, len(gold))))["f1"][0]) for one_ in held]
            scorers = [lambda weights, one_=one_: {"f1": spans.scores(one_, weights)["f1"]} for one_ in held]
            gap = intervals.paired(*scorers, len(gold), 1000, seed, None)["f1"]
            print(f"seed {seed}: headstart F1 {whole[0]:.4f} in {one:.0f} s, Trainer {whole[1]:.4f} in {two:.0f} s; "
                  f"difference {gap.value:+.4f} ({gap.low:+.4f} to {gap.high:+.4f})", flush=True)
            gaps.append(whole[0] - whole[1])
            ratios.append(one / two)
    print(f"mean difference {statistics.mean(gaps):+.4f}; headstart takes {statistics.mean(ratios):.2f} of the time (train, dev and test)")


if __name__ == "__main__":
    main()
