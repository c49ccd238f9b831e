"""A book through headstart and through plain transformers as run_clm reads it: the same text, model, steps and rate.

    python benchmarks/running_text.py --data FOLDER --model SMOLLM2 [--tokens 6144] [--block 128]

FOLDER/wikitext2/{train,test}.raw.gz; the first --tokens of train and a quarter of them of test are written as
train.txt and test.txt. headstart runs as a user would run it: `headstart finetune train.txt --test test.txt`, with
task.blocks=separate (run_clm's blocks) and as it cuts by default. The peer is a plain loop over the text's ids in
blocks: AdamW, one epoch, 8 blocks a step, linear to 0, the order of the blocks drawn by its own seed. All are
measured by the peer's code on the same blocks of test: exp of the mean loss of all tokens but each block's first.
"""

import argparse
import gzip
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from language_model import perplexity

BATCH_SIZE, RATE = 8, 5e-5


def write_text(data: str, split: str, tokenizer: Any, tokens: int, path: Path) -> list[int]:
    """The first tokens of a split as a text file; returns the ids that run_clm would cut into blocks."""
    with gzip.open(Path(data) / "wikitext2" / f"{split}.raw.gz", "rt", encoding="utf-8") as file:
        text = file.read(tokens * 8)
    offsets = tokenizer(text, add_special_tokens=False, return_offsets_mapping=True, verbose=False)["offset_mapping"]
    path.write_text(text[:offsets[tokens - 1][1]], encoding="utf-8")
    ids: list[int] = tokenizer(path.read_text(encoding="utf-8"), add_special_tokens=False, verbose=False)["input_ids"]
    return ids


def blocks(ids: list[int], size: int) -> list[list[int]]:
    return [ids[start:start + size] for start in range(0, len(ids), size)]


def train_plain(model: Any, train_blocks: list[list[int]], seed: int) -> None:
    """run_clm's training, written out."""
    import torch
    from transformers import get_linear_schedule_with_warmup

    torch.manual_seed(seed)
    steps = -(-len(train_blocks) // BATCH_SIZE)
    optimizer = torch.optim.AdamW(model.parameters(), lr=RATE, weight_decay=0.0)
    schedule = get_linear_schedule_with_warmup(optimizer, 0, steps)
    order = torch.randperm(len(train_blocks)).tolist()
    model.train()
    for step in range(steps):
        batch = [train_blocks[index] for index in order[step * BATCH_SIZE:(step + 1) * BATCH_SIZE]]
        token_count = sum(len(block) - 1 for block in batch)
        for block in batch:  # one by one: the last block may be shorter
            token_ids = torch.tensor([block])
            loss = model(input_ids=token_ids, labels=token_ids).loss * (len(block) - 1) / token_count
            loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        schedule.step()
        optimizer.zero_grad()


def finetune(folder: Path, model: str, block: int, mode: str, seed: int) -> tuple[Path, float]:
    """headstart's own run; returns the model and the perplexity that the run tells."""
    run = folder / mode
    command = [sys.executable, "-m", "headstart", "finetune", folder / "train.txt", "--dev", folder / "dev.txt",
               "--test", folder / "test.txt", "--task", "language-model", "--model", model, "--to", run,
               "--epochs", "1", "--batch-size", BATCH_SIZE, "--learning-rate", RATE, "--seed", seed, "--quiet"]
    values = {"data.max_length": block, "task.blocks": mode, "data.rows": "document", "training.warmup_ratio": 0,
              "training.weight_decay": 0, "training.precision": "fp32", "evaluation.resamples": 0,
              "evaluation.baselines": "false", "evaluation.generated_samples": 0}
    settings = [word for key, value in values.items() for word in ("--set", f"{key}={value}")]
    subprocess.run([str(word) for word in (*command, *settings)], check=True)
    scores = json.loads((run / "scores.json").read_text(encoding="utf-8"))
    return run / "model", float(scores["test"]["perplexity"]["value"])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", required=True)
    parser.add_argument("--model", required=True, help="a folder with a decoder")
    parser.add_argument("--tokens", type=int, default=6_144, help="of train; a quarter of them of test")
    parser.add_argument("--block", type=int, default=128)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    from transformers import AutoModelForCausalLM, AutoTokenizer

    def load(folder: Any) -> Any:
        return AutoModelForCausalLM.from_pretrained(folder, dtype="float32")

    with tempfile.TemporaryDirectory() as name:
        folder, tokenizer = Path(name), AutoTokenizer.from_pretrained(args.model)
        train = write_text(args.data, "train", tokenizer, args.tokens, folder / "train.txt")
        test = write_text(args.data, "test", tokenizer, args.tokens // 4, folder / "test.txt")
        write_text(args.data, "test", tokenizer, 2 * args.block, folder / "dev.txt")
        test_blocks = blocks(test, args.block)
        print(f"{len(train):,} tokens in {len(blocks(train, args.block))} blocks of {args.block}; untrained: "
              f"perplexity {perplexity(load(args.model), test_blocks):.3f}", flush=True)
        start, peer = time.perf_counter(), load(args.model)
        train_plain(peer, blocks(train, args.block), args.seed)
        peer_perplexity = perplexity(peer, test_blocks)
        print(f"plain transformers   perplexity {peer_perplexity:8.3f}   {time.perf_counter() - start:4.0f} s",
              flush=True)
        for mode in ("separate", "joined"):
            start = time.perf_counter()
            model, reported = finetune(folder, args.model, args.block, mode, args.seed)
            value = perplexity(load(model), test_blocks)
            print(f"headstart, {mode:<8}  perplexity {value:8.3f}   {time.perf_counter() - start:4.0f} s   "
                  f"{value / peer_perplexity:.4f} of the peer's; the run itself says {reported:.3f}", flush=True)


if __name__ == "__main__":
    main()
