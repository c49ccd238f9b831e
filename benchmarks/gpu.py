"""Everything that needs a GPU, in one run of at most eight minutes: python benchmarks/gpu.py

First the tests marked `gpu` (attention and packed rows as on a processor, bf16, fp16 with a scaled loss, a resumed run
bit for bit, too little memory). Then, for the shapes of four models with weights from a seed (nothing is fetched): real
tokens a second in training and the share of the card's own peak in bf16 (of the same process), headstart beside
Hugging Face's Trainer as an expert sets it, predictions beside the plain model in bf16, and writing beside generate.
`--device cpu --small` tries the script itself on a machine without a GPU. `--processes N` measures runs of one and of N
processes, a GPU each, instead: with whole and with sharded models.
"""

import argparse
import json
import math
import os
import random
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import processes
from gpu_systems import (
    BATCH,
    NEW_TOKENS,
    SHAPES,
    TOKENS,
    headstart_predict,
    headstart_train,
    headstart_write,
    model_folder,
    peak,
    peer_predict,
    peer_train,
    peer_write,
)
from turns import measure_in_turns, rate, record

ROOT = Path(__file__).parent.parent
SYSTEMS = ["headstart", "peer"]
SIZES = {"minilm": "a model of MiniLM's size", "distilbert": "one of DistilBERT's", "bert-base": "one of BERT base's",
         "smollm": "one of SmolLM's"}
PROMPTS = (1, 32)


def title(work: str) -> str:
    """What "minilm train" or "smollm write 32" measures, in words."""
    shape, verb, *texts = work.split()
    if verb == "write":
        return f"Writing {NEW_TOKENS} tokens after {texts[0]} prompts with {SIZES[shape]} on a GPU"
    return (f"{'Training' if verb == 'train' else 'Predicting with'} {SIZES[shape]} on a GPU, batches of "
            f"{BATCH[shape]} texts of up to {TOKENS[shape]} tokens")


def measure(args: argparse.Namespace) -> dict[str, dict[str, float]]:
    """One system on every shape, "minilm train": …; with the share of the peak (2 operations a weight and token, 6 in
    training).
    """
    import torch

    own = args.system == "headstart"
    functions = {"train": headstart_train if own else peer_train, "predict": headstart_predict if own else peer_predict}
    results, fastest = {}, peak(args.device)
    for shape in args.shapes:
        folder = Path(args.folder) / shape
        for work, function in functions.items():
            if args.device == "cuda":
                torch.cuda.reset_peak_memory_stats()
            steps = args.steps * (3 if shape == "minilm" else 1)
            measured = function(folder, shape, steps, args.device)
            operations = (6 if work == "train" else 2) * weights_of(folder) * measured["amount"]
            measured["peak_share"] = operations / measured["seconds"] / 1e9 / fastest
            if args.device == "cuda":
                measured["gpu_memory_mb"] = torch.cuda.max_memory_allocated() / 2**20
            results[f"{shape} {work}"] = measured
    if "smollm" in args.shapes:
        for texts in PROMPTS:
            write = headstart_write if own else peer_write
            results[f"smollm write {texts}"] = write(Path(args.folder) / "smollm", texts, args.device)
    return results


def weights_of(folder: Path) -> int:
    """Numbers of a model's weights without its embeddings."""
    from safetensors import safe_open

    with safe_open(str(folder / "model.safetensors"), "pt") as file:
        shapes = {name: file.get_slice(name).get_shape() for name in file.keys()}  # noqa: SIM118
    return sum(math.prod(shape) for name, shape in shapes.items() if "embed" not in name and "lm_head" not in name)


def in_processes(args: argparse.Namespace) -> None:
    """Tokens a second of a run of one process, of several, and of several with a sharded model."""
    with tempfile.TemporaryDirectory() as path:
        folder = model_folder("bert-base", Path(path) / "model", args.small)
        drawn = random.Random(0)
        words = [f"word{number}" for number in range(500)]
        texts = [" ".join(drawn.choices(words, k=drawn.randint(10, 20 if args.small else 200))) for _ in range(4000)]
        train = Path(path) / "texts.csv"
        train.write_text("text,label\n" + "".join(f"{text},{'ab'[text.count('1') % 2]}\n" for text in texts))
        threads = max(1, (os.cpu_count() or 1) // args.processes)
        single = 0.0
        for count, sharded in ((1, False), (args.processes, False), (args.processes, True)):
            flags = ["--device", args.device, "--set", f"training.sharded={str(sharded).lower()}"]
            measured = processes.measure(str(folder), train, count, threads, max(args.steps, 60),
                                         BATCH["bert-base"] * args.processes, flags)
            speed = measured["tokens_per_second"]
            single = single or speed
            name = f"{count} process{'' if count == 1 else 'es'}{', sharded' if sharded else ''}"
            print(f"{name}: {speed:,.0f} tokens/s, "
                  f"{speed / single / count:.0%} of {count} times one")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--steps", type=int, default=25)
    parser.add_argument("--times", type=int, default=3)
    parser.add_argument("--small", action="store_true", help="tiny models, to try the script")
    parser.add_argument("--processes", type=int, default=1, help="measure runs of so many GPUs beside one")
    parser.add_argument("--shapes", nargs="+", choices=SHAPES, default=list(SHAPES))
    parser.add_argument("--folder", help=argparse.SUPPRESS)
    parser.add_argument("--system", choices=SYSTEMS, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.system:
        print(json.dumps(measure(args)))
        return
    if args.processes > 1:
        in_processes(args)
        return
    environment = {**os.environ, "HEADSTART_GPU_TESTS_ON": args.device}
    tests = subprocess.run([sys.executable, "-m", "pytest", "-q", "-m", "gpu", "tests/gpu", "-W", "default"], cwd=ROOT,
                           env=environment)
    with tempfile.TemporaryDirectory() as folder:
        for shape in args.shapes:
            model_folder(shape, Path(folder) / shape, args.small)
        arguments = ["--folder", folder, "--device", args.device, "--steps", str(args.steps), "--shapes", *args.shapes]
        measured = measure_in_turns(__file__, SYSTEMS, arguments, args.times,
                                    lambda result: f"measured all in {result['seconds']:.0f} s")
    tell(measured, write=not args.small)
    raise SystemExit(tests.returncode)


def tell(measured: dict[str, list[dict[str, Any]]], *, write: bool) -> None:
    """Each work beside the peer, and as JSON for the performance page."""
    for work in measured["headstart"][0]:
        if work in {"seconds", "memory_mb", "cpu_seconds"}:
            continue
        turns = {system: [result[work] | {"memory_mb": result["memory_mb"]} for result in results]
                 for system, results in measured.items()}
        own, peer = turns["headstart"], turns["peer"]
        share = f", {own[0]['peak_share']:.0%} of the measured peak" if "peak_share" in own[0] else ""
        memory = (f", {own[0]['gpu_memory_mb']:,.0f} MB beside {peer[0]['gpu_memory_mb']:,.0f}"
                  if "gpu_memory_mb" in own[0] else "")
        print(f"{work}: {rate(own):,.0f} tokens/s, {rate(own) / rate(peer):.2f} times the peer{share}{memory}")
        if write:
            record(f"gpu-{work.replace(' ', '-')}", title(work), "tokens/s", turns)


if __name__ == "__main__":
    main()
