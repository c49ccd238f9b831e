"""Fine-tuning a language model on WikiText-2: headstart beside Hugging Face's Trainer as run_clm sets it, in one run.

    python benchmarks/language_model.py --data FOLDER --model SMOLLM2 [--tokens 100000]

FOLDER/wikitext2/{train,test}.raw.gz. Both take the same blocks of 256 tokens (the first --tokens of train), steps of 8
blocks (1 epoch, 5e-5, linear to 0; each shuffles by its own seed), the peer in bf16 (--peer-precision fp32 on a
processor that is slow at it),
headstart as it chooses, and are measured by the same code: perplexity of the first
--tokens / 2 tokens of test in blocks of 256. Each system runs in a process of its own:
training tokens per second (the first steps not counted), peak memory.
"""

import argparse
import gzip
import json
import math
import resource
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

SYSTEMS = ("headstart", "trainer")
BLOCK_SIZE, BATCH_SIZE, RATE = 256, 8, 5e-5


def read_blocks(data: str, model: str, split: str, tokens: int) -> list[list[int]]:
    from transformers import AutoTokenizer

    with gzip.open(Path(data) / "wikitext2" / f"{split}.raw.gz", "rt", encoding="utf-8") as file:
        text = file.read(tokens * 8)
    token_ids = AutoTokenizer.from_pretrained(model)(text, add_special_tokens=False,
                                                     verbose=False)["input_ids"][:tokens]
    assert len(token_ids) == tokens, f"{split} gives {len(token_ids):,} tokens only"
    return [token_ids[start:start + BLOCK_SIZE] for start in range(0, len(token_ids) - BLOCK_SIZE + 1, BLOCK_SIZE)]


def headstart(blocks: list[list[int]], model: str, warmup: int, adapter: bool) -> tuple[Any, dict[str, float]]:
    import numpy as np

    from headstart.contract import Feature, HeadSpec, Target
    from headstart.contract.losses import VocabularyCrossEntropy
    from headstart.data.features.batches import (
        choose_batcher,
        collate,
        fitting_micro_batch_size,
        micro_batches,
        plan_batches,
    )
    from headstart.models.loading.load import load
    from headstart.settings import Adapter, Training
    from headstart.training import estimate, precision
    from headstart.training.loop import train
    from headstart.training.losses import build_loss
    from headstart.training.objectives.objective import total_weight
    from headstart.training.process_setup import set_up_process
    from headstart.training.state import TrainingState

    set_up_process()
    spec = HeadSpec("causal-language-model", 0, loss=VocabularyCrossEntropy())
    loaded_model = load(model, spec, seed=0)
    if adapter:
        from headstart.models import lora as adapters

        print(adapters.apply(loaded_model, Adapter(), seed=0), file=sys.stderr)
    features = [Feature(block, [0] * BLOCK_SIZE, {"label": Target(block[1:], "position")},
                        label_positions=list(range(BLOCK_SIZE - 1)))
                for block in blocks]
    lengths, settings = np.full(len(blocks), BLOCK_SIZE), Training(learning_rate=RATE, batch_size=BATCH_SIZE,
                                                                   warmup_ratio=0.0, weight_decay=0.0)
    batcher, _ = choose_batcher("auto", can_pack=loaded_model.can_pack)
    layout = loaded_model.layout(packed=batcher == "packed")
    precision_name, _ = precision.choose_precision("auto", "cpu")
    state = TrainingState.initial(loaded_model, settings, precision=precision_name, device="cpu")
    info = loaded_model.info
    max_tokens = estimate.micro_batch_tokens(loaded_model.module, layers=info.layers, width=info.width, device="cpu")

    def make_micro_batches(indices: Any, size: int) -> list[Any]:  # as a run does
        size = fitting_micro_batch_size(indices, lengths, size, max_tokens)
        return [collate([features[index] for index in micro_batch], layout)
                for micro_batch in micro_batches(indices, lengths, size)]

    tokens, start = 0, time.perf_counter()
    for step in train(state, lambda epoch: plan_batches(lengths, batch_size=BATCH_SIZE, seed=0, epoch=epoch,
                                                        bucketed=False),
                      make_micro_batches, build_loss(spec.loss, settings, ()), total_weight, settings,
                      total_steps=-(-len(blocks) // BATCH_SIZE), seed=0, precision=precision_name, device="cpu"):
        tokens += step.tokens
        if step.number <= warmup:
            tokens, start = 0, time.perf_counter()
    return loaded_model.module, {"tokens": tokens, "seconds": time.perf_counter() - start}


def trainer(blocks: list[list[int]], model: str, warmup: int, precision: str) -> tuple[Any, dict[str, float]]:
    import tempfile

    from transformers import AutoModelForCausalLM, Trainer, TrainerCallback, TrainingArguments, default_data_collator

    clock = {"start": time.perf_counter(), "warmup_tokens": 0}

    class Clock(TrainerCallback):
        def on_step_end(self, arguments, state, control, **options):
            if state.global_step == warmup:
                clock.update(start=time.perf_counter(), warmup_tokens=warmup * BATCH_SIZE * BLOCK_SIZE)

    module = AutoModelForCausalLM.from_pretrained(model, dtype="float32")
    with tempfile.TemporaryDirectory() as folder:
        arguments = TrainingArguments(folder, per_device_train_batch_size=BATCH_SIZE, learning_rate=RATE, use_cpu=True,
                                      report_to=[],
                                      bf16=precision == "bf16", save_strategy="no", num_train_epochs=1,
                                      logging_steps=10_000, disable_tqdm=True, seed=0)
        rows = [{"input_ids": block, "labels": block} for block in blocks]
        Trainer(module, arguments, train_dataset=rows, data_collator=default_data_collator, callbacks=[Clock()]).train()
    return module, {"tokens": len(blocks) * BLOCK_SIZE - clock["warmup_tokens"],
                    "seconds": time.perf_counter() - clock["start"]}


def perplexity(module: Any, blocks: list[list[int]]) -> float:
    import torch

    module.eval()
    total, count = 0.0, 0
    with torch.inference_mode():
        for block in blocks:
            token_ids = torch.tensor([block])
            total += float(module(input_ids=token_ids, labels=token_ids).loss) * (len(block) - 1)
            count += len(block) - 1
    return math.exp(total / count)


def measure(system: str, args: argparse.Namespace) -> dict[str, float]:
    blocks = read_blocks(args.data, args.model, "train", args.tokens)
    warmup = min(2, max(0, len(blocks) // BATCH_SIZE - 1))
    module, measurement = (headstart(blocks, args.model, warmup, args.adapter) if system == "headstart" else
                           trainer(blocks, args.model, warmup, args.peer_precision))
    measurement["memory"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    return measurement | {"perplexity": perplexity(module,
                                                   read_blocks(args.data, args.model, "test", args.tokens // 2))}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", required=True)
    parser.add_argument("--model", required=True, help="a folder with SmolLM2-135M, or another decoder")
    parser.add_argument("--tokens", type=int, default=100_000, help="of train; half as many of test")
    parser.add_argument("--adapter", action="store_true", help="headstart trains LoRA instead of all weights")
    parser.add_argument("--peer-precision", choices=("bf16", "fp32"), default="bf16")
    parser.add_argument("--system", choices=SYSTEMS, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.system:
        print(json.dumps(measure(args.system, args)))
        return
    measurements = {}
    for system in SYSTEMS:
        command = [sys.executable, __file__, "--system", system, *sys.argv[1:]]
        process = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
        measurement = measurements[system] = json.loads(process.stdout.splitlines()[-1])
        print(f"{system:<10} {measurement['tokens'] / measurement['seconds']:7.0f} tokens/s   "
              f"perplexity {measurement['perplexity']:7.3f}   peak memory {measurement['memory'] / 2**30:5.2f} GiB",
              flush=True)
    product, peer = measurements["headstart"], measurements["trainer"]
    print(f"headstart is {product['tokens'] / product['seconds'] * peer['seconds'] / peer['tokens']:.2f} times as "
          f"fast, with {product['perplexity'] / peer['perplexity']:.4f} of its perplexity and "
          f"{product['memory'] / peer['memory']:.2f} of its memory")


if __name__ == "__main__":
    main()
