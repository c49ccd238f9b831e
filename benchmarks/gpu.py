"""Everything that needs a GPU, in one run of at most eight minutes: python benchmarks/gpu.py

First the tests marked `gpu` (packed rows as padded ones, bf16, fp16 with a scaled loss, a resumed run bit for bit, too
little memory). Then, for the shapes of four models with weights from a seed (nothing is fetched): real tokens a second
in training and the share of the card's own peak in bf16 (measured in the same process), headstart beside Hugging Face's
Trainer as an expert sets it, and predictions beside the plain model in bf16. `--device cpu --small` tries the script
itself on a machine without a GPU. `--processes N` measures runs of one and of N processes, a GPU each, instead: with
whole and with sharded models.
"""

import argparse
import json
import math
import os
import random
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import processes
from turns import measure_in_turns, rate, record

ROOT = Path(__file__).parent.parent
TOKENS = {"minilm": 24, "distilbert": 128, "bert-base": 512, "smollm": 512}  # longest text of a batch
BATCH = {"minilm": 256, "distilbert": 64, "bert-base": 16, "smollm": 8}
SHAPES: dict[str, tuple[str, dict[str, int]]] = {
    "minilm": ("bert", {"hidden_size": 384, "num_hidden_layers": 6, "num_attention_heads": 12,
                        "intermediate_size": 1536, "max_position_embeddings": 512}),
    "distilbert": ("distilbert", {"dim": 768, "n_layers": 6, "n_heads": 12, "hidden_dim": 3072,
                                  "max_position_embeddings": 512}),
    "bert-base": ("bert", {"hidden_size": 768, "num_hidden_layers": 12, "num_attention_heads": 12,
                           "intermediate_size": 3072, "max_position_embeddings": 512}),
    "smollm": ("llama", {"hidden_size": 576, "num_hidden_layers": 30, "num_attention_heads": 9,
                         "num_key_value_heads": 3, "intermediate_size": 1536, "max_position_embeddings": 2048})}
SYSTEMS = ["headstart-train", "trainer-train", "headstart-predict", "plain-predict"]


def model_folder(shape: str, folder: Path, small: bool) -> Path:
    """A plain model folder with weights from a seed."""
    sys.path.insert(0, str(ROOT / "tests"))
    import tiny

    family, changes = SHAPES[shape]
    return Path(tiny.model_folder(family, folder, **({"max_position_embeddings": 512} if small else changes)))


def rows(tokenizer: Any, count: int, longest: int) -> list[list[int]]:
    """Token ids of texts whose lengths lie between half of the longest and the longest."""
    drawn = random.Random(0)
    ids = [token for token in range(len(tokenizer)) if token not in tokenizer.all_special_ids]
    return [[drawn.choice(ids) for _ in range(drawn.randint(longest // 2, longest))] for _ in range(count)]


def synchronise(device: str) -> None:
    import torch

    if device == "cuda":
        torch.cuda.synchronize()


def peak(device: str) -> float:
    """Billions of operations a second of a large bf16 product on this device."""
    import torch

    size = 8192 if device == "cuda" else 512
    left, right = (torch.randn(size, size, dtype=torch.bfloat16, device=device) for _ in range(2))
    best = float("inf")
    for _ in range(5):
        synchronise(device)
        start = time.perf_counter()
        for _ in range(4):
            left @ right
        synchronise(device)
        best = min(best, (time.perf_counter() - start) / 4)
    return 2 * size**3 / best / 1e9


def headstart(folder: Path, shape: str, steps: int, device: str, *, train: bool) -> dict[str, float]:
    from headstart.contract import Feature, HeadSpec, Target
    from headstart.data.features.batches import collate
    from headstart.models.loading.load import load
    from headstart.settings import Training
    from headstart.training.loop import train_step
    from headstart.training.losses import build_loss
    from headstart.training.objectives.objective import total_weight
    from headstart.training.precision import autocast
    from headstart.training.state import TrainingState

    import torch  # isort: skip

    model = load(str(folder), HeadSpec("sequence-classification", 2, ("no", "yes")), seed=0, device=device)
    texts = rows(model.tokenizer.hf_tokenizer, BATCH[shape] * steps, TOKENS[shape])
    features = [Feature(ids, targets={"label": Target(index % 2)}) for index, ids in enumerate(texts)]
    batches = [collate(features[start:start + BATCH[shape]], model.layout(packed=model.can_pack))
               for start in range(0, len(features), BATCH[shape])]
    settings = Training(learning_rate=1e-4, batch_size=BATCH[shape])
    state = TrainingState.initial(model, settings, precision="bf16", device=device)
    objective = build_loss(HeadSpec("sequence-classification", 2).loss, settings, (1, 1))
    warmup, tokens, start_time = max(1, steps // 5), 0, 0.0
    for number, batch in enumerate(batches):
        if number == warmup:
            synchronise(device)
            start_time = time.perf_counter()
        if train:
            step = train_step(state, [batch], objective, total_weight, settings, total_steps=steps, seed=0,
                              precision="bf16", device=device)
            assert math.isfinite(step.loss)
        else:
            model.module.eval()
            with torch.inference_mode(), autocast("bf16", device):
                model.forward(batch)["logits"].float().cpu()
        tokens += batch.tokens if number >= warmup else 0
    synchronise(device)
    return {"amount": tokens, "seconds": time.perf_counter() - start_time}


def plain(folder: Path, shape: str, steps: int, device: str, *, train: bool) -> dict[str, float]:
    """The Trainer with bf16, texts of like length together and fused AdamW; or the bare model on such batches."""
    import torch
    from transformers import AutoModelForSequenceClassification, AutoTokenizer, DataCollatorWithPadding

    tokenizer = AutoTokenizer.from_pretrained(folder)
    if tokenizer.pad_token_id is None:
        tokenizer.pad_token = tokenizer.eos_token or tokenizer.unk_token
    model = AutoModelForSequenceClassification.from_pretrained(folder, num_labels=2)
    model.config.pad_token_id = tokenizer.pad_token_id
    texts = rows(tokenizer, BATCH[shape] * steps, TOKENS[shape])
    clock: dict[str, float] = {"tokens": 0, "start": 0.0}
    warmup, collator = max(1, steps // 5), DataCollatorWithPadding(tokenizer)
    if not train:
        model = model.to(device, torch.bfloat16).eval()
        texts.sort(key=len)
        for number in range(steps):
            if number == warmup:
                synchronise(device)
                clock["start"] = time.perf_counter()
            part = texts[number * BATCH[shape]:(number + 1) * BATCH[shape]]
            batch = collator([{"input_ids": ids, "attention_mask": [1] * len(ids)} for ids in part])
            with torch.inference_mode():
                model(**{name: tensor.to(device) for name, tensor in batch.items()}).logits.float().cpu()
            clock["tokens"] += sum(map(len, part)) if number >= warmup else 0
        return {"amount": clock["tokens"], "seconds": time.perf_counter() - clock["start"]}
    return run_trainer(model, tokenizer, texts, collator, warmup, BATCH[shape], device, clock)


def run_trainer(model: Any, tokenizer: Any, texts: list[list[int]], collator: Any, warmup: int, batch_size: int,
                device: str, clock: dict[str, float]) -> dict[str, float]:
    from transformers import Trainer, TrainerCallback, TrainingArguments

    class Clock(TrainerCallback):
        def on_step_end(self, arguments: Any, state: Any, control: Any, **options: Any) -> None:
            if state.global_step == warmup:
                synchronise(device)
                clock["tokens"], clock["start"] = 0, time.perf_counter()

    def collate(features: list[dict[str, Any]]) -> Any:
        clock["tokens"] += sum(feature["length"] for feature in features)
        return collator([{key: value for key, value in feature.items() if key != "length"} for feature in features])

    dataset = [{"input_ids": ids, "attention_mask": [1] * len(ids), "labels": index % 2, "length": len(ids)}
               for index, ids in enumerate(texts)]
    with tempfile.TemporaryDirectory() as output:
        arguments = TrainingArguments(
            output, per_device_train_batch_size=batch_size, learning_rate=1e-4, use_cpu=device == "cpu", report_to=[],
            save_strategy="no", num_train_epochs=1, logging_steps=10_000, remove_unused_columns=False,
            disable_tqdm=True, bf16=True, train_sampling_strategy="group_by_length", length_column_name="length",
            optim="adamw_torch_fused")
        Trainer(model, arguments, train_dataset=dataset, data_collator=collate, callbacks=[Clock()]).train()
    synchronise(device)
    return {"amount": clock["tokens"], "seconds": time.perf_counter() - clock["start"]}


def measure(args: argparse.Namespace) -> dict[str, float]:
    """One system on one shape; with the share of the peak (2 operations a weight and token, 6 in training)."""
    import torch

    with tempfile.TemporaryDirectory() as path:
        folder = model_folder(args.shape, Path(path), args.small)
        system = headstart if args.system.startswith("headstart") else plain
        measured = system(folder, args.shape, args.steps, args.device, train=args.system.endswith("train"))
        from safetensors import safe_open

        with safe_open(str(folder / "model.safetensors"), "pt") as file:
            names = list(file.keys())
            weights = sum(file.get_tensor(name).numel() for name in names if "embed" not in name)
    operations = (6 if args.system.endswith("train") else 2) * weights * measured["amount"]
    measured["peak_share"] = operations / measured["seconds"] / 1e9 / peak(args.device)
    if args.device == "cuda":
        measured["gpu_memory_mb"] = torch.cuda.max_memory_allocated() / 2**20
    return measured


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
    parser.add_argument("--shape", choices=SHAPES, help=argparse.SUPPRESS)
    parser.add_argument("--system", choices=SYSTEMS, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.system:
        print(json.dumps(measure(args)))
        return
    if args.processes > 1:
        in_processes(args)
        return
    environment = {**os.environ, "HEADSTART_GPU_TESTS_ON": args.device}
    tests = subprocess.run([sys.executable, "-m", "pytest", "-m", "gpu", "tests/gpu"], cwd=ROOT, env=environment)
    for shape in SHAPES:
        print(f"\n{shape}: batches of {BATCH[shape]} texts of up to {TOKENS[shape]} tokens")
        arguments = ["--shape", shape, "--device", args.device, "--steps", str(args.steps),
                     *(["--small"] if args.small else [])]
        measured = measure_in_turns(__file__, SYSTEMS, arguments, args.times)
        for work in ("train", "predict"):
            own, peer = (measured[name] for name in SYSTEMS if name.endswith(work))
            print(f"  {work}: {rate(own):,.0f} tokens/s, {rate(own) / rate(peer):.2f} times the peer, "
                  f"{own[0]['peak_share']:.0%} of the measured peak")
        if not args.small:
            record(f"gpu-{shape}", f"{shape} on a GPU", "tokens/s", measured)
    raise SystemExit(tests.returncode)


if __name__ == "__main__":
    main()
