"""SciTLDR abstracts summed up by a T5, as a user would fine-tune it, and training's speed beside Seq2SeqTrainer.

    python benchmarks/summarization.py --data FOLDER --model T5 [--rate 1e-3] [--quality | --speed]

FOLDER/scitldr/{train,dev,test}.jsonl (source: sentences; target: one to four summaries). Quality: 2 epochs in steps of
8 rows, dev greedy on 200 rows, then test with 4 beams, for the trained model and for the model as it came, and the
paired differences to it and
to the first sentence. Speed: the same first rows, steps and weights for both; the peer is Seq2SeqTrainer in its default
settings (fp32, AdamW) with padding to the longest of a batch; source tokens per second of training alone, in turn.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

EPOCHS, BATCH_SIZE, DEV_ROWS, BEAMS, MAX_NEW_TOKENS, MAX_LENGTH = 2, 8, 200, 4, 60, 512
ROUGE = ("rouge1", "rouge2", "rougeL")


def read_rows(path: Path, limit: int | None = None) -> list[dict[str, Any]]:
    records = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    return [{"source": " ".join(record["source"]), "target": record["target"]} for record in records[:limit]]


def write_rows(rows: list[dict[str, Any]], path: Path) -> str:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return str(path)


def finetune(train: str, dev: str, args: argparse.Namespace, to: Path, epochs: float) -> Any:
    import headstart
    from headstart.progress import console_reporter

    return headstart.finetune(train, dev, task="summarization", model=args.model, to=str(to), epochs=epochs,
                              batch_size=BATCH_SIZE,
                              learning_rate=args.rate, seed=args.seed, reporter=console_reporter(),
                              **{"generation.max_new_tokens": MAX_NEW_TOKENS})


def quality(args: argparse.Namespace, folder: Path) -> None:
    import headstart
    from headstart.metrics.rouge import rouge

    start, data_folder = time.perf_counter(), Path(args.data) / "scitldr"
    files = {name: write_rows(read_rows(data_folder / f"{name}.jsonl", limit), folder / f"{name}.jsonl")
             for name, limit in (("train", args.rows), ("dev", DEV_ROWS), ("test", args.rows))}
    run = finetune(files["train"], files["dev"], args, folder / "run", EPOCHS)
    test = read_rows(Path(files["test"]))
    texts = {"first sentence": [json.loads(line)["source"][0] for line in
                                (data_folder / "test.jsonl").read_text(encoding="utf-8").splitlines()[:len(test)]]}
    for name, model in (("as it came", headstart.load(args.model, "summarization")), ("trained", run.model)):
        model.set({"generation.num_beams": BEAMS, "generation.max_new_tokens": MAX_NEW_TOKENS})
        examples = [model.task.read(headstart.contract.Row(str(index), row)) for index, row in enumerate(test)]
        predictions = model.predictor(batch_tokens=8192).predict(examples, seed=0)
        texts[name] = [str(prediction.values["prediction"]) for prediction in predictions]
    scores = {name: [rouge(text, row["target"], stem=True) for text, row in zip(summaries, test, strict=True)]
              for name, summaries in texts.items()}
    for name, rows in scores.items():
        print(f"{name:<15}" + "  ".join(f"{metric} {interval([row[metric] for row in rows])}" for metric in ROUGE),
              flush=True)
    for reference in ("first sentence", "as it came"):
        pairs = list(zip(scores["trained"], scores[reference], strict=True))
        differences = {metric: [trained[metric] - base[metric] for trained, base in pairs] for metric in ROUGE}
        print(f"trained minus {reference}: "
              + "  ".join(f"{metric} {interval(values, sign='+')}" for metric, values in differences.items()),
              flush=True)
    print(f"in all: {(time.perf_counter() - start) / 60:.1f} minutes", flush=True)


def interval(values: list[float], sign: str = "") -> str:
    """The mean with the percentile interval of 2,000 resamples of the rows."""
    import numpy as np

    array = np.asarray(values)
    means = array[np.random.default_rng(0).integers(0, len(array), (2000, len(array)))].mean(axis=1)
    low, high = np.quantile(means, [0.025, 0.975])
    return f"{array.mean():{sign}.2f} ({low:{sign}.2f} to {high:{sign}.2f})"


def source_tokens(rows: list[dict[str, Any]], model: str) -> int:
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(model)
    encoded = tokenizer([row["source"] for row in rows], truncation=True, max_length=MAX_LENGTH)
    return sum(map(len, encoded["input_ids"]))


def run_headstart(args: argparse.Namespace, folder: Path) -> dict[str, float]:
    data_folder = Path(args.data) / "scitldr"
    rows = read_rows(data_folder / "train.jsonl", args.speed_rows)
    dev = write_rows(read_rows(data_folder / "dev.jsonl", 8), folder / "dev.jsonl")
    finetune(write_rows(rows, folder / "train.jsonl"), dev, args, folder / "run", 1)
    events = [json.loads(line) for line in (folder / "run" / "log.jsonl").read_text(encoding="utf-8").splitlines()]
    steps = [event for event in events if event["event"] == "step"]
    return {"seconds": steps[-1]["seconds"], "loss": steps[-1]["loss"], "steps": steps[-1]["step"]}


def run_trainer(args: argparse.Namespace, folder: Path) -> dict[str, float]:
    from transformers import (
        AutoModelForSeq2SeqLM,
        AutoTokenizer,
        DataCollatorForSeq2Seq,
        Seq2SeqTrainer,
        Seq2SeqTrainingArguments,
    )

    tokenizer = AutoTokenizer.from_pretrained(args.model)
    model = AutoModelForSeq2SeqLM.from_pretrained(args.model, dtype="float32")
    rows = []
    for row in read_rows(Path(args.data) / "scitldr" / "train.jsonl", args.speed_rows):
        features = tokenizer(row["source"], truncation=True, max_length=MAX_LENGTH)
        rows.append({**features, "labels": tokenizer(text_target=row["target"][0], truncation=True,
                                                     max_length=MAX_LENGTH)["input_ids"]})
    arguments = Seq2SeqTrainingArguments(str(folder / "peer"), per_device_train_batch_size=BATCH_SIZE,
                                         learning_rate=args.rate,
                                         use_cpu=True, num_train_epochs=1, report_to=[], save_strategy="no",
                                         logging_steps=10, disable_tqdm=True, seed=0)
    trainer = Seq2SeqTrainer(model, arguments, train_dataset=rows,
                             data_collator=DataCollatorForSeq2Seq(tokenizer, model=model))
    start = time.perf_counter()
    outcome = trainer.train()
    return {"seconds": time.perf_counter() - start, "loss": outcome.training_loss, "steps": outcome.global_step}


def speed(args: argparse.Namespace) -> None:
    tokens = source_tokens(read_rows(Path(args.data) / "scitldr" / "train.jsonl", args.speed_rows), args.model)
    rates: dict[str, list[float]] = {"headstart": [], "trainer": []}
    for _ in range(args.times):
        for system, system_rates in rates.items():
            command = [sys.executable, __file__, "--system", system, *sys.argv[1:]]
            process = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
            measurement = json.loads(process.stdout.splitlines()[-1])
            system_rates.append(tokens / measurement["seconds"])
            print(f"{system:<10} {system_rates[-1]:7.0f} source tokens/s   {measurement['steps']:.0f} steps, "
                  f"loss {measurement['loss']:.3f}", flush=True)
    ratios = [rate / peer_rate for rate, peer_rate in zip(rates["headstart"], rates["trainer"], strict=True)]
    print(f"headstart is {sorted(ratios)[len(ratios) // 2]:.2f} times as fast (each time: "
          f"{', '.join(f'{ratio:.2f}' for ratio in ratios)})")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", required=True)
    parser.add_argument("--model", required=True, help="a folder with t5-small, or another encoder-decoder")
    parser.add_argument("--rate", type=float, default=5e-4)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--rows", type=int, help="most rows of train and of test")
    parser.add_argument("--speed-rows", type=int, default=480, help="training rows that speed is measured on")
    parser.add_argument("--times", type=int, default=2, help="how often each system's speed is measured")
    parser.add_argument("--quality", action="store_true", help="only this")
    parser.add_argument("--speed", action="store_true", help="only this")
    parser.add_argument("--system", choices=("headstart", "trainer"), help=argparse.SUPPRESS)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        if args.system:
            print(json.dumps((run_headstart if args.system == "headstart" else run_trainer)(args, Path(folder))))
            return
        if not args.speed:
            quality(args, Path(folder))
    if not args.quality:
        speed(args)


if __name__ == "__main__":
    main()
