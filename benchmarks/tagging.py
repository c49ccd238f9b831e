"""WNUT17 entity F1 beside the token-classification recipe of transformers: same weights, epochs and seeds.

    python benchmarks/tagging.py --data FOLDER --model DISTILBERT [--seeds 0 1 2]

FOLDER/wnut17 holds wnut17train.conll, emerging.dev.conll, emerging.test.annotated. The recipe: Trainer, fp32, batch 32,
5e-5, padding to the longest of a batch, first piece of a word labelled.
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

EPOCHS, BATCH_SIZE, RATE = 3, 32, 5e-5
FILES = ("wnut17train.conll", "emerging.dev.conll", "emerging.test.annotated")
Sentence = tuple[list[str], list[str]]


def read_conll(path: Path) -> list[Sentence]:
    sentences: list[Sentence] = [([], [])]
    for line in path.read_text(encoding="utf-8").splitlines():
        if line.strip():
            word, tag = line.split("\t")
            sentences[-1][0].append(word.strip())
            sentences[-1][1].append(tag.strip())
        elif sentences[-1][0]:
            sentences.append(([], []))
    return [sentence for sentence in sentences if sentence[0]]


def run_headstart(data_folder: Path, model: str, seed: int, folder: Path) -> tuple[list[list[str]], float]:
    start = time.perf_counter()
    run = headstart.finetune(*(data_folder / name for name in FILES), model=model, seed=seed,
                             to=folder / f"headstart{seed}",
                             epochs=EPOCHS, batch_size=BATCH_SIZE, learning_rate=RATE,
                             evaluation={"baselines": False, "resamples": 0})
    seconds = time.perf_counter() - start
    predictions = run.model.predict([{"tokens": words}
                                     for words, _ in read_conll(data_folder / "emerging.test.annotated")])
    return [row["prediction"] for row in predictions], seconds


def run_trainer(data_folder: Path, model: str, seed: int, folder: Path) -> tuple[list[list[str]], float]:
    from transformers import (
        AutoModelForTokenClassification,
        AutoTokenizer,
        DataCollatorForTokenClassification,
        Trainer,
        TrainingArguments,
        set_seed,
    )

    start = time.perf_counter()
    set_seed(seed)
    train, dev, test = (read_conll(data_folder / name) for name in FILES)
    labels = sorted({tag for _, tags in train for tag in tags})
    tokenizer = AutoTokenizer.from_pretrained(model)

    def encode(sentences: list[Sentence]) -> list[dict[str, Any]]:
        features = []
        for words, tags in sentences:
            encoded = tokenizer(words, is_split_into_words=True, truncation=True)
            previous, label_ids = None, []
            for word in encoded.word_ids():
                label_ids.append(-100 if word is None or word == previous or tags[word] not in labels
                                 else labels.index(tags[word]))
                previous = word
            features.append({"input_ids": encoded["input_ids"], "attention_mask": encoded["attention_mask"],
                             "labels": label_ids})
        return features

    module = AutoModelForTokenClassification.from_pretrained(model, num_labels=len(labels))
    arguments = TrainingArguments(
        str(folder / f"trainer{seed}"), num_train_epochs=EPOCHS, per_device_train_batch_size=BATCH_SIZE,
        learning_rate=RATE, seed=seed,
        report_to=[], eval_strategy="epoch", save_strategy="no", logging_strategy="no", disable_tqdm=True, use_cpu=True)
    trainer = Trainer(module, arguments, train_dataset=encode(train), eval_dataset=encode(dev),
                      data_collator=DataCollatorForTokenClassification(tokenizer))
    trainer.train()
    output = trainer.predict(encode(test))
    seconds = time.perf_counter() - start
    predictions = []
    for row, (words, _) in enumerate(test):
        word_ids, tags, previous = tokenizer(words, is_split_into_words=True,
                                             truncation=True).word_ids(), ["O"] * len(words), None
        for position, word in enumerate(word_ids):
            if word is not None and word != previous:
                tags[word] = labels[int(output.predictions[row, position].argmax())]
            previous = word
        predictions.append(tags)
    return predictions, seconds


def measure(gold: list[list[str]], predictions: list[list[str]]) -> dict[str, np.ndarray]:
    types = sorted({entity.type for tags in gold for entity in entities(tags)})
    rows = []
    for tags in zip(gold, predictions, strict=True):
        gold_spans, predicted_spans = ([(entity.begin, entity.end, entity.type) for entity in entities(sentence_tags)]
                                       for sentence_tags in tags)
        rows.append(spans.span_counts(gold_spans, predicted_spans, types))
    return {name: np.asarray([row[name] for row in rows]) for name in rows[0]}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--model", required=True)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--save-predictions", type=Path, help="write each seed's predictions to this folder")
    args = parser.parse_args()
    folder = args.data / "wnut17"
    gold = [tags for _, tags in read_conll(folder / "emerging.test.annotated")]
    differences, ratios = [], []
    with tempfile.TemporaryDirectory() as temporary:
        for seed in args.seeds:
            predictions, seconds = run_headstart(folder, args.model, seed, Path(temporary))
            peer_predictions, peer_seconds = run_trainer(folder, args.model, seed, Path(temporary))
            if args.save_predictions:
                args.save_predictions.mkdir(parents=True, exist_ok=True)
                content = json.dumps({"headstart": predictions, "trainer": peer_predictions,
                                      "seconds": [seconds, peer_seconds]})
                (args.save_predictions / f"seed{seed}.json").write_text(content, encoding="utf-8")
            measured = [measure(gold, predictions), measure(gold, peer_predictions)]
            f1, peer_f1 = (float(spans.scores(measures, np.ones((1, len(gold))))["f1"][0]) for measures in measured)
            scorers = [lambda weights, measures=measures: {"f1": spans.scores(measures, weights)["f1"]}
                       for measures in measured]
            difference = intervals.paired_bootstrap(*scorers, len(gold), 1000, seed, None)["f1"]
            print(f"seed {seed}: headstart F1 {f1:.4f} in {seconds:.0f} s, Trainer {peer_f1:.4f} in {peer_seconds:.0f} "
                  "s; "
                  f"difference {difference.value:+.4f} ({difference.low:+.4f} to {difference.high:+.4f})", flush=True)
            differences.append(f1 - peer_f1)
            ratios.append(seconds / peer_seconds)
    print(f"mean difference {statistics.mean(differences):+.4f}; "
          f"headstart takes {statistics.mean(ratios):.2f} of the time (train, dev and test)")


if __name__ == "__main__":
    main()
