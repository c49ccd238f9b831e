"""Fine-tuning a language model on WikiText-2: headstart beside Hugging Face's Trainer as run_clm sets it, in one run.

    python benchmarks/language_model.py --data FOLDER --model SMOLLM2 [--tokens 100000]

FOLDER/wikitext2/{train,test}.raw.gz. Both take the same blocks of 256 tokens (the first --tokens of train), updates of 8 blocks
(1 epoch, 5e-5, linear to 0; each shuffles by its own seed), the peer in bf16 (--peer-precision fp32 on a processor that is slow at it),
headstart as it chooses, and are measured by the same code: perplexity of the first
--tokens / 2 tokens of test in blocks of 256. Each way is a process of its own:
training tokens per second (the first updates not counted), peak memory.
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

WAYS = ("headstart", "trainer")
BLOCK, BATCH, RATE = 256, 8, 5e-5


def blocks(data: str, model: str, split: str, tokens: int) -> list[list[int]]:
    from transformers import AutoTokenizer

    with gzip.open(Path(data) / "wikitext2" / f"{split}.raw.gz", "rt", encoding="utf-8") as file:
        text = file.read(tokens * 8)
    ids = AutoTokenizer.from_pretrained(model)(text, add_special_tokens=False, verbose=False)["input_ids"][:tokens]
    assert len(ids) == tokens, f"{split} gives {len(ids):,} tokens only"
    return [ids[begin:begin + BLOCK] for begin in range(0, len(ids) - BLOCK + 1, BLOCK)]


def headstart(parts: list[list[int]], model: str, warmup: int, adapter: bool) -> tuple[Any, dict[str, float]]:
    import numpy as np

    from headstart.contract import Feature, HeadSpec, Target
    from headstart.data.features.batches import choose_batcher, collate, micro, plan, within
    from headstart.models.loading.load import load
    from headstart.runs.prepare import set_up_process
    from headstart.settings import Adapter, Training
    from headstart.training import estimate, precision
    from headstart.training.loop import State, train
    from headstart.training.losses import losses

    set_up_process()
    spec = HeadSpec("causal-language-model", 0, loss="vocabulary")
    loaded = load(model, spec, seed=0)
    if adapter:
        from headstart.models import lora as adapters

        print(adapters.apply(loaded, Adapter(), seed=0), file=sys.stderr)
    features = [Feature(part, [0] * BLOCK, {"label": Target(part[1:], "asked")}, asks=list(range(BLOCK - 1))) for part in parts]
    lengths, settings = np.full(len(parts), BLOCK), Training(learning_rate=RATE, batch_size=BATCH, warmup=0.0, weight_decay=0.0)
    way, _ = choose_batcher("auto", can_pack=loaded.can_pack)
    layout = loaded.layout(packed=way == "packed")
    state = State.fresh(loaded, settings, precision=precision.choose("auto", "cpu")[0], device="cpu")
    most = estimate.tokens_at_once(loaded.module, layers=loaded.facts.layers, width=loaded.facts.width, device="cpu")

    def make(update: Any, size: int) -> list[Any]:  # as a run makes it
        size = within(update, lengths, size, most)
        return [collate([features[place] for place in part], layout) for part in micro(update, lengths, size)]

    tokens, begun = 0, time.perf_counter()
    for step in train(state, lambda epoch: plan(lengths, batch_size=BATCH, seed=0, epoch=epoch, bucketed=False),
                      make, losses.objective(spec, settings, ()), losses.total_weight, settings,
                      total=-(-len(parts) // BATCH), seed=0, precision=precision.choose("auto", "cpu")[0], device="cpu"):
        tokens += step.tokens
        if step.update <= warmup:
            tokens, begun = 0, time.perf_counter()
    return loaded.module, {"tokens": tokens, "seconds": time.perf_counter() - begun}


def trainer(parts: list[list[int]], model: str, warmup: int, precision: str) -> tuple[Any, dict[str, float]]:
    import tempfile

    from transformers import AutoModelForCausalLM, Trainer, TrainerCallback, TrainingArguments, default_data_collator

    seen = {"begun": time.perf_counter(), "after": 0}

    class Clock(TrainerCallback):
        def on_step_end(self, arguments, state, control, **more):
            if state.global_step == warmup:
                seen.update(begun=time.perf_counter(), after=warmup * BATCH * BLOCK)

    module = AutoModelForCausalLM.from_pretrained(model, dtype="float32")
    with tempfile.TemporaryDirectory() as out:
        arguments = TrainingArguments(out, per_device_train_batch_size=BATCH, learning_rate=RATE, use_cpu=True, report_to=[],
                                      bf16=precision == "bf16", save_strategy="no", num_train_epochs=1, logging_steps=10_000,
                                      disable_tqdm=True, seed=0)
        rows = [{"input_ids": part, "labels": part} for part in parts]
        Trainer(module, arguments, train_dataset=rows, data_collator=default_data_collator, callbacks=[Clock()]).train()
    return module, {"tokens": len(parts) * BLOCK - seen["after"], "seconds": time.perf_counter() - seen["begun"]}


def perplexity(module: Any, parts: list[list[int]]) -> float:
    import torch

    module.eval()
    total, count = 0.0, 0
    with torch.inference_mode():
        for part in parts:
            ids = torch.tensor([part])
            total += float(module(input_ids=ids, labels=ids).loss) * (len(part) - 1)
            count += len(part) - 1
    return math.exp(total / count)


def one(way: str, given: argparse.Namespace) -> dict[str, float]:
    parts = blocks(given.data, given.model, "train", given.tokens)
    warmup = min(2, max(0, len(parts) // BATCH - 1))
    module, found = (headstart(parts, given.model, warmup, given.adapter) if way == "headstart" else
                     trainer(parts, given.model, warmup, given.peer_precision))
    found["memory"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    return found | {"perplexity": perplexity(module, blocks(given.data, given.model, "test", given.tokens // 2))}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", required=True)
    parser.add_argument("--model", required=True, help="a folder with SmolLM2-135M, or another decoder")
    parser.add_argument("--tokens", type=int, default=100_000, help="of train; half as many of test")
    parser.add_argument("--adapter", action="store_true", help="headstart trains LoRA instead of all weights")
    parser.add_argument("--peer-precision", choices=("bf16", "fp32"), default="bf16")
    parser.add_argument("--one", choices=WAYS, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.one:
        print(json.dumps(one(given.one, given)))
        return
    found = {}
    for way in WAYS:
        done = subprocess.run([sys.executable, __file__, "--one", way, *sys.argv[1:]], stdout=subprocess.PIPE, text=True, check=True)
        held = found[way] = json.loads(done.stdout.splitlines()[-1])
        print(f"{way:<10} {held['tokens'] / held['seconds']:7.0f} tokens/s   perplexity {held['perplexity']:7.3f}   "
              f"peak memory {held['memory'] / 2**30:5.2f} GiB", flush=True)
    ours, theirs = found["headstart"], found["trainer"]
    print(f"headstart is {ours['tokens'] / ours['seconds'] * theirs['seconds'] / theirs['tokens']:.2f} times as fast, with "
          f"{ours['perplexity'] / theirs['perplexity']:.4f} of its perplexity and {ours['memory'] / theirs['memory']:.2f} of its memory")


if __name__ == "__main__":
    main()
