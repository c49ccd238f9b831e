"""How time and memory grow with rows and with the length of texts: python benchmarks/scaling.py [--largest 160000]

Rows: `headstart check`, `finetune` (one epoch, with baselines and intervals as by default) and `predict` of 1x, 4x, 16x
the rows, with a model of two small layers, so that what is measured is headstart and not the network. Tokens: training
and prediction of a small ModernBERT with texts of 32 to 8,192 tokens, 8,192 tokens at a time.
"""

import argparse
import json
import random
import resource
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from turns import machine, run_command, write

ROOT = Path(__file__).parent.parent
LENGTHS = (32, 128, 512, 2048, 8192)
TOKENS_AT_ONCE = 8192


def tiny_model(family: str, folder: Path, **changes: int) -> Path:
    sys.path.insert(0, str(ROOT / "tests"))
    import tiny

    return Path(tiny.model_folder(family, folder, **changes))


def write_rows(path: Path, count: int) -> None:
    """Texts of 8 to 24 drawn words; the label follows from two of them."""
    drawn = random.Random(0)
    words = ["".join(drawn.choices("abcdefghijklmnopqrstuvwxyz", k=drawn.randint(3, 9))) for _ in range(5_000)]
    with path.open("w", encoding="utf-8") as file:
        file.write("text,label\n")
        for _ in range(count):
            label = drawn.choice(("north", "south"))
            hint = "compass" if label == "north" else "lantern"
            file.write(f"{' '.join([*drawn.choices(words, k=drawn.randint(7, 23)), hint])},{label}\n")


def measure_rows(folder: Path, counts: list[int]) -> list[list[str]]:
    model, rows = tiny_model("bert", folder / "model"), []
    headstart = [sys.executable, "-m", "headstart"]
    for count in counts:
        path, run = folder / f"{count}.csv", folder / f"run-{count}"
        write_rows(path, count)
        commands = {
            "check": [*headstart, "check", str(path), "--model", str(model)],
            "finetune": [*headstart, "finetune", str(path), "--model", str(model), "--to", str(run), "--epochs", "1",
                         "--quiet"],
            "predict": [*headstart, "predict", str(run), str(path), "--to", str(folder / f"out-{count}.csv")]}
        for name, command in commands.items():
            used = run_command(command)[1]
            rows.append([name, f"{count:,}", f"{used['seconds']:.1f}", f"{used['cpu_seconds']:.1f}",
                         f"{used['cpu_seconds'] / count * 1e6:.0f}", f"{used['memory_mb']:,.0f}"])
            print("  ".join(rows[-1]), flush=True)
        seconds: dict[str, Any] = json.loads((run / "scores.json").read_text())
        print("  of it:", seconds["seconds"], {name: baseline["seconds"] for name, baseline in
                                               seconds["baselines"].items()}, flush=True)
    return rows


def measure_length(length: int) -> dict[str, float]:
    """Tokens a second of training and of prediction with texts of this length, in this process."""
    import torch

    from headstart.contract import Feature, HeadSpec, Target
    from headstart.data.features.batches import collate
    from headstart.models.loading.load import load
    from headstart.settings import Training
    from headstart.training.loop import train_step
    from headstart.training.losses import build_loss
    from headstart.training.objectives.objective import total_weight
    from headstart.training.state import TrainingState

    with tempfile.TemporaryDirectory() as path:
        folder = tiny_model("modernbert", Path(path), max_position_embeddings=8192, hidden_size=256,
                            intermediate_size=512, num_hidden_layers=4)
        spec = HeadSpec("sequence-classification", 2, ("no", "yes"))
        model = load(str(folder), spec, seed=0)
    count = TOKENS_AT_ONCE // length
    features = [Feature([7] * length, targets={"label": Target(index % 2)}) for index in range(count)]
    batch = collate(features, model.layout(packed=model.can_pack))
    settings = Training(learning_rate=1e-4)
    state = TrainingState.initial(model, settings, precision="fp32", device="cpu")
    objective = build_loss(spec.loss, settings, (1, 1))
    measured = {}
    for name in ("train", "predict"):
        seconds = []
        for _ in range(3):
            start = time.perf_counter()
            if name == "train":
                train_step(state, [batch], objective, total_weight, settings, total_steps=9, seed=0, precision="fp32",
                           device="cpu")
            else:
                model.module.eval()
                with torch.inference_mode():
                    model.forward(batch)
            seconds.append(time.perf_counter() - start)
        measured[name] = TOKENS_AT_ONCE / min(seconds)
    return measured | {"memory_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--largest", type=int, default=160_000)
    parser.add_argument("--length", type=int, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.length:
        print(json.dumps(measure_length(args.length)))
        return
    with tempfile.TemporaryDirectory() as folder:
        rows = measure_rows(Path(folder), [args.largest // 16, args.largest // 4, args.largest])
    lengths = []
    for length in LENGTHS:
        output, _ = run_command([sys.executable, __file__, "--length", str(length)])
        measured = json.loads(output.strip().splitlines()[-1])
        lengths.append([f"{length:,}", f"{measured['train']:,.0f}", f"{measured['predict']:,.0f}",
                        f"{measured['memory_mb']:,.0f}"])
        print("  ".join(lengths[-1]), flush=True)
    about = {"machine": machine(), "command": f"python benchmarks/scaling.py --largest {args.largest}"}
    write("rows", {"title": "Rows", "columns": ["command", "rows", "seconds", "processor seconds",
                                                "microseconds a row", "MB"], "rows": rows, **about})
    write("lengths", {"title": "Length of texts", "columns": ["tokens of a text", "training tokens/s",
                                                              "predicted tokens/s", "MB"], "rows": lengths, **about})


if __name__ == "__main__":
    main()
