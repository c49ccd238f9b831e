"""SciTLDR abstracts summed up by a T5, as a user would teach it, and training's speed beside Seq2SeqTrainer.

    python benchmarks/summarization.py --data FOLDER --model T5 [--rate 1e-3] [--quality | --speed]

FOLDER/scitldr/{train,dev,test}.jsonl (source: sentences; target: one to four summaries). Quality: 2 epochs in updates of 8 rows, dev
greedy on 200 rows, then test with 4 beams, for the trained model and for the model as it came, and the paired differences to it and
to the first sentence. Speed: the same first rows, updates and weights for both; the peer is Seq2SeqTrainer in its default settings
(fp32, AdamW) with padding to the longest of a batch; source tokens per second of training alone, in turn.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

EPOCHS, BATCH, DEV, BEAMS, NEW, LONGEST = 2, 8, 200, 4, 60, 512
SHOWN = ("rouge1", "rouge2", "rougeL", "length_ratio", "novel_2")
ROUGE = ("rouge1", "rouge2", "rougeL")


def rows_of(path: Path, most: int | None = None) -> list[dict[str, Any]]:
    found = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    return [{"source": " ".join(one["source"]), "target": one["target"]} for one in found[:most]]


def written(rows: list[dict[str, Any]], place: Path) -> str:
    place.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return str(place)


def taught(train: str, dev: str, given: argparse.Namespace, to: Path, epochs: float) -> Any:
    import headstart
    from headstart.progress import Terminal

    return headstart.finetune(train, dev, task="summarization", model=given.model, to=str(to), epochs=epochs, batch_size=BATCH,
                              learning_rate=given.rate, seed=given.seed, voice=Terminal(),
                              **{"generation.new_tokens": NEW, "evaluation.samples": 0})


def quality(given: argparse.Namespace, place: Path) -> None:
    import headstart
    from headstart.metrics.rouge import rouge
    from headstart.prediction.predict import predict

    begun, folder = time.perf_counter(), Path(given.data) / "scitldr"
    files = {name: written(rows_of(folder / f"{name}.jsonl", most), place / f"{name}.jsonl")
             for name, most in (("train", given.rows), ("dev", DEV), ("test", given.rows))}
    run = taught(files["train"], files["dev"], given, place / "run", EPOCHS)
    test = rows_of(Path(files["test"]))
    texts = {"first sentence": [json.loads(line)["source"][0] for line in
                                (folder / "test.jsonl").read_text(encoding="utf-8").splitlines()[:len(test)]]}
    for name, model in (("as it came", headstart.load(given.model, "summarization")), ("trained", run.model)):
        model.set({"generation.beams": BEAMS, "generation.new_tokens": NEW})
        examples = [model.task.read(headstart.contract.Row(str(at), row)) for at, row in enumerate(test)]
        texts[name] = [str(one.values["prediction"]) for one in predict(model.task, model.loaded, examples, batch_tokens=8192, seed=0)]
    measured = {name: [rouge(text, row["target"], stem=True) for text, row in zip(held, test, strict=True)] for name, held in texts.items()}
    for name, held in measured.items():
        print(f"{name:<15}" + "  ".join(f"{score} {interval([one[score] for one in held])}" for score in ROUGE), flush=True)
    for other in ("first sentence", "as it came"):
        gaps = {score: [one[score] - two[score] for one, two in zip(measured["trained"], measured[other], strict=True)] for score in ROUGE}
        print(f"trained minus {other}: " + "  ".join(f"{score} {interval(held, sign='+')}" for score, held in gaps.items()), flush=True)
    print(f"whole: {(time.perf_counter() - begun) / 60:.1f} minutes", flush=True)


def interval(values: list[float], sign: str = "") -> str:
    """The mean with the percentile interval of 2,000 resamples of the rows."""
    import numpy as np

    held = np.asarray(values)
    draws = held[np.random.default_rng(0).integers(0, len(held), (2000, len(held)))].mean(axis=1)
    low, high = np.quantile(draws, [0.025, 0.975])
    return f"{held.mean():{sign}.2f} ({low:{sign}.2f} to {high:{sign}.2f})"


def source_tokens(rows: list[dict[str, Any]], model: str) -> int:
    from transformers import AutoTokenizer

    return sum(len(ids) for ids in AutoTokenizer.from_pretrained(model)([row["source"] for row in rows], truncation=True,
                                                                        max_length=LONGEST)["input_ids"])


def ours(given: argparse.Namespace, place: Path) -> dict[str, float]:
    folder = Path(given.data) / "scitldr"
    rows = rows_of(folder / "train.jsonl", given.speed_rows)
    taught(written(rows, place / "train.jsonl"), written(rows_of(folder / "dev.jsonl", 8), place / "dev.jsonl"), given,
           place / "run", 1)
    held = [json.loads(line) for line in (place / "run" / "log.jsonl").read_text(encoding="utf-8").splitlines()]
    updates = [one for one in held if one["event"] == "update"]
    return {"seconds": updates[-1]["seconds"], "loss": updates[-1]["loss"], "updates": updates[-1]["update"]}


def theirs(given: argparse.Namespace, place: Path) -> dict[str, float]:
    from transformers import (
        AutoModelForSeq2SeqLM,
        AutoTokenizer,
        DataCollatorForSeq2Seq,
        Seq2SeqTrainer,
        Seq2SeqTrainingArguments,
    )

    tokenizer = AutoTokenizer.from_pretrained(given.model)
    model = AutoModelForSeq2SeqLM.from_pretrained(given.model, dtype="float32")
    rows = []
    for row in rows_of(Path(given.data) / "scitldr" / "train.jsonl", given.speed_rows):
        made = tokenizer(row["source"], truncation=True, max_length=LONGEST)
        rows.append({**made, "labels": tokenizer(text_target=row["target"][0], truncation=True, max_length=LONGEST)["input_ids"]})
    arguments = Seq2SeqTrainingArguments(str(place / "peer"), per_device_train_batch_size=BATCH, learning_rate=given.rate, use_cpu=True,
                                         num_train_epochs=1, report_to=[], save_strategy="no", logging_steps=10, disable_tqdm=True, seed=0)
    held = Seq2SeqTrainer(model, arguments, train_dataset=rows, data_collator=DataCollatorForSeq2Seq(tokenizer, model=model))
    begun = time.perf_counter()
    done = held.train()
    return {"seconds": time.perf_counter() - begun, "loss": done.training_loss, "updates": done.global_step}


def speed(given: argparse.Namespace) -> None:
    tokens = source_tokens(rows_of(Path(given.data) / "scitldr" / "train.jsonl", given.speed_rows), given.model)
    found: dict[str, list[float]] = {"headstart": [], "trainer": []}
    for _ in range(given.times):
        for way, held in found.items():
            done = subprocess.run([sys.executable, __file__, "--one", way, *sys.argv[1:]], stdout=subprocess.PIPE, text=True, check=True)
            one = json.loads(done.stdout.splitlines()[-1])
            held.append(tokens / one["seconds"])
            print(f"{way:<10} {held[-1]:7.0f} source tokens/s   {one['updates']:.0f} updates, loss {one['loss']:.3f}", flush=True)
    ratios = [one / two for one, two in zip(found["headstart"], found["trainer"], strict=True)]
    print(f"headstart is {sorted(ratios)[len(ratios) // 2]:.2f} times as fast (each time: {', '.join(f'{one:.2f}' for one in ratios)})")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", required=True)
    parser.add_argument("--model", required=True, help="a folder with t5-small, or another encoder-decoder")
    parser.add_argument("--rate", type=float, default=5e-4)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--rows", type=int, help="most rows of train and of test")
    parser.add_argument("--speed-rows", type=int, default=480, help="training rows that speed is measured on")
    parser.add_argument("--times", type=int, default=2, help="how often each way's speed is measured")
    parser.add_argument("--quality", action="store_true", help="only this")
    parser.add_argument("--speed", action="store_true", help="only this")
    parser.add_argument("--one", choices=("headstart", "trainer"), help=argparse.SUPPRESS)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as place:
        if given.one:
            print(json.dumps((ours if given.one == "headstart" else theirs)(given, Path(place))))
            return
        if not given.speed:
            quality(given, Path(place))
    if not given.quality:
        speed(given)


if __name__ == "__main__":
    main()
